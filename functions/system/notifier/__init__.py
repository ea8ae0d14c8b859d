"""Turns the audit table's stream into alerts, events, metrics and notes on findings."""
