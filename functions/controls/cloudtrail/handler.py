"""The Lambda entry of the CloudTrail remediator."""

from evenkeel.remediator import remediator

handler = remediator("cloudtrail")
