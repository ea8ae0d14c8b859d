"""A person's request: ``{"control": id, "resources": [ARN or id, …] or "all", "dry_run": true, "after": ARN}``.

Modes, scope and blast radius apply as for any event. It is a dry run unless ``dry_run`` is false; then it must name an
open ``"run"`` that covers it, see :mod:`evenkeel.operators.runs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.audit import records
from evenkeel.cli_lines import cli_line
from evenkeel.control import resource_arn
from evenkeel.errors import EvenkeelError, MalformedPayloadError, RunRefusedError
from evenkeel.model import RUN_EVENT, Actor, Cause, Request, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from evenkeel.control import Control
    from evenkeel.model import HeldBy, Place, Result
    from evenkeel.operators.runs import Run, Runs
    from evenkeel.runtime.aws import Aws

_STOP_AT_MILLISECONDS = 20_000
"""Time that must remain to begin another resource; else the answer's ``next`` says where to continue."""
_KEYS = frozenset({"control", "resources", "dry_run", "after", "run"})


@dataclass(frozen=True, slots=True)
class OnDemandRequest:
    """A person's request to check resources with one control. ``arns`` is None for all resources of its type."""

    control: Control
    arns: tuple[str, ...] | None
    dry_run: bool
    after: str
    cause: Cause
    place: Place
    named: str = ""
    """Id of the run that the payload names."""
    run: Run | None = None
    """That run, once it is known to be open and to cover the request; without one nothing can be changed."""

    def request(self, arn: str) -> Request:
        """Return the request for one resource."""
        resource = Resource(arn, self.place.account, self.place.region)
        if self.run is None:
            return Request(self.control.id, resource, self.cause, dry_run=True)
        return Request(
            self.control.id,
            resource,
            self.cause,
            Actor(principal=self.run.caller),
            dry_run=self.dry_run,
            run=self.run.id,
            allowance=self.run.terms.allowance,
        )

    def covered(self, runs: Runs) -> OnDemandRequest:
        """Return the request with the run that it names.

        Raises:
            RunRefusedError: the run is not open or does not cover the request, or a run is required and not named.
        """
        if not self.named:
            if self.dry_run:
                return self
            raise RunRefusedError("changing resources needs an open run: use evenkeel run … --apply, or send a dry run")
        run = runs.find(self.named)
        if run.terms.dry_run and not self.dry_run:
            raise RunRefusedError(f"run {run.id} is a dry run; it changes nothing")
        if self.control.id not in run.terms.controls:
            raise RunRefusedError(f"run {run.id} does not cover {self.control.id}")
        if run.terms.resources is not None:
            within = {resource_arn(self.control.arn, each, self.place) for each in run.terms.resources}
            outside = [arn for arn in self.arns or () if arn not in within]
            if self.arns is None or outside:
                raise RunRefusedError(f"run {run.id} does not cover {outside[0] if outside else 'all resources'}")
        return replace(self, run=run)


def parse(payload: Any, controls: Sequence[Control], place: Place, invocation: str, now: datetime) -> OnDemandRequest:
    """Check a person's payload.

    Raises:
        MalformedPayloadError: says which part is wrong and what to write.
    """
    if not isinstance(payload, dict) or "control" not in payload:
        raise MalformedPayloadError('send {"control": …, "resources": [ARNs] or "all", "dry_run": true}')
    unknown = set(payload) - _KEYS
    if unknown:
        raise MalformedPayloadError(f"unknown key {min(map(str, unknown))!r}; known: {', '.join(sorted(_KEYS))}")
    control = next((control for control in controls if control.id == payload["control"]), None)
    if control is None:
        known = ", ".join(control.id for control in controls)
        raise MalformedPayloadError(f"control {payload['control']!r} is not in this function; it has {known}")
    dry_run = payload.get("dry_run", True)
    if not isinstance(dry_run, bool):
        raise MalformedPayloadError(f"dry_run: {dry_run!r}; write true or false")
    after = payload.get("after") or ""
    if not isinstance(after, str):
        raise MalformedPayloadError('after: write the "next" of the previous answer')
    named = payload.get("run") or ""
    if not isinstance(named, str) or len(named) > records.MAX_WORDS:
        raise MalformedPayloadError('run: write the id that "open_run" answered')
    arns = _arns(payload.get("resources"), control, place)
    return OnDemandRequest(
        control, arns, dry_run, after, Cause("manual", invocation, RUN_EVENT, now.isoformat()), place, named
    )


def _arns(resources: Any, control: Control, place: Place) -> tuple[str, ...] | None:
    if resources == "all":
        return None
    if not isinstance(resources, list) or not resources or not all(isinstance(item, str) for item in resources):
        raise MalformedPayloadError('resources: write a list of ARNs or ids, or "all"')
    arns = []
    for given in resources:
        arn = resource_arn(control.arn, given, place)
        if not arn or not control.applies_to(arn):
            raise MalformedPayloadError(f"resources: {given!r} is not an {control.resource_type}")
        _, _, _, region, account, _ = arn.split(":", 5)
        if account not in {"", place.account} or region not in {"", place.region}:
            raise MalformedPayloadError(f"resources: {given!r} is not in account {place.account}, {place.region}")
        arns.append(arn)
    return tuple(dict.fromkeys(arns))


def serve(
    wanted: OnDemandRequest, run: Callable[[Request], Result], aws: Aws, remaining_milliseconds: Callable[[], int]
) -> dict[str, Any]:
    """Run a request until the time runs out.

    Returns ``{"results": […], "next": ARN or null}``; send ``next`` back as ``after`` to continue.
    """
    results: list[dict[str, Any]] = []
    last = wanted.after
    for arn in _pending(wanted, aws):
        if remaining_milliseconds() < _STOP_AT_MILLISECONDS:
            return {"dry_run": wanted.dry_run, "results": results, "next": last}
        try:
            results.append(described(run(wanted.request(arn))))
        except (ClientError, BotoCoreError, EvenkeelError) as error:
            # An error with one resource must not stop the others; it is in the answer.
            failed = {"resource": arn, "control": wanted.control.id, "outcome": "ERROR", "reason": str(error)}
            results.append({**failed, "calls": [], "record_id": "", "held_by": None})
        last = arn
    return {"dry_run": wanted.dry_run, "results": results, "next": None}


def _pending(wanted: OnDemandRequest, aws: Aws) -> Iterator[str]:
    """Yield the remaining ARNs; a listing is sorted, so that ``after`` means the same in each call."""
    arns = wanted.arns if wanted.arns is not None else tuple(sorted(wanted.control.discover(aws, wanted.place)))
    if not wanted.after:
        yield from arns
    elif wanted.arns is None:
        yield from (arn for arn in arns if arn > wanted.after)
    else:
        yield from arns[arns.index(wanted.after) + 1 :] if wanted.after in arns else arns


def described(result: Result) -> dict[str, Any]:
    """Return a result as JSON, for an answer."""
    return {
        "resource": result.request.resource.arn,
        "control": result.request.control,
        "outcome": str(result.outcome),
        "reason": result.reason,
        "calls": [cli_line(call, result.request.resource.region) for call in result.calls],
        "record_id": result.record_id,
        "held_by": _hold(result.held_by) if result.held_by else None,
    }


def _hold(held_by: HeldBy) -> dict[str, str]:
    return {"kind": held_by.kind, "until": records.timestamp(held_by.until), "record": held_by.record}
