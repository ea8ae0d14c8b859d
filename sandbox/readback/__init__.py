"""Deployed resources, read back and compared with their template."""
