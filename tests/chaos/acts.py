"""The acts of a storm: what people make and weaken, and what comes twice, late or broken.

Each act is drawn by its own dice, so a seed repeats it. An act that makes something slow (a database, a function) or
something that matters by the second (a trail) leaves behind how somebody sets it back later.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter, deque
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import ClientError

from evenkeel.control.registry import all_controls
from evenkeel.errors import code
from tests.factories import awslambda, rds

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack

    Act: TypeAlias = tuple[Callable[[random.Random], None], random.Random]

PATIENCE_SECONDS = 120.0
"""How long somebody waits for a database that is busy with another change."""
REPAIRED_SECONDS = 30.0
"""How long what still stands after the storm is given to be repaired, before it is set back."""
REPEATED = (
    "CreateKey", "CreateLogGroup", "DisableKeyRotation", "AuthorizeSecurityGroupIngress", "CreateDBInstance",
    "ModifyDBInstance", "UpdateFunctionConfiguration20150331v2", "StopLogging",
)  # fmt: skip
"""Which events come again."""
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
EXPOSED: dict[str, dict[str, bool]] = {
    "rds-deletion-protection": {"DeletionProtection": False},
    "rds-public-access": {"PubliclyAccessible": True},
}
"""How an instance is set back, by control."""


@dataclass
class Causes:
    """What was done, for the books. ``weakened`` counts how often each (control, ARN) was made weak or set back."""

    weakened: Counter[tuple[str, str]] = field(default_factory=Counter)
    made: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    duplicates: int = 0
    poison: int = 0
    killed: int = 0


@dataclass(frozen=True)
class Standing:
    """Something that somebody sets back once; ``whole`` says whether it is as Evenkeel wants it just now."""

    weaken: Callable[[random.Random], None]
    whole: Callable[[], bool]


@dataclass
class Acts:
    """The acts, each a method that takes dice. ``stacks`` are the engines whose queues are poisoned."""

    sandbox: Sandbox
    stacks: tuple[Stack, ...]
    user: boto3.Session
    causes: Causes = field(default_factory=Causes)
    _standing: deque[Standing] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Know where ARNs are."""
        self._region = f"{self.sandbox.region}:{self.sandbox.account}"

    def prepare(self) -> None:
        """Make what acts share: the bucket of all trails, a weak one like the others."""
        self._trails = self._new_bucket(f"storm-trails-{self.sandbox.account}")

    def key(self, dice: random.Random) -> None:
        """Make a key; one in three is weakened again a little later."""
        kms = self.client("kms")
        arn = kms.create_key()["KeyMetadata"]["Arn"]
        self._made(arn)
        if dice.random() < 1 / 3:
            time.sleep(dice.uniform(0, 1.5))
            self._weakened(arn, "kms-key-rotation")
            kms.disable_key_rotation(KeyId=arn)

    def group(self, dice: random.Random) -> None:
        """Make a log group."""
        name = f"/{_name(dice)}"
        self.client("logs").create_log_group(logGroupName=name)
        self._made(f"arn:aws:logs:{self._region}:log-group:{name}")

    def bucket(self, dice: random.Random) -> None:
        """Make a bucket and take its block of public access off."""
        self._new_bucket(_name(dice))

    def _new_bucket(self, name: str) -> str:
        place = {"LocationConstraint": self.sandbox.region}
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
        self.client("s3").delete_public_access_block(Bucket=name)
        self._made(f"arn:aws:s3:::{name}")
        return name

    def table(self, dice: random.Random) -> None:
        """Make a table."""
        made = self.client("dynamodb").create_table(
            TableName=_name(dice),
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        self._made(made["TableDescription"]["TableArn"])

    def open_group(self, dice: random.Random) -> None:
        """Make a security group and open it to the world."""
        ec2 = self.client("ec2")
        group = ec2.create_security_group(GroupName=_name(dice), Description="storm")["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        )
        self._made(f"arn:aws:ec2:{self._region}:security-group/{group}")

    def short_lived_group(self, dice: random.Random) -> None:
        """Make a log group that is gone before anybody may have looked at it."""
        name = f"/storm/short/{_name(dice)}"
        logs = self.client("logs")
        logs.create_log_group(logGroupName=name)
        time.sleep(dice.uniform(0, 0.5))
        logs.delete_log_group(logGroupName=name)
        with self._lock:
            self.causes.deleted.add(f"arn:aws:logs:{self._region}:log-group:{name}")

    def database(self, dice: random.Random) -> None:
        """Make an instance that is public and not protected; somebody sets one of these back later, or both."""
        name = _name(dice)
        arn = rds.instance(name, PubliclyAccessible=True, DeletionProtection=False)
        self._made(arn)
        self._standing.append(Standing(partial(self._expose, name, arn), partial(self._closed, name)))

    def _closed(self, name: str) -> bool:
        [found] = self.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return bool(found["DeletionProtection"] and not found["PubliclyAccessible"])

    def _expose(self, name: str, arn: str, dice: random.Random) -> None:
        controls = dice.choice((tuple(EXPOSED), *((each,) for each in EXPOSED)))
        settings = {setting: value for control in controls for setting, value in EXPOSED[control].items()}
        self._weakened(arn, *controls)
        if not wait_until(lambda: self._modified(name, settings), PATIENCE_SECONDS, pause=0.2):
            raise TimeoutError(f"{name} was busy for {PATIENCE_SECONDS:.0f} s")

    def _modified(self, name: str, settings: dict[str, bool]) -> bool:
        """Change an instance; say whether it was ready for that."""
        try:
            self.client("rds").modify_db_instance(DBInstanceIdentifier=name, **settings)
        except ClientError as error:
            if code(error) != "InvalidDBInstanceState":
                raise
            return False
        return True

    def function(self, dice: random.Random) -> None:
        """Make a function that does not trace; somebody sets that back later, within a deployment."""
        name = _name(dice)
        arn = awslambda.function(name)
        self._made(arn)
        self._standing.append(Standing(partial(self._deploy, name, arn), partial(self._traces, name)))

    def _traces(self, name: str) -> bool:
        found = self.client("lambda").get_function_configuration(FunctionName=name)
        return bool(found["TracingConfig"]["Mode"] == "Active")

    def _deploy(self, name: str, arn: str, dice: random.Random) -> None:
        """Change a function, one in three times without a word about tracing: an update is in progress for a while."""
        settings: dict[str, Any] = {"MemorySize": 256}
        if dice.random() < 2 / 3:
            settings["TracingConfig"] = {"Mode": "PassThrough"}
            self._weakened(arn, "lambda-xray-tracing")
        self.client("lambda").update_function_configuration(FunctionName=name, **settings)

    def trail(self, dice: random.Random) -> None:
        """Make a trail; one in four is never started, the others are stopped later."""
        cloudtrail = self.client("cloudtrail")
        arn = cloudtrail.create_trail(Name=_name(dice), S3BucketName=self._trails)["TrailARN"]
        if dice.random() < 1 / 4:
            self._made(arn)
            return
        with self._lock:
            self.causes.made.add(arn)
        cloudtrail.start_logging(Name=arn)
        self._standing.append(Standing(partial(self._stop, arn), partial(self._logs, arn)))

    def _logs(self, arn: str) -> bool:
        return bool(self.client("cloudtrail").get_trail_status(Name=arn)["IsLogging"])

    def _stop(self, arn: str, _dice: random.Random) -> None:
        self._weakened(arn, "cloudtrail-logging")
        self.client("cloudtrail").stop_logging(Name=arn)

    def set_back(self, dice: random.Random) -> None:
        """Set back what was made the longest ago: it may be repaired by now, or not, or be in the middle of it."""
        with self._lock:
            oldest = self._standing.popleft() if self._standing else None
        if oldest:
            oldest.weaken(dice)

    def rest(self) -> list[Act]:
        """Return what sets back each thing that still stands, once it is repaired."""

        def wait_and_weaken(each: Standing, dice: random.Random) -> None:
            wait_until(each.whole, REPAIRED_SECONDS)
            each.weaken(dice)

        numbered = enumerate(self._standing)
        return [(partial(wait_and_weaken, each), random.Random(number)) for number, each in numbered]  # noqa: S311

    def again(self, dice: random.Random) -> None:
        """Deliver some earlier events again: late, and out of their order."""
        earlier = self.sandbox.events(eventName=dice.choice(REPEATED))
        chosen = [deepcopy(event) for event in dice.sample(earlier, min(len(earlier), 5))]
        entries = [
            {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
            for event in chosen
        ]
        if entries:
            self.client("events").put_events(Entries=entries)
            with self._lock:
                self.causes.duplicates += len(entries)

    def poisoned(self, dice: random.Random) -> None:
        """Send one of the queues what is no event."""
        queues = [url for stack in self.stacks for name, url in stack.resources.items() if name.endswith("Queue")]
        self.client("sqs").send_message(QueueUrl=dice.choice(queues), MessageBody=dice.choice(POISON))
        with self._lock:
            self.causes.poison += 1

    def _made(self, arn: str) -> None:
        """Keep that a resource was made, weak in all that is asked of its type."""
        with self._lock:
            self.causes.made.add(arn)
        able = [each for each in all_controls().values() if not each.only_announces]
        self._weakened(arn, *(each.id for each in able if each.applies_to(arn)))

    def _weakened(self, arn: str, *controls: str) -> None:
        with self._lock:
            self.causes.weakened.update((control, arn) for control in controls)

    def client(self, service: str) -> Any:
        """Return the user's one client of a service."""
        key = f"_{service}_client"
        if key not in self.__dict__:
            self.__dict__[key] = self.sandbox.client(service, self.user, max_pool_connections=10)
        return self.__dict__[key]


def _name(dice: random.Random) -> str:
    return f"storm-{uuid.UUID(int=dice.getrandbits(128))}"


def wait_until(done: Callable[[], bool], seconds: float, pause: float = 1.0) -> bool:
    """Wait for something; say whether it came to be in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
