"""The Lambda entry of the S3 remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("s3")
