"""What came of a self-test: a row a control, a step at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenkeel_cli.selftest.leftovers import Leftover
    from evenkeel_cli.selftest.planning import Trial


class Verdict(StrEnum):
    """How a step, a row or a removal ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class StepName(StrEnum):
    """The steps of a control's self-test, in order."""

    MAKE = "make"
    """The resource was made, and is wrong."""
    AUDIT = "audit"
    """The audit has the expected outcome of this control for this resource."""
    STATE = "state"
    """The control's own read and judgement agree with the outcome."""
    ALERT = "alert"
    """The stack's topic delivered an alert about that record."""
    UNDO = "undo"
    """The change was undone, and the resource is as it was before."""
    DELETE = "delete"
    """All that was made for the control is deleted; a KMS key is scheduled for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step, with how long it took and, unless it is ok, why."""

    name: StepName
    verdict: Verdict
    seconds: float = 0.0
    detail: str = ""


@dataclass(slots=True)
class Row:
    """What came of one control. ``left`` are the ARNs of what could not be deleted."""

    trial: Trial
    resource: str = ""
    expects: str = ""
    outcome: str = ""
    record: str = ""
    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Skipped where nothing was tried, failed where any step did."""
        if self.trial.why_not or not self.steps:
            return Verdict.SKIPPED
        failed = any(step.verdict is Verdict.FAILED for step in self.steps)
        return Verdict.FAILED if failed else Verdict.OK

    @property
    def failures(self) -> list[Step]:
        """The steps that failed."""
        return [step for step in self.steps if step.verdict is Verdict.FAILED]

    def step(self, name: StepName) -> Step | None:
        """Return a step that was made."""
        return next((step for step in self.steps if step.name is name), None)

    def described(self) -> dict[str, Any]:
        """Return it for machines."""
        trial = self.trial
        return {
            "control": trial.control.id, "mode": trial.mode, "makes": trial.maker.what if trial.maker else "",
            "expects": self.expects or trial.expects, "result": str(self.verdict), "reason": trial.why_not,
            "resource": self.resource, "outcome": self.outcome, "record": self.record,
            "steps": [{"step": str(step.name), "result": str(step.verdict), "seconds": round(step.seconds, 1),
                       "detail": step.detail} for step in self.steps],
            "left": self.left,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of something that an earlier run left."""

    leftover: Leftover
    verdict: Verdict
    detail: str

    def described(self) -> dict[str, str]:
        """Return it for machines."""
        return {"resource": self.leftover.arn, "run": self.leftover.target.run, "result": str(self.verdict),
                "detail": self.detail}  # fmt: skip
