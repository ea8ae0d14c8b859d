"""Tries one control: makes its resource wrong, waits for Evenkeel, checks what it did, undoes that, and deletes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

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
from evenkeel_cli.selftest.hands import StoppedError
from evenkeel_cli.selftest.planning import EXPECTED, subject_of
from evenkeel_cli.selftest.report import Row, Step, StepName, Verdict
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.control import Context
    from evenkeel.model import Judgement
    from evenkeel_cli.selftest.hands import Hands
    from evenkeel_cli.selftest.inbox import Inbox
    from evenkeel_cli.selftest.kinds import Kind, Target
    from evenkeel_cli.selftest.planning import Plan, Trial

EVERY_SECONDS = 1.0
"""How often records, alerts and states are asked for."""
_PASSING = frozenset(each for each in Outcome if not each.meaning.final)
"""Outcomes after which another one comes."""
_CHANGED = frozenset(each for each in Outcome if each.meaning.undoable)
_NOTHING_RECORDED = (
    "no record of it within {seconds:.0f} s: is the stack paused, does a trail log in this region, are there dead"
    " letters (evenkeel dlq list)?"
)


class _EndedError(Exception):
    """A step failed without which the next ones make no sense."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all trials of a run share. ``alerts`` says why there is no inbox, where there is none."""

    plan: Plan
    hands: Hands
    inbox: Inbox | None
    alerts: str
    seconds: float
    """How long each thing is waited for."""
    say: Callable[[str], None]


class Trying:
    """One control's self-test."""

    def __init__(self, trial: Trial, means: Means) -> None:
        """Keep what it works with; a trial that has a reason not to be made is not to be tried."""
        if trial.maker is None or trial.target is None:
            raise ValueError(f"{trial.control.id} has no maker")
        self.row = Row(trial, expects=trial.expects)
        self._control = trial.control
        self._maker = trial.maker
        self._target = trial.target
        self._means = means
        self._made: list[tuple[Kind, Target]] = []
        self._aws = Aws(means.hands.cloud)
        self._expected: frozenset[str] = frozenset()

    def run(self) -> Row:
        """Try the control. Whatever happens, what was made is deleted; the row says what could not be."""
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
            self._means.say(f"{self._control.id}: {verdict}{f': {why}' if why else ''}")
        return self.row

    @contextmanager
    def _step(self, name: StepName, *, needed: bool = True) -> Iterator[None]:
        """Record a step, and how it failed; one that is ``needed`` ends the trial."""
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
        if datetime.now(UTC) - marks.started(self._target.run) > marks.BEGUN_WITHIN:
            raise CommandError("not begun: the run takes longer than half an hour; try fewer with --control")
        self._means.say(f"{self._control.id}: making {self._maker.what}")
        target = self._target
        others: dict[str, str] = {}
        for kind in self._maker.kinds:
            target = self._make_one(kind, replace(target, id="", others=dict(others)))
            others[kind.what] = target.id
        self._target = target
        self.row.resource = self._maker.kinds[-1].arn_of(target)
        self._means.hands.run(self._maker.breaks(target))
        self._expect()

    def _make_one(self, kind: Kind, target: Target) -> Target:
        return self._means.hands.make(kind, target, lambda made: self._made.append((kind, made)))

    def _expect(self) -> None:
        """Decide with the engine's own code what Evenkeel is to do about the resource as it is now."""
        now = datetime.now(UTC)
        subject = subject_of(self._maker, self._target)
        try:
            judged: Judgement | None = self._judged()
        except AwsError:
            judged = None  # AWS does not show it everywhere yet: then as for what a change repairs
        decision = self._means.plan.desk.decision(self._control, subject, judged, now)
        kind = Announce if self._control.only_announces else type(decision)
        if kind not in EXPECTED:
            raise CommandError(f"Evenkeel will not act on it: {getattr(decision, 'reason', '')}")
        self.row.expects, self._expected = EXPECTED[kind]

    def _judged(self) -> Judgement:
        context = self._context()
        return self._control.judge(self._control.read(self._aws, context), context)

    def _context(self) -> Context:
        subject = subject_of(self._maker, self._target)
        return self._means.plan.desk.context(self._control, subject, datetime.now(UTC))

    def _audited(self) -> EndedRecord:
        """Wait for the outcome of this control on the resource, and return its record."""
        record: EndedRecord | None = None
        with self._step(StepName.AUDIT, needed=False):
            found = self._means.hands.stop.soon(self._outcome, self._means.seconds, EVERY_SECONDS)
            if not found:
                raise CommandError(_NOTHING_RECORDED.format(seconds=self._means.seconds))
            record = found
            self.row.outcome, self.row.record = str(record["outcome"]), str(record["record_id"])
            if self.row.outcome not in self._expected:
                why = record.get("detail") or record["reason"]
                raise CommandError(f"{self.row.outcome} in place of {_or(self._expected)}: {why}")
        if record is None:
            raise _EndedError
        return record

    def _outcome(self) -> EndedRecord | None:
        return next(iter(self._outcomes()), None)

    def _outcomes(self) -> list[EndedRecord]:
        """Return the records of what this control made of the resource, oldest first."""
        return [
            record
            for record in reader.Reader(self._means.plan.stack).all_of(self.row.resource)
            if record.get("control") == self._control.id and has_ended(record) and record["outcome"] not in _PASSING
        ]

    def _check_state(self, record: EndedRecord) -> None:
        """Read and judge the resource as the control does."""
        changed = record["outcome"] in _CHANGED
        with self._step(StepName.STATE, needed=False):
            judged = self._means.hands.stop.soon(
                lambda: self._agrees(record, changed=changed), self._means.seconds if changed else 0, EVERY_SECONDS
            )
            if not judged:
                raise CommandError("the audit says that it was changed, and it is still wrong" if changed else
                                   "nothing was to be changed, and it is not wrong any more")  # fmt: skip

    def _agrees(self, record: EndedRecord, *, changed: bool) -> bool:
        judged = self._judged()
        if not changed:
            return not isinstance(judged, Compliant)
        remains = isinstance(judged, NonCompliant) and judged.change is None and bool(record.get("remains"))
        return isinstance(judged, Compliant) or (record["outcome"] == Outcome.PARTIAL and remains)

    def _check_alert(self, record: EndedRecord) -> None:
        with self._step(StepName.ALERT, needed=False):
            inbox, name = self._means.inbox, str(record["record_id"])
            if inbox is None:
                raise CommandError(f"not checked: {self._means.alerts}")
            if not self._means.hands.stop.soon(lambda: inbox.arrived(name), self._means.seconds, EVERY_SECONDS):
                raise CommandError(f"no alert about record {name} within {self._means.seconds:.0f} s")

    def _undo(self, record: EndedRecord) -> None:
        stack = self._means.plan.stack
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
            if not self._means.hands.stop.soon(wrong, self._means.seconds, EVERY_SECONDS):
                raise CommandError("it was undone, and the resource is not as it was before")

    def _undone(self, checked: str) -> dict[str, Any]:
        """Undo the control's newest change, and return the record of that.

        One resource may be changed twice: the event of its tags names no owner, the one of its creation does, and they
        come in either order. To undo the first change is refused once there is a second.
        """
        newest = self._newest_change("") or checked
        try:
            return self._undo_one(newest)
        except RefusedError:
            newer = self._means.hands.stop.soon(
                lambda: self._newest_change(newest), marks.NEWER_WITHIN.total_seconds(), EVERY_SECONDS
            )
            if not newer:
                raise
            return self._undo_one(str(newer))

    def _undo_one(self, record_id: str) -> dict[str, Any]:
        undoing = Undoing(self._means.plan.stack, self._means.say, record_id)
        return undoing.run(self.row.resource, record_id, force=False)

    def _newest_change(self, known: str) -> str:
        """Return the id of the control's newest change of the resource; empty where it is the one that is known."""
        changes = [record for record in self._outcomes() if record["outcome"] in _CHANGED]
        newest = str(changes[-1]["record_id"]) if changes else ""
        return "" if newest == known else newest

    def _delete(self) -> None:
        """Delete what was made, the last first."""
        if not self._made:
            return
        began, troubles = time.monotonic(), []
        for kind, target in reversed(self._made):
            try:
                self._means.hands.remove(kind, target)
            except CommandError as error:
                troubles.append(error.message)
                self.row.left.append(kind.arn_of(target))
        verdict = Verdict.FAILED if troubles else Verdict.OK
        self.row.steps.append(Step(StepName.DELETE, verdict, time.monotonic() - began, "; ".join(troubles)))


def _or(outcomes: frozenset[str]) -> str:
    return " or ".join(sorted(outcomes))
