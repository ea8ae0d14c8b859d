"""The Lambda entry of the CloudTrail remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("cloudtrail")
