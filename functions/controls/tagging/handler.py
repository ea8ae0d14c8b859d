"""The Lambda entry of the tagging remediator."""

from evenkeel.lambda_handler import remediator

handler = remediator("tagging")
