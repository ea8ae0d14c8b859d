"""Remediator of RDS databases."""
