"""The Lambda entry of the RDS remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("rds")
