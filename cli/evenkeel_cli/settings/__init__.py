"""``evenkeel settings`` and ``evenkeel exemptions``."""
