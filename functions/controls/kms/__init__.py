"""Remediator of KMS keys."""
