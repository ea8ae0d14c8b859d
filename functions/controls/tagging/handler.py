"""The Lambda entry of the tagging remediator."""

from evenkeel.remediator import remediator

handler = remediator("tagging")
