"""The Lambda entry of the S3 remediator."""

from evenkeel.remediator import remediator

handler = remediator("s3")
