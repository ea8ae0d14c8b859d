"""Announces what was audited: the audit table's stream to people, machines and metrics."""
