"""How people are shown calls: as AWS CLI lines that they could type, and what became of them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from evenkeel.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenkeel.model import Call

_DONE: dict[str, str] = {
    Outcome.REMEDIATED: "Changed",
    Outcome.PARTIAL: "Changed",
    Outcome.ANNOUNCED: "Would call",
    Outcome.AWAITING: "Would call",
    Outcome.HELD: "Would call",
    Outcome.REJECTED: "Not called",
    Outcome.DENIED: "Was refused",
    Outcome.FAILED: "Tried",
    Outcome.UNDONE: "Taken back",
}
_NEVER_CALLED: frozenset[str] = frozenset({Outcome.ANNOUNCED, Outcome.AWAITING, Outcome.HELD, Outcome.REJECTED})
_CLI_NAMES = {"s3": "s3api"}  # the CLI's own ``s3`` is a set of high-level commands


def done(outcome: str) -> str:
    """Return what became of an outcome's calls, as a title above them; ``Calls`` where the outcome does not say."""
    return _DONE.get(outcome, "Calls")


def back(outcome: str) -> str:
    """Return the title above the calls that take an outcome's calls back."""
    return "Would take back" if outcome in _NEVER_CALLED else "Take back"


def companions(record: Mapping[str, Any]) -> str:
    """Return the other controls' plans that the record's call was made for, too; empty where it was made alone."""
    return ", ".join(f"{control} (plan {plan})" for control, plan in record.get("sent_with", {}).items())


def cli_line(call: Call, region: str = "") -> str:
    """Return e.g. ``aws kms enable-key-rotation --key-id 1234 --region eu-west-1``; values are quoted for a shell."""
    words = ["aws", _CLI_NAMES.get(call.service, call.service), call.operation.replace("_", "-")]
    for name, value in call.params.items():
        words += _option(name, value)
    if region:
        words += ["--region", region]
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + xform_name(name, "-")
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [flag, *value]
    if isinstance(value, dict | list):
        return [flag, json.dumps(value, sort_keys=True)]
    return [flag, str(value)]
