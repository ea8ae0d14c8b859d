"""A small AWS for one test: the stack's tables and queues on moto, a clock that tests turn, and AWS's events."""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws
from moto.backends import get_backend

from evenkeel import names, system_parts
from evenkeel.audit import digests
from evenkeel.audit.ledger import Ledger
from evenkeel.audit.state_item import StateItem
from evenkeel.control.registry import all_controls
from evenkeel.events import parsing
from evenkeel.events.message import decode
from evenkeel.events.queue import Queue
from evenkeel.model import Cause, Place, Request, Resource
from evenkeel.operators import approvals
from evenkeel.remediation.visit import Visits
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import unwire
from evenkeel.settings import parser
from tests import moto_gaps, tables
from tests.moto_gaps import Configuration, undelay
from tests.quick_moto import quicken
from tests.tables import AUDIT, STACK, STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from evenkeel.audit.records import Record
    from evenkeel.control import Control
    from evenkeel.model import Result
    from tests.wire import Wire

ACCOUNT = "123456789012"
REGION = "eu-west-1"
PLACE = Place(ACCOUNT, REGION)
LOG_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/10ca11ed-0000-4000-8000-000000000001"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{names.queue(STACK, 'kms')}"
DLQ_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{names.dead_letters(STACK)}"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_SECRET_ACCESS_KEY": "testing",
    "EVENKEEL_DLQ_URL": DLQ_URL,
    "EVENKEEL_LOG_KEY_ARN": LOG_KEY,
    "EVENKEEL_NOTIFIER_SOURCE": "00000000-0000-4000-8000-000000000002",
    "EVENKEEL_QUEUE_URL": QUEUE_URL,
    "EVENKEEL_GROUPS": "kms",
    "EVENKEEL_SETTINGS": "app-1/env-1/profile-1",
    "EVENKEEL_STACK": STACK,
    "EVENKEEL_UNDO_ENABLED": "true",
}


def client(service: str) -> Any:
    """Return the one client of a service, of moto's AWS unless :func:`reaching` says otherwise."""
    return _reached[-1](service)


@lru_cache(maxsize=32)
def _motos(service: str) -> Any:
    """Clients outlive tests, moto's backends do not."""
    return _session().client(service)


_reached: list[Callable[[str], Any]] = [_motos]


@contextmanager
def reaching(connect: Callable[[str], Any]) -> Iterator[None]:
    """Let :func:`client`, and so all that makes resources for tests, reach another AWS: the sandbox."""
    _reached.append(connect)
    try:
        yield
    finally:
        _reached.pop()


@lru_cache(maxsize=1)
def _session() -> Any:
    # Never boto3's own session, which may be older than the hooks; and nobody's credentials, whatever is set just now:
    # a client that was made without any would stay so.
    return boto3.session.Session("testing", "testing", region_name=REGION)


def set_variables(patch: pytest.MonkeyPatch) -> None:
    """Set the environment of a Lambda, and nothing of the developer's own AWS, until ``patch`` is undone."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "EVENKEEL_"))]:
        patch.delenv(name)
    for name, value in VARIABLES.items():
        patch.setenv(name, value)


@contextmanager
def standing(patch: pytest.MonkeyPatch, wire: Wire) -> Iterator[World]:
    """Return the stack's tables and queues on an empty moto; its gaps are filled until ``patch`` is undone."""
    quicken()
    moto_gaps.install(patch)
    with mock_aws():
        yield World(wire)


_made: dict[str, Any] = {}
"""The stack's tables as moto keeps them, empty."""


def _make_stack() -> None:
    """Make the stack's tables and queues; the second time without a call, since each test does it."""
    table, queue = (get_backend(service)[ACCOUNT][REGION] for service in ("dynamodb", "sqs"))
    if not _made:
        tables.make(client("dynamodb"))
        _made.update(deepcopy(dict(table.tables)))
    table.tables.update(deepcopy(_made))
    for name in (names.queue(STACK, "kms"), names.dead_letters(STACK)):
        queue.create_queue(name)


class World:
    """The stack's own resources, and the means to serve a request."""

    def __init__(self, wire: Wire) -> None:
        """Make tables, queues and an empty settings document."""
        self.wire = wire
        self.start = datetime.now(UTC)
        self.now = self.start
        self.document: dict[str, Any] = {"schema_version": 1}
        self.own_keys: frozenset[str] = frozenset()
        _make_stack()
        self.configuration = Configuration()
        wire.stand_ins = self.configuration.answers()
        self.settings(self.document)
        wire.clear()

    def clock(self) -> datetime:
        """Tell the time; a millisecond passes each time it is asked."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.now += timedelta(seconds=seconds)

    def settings(self, document: dict[str, Any] | str) -> None:
        """Push a settings document."""
        text = document if isinstance(document, str) else json.dumps(document)
        self.configuration.document = text.encode()

    def ledger(self, owner: str = "worker-1", connect: Callable[[str], Any] = client) -> Ledger:
        """Return the ledger of one worker."""
        return Ledger(Aws(connect), AUDIT, STATE, owner, self.clock, self.sleep)

    def visits(
        self, owner: str = "worker-1", scope: tuple[str, ...] = ("*",), connect: Callable[[str], Any] = client
    ) -> Visits:
        """Return what serves one worker's requests, which reaches AWS by ``connect``."""
        ledger = self.ledger(owner, connect)
        return Visits(
            Aws(connect),
            ledger,
            scope=scope,
            retention_days=400,
            clock=self.clock,
            sleep=self.sleep,
            stack="evenkeel-test",
            own_parts=system_parts.arns(STACK, PLACE, self.own_keys),
        )

    def decide(self, payload: dict[str, Any], who: str, *, document: dict[str, Any] | None = None) -> list[Result]:
        """Serve a person's decision; needs the fixture ``people``, which takes a caller's ARN for a proof."""
        people = approvals.Approvals(
            tuple(all_controls().values()),
            self.ledger("desk"),
            Queue(Aws(client), QUEUE_URL, DLQ_URL),
            stack="evenkeel-test",
            sts_endpoint="",
            place=PLACE,
            clock=self.clock,
            remaining_milliseconds=lambda: 60_000,
        )
        loaded, run = parser.parse(json.dumps(document or self.document)), self.visits("desk").run
        return people.decide(
            approvals.parse({**payload, "caller": {"arn": who}}),
            lambda control, wish, approval: run(control, wish, loaded, approval=approval),
        ).results

    def chains(self) -> int:
        """Prove the chain of each control and resource; return how many there are. Raises BrokenChainError."""
        kinds = {(record["control"], record["resource"]) for record in self.records()}
        for control, arn in kinds:
            assert self.ledger().chain(control, arn)
        return len(kinds)

    def run(
        self,
        control: Control | str,
        request: Request,
        *,
        document: dict[str, Any] | None = None,
        owner: str = "worker-1",
        scope: tuple[str, ...] = ("*",),
        redelivered: bool = False,
    ) -> Result:
        """Send one request through its way, with the calls counted from here."""
        control = all_controls()[control] if isinstance(control, str) else control
        self.wire.calls.clear()
        loaded = parser.parse(json.dumps(document or self.document))
        return self.visits(owner, scope).run(control, request, loaded, redelivered=redelivered)

    def records(self) -> list[Record]:
        """Return all audit records in the order of their ids, without the daily digests."""
        found = [unwire(item) for item in client("dynamodb").scan(TableName=AUDIT)["Items"]]
        wanted = [record for record in found if record["resource"] != digests.RESOURCE]
        return sorted(wanted, key=lambda record: record["record_id"])

    def outcomes(self) -> list[str]:
        """Return the outcomes written so far; a PLANNED record shows as its step."""
        return [record.get("outcome", record["step"]) for record in self.records()]

    def state(self, control: str, arn: str) -> StateItem:
        """Return the state item of a control and resource."""
        found = client("dynamodb").get_item(TableName=STATE, Key={"pk": {"S": f"{control}#{arn}"}})
        return StateItem.of(found.get("Item", {}))

    def kept(self, control: str, arn: str) -> Request:
        """Return the request that a hold keeps."""
        return decode(json.loads(self.state(control, arn).held_request), tuple(all_controls().values()), PLACE)

    def messages(self, url: str) -> list[dict[str, Any]]:
        """Take all messages off a queue, those still delayed too."""
        undelay(ACCOUNT, REGION, url.rpartition("/")[2])
        found: list[dict[str, Any]] = []
        while (
            batch := client("sqs")
            .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=900)
            .get("Messages")
        ):
            found += batch
        return found

    def dead(self) -> list[tuple[str, str]]:
        """Take all dead letters: (body, reason)."""
        return [
            (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])
            for message in self.messages(DLQ_URL)
        ]


class Context:
    """What Lambda hands a function beside the event."""

    function_name = "remediator"
    function_version = "$LATEST"
    memory_limit_in_mb = 256
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:remediator"

    def __init__(self, request_id: str = "", remaining: Callable[[], int] = lambda: 60_000) -> None:
        """Take the invocation's id, and what tells the time left."""
        self.aws_request_id = request_id or str(uuid.uuid4())
        self.get_remaining_time_in_millis = remaining


ALICE = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
    "accountId": ACCOUNT,
    "userName": "alice",
}


def cloudtrail(source: str, name: str, when: datetime | None = None, **detail: Any) -> dict[str, Any]:
    """Return the EventBridge event of an API call by the IAM user alice; ``detail`` overrides CloudTrail's fields."""
    at = (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": parsing.API_CALL,
        "source": f"aws.{source.partition('.')[0]}",
        "account": ACCOUNT,
        "time": at,
        "region": REGION,
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": ALICE,
            "eventTime": at,
            "eventSource": source,
            "eventName": name,
            "awsRegion": REGION,
            "sourceIPAddress": "203.0.113.10",
            "userAgent": "aws-cli/2.31.0",
            "requestParameters": None,
            "responseElements": None,
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            **detail,
        },
    }


def sqs_event(*bodies: Any, receives: int = 1) -> dict[str, Any]:
    """Return a batch as Lambda gets it from a queue; a body that is no text is sent as JSON."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:remediator",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }


def request(control: str, arn: str, **fields: Any) -> Request:
    """Return a request for a resource of this account, caused by a call of CloudTrail's."""
    cause = fields.pop("cause", Cause("cloudtrail", "event-1", "SomeCall", datetime.now(UTC).isoformat()))
    return Request(control, Resource(arn, ACCOUNT, REGION), cause, **fields)


def metrics(output: str) -> dict[str, float]:
    """Return the sums of the metrics that a function printed in CloudWatch's embedded format."""
    sums: dict[str, float] = {}
    for line in output.splitlines():
        if '"_aws"' not in line:
            continue
        document = json.loads(line)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                value = document[metric["Name"]]
                sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(value if isinstance(value, list) else [value])
    return sums


def logged(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """Return the messages that were logged, and forget them."""
    found = Counter(record.getMessage() for record in caplog.records)
    caplog.clear()
    return found
