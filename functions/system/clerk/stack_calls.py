"""Records calls that pause or resume the stack or deploy its settings, from CloudTrail's events.

So every client is covered: a person who pauses Evenkeel in the console is named like one who uses the command line. An
event is recorded once, even if it is delivered several times.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clerk.notices import configuration
from evenkeel.audit import system_records
from evenkeel.audit.system_records import PAUSE, RESUME, SETTINGS, Note
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import actor
from evenkeel.events.parsing import API_CALL
from evenkeel.model import Cause, Outcome, Request, Resource
from evenkeel.runtime.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.audit.system_records import Part
    from evenkeel.model import Place
    from evenkeel.runtime.environment import Environment

logger, _ = telemetry()

RULE = "stack-calls"
"""The name of the rule for these events, without the prefix ``<stack>-``."""
TOGETHER = timedelta(minutes=10)
"""One person's switches within this time are announced once: ``evenkeel pause`` switches a source for each group."""
NOTIFIER = "notifier"


def is_stack_call(event: dict[str, Any]) -> bool:
    """Return whether the clerk's payload is an event of the rule."""
    return event.get("detail-type") == API_CALL


class StackCalls:
    """Records the calls of people about one stack; ``groups`` are the enabled groups of controls."""

    def __init__(
        self, ledger: Ledger, environment: Environment, place: Place, groups: Collection[str], now: datetime
    ) -> None:
        """Keep the parts."""
        self._ledger = ledger
        self._environment = environment
        self._place = place
        self._groups = groups
        self._now = now

    def audit(self, event: dict[str, Any]) -> EndedRecord | None:
        """Record one event; return its record, or None if it is about another stack or was recorded before.

        Raises:
            MalformedPayloadError: it does not have the form that AWS documents.
            ClientError, LeaseHeldError: a table refused a call; Lambda delivers the event again.
        """
        detail = event.get("detail")
        if not isinstance(detail, dict) or not _text(detail.get("eventID")):
            raise MalformedPayloadError("an event without an id")
        if detail.get("recipientAccountId") != self._place.account:
            return None
        switched = _text(detail.get("eventName")).startswith("UpdateEventSourceMapping")
        note = self._switch(detail) if switched else self._settings(detail)
        if note is None:
            return None
        return system_records.write_once(self._ledger, note, self._environment.retention_days, self._now)

    def _switch(self, detail: dict[str, Any]) -> Note | None:
        """Return the note about an event source that was switched; None if it is not one of this stack's."""
        function = _text(_part(detail, "responseElements").get("functionArn"))
        enabled = _part(detail, "requestParameters").get("enabled")
        name = function.rpartition(":function:")[2].removeprefix(f"{self._environment.stack}-")
        if name not in {*self._groups, NOTIFIER} or not isinstance(enabled, bool):
            logger.info("not a switch of this stack", function=function)
            return None
        part, outcome = (RESUME, Outcome.RESUMED) if enabled else (PAUSE, Outcome.PAUSED)
        alerts = name == NOTIFIER
        what = "alerts" if alerts else f"{name} controls"
        reason = f"the event source of the {what} was switched on: messages that waited are served now"
        if not enabled:
            effect = "no alert is sent" if alerts else "they repair nothing"
            reason = f"the event source of the {what} was switched off: {effect} until it is on again"
        request = self._request(part, f"{function}/event/{detail['eventID']}", detail)
        who = request.actor.principal or request.actor.owner or "somebody"
        rest = f"their other switches within {TOGETHER.seconds // 60} minutes are recorded without an alert"
        switch = NOTIFIER if alerts else "groups"
        first = self._ledger.counters.should_report(switch, f"{outcome} by {who}", detail["eventID"], TOGETHER)
        return Note(part, request, outcome, reason, f"by {who}; {rest}", _evidence(detail), announce=first)

    def _settings(self, detail: dict[str, Any]) -> Note | None:
        """Return the note about a deployment of the settings; None if it is another application's."""
        asked, answer = _part(detail, "requestParameters"), _part(detail, "responseElements")
        if _text(asked.get("applicationId")) != self._environment.settings_name.partition("/")[0]:
            logger.info("not the settings of this stack", application=asked.get("applicationId"))
            return None
        number = answer.get("deploymentNumber", asked.get("deploymentNumber", "?"))
        version = asked.get("configurationVersion", "?")
        outcome = Outcome.STOPPED if detail.get("eventName") == "StopDeployment" else Outcome.PUSHED
        reason = f"version {version} of the settings is being deployed (deployment {number})"
        if outcome is Outcome.STOPPED:
            reason = f"deployment {number} of the settings was stopped; the previous settings stay in force"
        where = configuration(self._environment.settings_name, self._place)
        request = self._request(SETTINGS, f"{where}/event/{detail['eventID']}", detail)
        who = request.actor.principal or request.actor.owner or "somebody"
        return Note(SETTINGS, request, outcome, reason, f"by {who}", _evidence(detail))

    def _request(self, part: Part, arn: str, detail: dict[str, Any]) -> Request:
        names = (_text(detail.get(name)) for name in ("eventID", "eventName", "eventTime"))
        resource = Resource(arn, self._place.account, self._place.region)
        return Request(part.id, resource, Cause("cloudtrail", *names), actor.actor(detail))


def _evidence(detail: dict[str, Any]) -> dict[str, Any]:
    return {"event": detail.get("eventName"), "requestParameters": _part(detail, "requestParameters")}


def _part(detail: dict[str, Any], name: str) -> dict[str, Any]:
    part = detail.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
