"""What was really switched on and off during a storm, by whom, as CloudTrail's events tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenkeel.events.actor import is_own_role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.client import Sandbox

NAMED = frozenset({"dBInstanceIdentifier", "deletionProtection", "publiclyAccessible"})
"""What a call of ours about an instance may name; anything else would be somebody else's setting."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A successful call that set what a control wants (``on``) or took it back; ``own`` is one of Evenkeel's roles'."""

    control: str
    arn: str
    on: bool
    own: bool


def switches(sandbox: Sandbox) -> Iterator[Switch]:
    """Yield what was switched, oldest first: rotation, tracing, logging, and both settings of instances."""
    for detail in (event["detail"] for event in sandbox.events()):
        own = is_own_role(detail.get("userIdentity", {}), sandbox.account)
        if "eventName" in detail and "errorCode" not in detail:
            yield from (Switch(control, arn, on, own) for control, arn, on in _switched(detail))


def harm(sandbox: Sandbox) -> Iterator[str]:
    """Say what Evenkeel should never have done, whatever the faults: switch off, or change what it was not asked to."""
    for switch in switches(sandbox):
        if switch.own and not switch.on:
            yield f"{switch.control} {switch.arn}: Evenkeel itself set it back"
    for event in sandbox.events(eventName="ModifyDBInstance"):
        detail = event["detail"]
        beyond = set(detail["requestParameters"] or {}) - NAMED
        if beyond and is_own_role(detail["userIdentity"], sandbox.account):
            yield f"{detail['requestParameters']['dBInstanceIdentifier']}: Evenkeel set {', '.join(sorted(beyond))}"


def _switched(detail: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield the control, the ARN, and whether the call set what the control wants."""
    asked, answered = detail["requestParameters"] or {}, detail["responseElements"] or {}
    match detail["eventName"]:
        case "EnableKeyRotation" | "DisableKeyRotation" as name:
            yield "kms-key-rotation", detail["resources"][0]["ARN"], name == "EnableKeyRotation"
        case "StartLogging" | "StopLogging" as name:
            yield "cloudtrail-logging", asked["name"], name == "StartLogging"
        case "UpdateFunctionConfiguration20150331v2" if "tracingConfig" in asked:
            yield "lambda-xray-tracing", answered["functionArn"], asked["tracingConfig"]["mode"] == "Active"
        case "ModifyDBInstance":
            if "deletionProtection" in asked:
                yield "rds-deletion-protection", answered["dBInstanceArn"], asked["deletionProtection"]
            if "publiclyAccessible" in asked:
                yield "rds-public-access", answered["dBInstanceArn"], not asked["publiclyAccessible"]
