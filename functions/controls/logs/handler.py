"""The Lambda entry of the log group remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("logs")
