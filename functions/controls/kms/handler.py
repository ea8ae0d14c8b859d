"""The Lambda entry of the KMS remediator."""

from evenkeel.remediator import remediator

handler = remediator("kms")
