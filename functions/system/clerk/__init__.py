"""Requeues every five minutes what is due, announces what ends soon, and drops or redrives dead letters."""
