"""Remediator of DynamoDB tables."""
