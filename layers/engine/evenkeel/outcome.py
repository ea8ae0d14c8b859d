"""The outcomes of requests and of acts on the system, and what each means; no other module defines that."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum, StrEnum, auto
from typing import Self


class Kind(Enum):
    """The subject of an outcome, and whether it is in the audit table."""

    RESOURCE = auto()
    """In the audit table, about a resource."""
    SYSTEM = auto()
    """In the audit table, about Evenkeel itself: there is no resource that has tags."""
    ANSWER = auto()
    """Not in the audit table: it is the answer of ``evenkeel run`` and is in the functions' logs."""


class Calls(StrEnum):
    """What happened to an outcome's AWS calls; the value is the title above them."""

    NONE = "Calls"
    CHANGED = "Changed"
    WOULD = "Would call"
    NOT_CALLED = "Not called"
    REFUSED = "Was refused"
    TRIED = "Tried"
    CALLED = "Called"


class NextStep(Enum):
    """What the reader of an alert can do; :mod:`notifier.next_steps` has the texts."""

    NONE = auto()
    REVIEW_REPAIR = auto()
    """Nothing if the repair is right, else undo it."""
    FIX = auto()
    """Make the change, or let Evenkeel make it."""
    APPROVE_OR_REJECT = auto()
    RELEASE = auto()
    """Find out why it is held, then release it."""
    END_HOLD = auto()
    """Nothing; the hold that a person placed can be ended sooner."""
    ALLOW_OR_EXEMPT = auto()
    """Have the policy that forbids the change allow it, or exempt the resource."""
    CHECK_RESOURCE = auto()
    EXTEND_EXEMPTION = auto()
    RUN_BY_HAND = auto()
    RESUME = auto()
    REVIEW_SETTINGS = auto()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an outcome means for storing, announcing and showing it."""

    says: str
    """One sentence, which docs/alerts.md shows."""
    kind: Kind
    next_step: NextStep
    _: KW_ONLY
    calls: Calls = Calls.NONE
    colour: str = ""
    """In a terminal, as a style of rich."""
    out_of_line: bool = False
    """The resource is not as the control wants it, and ``evenkeel run`` reports that as a failure."""
    final: bool = True
    """No other outcome of the same act follows. Only a final one is announced."""
    prevented: bool = False
    """The resource was not repaired; the record's ``detail`` says why."""
    noted: bool = False
    """Evenkeel may put a note about it on a Security Hub finding; see :mod:`notifier.finding_note`."""
    done: str = ""
    """What was done, for the text of an alert."""

    @property
    def audited(self) -> bool:
        """Whether it is written to the audit table."""
        return self.kind is not Kind.ANSWER

    @property
    def about_system(self) -> bool:
        """Whether it is about Evenkeel itself."""
        return self.kind is Kind.SYSTEM

    @property
    def announced(self) -> bool:
        """Whether it is sent as an alert and as an event, unless the record's ``announce`` is false."""
        return self.audited and self.final

    @property
    def changed(self) -> bool:
        """Whether the calls succeeded."""
        return self.calls is Calls.CHANGED

    @property
    def undoable(self) -> bool:
        """Whether it is a change that can be undone."""
        return self.changed and self.final

    @property
    def touched(self) -> bool:
        """Whether the resource may have been changed."""
        return self.calls in {Calls.CHANGED, Calls.TRIED, Calls.CALLED}

    @property
    def only_planned(self) -> bool:
        """Whether there are calls and none of them was made."""
        return self.calls in {Calls.WOULD, Calls.NOT_CALLED}


class Outcome(StrEnum):
    """How one request, or one act on the system, ended. The order of the members means nothing."""

    _value_: str
    meaning: Meaning

    # fmt: off
    REMEDIATED = "REMEDIATED", Meaning(
        "Changed and proved by reading again.", Kind.RESOURCE, NextStep.REVIEW_REPAIR,
        calls=Calls.CHANGED, colour="green", noted=True, done="changed, and proved by another read")
    PARTIAL = "PARTIAL", Meaning(
        "Changed as far as Evenkeel can; the reason says what people must do.", Kind.RESOURCE, NextStep.REVIEW_REPAIR,
        calls=Calls.CHANGED, colour="yellow", noted=True, done="changed as far as Evenkeel can")
    APPLIED = "APPLIED", Meaning(
        "Changed, but not verified yet: AWS does not show the change yet.", Kind.RESOURCE, NextStep.NONE,
        calls=Calls.CHANGED, colour="green", final=False)
    ANNOUNCED = "ANNOUNCED", Meaning(
        "Not changed by decision; the alert says what would have been called.", Kind.RESOURCE, NextStep.FIX,
        calls=Calls.WOULD, colour="yellow", done="nothing was changed")
    DENIED = "DENIED", Meaning(
        "An explicit deny or the resource's own policy forbids the change.", Kind.RESOURCE, NextStep.ALLOW_OR_EXEMPT,
        calls=Calls.REFUSED, colour="red", out_of_line=True, prevented=True, done="nothing was changed; AWS forbids it")
    FAILED = "FAILED", Meaning(
        "The calls failed, or the change did not hold; check the resource.", Kind.RESOURCE, NextStep.CHECK_RESOURCE,
        calls=Calls.TRIED, colour="bold red", out_of_line=True, prevented=True,
        done="the calls failed, or the change did not hold")
    AWAITING = "AWAITING", Meaning(
        "Planned, and held until somebody approves or rejects it, or until it expires.",
        Kind.RESOURCE, NextStep.APPROVE_OR_REJECT, calls=Calls.WOULD, noted=True, done="nothing was changed")
    REJECTED = "REJECTED", Meaning(
        "A person decided against the planned change; the resource is held.", Kind.RESOURCE, NextStep.END_HOLD,
        calls=Calls.NOT_CALLED, out_of_line=True, noted=True, done="nothing was changed")
    HELD = "HELD", Meaning(
        "Unchanged for now: a freeze, the blast radius or a tug of war; it is read again when due or released.",
        Kind.RESOURCE, NextStep.RELEASE, calls=Calls.WOULD, out_of_line=True, prevented=True, noted=True,
        done="nothing was changed; it is held")
    UNDONE = "UNDONE", Meaning(
        "A person undid a change; the resource is held, so that it is not repaired again.",
        Kind.RESOURCE, NextStep.END_HOLD, calls=Calls.CALLED, colour="cyan", out_of_line=True, noted=True,
        done="the change was undone")

    EXPIRING = "EXPIRING", Meaning(
        "About the settings: an exemption ends soon, and nothing was changed.", Kind.SYSTEM, NextStep.EXTEND_EXEMPTION,
        colour="yellow", done="nothing was changed")
    DROPPED = "DROPPED", Meaning(
        "About the stack's own queue: a person deleted a dead letter, so it will not be processed.",
        Kind.SYSTEM, NextStep.RUN_BY_HAND, colour="yellow", done="the message was deleted")
    REDRIVEN = "REDRIVEN", Meaning(
        "About the stack's own queue: a person sent dead letters back to their groups' queues.",
        Kind.SYSTEM, NextStep.NONE)
    PAUSED = "PAUSED", Meaning(
        "About the stack itself: somebody switched an event source off, so its messages wait.",
        Kind.SYSTEM, NextStep.RESUME, colour="bold red")
    RESUMED = "RESUMED", Meaning(
        "About the stack itself: somebody switched an event source on again.", Kind.SYSTEM, NextStep.NONE)
    PUSHED = "PUSHED", Meaning(
        "About the settings: somebody began to deploy a version of them.", Kind.SYSTEM, NextStep.REVIEW_SETTINGS)
    STOPPED = "STOPPED", Meaning(
        "About the settings: somebody stopped a deployment of them.", Kind.SYSTEM, NextStep.REVIEW_SETTINGS,
        colour="yellow")
    OPENED = "OPENED", Meaning(
        "About a run: a person opened it; its changes have records of their own.",
        Kind.SYSTEM, NextStep.NONE)
    ENDED = "ENDED", Meaning(
        "About a run: a person ended it; only its requests that are already in the queue go on.",
        Kind.SYSTEM, NextStep.NONE)

    COMPLIANT = "COMPLIANT", Meaning("The resource is as the control wants it.", Kind.ANSWER, NextStep.NONE)
    NOT_APPLICABLE = "NOT_APPLICABLE", Meaning(
        "The control does not apply to this resource; the reason says why.", Kind.ANSWER, NextStep.NONE)
    SKIPPED = "SKIPPED", Meaning(
        "Skipped by a rule: mode, scope, exemption or a hold; or announced already and nothing has changed since.",
        Kind.ANSWER, NextStep.NONE)
    GONE = "GONE", Meaning("The resource was deleted before it could be read.", Kind.ANSWER, NextStep.NONE)
    WOULD_APPLY = "WOULD_APPLY", Meaning(
        "A dry run found that this would be changed.", Kind.ANSWER, NextStep.NONE, calls=Calls.WOULD)
    WOULD_ANNOUNCE = "WOULD_ANNOUNCE", Meaning(
        "A dry run found that this would be announced, and why it would not be changed.", Kind.ANSWER, NextStep.NONE)
    RETURNED = "RETURNED", Meaning(
        "Back to the queue, with a reason and a delay.", Kind.ANSWER, NextStep.NONE, out_of_line=True, final=False)
    # fmt: on

    def __new__(cls, value: str, meaning: Meaning | None = None) -> Self:
        """Return a member; each has a meaning.

        Raises:
            TypeError: a member was added without one.
        """
        if meaning is None:
            raise TypeError(f"{value}: an outcome needs a meaning")
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
