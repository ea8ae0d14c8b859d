"""The stack's environment variables: what is read of them, and what each refusal says."""

from __future__ import annotations

import pytest

from evenkeel.errors import SettingsError
from evenkeel.runtime.environment import Environment
from tests.tables import AUDIT, STATE
from tests.world import VARIABLES

FULL = {
    **VARIABLES,
    "EVENKEEL_RETENTION_DAYS": "30",
    "EVENKEEL_SCOPE": " arn:aws:kms:* , ,arn:aws:logs:*",
    "EVENKEEL_START_MODE": "notify",
}


def test_environment_is_read() -> None:
    """If this fails, a parameter of the stack does not reach the code."""
    assert Environment.read(FULL) == Environment(
        stack="evenkeel-test",
        audit_table=AUDIT,
        state_table=STATE,
        settings_name="app-1/env-1/profile-1",
        region="eu-west-1",
        start_mode="notify",
        scope=("arn:aws:kms:*", "arn:aws:logs:*"),
        retention_days=30,
        queue_url=VARIABLES["EVENKEEL_QUEUE_URL"],
        dlq_url=VARIABLES["EVENKEEL_DLQ_URL"],
        groups=("kms",),
        keys=frozenset({VARIABLES["EVENKEEL_LOG_KEY_ARN"]}),
    )


def test_environment_has_defaults() -> None:
    """If this fails, functions without a queue of their own cannot start, or forget how long to keep records."""
    needed = ("EVENKEEL_STACK", "EVENKEEL_SETTINGS", "AWS_REGION")
    found = Environment.read(dict.fromkeys(needed, "x"))
    assert found == Environment("x", "x-audit", "x-state", "x", "x", "recommended", ("*",), 400, "", "")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({name: value for name, value in FULL.items() if name != "EVENKEEL_STACK"}, "'EVENKEEL_STACK'"),
        ({name: value for name, value in FULL.items() if name != "AWS_REGION"}, "'AWS_REGION'"),
        ({**FULL, "EVENKEEL_RETENTION_DAYS": "a year"}, "'a year'"),
    ],
)
def test_broken_environment_is_told(variables: dict[str, str], message: str) -> None:
    """If this fails, a stack that is deployed wrongly fails later with a riddle."""
    with pytest.raises(SettingsError) as caught:
        Environment.read(variables)
    assert message in str(caught.value)
    assert str(caught.value).startswith("environment variable missing or not valid: ")
    assert str(caught.value).endswith("; deploy the stack again")
