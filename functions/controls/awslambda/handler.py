"""The Lambda entry of the remediator of Lambda functions."""

from evenkeel.remediator import remediator

handler = remediator("awslambda")
