"""Requests by people whose identity is proved: runs, approvals, releases, dead letters."""
