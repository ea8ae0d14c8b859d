"""The Lambda entry of the KMS remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("kms")
