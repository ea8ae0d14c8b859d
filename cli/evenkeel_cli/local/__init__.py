"""The local AWS: ``evenkeel demo`` and ``evenkeel sandbox``."""
