"""The Lambda entry of the log group remediator."""

from evenkeel.remediator import remediator

handler = remediator("logs")
