"""The Lambda entry of the DynamoDB remediator."""

from evenkeel.remediator import remediator

handler = remediator("dynamodb")
