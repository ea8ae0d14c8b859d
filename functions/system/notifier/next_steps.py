"""What the reader of an alert can do next, with commands to copy; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from evenkeel import clock
from evenkeel.audit.records import undone
from evenkeel.cli_lines import exemption, own_line
from evenkeel.model import Mode, Outcome
from evenkeel.outcome import NextStep
from evenkeel.remediation.holds import FROZEN
from evenkeel.remediation.own_parts import about_own_part, about_weakening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel.audit.record_types import EndedRecord

EXEMPT_FOR = timedelta(days=90)
"""How long the exemption that an alert suggests lasts, from the record's time."""


@dataclass(frozen=True, slots=True)
class Home:
    """The stack that sends the alert; its commands name it."""

    stack: str
    region: str
    undo: bool
    """Whether the undo function is deployed."""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Home:
        """Return the stack from the function's environment.

        Raises:
            KeyError: the stack or the region is missing.
        """
        undo = variables.get("EVENKEEL_UNDO_ENABLED") == "true"
        return cls(variables["EVENKEEL_STACK"], variables["AWS_REGION"], undo)

    def line(self, *words: str, **options: str | bool) -> str:
        """Return an ``evenkeel`` command line for this stack."""
        return own_line(self.stack, self.region, *words, **options)


def next_steps(record: EndedRecord, home: Home) -> list[str]:
    """Return lines of text and of commands, each command on its own line; empty if there is nothing to do."""
    steps = STEPS[Outcome(record["outcome"]).meaning.next_step]
    return steps(record, home) if steps else []


def _repaired(record: EndedRecord, home: Home) -> list[str]:
    first = "To do: fix what remains." if record["remains"] else "To do: nothing, if this is right."
    if not record["undo"]:
        return [first]
    residue = [f"Undo cannot restore: {record['residue']}"] if record["residue"] else []
    if home.undo:
        return [first, "To undo it, and keep it so for 30 days:", home.line("undo", record["record_id"]), *residue]
    words = "To exempt it instead, add this to the settings file, push it, then undo by hand as below:"
    return [first, words, *_exempted(record, home), *residue]


def _exempted(record: EndedRecord, home: Home) -> list[str]:
    arn, until = record["resource"], _moment(record["at"]) + EXEMPT_FOR
    return [
        *exemption(record["control"], arn, until.date()),
        home.line("settings", "push", "settings.yaml"),
    ]


def _moment(at: Any) -> datetime:
    try:
        return datetime.fromisoformat(at)
    except ValueError:  # a planted record; the exemption's day is only a suggestion
        return clock.now()


def _announced(record: EndedRecord, home: Home) -> list[str]:
    if about_own_part(record):
        return _own_part(record)
    if not record["calls"]:
        return ["To do: fix it by hand."]
    if record["mode"] == Mode.NOTIFY:
        return ["To do: make the calls below, or set the control's mode to enforce."]
    dry_run = home.line("run", record["control"], resource=record["resource"])
    return ["To do: make the calls below, or see what a run by hand would change:", dry_run]


def _own_part(record: EndedRecord) -> list[str]:
    if not about_weakening(record):
        words = "To do: correct the template or the parameters of this Evenkeel stack, and deploy it."
        return [words, "If they are right, find out who changed the resource, and set it back."]
    by_hand = ["The AWS calls below set back what the control wants."] if record["calls"] else []
    return [
        "To do: find out who changed it and why. If you cannot explain it, treat it as an attack on Evenkeel.",
        "Then set it back: a drift-aware change set of CloudFormation restores what the stack's template says.",
        *by_hand,
    ]


def _awaiting(record: EndedRecord, home: Home) -> list[str]:
    name = record["record_id"]
    return [
        "To do: approve or reject it. The person who caused it cannot.",
        home.line("approve", name),
        home.line("reject", name, because="say why"),
    ]


def _held(record: EndedRecord, home: Home) -> list[str]:
    if str(record.get("detail", "")).startswith(FROZEN):
        words = "To do: nothing. It is read again when the freeze ends. To end the freeze sooner, change the settings:"
        return [words, home.line("settings", "show")]
    return [
        "To do: find out why it happens. Then release this resource, or all that the control holds:",
        _release(record, home),
        home.line("release", record["control"]),
    ]


def _release(record: EndedRecord, home: Home) -> str:
    return home.line("release", record["control"], resource=record["resource"])


def _held_by_person(record: EndedRecord, home: Home) -> list[str]:
    return [
        "To do: nothing. Evenkeel does not change the resource for 30 days; to end that sooner:",
        _release(record, home),
    ]


def _denied(record: EndedRecord, home: Home) -> list[str]:
    first = "To do: ask the owner of the policy that forbids the change to allow it."
    return [first, "Or exempt the resource: add this to the settings file and push it:", *_exempted(record, home)]


def _failed(record: EndedRecord, home: Home) -> list[str]:
    show = home.line("audit", "show", record["record_id"])
    first = ["To do: check the resource. It may have been changed in part:", show]
    undoes = undone(record)
    if not undoes:
        return first
    again = home.line("undo", undoes, force=True)
    return [*first, "To complete the undo, or to have the resource repaired:", again, _release(record, home)]


def _expiring(_record: EndedRecord, home: Home) -> list[str]:
    words = "To do: extend it in the settings, or let it end: the controls then act on what it exempts. All exemptions:"
    return [words, home.line("exemptions")]


def _dropped(record: EndedRecord, home: Home) -> list[str]:
    words = "To do: nothing, if this is right. The message will not be processed; if it should be, run the control"
    return [f"{words} by hand. Details of the message:", home.line("audit", "show", record["record_id"])]


def _paused(record: EndedRecord, home: Home) -> list[str]:
    if record["resource"].partition("/event/")[0].endswith(f":{home.stack}-notifier"):
        return ["To do: enable the notifier's event source again, in the Lambda console."]
    others = home.line("audit", "list", outcome=Outcome.PAUSED)
    return [
        "To do: nothing, if this is right. All that was switched off:",
        others,
        "To resume it:",
        home.line("resume"),
    ]


def _settings(_record: EndedRecord, home: Home) -> list[str]:
    return ["To do: nothing, if this is right. The live settings:", home.line("settings", "show")]


STEPS: dict[NextStep, Callable[[EndedRecord, Home], list[str]] | None] = {
    NextStep.NONE: None,
    NextStep.REVIEW_REPAIR: _repaired,
    NextStep.FIX: _announced,
    NextStep.APPROVE_OR_REJECT: _awaiting,
    NextStep.RELEASE: _held,
    NextStep.END_HOLD: _held_by_person,
    NextStep.ALLOW_OR_EXEMPT: _denied,
    NextStep.CHECK_RESOURCE: _failed,
    NextStep.EXTEND_EXEMPTION: _expiring,
    NextStep.RUN_BY_HAND: _dropped,
    NextStep.RESUME: _paused,
    NextStep.REVIEW_SETTINGS: _settings,
}
"""The text of each next step."""
