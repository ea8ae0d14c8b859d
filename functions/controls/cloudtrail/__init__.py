"""Remediator of CloudTrail trails."""
