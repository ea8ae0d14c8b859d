"""Alerts that failed, on the real stack: Lambda gives up on the stream's batch, and people send it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox import inbox
from tests.sandbox.cli_stack import Place, eventually, standing
from tests.sandbox.test_notices import alerts_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, and a person who may do everything."""
    with standing() as there:
        yield there


@pytest.fixture(scope="module")
def alerts(place: Place) -> str:
    """The URL of a queue that hears the stack's alerts."""
    return inbox.subscribe(place.sandbox, place.stack)


def test_alerts_that_failed_are_sent_from_the_stream(place: Place, alerts: str) -> None:
    """If this fails, what was audited while the topic could not be reached is never announced."""
    fault = place.sandbox.faults.add("sns", "Publish", code="InternalErrorException", status=500)
    arn, record_id = place.repaired_key()

    def dead() -> list[dict[str, Any]]:
        letters: list[dict[str, Any]] = place.ask("dlq", "list")
        return [each for each in letters if each["groups"] == ["notifier"]]

    letter = eventually(dead, "the notifier's dead letter")[0]
    assert letter["reason"] == "Lambda gave up on evenkeel-notifier: RetryAttemptsExhausted"
    failed = place.run("dlq", "redrive", letter["id"], "--yes", "-o", "json")
    assert failed.exit_code == 1
    assert "failed again" in json.loads(failed.stdout)["kept"][0]["trouble"]

    place.sandbox.faults.clear(fault)
    for each in dead():
        assert place.ask("dlq", "redrive", each["id"], "--yes")["sent"] == [{"id": each["id"], "group": "notifier"}]
    told = eventually(lambda: alerts_of(place, alerts, "REMEDIATED"), "the alert")
    assert record_id in {alert["MessageAttributes"]["record_id"]["Value"] for alert in told}
    assert arn in "".join(alert["Message"] for alert in told)
    assert not dead()
