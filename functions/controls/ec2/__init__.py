"""Remediator of EC2: security groups, EBS."""
