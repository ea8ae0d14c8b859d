"""The operator's command, ``evenkeel``."""
