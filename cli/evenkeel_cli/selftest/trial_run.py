"""Tests one control: creates a noncompliant resource, checks what Evenkeel did, undoes it, and deletes the resource."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel import clock
from evenkeel.audit.records import has_ended
from evenkeel.errors import AwsError, ResourceMissingError, SettingsError
from evenkeel.model import Compliant, NonCompliant, Outcome
from evenkeel.remediation.decide import Announce
from evenkeel.runtime.aws import Aws
from evenkeel_cli.audit import reader
from evenkeel_cli.aws.functions import RefusedError
from evenkeel_cli.aws.session import explained
from evenkeel_cli.changes.undo_command import Undoing
from evenkeel_cli.selftest import marks
from evenkeel_cli.selftest.planning import EXPECTED, subject_of
from evenkeel_cli.selftest.provisioner import StoppedError
from evenkeel_cli.selftest.report import Row, Step, StepName, Verdict
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.control import Context
    from evenkeel.model import Judgement
    from evenkeel_cli.selftest.inbox import Inbox
    from evenkeel_cli.selftest.kinds import Kind, Target
    from evenkeel_cli.selftest.planning import Plan, Trial
    from evenkeel_cli.selftest.provisioner import Provisioner

EVERY_SECONDS = 1.0
"""Time between two reads of records, alerts and states."""
_PASSING = frozenset(each for each in Outcome if not each.meaning.final)
"""Outcomes that are followed by another one."""
_CHANGED = frozenset(each for each in Outcome if each.meaning.undoable)
_NOTHING_RECORDED = (
    "no record within {seconds:.0f} s: is the stack paused, does a trail log in this region, are there dead"
    " letters (evenkeel dlq list)?"
)


class _EndedError(Exception):
    """A step failed that the next ones depend on."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all trials of a run share. ``alerts`` is why there is no inbox, if there is none."""

    plan: Plan
    provisioner: Provisioner
    inbox: Inbox | None
    alerts: str
    seconds: float
    """Time to wait for each record, state and alert."""
    say: Callable[[str], None]


class TrialRun:
    """One control's self-test."""

    def __init__(self, trial: Trial, shared: Shared) -> None:
        """Keep the trial, which must not be a skipped one."""
        if trial.maker is None or trial.target is None:
            raise ValueError(f"{trial.control.id} has no maker")
        self.row = Row(trial, expects=trial.expects)
        self._control = trial.control
        self._maker = trial.maker
        self._target = trial.target
        self._shared = shared
        self._made: list[tuple[Kind, Target]] = []
        self._aws = Aws(shared.provisioner.cloud)
        self._expected: frozenset[str] = frozenset()

    def run(self) -> Row:
        """Test the control; return its row. What was created is always deleted; the row lists what could not be."""
        try:
            with self._step(StepName.MAKE):
                self._make()
            record = self._audited()
            self._check_state(record)
            self._check_alert(record)
            self._undo(record)
        except _EndedError:
            pass
        finally:
            self._delete()
            verdict = self.row.verdict
            why = "; ".join(step.detail for step in self.row.failures)
            self._shared.say(f"{self._control.id}: {verdict}{f': {why}' if why else ''}")
        return self.row

    @contextmanager
    def _step(self, name: StepName, *, needed: bool = True) -> Iterator[None]:
        """Record a step, and why it failed; the failure of a ``needed`` step ends the trial."""
        began = time.monotonic()
        detail = ""
        try:
            yield
        except StoppedError:
            detail, needed = "stopped", True
        except CommandError as error:
            detail = error.message
        except (ClientError, BotoCoreError) as error:
            detail = explained(f"read {self.row.resource}", error).message
        except (ResourceMissingError, SettingsError) as error:
            detail = str(error)
        verdict = Verdict.FAILED if detail else Verdict.OK
        self.row.steps.append(Step(name, verdict, time.monotonic() - began, detail))
        if detail and needed:
            raise _EndedError

    def _skip(self, name: StepName, why: str) -> None:
        self.row.steps.append(Step(name, Verdict.SKIPPED, detail=why))

    def _make(self) -> None:
        if clock.now() - marks.started(self._target.run) > marks.BEGUN_WITHIN:
            raise CommandError("not started: the run has taken half an hour; test fewer controls with --control")
        self._shared.say(f"{self._control.id}: creating {self._maker.what}")
        target = self._target
        others: dict[str, str] = {}
        for kind in self._maker.kinds:
            target = self._make_one(kind, replace(target, id="", others=dict(others)))
            others[kind.what] = target.id
        self._target = target
        self.row.resource = self._maker.kinds[-1].arn_of(target)
        self._shared.provisioner.run(self._maker.breaks(target))
        self._expect()

    def _make_one(self, kind: Kind, target: Target) -> Target:
        return self._shared.provisioner.make(kind, target, lambda made: self._made.append((kind, made)))

    def _expect(self) -> None:
        """Compute with the engine's own code what Evenkeel should do about the resource as it is now."""
        now = clock.now()
        subject = subject_of(self._maker, self._target)
        try:
            judged: Judgement | None = self._judged()
        except AwsError:
            judged = None  # AWS does not show it everywhere yet: decide as for a finding that a change repairs
        decision = self._shared.plan.decisions.decision(self._control, subject, judged, now)
        kind = Announce if self._control.only_announces else type(decision)
        if kind not in EXPECTED:
            raise CommandError(f"Evenkeel will not act on it: {getattr(decision, 'reason', '')}")
        self.row.expects, self._expected = EXPECTED[kind]

    def _judged(self) -> Judgement:
        context = self._context()
        return self._control.judge(self._control.read(self._aws, context), context)

    def _context(self) -> Context:
        subject = subject_of(self._maker, self._target)
        return self._shared.plan.decisions.context(self._control, subject, clock.now())

    def _audited(self) -> EndedRecord:
        """Wait for the outcome of this control on the resource, and return its record."""
        record: EndedRecord | None = None
        with self._step(StepName.AUDIT, needed=False):
            found = self._shared.provisioner.stop.poll(self._outcome, self._shared.seconds, EVERY_SECONDS)
            if not found:
                raise CommandError(_NOTHING_RECORDED.format(seconds=self._shared.seconds))
            record = found
            self.row.outcome, self.row.record = str(record["outcome"]), str(record["record_id"])
            if self.row.outcome not in self._expected:
                why = record.get("detail") or record["reason"]
                raise CommandError(f"{self.row.outcome} instead of {_or(self._expected)}: {why}")
        if record is None:
            raise _EndedError
        return record

    def _outcome(self) -> EndedRecord | None:
        return next(iter(self._outcomes()), None)

    def _outcomes(self) -> list[EndedRecord]:
        """Return this control's outcome records of the resource, oldest first."""
        return [
            record
            for record in reader.Reader(self._shared.plan.stack).all_of(self.row.resource)
            if record.get("control") == self._control.id and has_ended(record) and record["outcome"] not in _PASSING
        ]

    def _check_state(self, record: EndedRecord) -> None:
        """Check the outcome by reading and judging the resource as the control does."""
        changed = record["outcome"] in _CHANGED
        with self._step(StepName.STATE, needed=False):
            judged = self._shared.provisioner.stop.poll(
                lambda: self._agrees(record, changed=changed), self._shared.seconds if changed else 0, EVERY_SECONDS
            )
            if not judged:
                raise CommandError("the audit says that it was changed, but it is still noncompliant" if changed else
                                   "it should not have been changed, but it is no longer noncompliant")  # fmt: skip

    def _agrees(self, record: EndedRecord, *, changed: bool) -> bool:
        judged = self._judged()
        if not changed:
            return not isinstance(judged, Compliant)
        remains = isinstance(judged, NonCompliant) and judged.change is None and bool(record.get("remains"))
        return isinstance(judged, Compliant) or (record["outcome"] == Outcome.PARTIAL and remains)

    def _check_alert(self, record: EndedRecord) -> None:
        with self._step(StepName.ALERT, needed=False):
            inbox, name = self._shared.inbox, str(record["record_id"])
            if inbox is None:
                raise CommandError(f"not checked: {self._shared.alerts}")
            if not self._shared.provisioner.stop.poll(lambda: inbox.arrived(name), self._shared.seconds, EVERY_SECONDS):
                raise CommandError(f"no alert about record {name} within {self._shared.seconds:.0f} s")

    def _undo(self, record: EndedRecord) -> None:
        stack = self._shared.plan.stack
        if record["outcome"] not in _CHANGED:
            self._skip(StepName.UNDO, "nothing was changed")
            return
        if "UndoFunctionName" not in stack.outputs:
            self._skip(StepName.UNDO, "not deployed: the stack's parameter EnableUndo is false")
            return
        with self._step(StepName.UNDO, needed=False):
            done = self._undone(str(record["record_id"]))
            if done["outcome"] != Outcome.UNDONE:
                raise CommandError(f"it ended as {done['outcome']}: {stack.line('audit', 'show', done['record_id'])}")
            wrong = lambda: isinstance(self._judged(), NonCompliant)  # noqa: E731 - one expression, named for its reader
            if not self._shared.provisioner.stop.poll(wrong, self._shared.seconds, EVERY_SECONDS):
                raise CommandError("it was undone, but the resource is not as it was before")

    def _undone(self, checked: str) -> dict[str, Any]:
        """Undo the control's newest change; return the undo record.

        One resource may be changed twice: the event of its tags names no owner, the event of its creation does, and
        they arrive in either order. Undoing the first change is refused once there is a second.
        """
        newest = self._newest_change("") or checked
        try:
            return self._undo_one(newest)
        except RefusedError:
            newer = self._shared.provisioner.stop.poll(
                lambda: self._newest_change(newest), marks.NEWER_WITHIN.total_seconds(), EVERY_SECONDS
            )
            if not newer:
                raise
            return self._undo_one(str(newer))

    def _undo_one(self, record_id: str) -> dict[str, Any]:
        undoing = Undoing(self._shared.plan.stack, self._shared.say, record_id)
        return undoing.run(self.row.resource, record_id, force=False)

    def _newest_change(self, known: str) -> str:
        """Return the id of the control's newest change of the resource; empty if it is the known one."""
        changes = [record for record in self._outcomes() if record["outcome"] in _CHANGED]
        newest = str(changes[-1]["record_id"]) if changes else ""
        return "" if newest == known else newest

    def _delete(self) -> None:
        """Delete what was created, the last first."""
        if not self._made:
            return
        began, troubles = time.monotonic(), []
        for kind, target in reversed(self._made):
            try:
                self._shared.provisioner.remove(kind, target)
            except CommandError as error:
                troubles.append(error.message)
                self.row.left.append(kind.arn_of(target))
        verdict = Verdict.FAILED if troubles else Verdict.OK
        self.row.steps.append(Step(StepName.DELETE, verdict, time.monotonic() - began, "; ".join(troubles)))


def _or(outcomes: frozenset[str]) -> str:
    return " or ".join(sorted(outcomes))
