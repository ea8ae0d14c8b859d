"""The books after a storm: is every event accounted for, every chain whole, every alert told?"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evenkeel.audit import records
from evenkeel.audit.system_records import PARTS
from evenkeel.control import Context, Env
from evenkeel.control.registry import all_controls
from evenkeel.errors import BrokenChainError
from evenkeel.model import Compliant, NonCompliant, Outcome, Resource
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import unwire
from tests.cases.case import enforcing
from tests.chaos.switches import harm, switches
from tests.world import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.control import Control
    from evenkeel.model import Judgement
    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack
    from tests.chaos.acts import Causes

Record = dict[str, Any]
DONE = frozenset({Outcome.REMEDIATED, Outcome.PARTIAL})
REFUSED = frozenset({Outcome.DENIED, Outcome.FAILED})
OWN = frozenset(part.id for part in PARTS)
"""What records about Evenkeel itself name in place of a control: a push of settings before the storm, for one."""


@dataclass
class Books:
    """What one stack wrote and said. ``broken`` are promises that did not hold, each in a sentence."""

    stack: Stack
    chains: dict[tuple[str, str], list[Record]] = field(default_factory=lambda: defaultdict(list))
    heads: dict[tuple[str, str], str] = field(default_factory=dict)
    letters: list[dict[str, str]] = field(default_factory=list)
    alerts: list[dict[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def outcomes(self) -> Counter[str]:
        """How often each outcome was written."""
        return Counter(str(each["outcome"]) for chain in self.chains.values() for each in chain if "outcome" in each)

    def done(self, control: str, arn: str) -> list[Record]:
        """Return the records of finished repairs of one resource by one control."""
        return [each for each in self.chains.get((control, arn), ()) if each.get("outcome") in DONE]

    def last(self, control: str, arn: str) -> str:
        """Return the outcome that was written last of one control and resource; empty without any."""
        ended = [each for each in self.chains.get((control, arn), ()) if "outcome" in each]
        return str(max(ended, key=lambda each: str(each["record_id"]))["outcome"]) if ended else ""

    def dead(self, control: str, arn: str) -> bool:
        """Say whether a dead letter with its reason is about one resource and control, or about its event."""
        name = re.split("[:/]", arn)[-1]
        of_it = [each["body"] for each in self.letters if name in each["body"]]
        return any('"schema_version"' not in body or f'"{control}"' in body for body in of_it)


def read(sandbox: Sandbox, stack: Stack, inbox: str) -> Books:
    """Read everything that a stack left behind."""
    books = Books(stack)
    for item in _scan(sandbox, stack.outputs["AuditTableName"]):
        if "step" in item:  # no part of a digest
            books.chains[item["control"], item["resource"]].append(item)
    for item in _scan(sandbox, stack.outputs["StateTableName"]):
        control, _, arn = item["pk"].partition("#")
        if item.get("head") and arn.startswith("arn:"):
            books.heads[control, arn] = item["head"]
    for message in _messages(sandbox, stack.outputs["DeadLetterQueueUrl"]):
        told = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
        books.letters.append({"body": message["Body"], **told})
    for message in _messages(sandbox, inbox):
        books.alerts.append({name: value["StringValue"] for name, value in message["MessageAttributes"].items()})
    return books


def audit(books: list[Books], causes: Causes, sandbox: Sandbox) -> None:
    """Compare what was done with the books; with two stacks it is enough that one of them repaired a resource."""
    for each in books:
        _chains(each)
        _alerts(each)
        _letters(each)
        known = causes.made | causes.deleted
        strangers = {arn for control, arn in each.chains if control not in OWN} - known
        each.broken += [f"{arn}: there are records of it, and nobody touched it" for arn in sorted(strangers)]
    first, aws, controls = books[0], Aws(sandbox.client), all_controls()
    first.broken += harm(sandbox)
    changes, _ = effective(sandbox)
    for (control, arn), times in sorted(causes.weakened.items()):
        if changes[control, arn] > times:
            first.broken.append(f"{control} {arn}: switched on {changes[control, arn]} times for {times} causes")
        _resource(books, controls[control], arn, times, aws)


def _resource(books: list[Books], control: Control, arn: str, times: int, aws: Aws) -> None:
    """See that a resource is as it should be, and its repair in the books, no more often than it was weakened."""
    first = books[0]
    dead = any(each.dead(control.id, arn) for each in books)
    last = {each.last(control.id, arn) for each in books}
    given_up = dead or not last.isdisjoint(REFUSED)
    found = _judged(control, arn, aws)
    for_people = isinstance(found, NonCompliant) and (found.change is None or bool(found.caution))
    fine = isinstance(found, Compliant) or (for_people and Outcome.ANNOUNCED in last)
    if not fine and not given_up:
        first.broken.append(f"{control.id} {arn}: neither repaired nor given up with a reason: {found}; {last}")
    if not any(each.done(control.id, arn) for each in books) and not for_people and not given_up:
        first.broken.append(f"{control.id} {arn}: nothing in the books says what became of it; {last}")
    for each in books:
        mine = len(each.done(control.id, arn))
        if mine > times:
            each.broken.append(f"{control.id} {arn}: {mine} repairs for {times} causes")


def effective(sandbox: Sandbox) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """Return how often Evenkeel really switched on each (control, ARN), and how often without any effect."""
    changes, repeats, are_on = Counter[tuple[str, str]](), Counter[tuple[str, str]](), set[tuple[str, str]]()
    for switch in switches(sandbox):
        key = switch.control, switch.arn
        if switch.own and switch.on:
            (repeats if key in are_on else changes)[key] += 1
        (are_on.add if switch.on else are_on.discard)(key)
    return changes, repeats


def _judged(control: Control, arn: str, aws: Aws) -> Judgement:
    given = {name: value for name, value in control.parameters.items() if not isinstance(value, Env)}
    given = {**dict.fromkeys(control.parameters, ""), **given, **enforcing(control.id).get("parameters", {})}
    context = Context(Resource(arn, PLACE.account, PLACE.region), given, datetime.now(UTC))
    return control.judge(control.read(aws, context), context)


def _chains(books: Books) -> None:
    now = datetime.now(UTC)
    for key, head in books.heads.items():
        try:
            records.chained(books.chains[key], head, key[1], now)
        except BrokenChainError as error:
            books.broken.append(f"{key[0]}: {error}")
    for key, chain in books.chains.items():
        if key not in books.heads:
            books.broken.append(f"{key[0]} {key[1]}: {len(chain)} records and no head")
        open_plans = {each["record_id"] for each in chain if each["step"] == "PLANNED"}
        closed = {each["plan_id"] for each in chain if each.get("outcome") not in {None, str(Outcome.APPLIED)}}
        books.broken += [f"{key[0]} {key[1]}: plan {plan} has no outcome" for plan in sorted(open_plans - closed)]


def _alerts(books: Books) -> None:
    """See that whatever was to be announced was, and that nothing was announced that is not in the books."""
    told = Counter(each["record_id"] for each in books.alerts if each.get("control") not in OWN)
    wanted = {
        each["record_id"]
        for (control, _), chain in books.chains.items()
        for each in chain
        if control not in OWN and each.get("announce") and each.get("outcome") not in {None, str(Outcome.APPLIED)}
    }
    books.broken += [f"record {each} was never announced" for each in sorted(wanted - told.keys())]
    books.broken += [f"an alert of record {each}, which is not in the books" for each in sorted(told.keys() - wanted)]


def _letters(books: Books) -> None:
    mute = [each["body"][:200] for each in books.letters if not each.get("reason")]
    books.broken += [f"a dead letter without a reason: {body}" for body in mute]


def _scan(sandbox: Sandbox, table: str) -> Iterator[Record]:
    for page in sandbox.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from map(unwire, page["Items"])


def _messages(sandbox: Sandbox, url: str) -> Iterator[dict[str, Any]]:
    """Take all messages out of a queue."""
    sqs = sandbox.client("sqs")
    while found := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
    ).get("Messages"):
        yield from found


def waiting(sandbox: Sandbox, stack: Stack) -> int:
    """Return how many messages a stack's queues still hold; dead letters aside."""
    urls = (url for name, url in stack.resources.items() if name.endswith("Queue") and url.startswith("http"))
    return sum(lying(sandbox, url) for url in urls)


def lying(sandbox: Sandbox, url: str) -> int:
    """Return how many messages a queue holds, delayed and taken ones included."""
    wanted = [f"ApproximateNumberOfMessages{each}" for each in ("", "NotVisible", "Delayed")]
    found = sandbox.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    return sum(map(int, found.values()))


def figures(books: Books, causes: Causes, sandbox: Sandbox) -> dict[str, Any]:
    """Return the storm's figures as plain data."""
    changes, repeats = (_by_control(each) for each in effective(sandbox))
    repeated = sum(count - 1 for count in Counter(each["record_id"] for each in books.alerts).values())
    reasons = Counter(str(each.get("reason", "none")).partition(":")[0] for each in books.letters)
    ended = [each for chain in books.chains.values() for each in chain if "outcome" in each]
    return {
        "stack": books.stack.name,
        "causes": {
            "resources": len(causes.made), "weakenings": causes.weakened.total(),
            "gone at once": len(causes.deleted), "duplicates": causes.duplicates, "poison": causes.poison,
            "workers killed": causes.killed,
        },
        "switched on": {name: {"with effect": changes[name], "without": repeats[name]} for name in sorted(changes)},
        "repairs": dict(sorted(Counter(str(each["control"]) for each in ended if each["outcome"] in DONE).items())),
        "outcomes": dict(books.outcomes.most_common()),
        "failures": [_failure(each) for each in ended if each["outcome"] in REFUSED],
        "chains": len(books.heads),
        "alerts": len(books.alerts),
        "alerts repeated": repeated,
        "dead letters": dict(reasons.most_common()),
        "broken": books.broken,
    }  # fmt: skip


def _by_control(counted: Counter[tuple[str, str]]) -> Counter[str]:
    total = Counter[str]()
    for (control, _), count in counted.items():
        total[control] += count
    return total


def _failure(record: Record) -> str:
    return f"{record['control']} {record['resource']}: {record.get('detail', '')}"


def as_json(found: list[dict[str, Any]]) -> str:
    """Return figures as text."""
    return json.dumps(found, indent=2)
