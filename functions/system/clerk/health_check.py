"""Checks that Evenkeel's inputs and alerts are on: its EventBridge rules, and the notifier's event source.

The queues' event sources are not checked: ``evenkeel pause`` switches them off, and messages that wait have an alarm.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel.errors import AwsError, ErrorKind, classify
from evenkeel.runtime.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evenkeel.runtime.aws import Aws

logger, _ = telemetry()

MISSING = "missing"
"""The state of a rule or event source that does not exist."""
READING = frozenset({"Creating", "Enabling", "Enabled", "Updating"})
"""States of an event source that reads, or will soon (Lambda API reference, GetEventSourceMapping, ``State``)."""


def rules_of(groups: Iterable[str]) -> list[str]:
    """Return the names of some groups' rules, without the prefix ``<stack>-``; groups.json is generated."""
    found = json.loads(Path(__file__).with_name("groups.json").read_text(encoding="utf-8"))
    return [f"{group}-{suffix}" for group in groups for suffix in found[group]["rules"]]


def switched_off(aws: Aws, stack: str, rules: Sequence[str], source: str) -> int | None:
    """Log each part that is off, and return their number; None if none was found but a check failed.

    ``rules`` are the names of the stack's rules without ``<stack>-``, ``source`` is the event source mapping's UUID.

    A check that fails is logged, not raised: the whole round would be repeated and become a dead letter. The clerk then
    sends no count, and the alarm goes off if data are missing for long enough. A denied call leads to that, a throttled
    one does not.
    """
    off: dict[str, str] = {}
    complete = True
    checks: dict[str, Callable[[], dict[str, str]]] = {
        "rules": lambda: _rules(aws, stack, rules),
        f"event source {source}": lambda: _source(aws, source),
    }
    for what, check in checks.items():
        try:
            off |= check()
        except AwsError as error:
            complete = False
            logger.error("cannot check whether it is on", what=what, error=str(error))  # noqa: TRY400 - it is enough
    for what, state in off.items():
        logger.error("switched off", what=what, state=state)
    return len(off) if off or complete else None


def _rules(aws: Aws, stack: str, rules: Sequence[str]) -> dict[str, str]:
    """Return the rules that are off, with their states.

    Two states mean "on"; they differ in CloudTrail's read-only events (EventBridge API reference, Rule, ``State``).
    """
    prefix = f"{stack}-"
    pages = aws.pages("events", "list_rules", NamePrefix=prefix)
    states = {rule["Name"]: rule["State"] for page in pages for rule in page["Rules"]}
    found = {f"rule {prefix}{rule}": states.get(f"{prefix}{rule}", MISSING) for rule in rules}
    return {rule: state for rule, state in found.items() if not state.startswith("ENABLED")}


def _source(aws: Aws, source: str) -> dict[str, str]:
    """Return the alerts' event source and its state, if it is off."""
    try:
        state = aws("lambda", "get_event_source_mapping", UUID=source)["State"]
    except ClientError as error:
        if classify(error) is not ErrorKind.NOT_FOUND:
            raise
        state = MISSING
    return {} if state in READING else {f"event source {source}": state}
