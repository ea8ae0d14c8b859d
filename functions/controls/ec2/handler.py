"""The Lambda entry of the EC2 remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("ec2")
