"""The Lambda entry of the EC2 remediator."""

from evenkeel.remediator import remediator

handler = remediator("ec2")
