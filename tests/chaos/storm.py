"""The storm: thousands of events while AWS throttles, fails, loses answers, and workers die.

``python -m tests.chaos`` runs it against the real stack in the sandbox, IAM enforced. What it does is drawn from a
seed; how it meets the workers is not, so two runs differ.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenkeel.registry import all_controls
from sandbox.settings import push
from tests.cases.case import enforcing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from sandbox.client import Sandbox
    from sandbox.deploy import Stack

OURS = "assumed-role/"
"""Part of the ARN of every function's session, so that people's own calls stay whole."""
VISIBILITY_SECONDS = 15
"""The queues' in the storm: a dead worker's messages come again after this time, not after six minutes."""
FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("*", "*", {"code": "ThrottlingException", "chance": 0.03}),
    ("*", "*", {"code": "InternalFailure", "status": 500, "chance": 0.02}),
    ("*", "*", {"latency": 6.0, "chance": 0.002}),  # longer than the clients wait: a time-out
    ("kms", "EnableKeyRotation", {"code": "KMSInternalException", "status": 500, "after": True, "chance": 0.03}),
    ("logs", "PutRetentionPolicy", {"code": "ServiceUnavailableException", "after": True, "chance": 0.03}),
    ("dynamodb", "TransactWriteItems", {"code": "InternalServerError", "status": 500, "after": True, "chance": 0.01}),
    ("dynamodb", "TransactWriteItems", {"code": "TransactionInProgressException", "chance": 0.03}),
    ("kms", "GetKeyRotationStatus", {"code": "NotFoundException", "chance": 0.02}),  # not everywhere known yet
    ("kms", "EnableKeyRotation", {"code": "AccessDeniedException", "chance": 0.03, "message":
     "User is not authorized to perform: kms:EnableKeyRotation with an explicit deny in a service control policy"}),
    ("logs", "PutRetentionPolicy", {"code": "OperationAbortedException", "chance": 0.03}),
    ("s3", "PutBucketPolicy", {"code": "OperationAborted", "chance": 0.05}),
    ("s3", "PutPublicAccessBlock", {"code": "InternalError", "status": 500, "after": True, "chance": 0.05}),
    ("ec2", "RevokeSecurityGroupIngress", {"code": "InternalError", "status": 500, "after": True, "chance": 0.1}),
    ("dynamodb", "UpdateTable", {"code": "ResourceInUseException", "chance": 0.1}),
    ("sns", "Publish", {"code": "InternalErrorException", "status": 500, "chance": 0.05}),
)  # fmt: skip
"""Service, operation, and what happens to the functions' calls of it."""
REPEATED = ("CreateKey", "CreateLogGroup", "DisableKeyRotation", "AuthorizeSecurityGroupIngress")
"""Which events come again."""
NOT_TAGGED = {
    "controls": ["tagging-required-tags"],
    "resources": ["*:log-group:/storm/short/*"],
    "reason": "to a new resource that is not found tags are tried for half an hour",
    "approver": "the storm",
    "expires": "2099-01-01",
}
POISON: tuple[str, ...] = (
    "not JSON",
    "[]",
    "{}",
    '{"detail-type": "AWS API Call via CloudTrail", "detail": null}',
    '{"schema_version": 99, "request": {}}',
    '{"schema_version": 1, "request": {"control": "kms-key-rotation"}}',
    "[" * 5000,
    json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": {"eventSource": 1, "eventName": ["x"]}}),
)
"""Bodies that no rule ever sends; each has to end as a dead letter or be dropped as none of our business."""


@dataclass
class Causes:
    """What was done, for the books. ``weakened`` counts the times each resource was made or set back."""

    weakened: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    duplicates: int = 0
    poison: int = 0
    killed: int = 0

    @property
    def events(self) -> int:
        """All causes, repeated and poisoned ones included."""
        return sum(self.weakened.values()) + self.duplicates + self.poison


@dataclass
class Storm:
    """One storm over a sandbox. ``stacks`` are the engines; with two, both act on every resource."""

    sandbox: Sandbox
    stacks: tuple[Stack, ...]
    user: boto3.Session
    seed: int
    causes: Causes = field(default_factory=Causes)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Draw everything from one seed."""
        self._random = random.Random(self.seed)  # noqa: S311 - a game of chance
        self._region = f"{self.sandbox.region}:{self.sandbox.account}"

    def prepare(self) -> None:
        """Push settings under which everything is repaired at once, and let dead workers' messages come again soon."""
        wide = {"limit": 1_000_000, "window_seconds": 3600}
        controls = {
            control.id: {**enforcing(control.id), "blast_radius": wide}
            for control in all_controls().values()
            if not control.only_announces
        }
        sqs = self.sandbox.client("sqs")
        for stack in self.stacks:
            document = {"settle_seconds": 0, "controls": controls, "exemptions": [NOT_TAGGED]}
            push(self.sandbox, stack, {"schema_version": 1, **document})
            for name, queue in stack.resources.items():
                if name.endswith("Queue") and queue.startswith("http"):
                    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})

    def rage(self, events: int, *, short_lived: int = 5, seconds_between_kills: float = 3.0) -> None:
        """Cause so many events under faults; workers die meanwhile.

        ``short_lived`` is how many in about a hundred are of groups that are gone at once; each is looked for during
        two minutes.
        """
        for service, operation, what in FAULTS:
            self.sandbox.faults.add(service, operation, principal=OURS, **what)
        killer = threading.Thread(target=self._kill, args=(seconds_between_kills,), daemon=True)
        killer.start()
        weights = {
            self._key: 36, self._group: 20, self._bucket: 8, self._table: 6, self._open_group: 6,
            self._short_lived_group: short_lived, self._again: 20, self._poisoned: 3,
        }  # fmt: skip
        acts = self._random.choices(list(weights), list(weights.values()), k=events)
        seeds = [self._random.getrandbits(32) for _ in acts]
        with ThreadPoolExecutor(6) as pool:
            for _ in pool.map(lambda both: both[0](random.Random(both[1])), zip(acts, seeds, strict=True)):  # noqa: S311
                pass

    def calm(self) -> None:
        """End all faults and the killing."""
        self._over.set()
        self.sandbox.faults.clear()

    def _key(self, dice: random.Random) -> None:
        """Make a key; one in three is weakened again a little later."""
        kms = self._client("kms")
        arn = kms.create_key()["KeyMetadata"]["Arn"]
        self._weakened(arn)
        if dice.random() < 1 / 3:
            time.sleep(dice.uniform(0, 1.5))
            self._weakened(arn)
            kms.disable_key_rotation(KeyId=arn)

    def _group(self, dice: random.Random) -> None:
        name = f"/storm/{uuid.UUID(int=dice.getrandbits(128))}"
        self._client("logs").create_log_group(logGroupName=name)
        self._weakened(f"arn:aws:logs:{self._region}:log-group:{name}")

    def _bucket(self, dice: random.Random) -> None:
        """Make a bucket and take its block of public access off."""
        name = f"storm-{uuid.UUID(int=dice.getrandbits(128))}"
        place = {"LocationConstraint": self.sandbox.region}
        self._client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
        self._client("s3").delete_public_access_block(Bucket=name)
        self._weakened(f"arn:aws:s3:::{name}", times=2)

    def _table(self, dice: random.Random) -> None:
        made = self._client("dynamodb").create_table(
            TableName=f"storm-{uuid.UUID(int=dice.getrandbits(128))}",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        self._weakened(made["TableDescription"]["TableArn"])

    def _open_group(self, dice: random.Random) -> None:
        """Make a security group and open it to the world."""
        ec2 = self._client("ec2")
        name = f"storm-{uuid.UUID(int=dice.getrandbits(128))}"
        group = ec2.create_security_group(GroupName=name, Description="storm")["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        )
        self._weakened(f"arn:aws:ec2:{self._region}:security-group/{group}")

    def _short_lived_group(self, dice: random.Random) -> None:
        """Make a log group that is gone before anybody may have looked at it."""
        name = f"/storm/short/{uuid.UUID(int=dice.getrandbits(128))}"
        logs = self._client("logs")
        logs.create_log_group(logGroupName=name)
        time.sleep(dice.uniform(0, 0.5))
        logs.delete_log_group(logGroupName=name)
        with self._lock:
            self.causes.deleted.add(f"arn:aws:logs:{self._region}:log-group:{name}")

    def _again(self, dice: random.Random) -> None:
        """Deliver some earlier events again: late, and out of their order."""
        earlier = self.sandbox.events(eventName=dice.choice(REPEATED))
        chosen = [deepcopy(event) for event in dice.sample(earlier, min(len(earlier), 5))]
        entries = [
            {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
            for event in chosen
        ]
        if entries:
            self._client("events").put_events(Entries=entries)
            with self._lock:
                self.causes.duplicates += len(entries)

    def _poisoned(self, dice: random.Random) -> None:
        queues = [url for stack in self.stacks for name, url in stack.resources.items() if name.endswith("Queue")]
        self._client("sqs").send_message(QueueUrl=dice.choice(queues), MessageBody=dice.choice(POISON))
        with self._lock:
            self.causes.poison += 1

    def _weakened(self, arn: str, times: int = 1) -> None:
        with self._lock:
            self.causes.weakened[arn] = self.causes.weakened.get(arn, 0) + times

    def _client(self, service: str) -> Any:
        key = f"_{service}_client"
        if key not in self.__dict__:
            self.__dict__[key] = self.sandbox.client(service, self.user, max_pool_connections=10)
        return self.__dict__[key]

    def _kill(self, pause: float) -> None:
        """Kill a worker now and then, wherever it may be between its write-ahead and its outcome."""
        while not self._over.wait(pause):
            workers = list(_children(self.sandbox.pid))
            if workers:
                with suppress(ProcessLookupError):  # it ended by itself
                    os.kill(random.choice(workers), signal.SIGKILL)  # noqa: S311 - a game of chance
                    self.causes.killed += 1


def _children(pid: int) -> Iterator[int]:
    """Yield the processes that the sandbox started: its functions' workers."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone since it was listed
            fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == pid:
                yield int(folder.name)


def wait_until(done: Callable[[], bool], seconds: float, pause: float = 1.0) -> bool:
    """Wait for something; say whether it came to be in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
