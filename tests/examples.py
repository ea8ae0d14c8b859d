"""How many examples Hypothesis tries, and how long one may take."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
"""How many times as many examples as by default; ``make prove`` and ``make fuzz`` set it."""
SECONDS = 10
"""An example that takes longer counts as one that hangs. The library's own 200 ms are too few on a busy machine."""


def examples(count: int) -> settings:
    """Return how a test is tried; fixtures made once serve all its examples."""
    return settings(
        max_examples=count * TIMES,
        deadline=SECONDS * 1000,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def by_default() -> None:
    """Try every test that does not say how on a hundred examples."""
    settings.register_profile("evenkeel", examples(100))
    settings.load_profile("evenkeel")
