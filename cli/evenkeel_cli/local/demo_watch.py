"""Watches the deeds' effects: in audit records, functions' logs, on-call's queue, and by reads of its own."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evenkeel import clock
from evenkeel.runtime.dynamodb import unwire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from evenkeel_cli.local.demo_story import Deed
    from evenkeel_cli.local.demo_world import World

POLL_SECONDS = 0.15
LOGS_SECONDS = 1.0
ALERT_SECONDS = 15.0
REPAIRED = "REMEDIATED"
NOT_REPAIRED = "NOT_REPAIRED"
_PASSING = "APPLIED"
_UNTOUCHED = frozenset({"NOT_APPLICABLE", "COMPLIANT"})


@dataclass(frozen=True, slots=True)
class Case:
    """One resource and one control: the expectation and the result."""

    deed: Deed
    control: str
    check: Callable[[World, str], str] = field(repr=False)
    must_repair: bool
    done: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    """The audit's outcome record."""
    reason: str = ""
    """Why a near miss was left alone."""
    trouble: str = ""
    """Why the case failed; empty if it did not."""

    @property
    def outcome(self) -> str:
        """Return the audit's outcome; ``NOT_REPAIRED`` if there is no record or the demo's own read disagrees."""
        if self.trouble:
            ended = str(self.record.get("outcome", NOT_REPAIRED))
            return NOT_REPAIRED if ended == REPAIRED else ended
        return REPAIRED if self.must_repair else "LEFT_ALONE"

    @property
    def milliseconds(self) -> int | None:
        """Return the milliseconds from the call's response to the outcome record; None without a record."""
        if not self.record:
            return None
        passed = datetime.fromisoformat(self.record["at"]) - self.deed.at
        return max(0, round(passed.total_seconds() * 1000))


def cases(deeds: Iterable[Deed]) -> list[Case]:
    """Return a case for each expected effect of the deeds."""
    return [
        Case(deed, control, check, must_repair=must)
        for deed in deeds
        for must, checks in ((True, deed.repaired), (False, deed.left_alone))
        for control, check in checks
    ]


def watch(
    world: World,
    open_cases: list[Case],
    seconds: float,
    ended: Callable[[Case], None],
    tick: Callable[[list[Case]], None],
) -> list[Case]:
    """Watch until every case has ended or timed out, and return them; ``ended`` is called with each as it ends."""
    done: list[Case] = []
    last_logs = 0.0
    while open_cases:
        tick(open_cases)
        look_at_logs = time.monotonic() - last_logs >= LOGS_SECONDS
        if look_at_logs:
            last_logs = time.monotonic()
        looked = list(_look(world, open_cases, look_at_logs=look_at_logs))
        looked = [each if each.done else _late(world, each, seconds) for each in looked]
        for each in sorted((each for each in looked if each.done), key=lambda case: case.record.get("at", "~")):
            done.append(each)
            ended(each)
        open_cases = [each for each in looked if not each.done]
        if open_cases:
            time.sleep(POLL_SECONDS)
    return done


def _look(world: World, open_cases: list[Case], *, look_at_logs: bool) -> Iterator[Case]:
    records = {arn: outcomes(world, arn) for arn in dict.fromkeys(case.deed.arn for case in open_cases)}
    logged: dict[str, list[dict[str, Any]]] = {}
    for case in open_cases:
        found = records[case.deed.arn]
        if case.must_repair:
            yield _repair(world, case, found)
        elif look_at_logs:
            function = world.function(case.control)
            if function not in logged:
                logged[function] = log(world, function)
            yield _untouched(world, case, found, logged[function])
        else:
            yield case


def outcomes(world: World, arn: str) -> list[dict[str, Any]]:
    """Return the audit's outcome records of a resource, oldest first."""
    answer = world("dynamodb").query(
        TableName=world.outputs["AuditTableName"],
        KeyConditionExpression="#r = :arn",
        ExpressionAttributeNames={"#r": "resource"},
        ExpressionAttributeValues={":arn": {"S": arn}},
        ConsistentRead=True,
    )
    items = [unwire(item) for item in answer["Items"]]
    return [item for item in items if item["step"] == "OUTCOME"]


def _repair(world: World, case: Case, records: list[dict[str, Any]]) -> Case:
    """Return the case closed, if its outcome is written: as repaired only if the demo's own read agrees."""
    of_case = [
        each
        for each in records
        if each["control"] == case.control and each["cause"]["event_name"] == case.deed.event
        and each["outcome"] != _PASSING
    ]  # fmt: skip
    if not of_case:
        return case
    record = of_case[-1]
    if record["outcome"] != REPAIRED:
        said = " ".join(filter(None, (record.get("detail"), record.get("remains"))))
        return replace(case, done=True, record=record, trouble=f"ended as {record['outcome']}: {said}")
    wrong = case.check(world, case.deed.arn)
    return replace(case, done=True, record=record, trouble=f"the audit says REMEDIATED, but {wrong}" if wrong else "")


def _untouched(world: World, case: Case, records: list[dict[str, Any]], lines: list[dict[str, Any]]) -> Case:
    """Return the near miss closed, once its control has checked the resource."""
    of_case = [each for each in records if each["control"] == case.control]
    if of_case:
        trouble = f"it should have been left alone, but the audit says {of_case[-1]['outcome']}"
        return replace(case, done=True, record=of_case[-1], trouble=trouble)
    seen = [each for each in _of(case, lines) if each["message"] in _UNTOUCHED]
    if not seen:
        return case
    reason = seen[-1].get("reason") or "already compliant"
    return replace(case, done=True, reason=reason, trouble=case.check(world, case.deed.arn))


def _late(world: World, case: Case, seconds: float) -> Case:
    """Return a case closed as timed out, with the function's last log line."""
    if (clock.now() - case.deed.at).total_seconds() < seconds:
        return case
    lines = _of(case, log(world, world.function(case.control)))
    last = f"last logged {lines[-1]['message']}: {lines[-1].get('reason', '')}" if lines else "logged nothing about it"
    state = case.check(world, case.deed.arn) or "the resource is compliant"
    trouble = f"no outcome within {seconds:.0f} s; {world.function(case.control)} {last}; {state}"
    return replace(case, done=True, trouble=trouble)


def log(world: World, function: str) -> list[dict[str, Any]]:
    """Return the structured lines of a function's log, oldest first."""
    found = []
    for line in world.sandbox.logs(function):
        if not line.startswith("{"):
            continue  # Lambda's own START, END and REPORT
        entry = json.loads(line)
        if "message" in entry:
            found.append(entry)
    return found


def _of(case: Case, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in lines if each.get("resource") == case.deed.arn and each.get("control") == case.control]


def again(world: World, ended: list[Case]) -> list[Case]:
    """Read every resource once more at the end and return the cases: repairs must have held, near misses too."""
    found = []
    for case in ended:
        wrong = "" if case.trouble else case.check(world, case.deed.arn)
        if not case.must_repair and not wrong and not case.trouble:
            touched = [each for each in outcomes(world, case.deed.arn) if each["control"] == case.control]
            wrong = f"the audit says {touched[-1]['outcome']}" if touched else ""
        found.append(replace(case, trouble=f"it did not last: {wrong}") if wrong else case)
    return found


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as on-call receives it."""

    record_id: str
    subject: str
    text: str
    outcome: str = ""


def alerts(world: World, wanted: set[str]) -> dict[str, Alert]:
    """Receive on-call's alerts until all wanted record ids have arrived or the time is up; return them by record id."""
    found: dict[str, Alert] = {}
    deadline = time.monotonic() + ALERT_SECONDS
    client = world("sqs")
    while wanted - found.keys() and time.monotonic() < deadline:
        answer = client.receive_message(QueueUrl=world.alerts_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            body = json.loads(message["Body"])
            attributes = {name: each["Value"] for name, each in body.get("MessageAttributes", {}).items()}
            record_id = attributes.get("record_id", body["MessageId"])
            found[record_id] = Alert(record_id, body.get("Subject", ""), body["Message"], attributes.get("outcome", ""))
            client.delete_message(QueueUrl=world.alerts_url, ReceiptHandle=message["ReceiptHandle"])
    return found


def dead_letters(world: World) -> list[str]:
    """Return the reasons of the messages in the stack's dead-letter queue."""
    answer = world("sqs").receive_message(
        QueueUrl=world.outputs["DeadLetterQueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
        MessageAttributeNames=["All"],
    )
    found = answer.get("Messages", [])
    return [each.get("MessageAttributes", {}).get("reason", {}).get("StringValue", "no reason given") for each in found]
