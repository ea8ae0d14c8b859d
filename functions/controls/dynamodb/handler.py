"""The Lambda entry of the DynamoDB remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("dynamodb")
