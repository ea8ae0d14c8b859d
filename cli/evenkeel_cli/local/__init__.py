"""An AWS on this machine: ``evenkeel demo`` and ``evenkeel sandbox``."""
