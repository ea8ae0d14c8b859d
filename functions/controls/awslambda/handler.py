"""The Lambda entry of the remediator of Lambda functions."""

from evenkeel.lambda_handler import remediator

handler = remediator("awslambda")
