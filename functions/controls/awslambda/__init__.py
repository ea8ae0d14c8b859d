"""Remediator of Lambda functions."""
