"""Evenkeel's engine: what every remediator runs."""

__version__ = "0.1.0"
