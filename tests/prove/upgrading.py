"""A stack of the last release in a sandbox, with work in flight, that is then updated to the present code."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import boto3

from evenkeel.group_names import RULES
from evenkeel.operators.caller_proof import sign
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel_cli.local import local_stack
from sandbox.client import REPOSITORY, Sandbox
from sandbox.deploy.deployment import deploy
from sandbox.deploy.settings import push
from tests.prove import releases
from tests.sandbox import inbox
from tests.sandbox.cli_stack import CONTROL, Place, eventually, operator, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evenkeel.audit.records import Record

RETENTION, RECOVERY, PROTECTION = (
    "logs-group-retention",
    "dynamodb-point-in-time-recovery",
    "dynamodb-deletion-protection",
)
GROUPS, OTHER_GROUPS = "dynamodb,kms,logs", "kms,lambda,logs"
FREEZE = {"cron": "* * * * *", "hours": 1, "controls": [PROTECTION]}
BEFORE = {
    "functions/controls/kms/key_rotation.py": ('"rotation is off"', '"rotation is off, says the old code"'),
    "functions/controls/kms/template.yaml": ("            - DisableKeyRotation\n", ""),
    "functions/controls/logs/template.yaml": ("VisibilityTimeout: 360", "VisibilityTimeout: 365"),
    "layers/engine/evenkeel/__init__.py": ('"""\n', '"""\n# the old one\n'),
}
"""What the old tree has besides, so that every update changes something: code, a rule, a queue and the layer."""


def settings(**more: Any) -> dict[str, Any]:
    """Return settings under which work of each kind stays in flight."""
    return {
        "schema_version": 1,
        "settle_seconds": 0,
        "controls": {
            RETENTION: {"blast_radius": {"limit": 1, "window_seconds": 3600}},
            "logs-group-encryption": {"mode": "off"},
            RECOVERY: {"mode": "approve"},
            PROTECTION: {"mode": "enforce"},
        },
        "exemptions": [
            {
                "controls": ["*"],
                "resources": ["arn:aws:logs:*:*:log-group:/exempt"],
                "reason": "tries",
                "approver": "alice@example.com",
                "expires": "2099-01-01",
            }
        ],
        **more,
    }


@dataclass
class Updated:
    """The stack, whoever works on it, and what was in flight when it was updated."""

    place: Place
    person: boto3.Session
    alerts: str
    arns: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    """Ids: of records and of the run."""
    rounds: list[dict[str, Any]] = field(default_factory=list)
    """What the clerk answered while the stack was being updated."""

    def client(self, service: str) -> Any:
        """Return a client of whoever causes what is repaired: root."""
        return self.place.sandbox.client(service)

    def deploy(self, folder: Path, groups: str) -> None:
        """Deploy a tree with the parameters that stay the same, and some groups."""
        parameters = {**local_stack.PARAMETERS, "EnabledGroups": groups}
        stack = deploy(self.place.sandbox, folder / "template.yaml", "evenkeel", parameters)
        self.place = replace(self.place, stack=stack)

    def key(self, name: str) -> str:
        """Make a key that does not rotate."""
        self.arns[name] = str(self.client("kms").create_key()["KeyMetadata"]["Arn"])
        return self.arns[name]

    def group(self, name: str) -> str:
        """Make a log group that never expires."""
        self.client("logs").create_log_group(logGroupName=f"/{name}")
        sandbox = self.place.sandbox
        self.arns[name] = f"arn:aws:logs:{sandbox.region}:{sandbox.account}:log-group:/{name}"
        return self.arns[name]

    def table(self, name: str) -> str:
        """Make a table that can neither be recovered nor is protected."""
        made = self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.arns[name] = str(made["TableDescription"]["TableArn"])
        return self.arns[name]

    def records(self, name: str, control: str) -> list[Record]:
        """Return the records of a resource, the oldest first."""
        found = [unwire(item) for item in written(self.place.sandbox, self.place.stack, self.arns[name])]
        return [each for each in found if each["control"] == control]

    def awaited(self, name: str, outcome: str, control: str) -> Record:
        """Wait for a record."""

        def found() -> Any:
            fitting = [each for each in self.records(name, control) if each.get("outcome", "PLANNED") == outcome]
            return fitting[-1] if fitting else None

        record: Record = eventually(found, f"{outcome} of {control} at {name}")
        return record

    def invoke(self, function: str, payload: dict[str, Any], *, proved: bool = False) -> dict[str, Any]:
        """Invoke a function of the stack, in the person's name where it wants to know."""
        stack, sandbox = self.place.stack, self.place.sandbox
        signed = {**payload, "caller": sign(self.person, sandbox.endpoint, stack.name, payload)} if proved else payload
        answer = sandbox.client("lambda", self.person, read_timeout=120).invoke(
            FunctionName=f"{stack.name}-{function}", Payload=json.dumps(signed)
        )
        found: dict[str, Any] = json.load(answer["Payload"])
        return found

    def queue(self, group: str) -> str:
        """Return the URL of a group's queue."""
        return str(self.client("sqs").get_queue_url(QueueName=f"evenkeel-{group}")["QueueUrl"])

    def waiting(self, group: str) -> int:
        """Return how many messages a queue has, those still delayed too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=self.queue(group), AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def take(self, group: str) -> dict[str, Any]:
        """Take one message off a queue, for ever."""
        sqs, url = self.client("sqs"), self.queue(group)
        wanted = {"QueueUrl": url, "MaxNumberOfMessages": 1}
        message: dict[str, Any] = eventually(lambda: sqs.receive_message(**wanted).get("Messages"), "a message")[0]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return message

    def source(self, group: str, *, on: bool) -> None:
        """Switch one group's event source, and wait until its worker has finished."""
        client = self.client("lambda")
        (mapping,) = client.list_event_source_mappings(FunctionName=f"evenkeel-{group}")["EventSourceMappings"]
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)

    def comes_due(self, name: str, control: str) -> None:
        """Let what stands in the index of due work be due now; only roles named like the stack's may write."""
        self.place.sandbox.client("dynamodb", self._role()).update_item(
            TableName=self.place.stack.outputs["StateTableName"],
            Key=wire({"pk": f"{control}#{self.arns[name]}"}),
            UpdateExpression="SET due_at = :now",
            ConditionExpression="attribute_exists(due_shard)",
            ExpressionAttributeValues={":now": {"N": "1"}},
        )

    def _role(self) -> boto3.Session:
        """Return the session of a role of the tests that the state table takes for one of ours."""
        iam, sandbox = self.client("iam"), self.place.sandbox
        account = {"AWS": f"arn:aws:iam::{sandbox.account}:root"}
        trust = {"Statement": [{"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"}]}
        everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        name = f"evenkeel-{sandbox.region}-clock-{uuid.uuid4().hex[:8]}"
        role = iam.create_role(RoleName=name, Path="/evenkeel/", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(everything))
        sts = sandbox.client("sts", self.person)
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="clock")["Credentials"]
        return boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=sandbox.region
        )

    def logged(self, function: str, message: str) -> list[dict[str, Any]]:
        """Return a function's log lines with a message."""
        lines = self.place.sandbox.logs(f"evenkeel-{function}")
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in parsed if line.get("message") == message]

    def switched_off(self) -> list[str]:
        """Return what the clerk missed, and this release has.

        What it has no more is another matter: in a nested stack CloudFormation deletes it only once all its siblings
        are updated (AWS Knowledge Center, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), the sandbox at once.
        """
        rules = {f"rule evenkeel-{group}-{suffix}" for group, suffixes in RULES.items() for suffix in suffixes}
        missed = [line["what"] for line in self.logged("clerk", "switched off")]
        return [what for what in missed if what in rules or not what.startswith("rule ")]

    @contextmanager
    def clerk_at_work(self) -> Iterator[None]:
        """Let the clerk make round after round meanwhile."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(0.1):
                self.rounds.append(self.invoke("clerk", {}))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def updated(folder: Path) -> Iterator[Updated]:
    """Deploy the last release, put work in flight, update to the code that is checked out; yield what is there then.

    Raises:
        NoHistoryError: this clone does not say what was released.
    """
    old = folder / "old"
    releases.export(REPOSITORY, releases.last(REPOSITORY).commit, old)
    _differ(old)
    with local_stack.own_environment(), Sandbox(table_seconds=0.0, quiet_stacks=True) as running:
        stack = deploy(running, old / "template.yaml", "evenkeel", {**local_stack.PARAMETERS, "EnabledGroups": GROUPS})
        push(running, stack, settings(freezes=[FREEZE]))
        person = running.create_user("operator")
        there = Updated(
            Place(running, stack, operator(running, stack, person)),
            person,
            inbox.subscribe(running, stack, RawMessageDelivery="true"),
        )
        _put_in_flight(there)
        with there.clerk_at_work():
            there.deploy(REPOSITORY, GROUPS)
        yield there


def _differ(old: Path) -> None:
    """Make the old tree differ from the present one, whatever was changed since."""
    for path, (now, before) in BEFORE.items():
        text = (old / path).read_text(encoding="utf-8")
        assert now in text, f"{path} of the release has no {now!r}: write another difference"
        (old / path).write_text(text.replace(now, before, 1), encoding="utf-8")
    # Of what the layer brings along, only the versions of this environment are here to be packaged.
    pinned = "layers/engine/requirements.txt"
    (old / pinned).write_bytes((REPOSITORY / pinned).read_bytes())


def _put_in_flight(there: Updated) -> None:
    """Leave work of each kind unfinished."""
    there.key("repaired")
    there.group("first"), there.table("asked")
    there.group("exempt"), there.table("later")
    there.kept["repaired"] = there.awaited("repaired", "REMEDIATED", CONTROL)["record_id"]
    there.awaited("first", "REMEDIATED", RETENTION)
    there.group("second")
    for name in ("asked", "later"):
        there.kept[name] = there.awaited(name, "AWAITING", RECOVERY)["record_id"]
        there.awaited(name, "HELD", PROTECTION)
    there.awaited("second", "HELD", RETENTION)
    _open_plan(there)
    terms = {"controls": [CONTROL], "resources": "all", "dry_run": False}
    there.kept["run"] = there.invoke("kms", {"open_run": terms}, proved=True)["run"]
    assert there.invoke("clerk", {}) == {"due": 0, "stuck": 0}


def _open_plan(there: Updated) -> None:
    """Leave a plan without an outcome, then one event as a dead letter and one in a paused queue."""
    fault = there.place.sandbox.faults.add("kms", "EnableKeyRotation", code="KMSInternalException", status=500)
    there.key("planned")
    there.kept["plan"] = there.awaited("planned", "PLANNED", CONTROL)["record_id"]
    assert there.place.run("pause").exit_code == 0
    eventually(lambda: there.waiting("kms"), "the message's return")
    there.client("sqs").purge_queue(QueueUrl=there.queue("kms"))  # its worker is dead: only the clerk knows of the plan
    there.place.sandbox.faults.clear(fault)
    there.key("dead")
    event = there.take("kms")
    origin, dead = there.queue("kms"), there.queue("dead-letters")
    told = {"reason": "Crashed: by a test", "origin": origin}
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in told.items()}
    there.client("sqs").send_message(QueueUrl=dead, MessageBody=event["Body"], MessageAttributes=attributes)
    there.key("waiting")
    eventually(lambda: there.waiting("kms") == 1, "the event in the paused queue")
