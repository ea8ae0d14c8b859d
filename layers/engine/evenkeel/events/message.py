"""The JSON form of requests on a queue and in state items: its fields, its encoder and its decoder.

Messages of an earlier release are in the queues during an update, so the names here do not follow the names of the
Python classes. ``schema_version`` is that of :data:`evenkeel.versions.REQUEST`; ``tests/samples/`` has the messages of
each release.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Required, TypedDict, get_type_hints, is_typeddict

from evenkeel.errors import MalformedPayloadError
from evenkeel.model import Actor, Cause, Request, Resource
from evenkeel.versions import REQUEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.control import Control
    from evenkeel.model import Place


class ResourceForm(TypedDict):
    """The resource of a request."""

    arn: str
    account: str
    region: str


class CauseForm(TypedDict, total=False):
    """What triggered Evenkeel, in messages and in audit records."""

    origin: Required[str]
    event_id: str
    event_name: str
    event_time: str
    finding_id: str
    product_arn: str


class ActorForm(TypedDict, total=False):
    """The actor who caused it, in messages and in audit records."""

    principal: str
    kind: str
    owner: str
    user_agent: str
    invoked_by: str
    source_ip: str


class RequestForm(TypedDict, total=False):
    """One request. A field that is not required gets its default if an older release did not write it."""

    control: Required[str]
    resource: Required[ResourceForm]
    cause: Required[CauseForm]
    actor: Required[ActorForm]
    creates: bool
    settles: bool
    weakens: bool
    dry_run: bool
    attempt: int
    first_seen: str
    plan: str
    run: str
    allowance: int
    waited: str


_TYPES: dict[Any, dict[str, Any]] = {
    form: get_type_hints(form) for form in (ResourceForm, CauseForm, ActorForm, RequestForm)
}


def encode(*requests: Request) -> dict[str, Any]:
    """Return requests as the JSON document of a message, under ``request``, or ``requests`` if there are several."""
    forms = [_written(request) for request in requests]
    return {"schema_version": REQUEST.version} | ({"request": forms[0]} if len(forms) == 1 else {"requests": forms})


def decode(payload: dict[str, Any], controls: Sequence[Control], place: Place) -> Request:
    """Return the single request that :func:`encode` wrote.

    Raises:
        MalformedPayloadError: its version, form, control or place is unknown.
    """
    if not REQUEST.reads(payload.get("schema_version")):
        raise MalformedPayloadError(
            f"a request of schema version {payload.get('schema_version')!r}, not {REQUEST.version}"
        )
    try:
        _check(payload["request"], RequestForm)
        request = _read(payload["request"])
        _check_returns(request.attempt, request.first_seen)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedPayloadError(f"a returned request of unknown form: {error}") from error
    _check_place(request, controls, place)
    return request


def _written(request: Request) -> RequestForm:
    return {
        "control": request.control,
        "resource": {
            "arn": request.resource.arn,
            "account": request.resource.account,
            "region": request.resource.region,
        },
        "cause": cause_form(request.cause),
        "actor": actor_form(request.actor),
        "creates": request.creates,
        "settles": request.settles,
        "weakens": request.weakens,
        "dry_run": request.dry_run,
        "attempt": request.attempt,
        "first_seen": request.first_seen,
        "plan": request.plan,
        "run": request.run,
        "allowance": request.allowance,
        "waited": request.waited,
    }


def _read(form: RequestForm) -> Request:
    resource = form["resource"]
    return Request(
        control=form["control"],
        resource=Resource(arn=resource["arn"], account=resource["account"], region=resource["region"]),
        cause=cause_of(form["cause"]),
        actor=actor_of(form["actor"]),
        creates=form.get("creates", False),
        settles=form.get("settles", False),
        weakens=form.get("weakens", False),
        dry_run=form.get("dry_run", False),
        attempt=form.get("attempt", 0),
        first_seen=form.get("first_seen", ""),
        plan=form.get("plan", ""),
        run=form.get("run", ""),
        allowance=form.get("allowance", 0),
        waited=form.get("waited", ""),
    )


def cause_form(cause: Cause) -> CauseForm:
    """Return a cause as JSON."""
    return {
        "origin": cause.origin,
        "event_id": cause.event_id,
        "event_name": cause.event_name,
        "event_time": cause.event_time,
        "finding_id": cause.finding_id,
        "product_arn": cause.product_arn,
    }


def cause_of(form: CauseForm) -> Cause:
    """Return the cause that :func:`cause_form` wrote."""
    return Cause(
        origin=form["origin"],
        event_id=form.get("event_id", ""),
        event_name=form.get("event_name", ""),
        event_time=form.get("event_time", ""),
        finding_id=form.get("finding_id", ""),
        product_arn=form.get("product_arn", ""),
    )


def actor_form(actor: Actor) -> ActorForm:
    """Return an actor as JSON."""
    return {
        "principal": actor.principal,
        "kind": actor.kind,
        "owner": actor.owner,
        "user_agent": actor.user_agent,
        "invoked_by": actor.invoked_by,
        "source_ip": actor.source_ip,
    }


def actor_of(form: ActorForm) -> Actor:
    """Return the actor that :func:`actor_form` wrote."""
    return Actor(
        principal=form.get("principal", ""),
        kind=form.get("kind", ""),
        owner=form.get("owner", ""),
        user_agent=form.get("user_agent", ""),
        invoked_by=form.get("invoked_by", ""),
        source_ip=form.get("source_ip", ""),
    )


def _check(raw: Any, form: Any) -> None:
    """Refuse an object with an unknown field, or with a field of the wrong type.

    Raises:
        AttributeError, KeyError, TypeError: names the field.
    """
    for name, value in raw.items():
        wanted = _TYPES[form][name]
        if is_typeddict(wanted):
            _check(value, wanted)
        elif type(value) is not wanted:
            raise TypeError(f"{name}: expected {wanted.__name__}, got {type(value).__name__}")


def _check_returns(attempt: int, first_seen: str) -> None:
    if attempt < 0 or (first_seen and datetime.fromisoformat(first_seen).tzinfo is None):
        raise ValueError("attempt is below 0, or first_seen has no time zone")


def _check_place(request: Request, controls: Sequence[Control], place: Place) -> None:
    arn = request.resource.arn
    control = next((control for control in controls if control.id == request.control), None)
    if control is None:
        raise MalformedPayloadError(f"a returned request for the unknown control {request.control!r}")
    if not control.applies_to(arn):
        raise MalformedPayloadError(f"{arn!r} is not an {control.resource_type}")
    _, partition, _, region, account, _ = arn.split(":", 5)
    accounts = {request.resource.account, account or place.account}
    regions = {request.resource.region, region or place.region}
    if (partition, accounts, regions) != (place.partition, {place.account}, {place.region}):
        where = f"partition {place.partition}, account {place.account}, {place.region}"
        raise MalformedPayloadError(f"{arn!r} is not in {where}")
