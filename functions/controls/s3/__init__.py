"""Remediator of S3 buckets."""
