"""From payloads to requests: the resources that an event is about. An event is never evidence of their state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evenkeel.control.arn_templates import resource_arn
from evenkeel.control.triggers import CloudTrail, Config, SecurityHub, TagChange, find
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import security_hub
from evenkeel.events.actor import actor, is_own_role
from evenkeel.events.message import decode
from evenkeel.model import Cause, Request, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenkeel.control import Control
    from evenkeel.control.triggers import Trigger
    from evenkeel.model import Place

API_CALL = "AWS API Call via CloudTrail"
CONFIG_RULE = "Config Rules Compliance Change"
CONFIG_ITEM = "Config Configuration Item Change"
TAG_CHANGE = "Tag Change on Resource"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The requests of a payload. If there are none, ``irrelevant`` is the reason."""

    requests: tuple[Request, ...] = ()
    irrelevant: str = ""
    malformed: tuple[tuple[dict[str, Any], str], ...] = ()
    """Returned requests that cannot be read, each as a message of its own, with the reason."""


@dataclass(slots=True)
class _Matches:
    requests: dict[tuple[str, str], Request] = field(default_factory=dict)
    matched: bool = False


@dataclass(frozen=True, slots=True)
class _Match:
    """What a trigger finds in an event: the ARN, id, name or URL of a resource, and why it must be checked."""

    value: str
    cause: Cause
    template: str = ""
    """Overrides the control's ARN template."""
    creates: bool = False
    settles: bool = False
    weakens: bool = False


def parse(payload: Any, controls: Sequence[Control], place: Place) -> Parsed:
    """Return the requests of a queue message's payload.

    It is an EventBridge event, or requests that Evenkeel put back itself; see :mod:`evenkeel.events.message`.

    Raises:
        MalformedPayloadError: it is neither, or an event that must name its resource and does not.
    """
    if not isinstance(payload, dict):
        raise MalformedPayloadError(f"expected a JSON object, got {type(payload).__name__}")
    if "requests" in payload:
        return _decode_all(payload, controls, place)
    if "request" in payload:
        return Parsed((decode(payload, controls, place),))
    detail = payload.get("detail")
    if not isinstance(payload.get("detail-type"), str) or not isinstance(detail, dict):
        raise MalformedPayloadError('neither an EventBridge event ("detail-type" and "detail") nor a returned request')
    refusal = _refusal(payload, detail, place)
    if refusal:
        return Parsed(irrelevant=refusal)
    matches = _Matches()
    for control in controls:
        for trigger in control.all_triggers:
            _collect(matches, control, trigger, payload, place)
    if matches.requests:
        return Parsed(tuple(matches.requests.values()))
    if matches.matched:
        raise MalformedPayloadError(
            f"{detail.get('eventName') or payload['detail-type']} names no resource that Evenkeel can act on: "
            "its parameters are null, truncated or of an unknown form",
        )
    return Parsed(irrelevant="no control of this group is triggered by it")


def _refusal(payload: dict[str, Any], detail: dict[str, Any], place: Place) -> str:
    """Return why an event is ignored, or an empty string."""
    account = str(detail.get("recipientAccountId") or payload.get("account") or "")
    if account != place.account or str(payload.get("account") or account) != place.account:
        return f"it is from account {account or 'unknown'}"
    region = str(detail.get("awsRegion") or payload.get("region") or "")
    if region != place.region:
        return f"it is from region {region or 'unknown'}"
    if payload["detail-type"] == API_CALL:
        if detail.get("errorCode"):
            return f"the call failed with {str(detail['errorCode'])[:128]}"
        identity = detail.get("userIdentity")
        if isinstance(identity, dict) and is_own_role(identity, place.account):
            return "Evenkeel itself made the call"
    return ""


def _collect(matches: _Matches, control: Control, trigger: Trigger, payload: dict[str, Any], place: Place) -> None:
    """Add the requests that one trigger of one control finds in an event."""
    elsewhere = False
    for seen in _identify(control, trigger, payload, place):
        arn = resource_arn(seen.template or control.arn, seen.value, place)
        if not arn or not control.applies_to(arn):
            continue
        _, _, _, region, account, _ = arn.split(":", 5)
        if account not in {"", place.account} or region not in {"", place.region}:
            elsewhere = True
            continue
        request = Request(
            control.id,
            Resource(arn, place.account, place.region),
            seen.cause,
            actor=actor(payload["detail"]),
            creates=seen.creates,
            settles=seen.settles,
            weakens=seen.weakens,
        )
        matches.requests.setdefault((control.id, arn), request)
    matches.matched = matches.matched or (_must_name_resource(trigger, payload, place) and not elsewhere)


def _must_name_resource(trigger: Trigger, payload: dict[str, Any], place: Place) -> bool:
    """Return whether an event matches a trigger whose events always name a resource."""
    kind, detail = payload["detail-type"], payload["detail"]
    if isinstance(trigger, SecurityHub):
        return kind == security_hub.FINDINGS and bool(security_hub.open_findings(trigger.ids, detail, place))
    return isinstance(trigger, CloudTrail) and kind == API_CALL and trigger.matches(detail)


def _identify(control: Control, trigger: Trigger, payload: dict[str, Any], place: Place) -> Iterator[_Match]:
    """Yield the resources that a trigger finds in an event."""
    kind, detail, cause = payload["detail-type"], payload["detail"], _cause(payload)
    if isinstance(trigger, CloudTrail):
        if kind == API_CALL and trigger.matches(detail):
            for found in find(trigger.at, detail):
                value = found.lower() if trigger.lower_case else found
                yield _Match(value, cause, trigger.arn, trigger.creates, trigger.settles, trigger.weakens)
    elif isinstance(trigger, Config):
        yield from (_Match(value, cause, trigger.arn) for value in _config_ids(trigger, kind, detail))
    elif isinstance(trigger, SecurityHub) and kind == security_hub.FINDINGS:
        for finding in security_hub.open_findings(trigger.ids, detail, place):
            found_by = _cause_of_finding(cause, finding)
            named = security_hub.resources(finding, control.arn, place)
            yield from (_Match(value, found_by) for value in named)
    elif isinstance(trigger, TagChange) and kind == TAG_CHANGE and _tag_change_of(trigger, detail):
        yield from (_Match(value, cause, settles=True) for value in find("resources", payload))


def _config_ids(trigger: Config, kind: str, detail: dict[str, Any]) -> list[str]:
    if kind == CONFIG_RULE and detail.get("resourceType") == trigger.resource_type:
        verdict = find("newEvaluationResult.complianceType", detail)
        return find("resourceId", detail) if verdict == ["NON_COMPLIANT"] else []
    if kind == CONFIG_ITEM:
        # An item that is too large for a message comes as a summary (AWS Config developer guide, "Example Oversized
        # Configuration Item Change Notification").
        item = detail.get("configurationItem") or detail.get("configurationItemSummary")
        if isinstance(item, dict) and item.get("resourceType") == trigger.resource_type:
            # Compared with a tuple, not a set: in a malformed event the status may be a list.
            exists = item.get("configurationItemStatus") in ("OK", "ResourceDiscovered")
            return find("ARN || resourceId", item) if exists else []
    return []


def _tag_change_of(trigger: TagChange, detail: dict[str, Any]) -> bool:
    same_type = not trigger.resource_type or detail.get("resource-type") == trigger.resource_type
    return detail.get("service") == trigger.service and same_type


def _cause(payload: dict[str, Any]) -> Cause:
    detail = payload["detail"]
    origins = {
        API_CALL: "cloudtrail",
        CONFIG_RULE: "config",
        CONFIG_ITEM: "config",
        TAG_CHANGE: "tag",
        security_hub.FINDINGS: security_hub.ORIGIN,
    }
    return Cause(
        origin=origins.get(payload["detail-type"], "event"),
        event_id=str(detail.get("eventID") or payload.get("id") or "")[:128],
        event_name=str(detail.get("eventName") or payload["detail-type"])[:128],
        event_time=str(detail.get("eventTime") or payload.get("time") or "")[:40],
    )


def _cause_of_finding(cause: Cause, finding: dict[str, Any]) -> Cause:
    """Return an event's cause with the ids of the Security Hub finding, for the note on it."""
    name, product = security_hub.identity(finding)
    return replace(cause, finding_id=name, product_arn=product)


def _decode_all(payload: dict[str, Any], controls: Sequence[Control], place: Place) -> Parsed:
    """Return several requests, without duplicates; one that cannot be read does not affect the others."""
    several = payload["requests"]
    if not isinstance(several, list) or not several:
        raise MalformedPayloadError(f"requests: expected a non-empty list, got {str(several)[:40]}")
    found: dict[tuple[str, str], Request] = {}
    malformed: list[tuple[dict[str, Any], str]] = []
    for each in several:
        alone = {"schema_version": payload.get("schema_version"), "request": each}
        try:
            request = decode(alone, controls, place)
        except MalformedPayloadError as error:
            malformed.append((alone, str(error)))
        else:
            found.setdefault((request.control, request.resource.arn), request)
    return Parsed(tuple(found.values()), malformed=tuple(malformed))
