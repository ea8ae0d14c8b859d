"""The Lambda entry of the RDS remediator."""

from evenkeel.remediator import remediator

handler = remediator("rds")
