"""Looks every five minutes for acts without an outcome."""
