"""Remediator of CloudWatch log groups."""
