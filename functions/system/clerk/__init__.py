"""Looks every five minutes for what is due, tells what ends, and drops dead letters for people."""
