"""Remediator of tags, over many resource types."""
