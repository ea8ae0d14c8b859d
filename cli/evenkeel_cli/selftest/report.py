"""The results of a self-test: one row per control, with its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenkeel_cli.selftest.leftovers import Leftover
    from evenkeel_cli.selftest.planning import Trial


class Verdict(StrEnum):
    """The result of a step, a row or a removal."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class StepName(StrEnum):
    """The steps of a control's self-test, in order."""

    MAKE = "make"
    """The resource was created, and is noncompliant."""
    AUDIT = "audit"
    """The audit has a record with an expected outcome of this control for the resource."""
    STATE = "state"
    """The control's own read and judgement agree with the outcome."""
    ALERT = "alert"
    """The stack's topic delivered an alert about that record."""
    UNDO = "undo"
    """The change was undone, and the resource is as it was before."""
    DELETE = "delete"
    """Everything created for the control is deleted; a KMS key is scheduled for deletion."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step, with how long it took and, unless it is ok, why."""

    name: StepName
    verdict: Verdict
    seconds: float = 0.0
    detail: str = ""


@dataclass(slots=True)
class Row:
    """The result of one control. ``left`` are the ARNs of what could not be deleted."""

    trial: Trial
    resource: str = ""
    expects: str = ""
    outcome: str = ""
    record: str = ""
    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Return SKIPPED if nothing was tested, FAILED if any step failed, otherwise OK."""
        if self.trial.why_not or not self.steps:
            return Verdict.SKIPPED
        failed = any(step.verdict is Verdict.FAILED for step in self.steps)
        return Verdict.FAILED if failed else Verdict.OK

    @property
    def failures(self) -> list[Step]:
        """Return the steps that failed."""
        return [step for step in self.steps if step.verdict is Verdict.FAILED]

    def step(self, name: StepName) -> Step | None:
        """Return a step by its name; None if it was not reached."""
        return next((step for step in self.steps if step.name is name), None)

    def described(self) -> dict[str, Any]:
        """Return the row as JSON data."""
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
    """What happened to a leftover of an earlier run."""

    leftover: Leftover
    verdict: Verdict
    detail: str

    def described(self) -> dict[str, str]:
        """Return the removal as JSON data."""
        return {"resource": self.leftover.arn, "run": self.leftover.target.run, "result": str(self.verdict),
                "detail": self.detail}  # fmt: skip
