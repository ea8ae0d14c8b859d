"""How much of each AWS quota the stack uses; ``python -m tools.aws_quotas`` prints it."""

from tools.aws_quotas.measure import (
    INLINE_POLICIES,
    MANAGED_POLICY,
    PATTERN,
    RULES,
    Limit,
    Measure,
    characters,
    measured,
    worst,
)

__all__ = [
    "INLINE_POLICIES",
    "MANAGED_POLICY",
    "PATTERN",
    "RULES",
    "Limit",
    "Measure",
    "characters",
    "measured",
    "worst",
]
