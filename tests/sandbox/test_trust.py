"""What lets people trust Evenkeel with `enforce`, on the real stack with IAM enforced."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from evenkeel import records
from evenkeel.caller import sign
from evenkeel.state import unwire, wire
from sandbox.client import Sandbox
from sandbox.deploy import Stack, deploy
from sandbox.settings import push
from tests.world import cloudtrail, sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTROL = "kms-key-rotation"
RETENTION = "logs-group-retention"
RECOVERY = "dynamodb-point-in-time-recovery"
PATIENCE_SECONDS = 120.0
PARALLEL = 20


@dataclass(frozen=True)
class Place:
    """The stack, two people who may do everything, and when its freeze ends."""

    sandbox: Sandbox
    stack: Stack
    alice: boto3.Session
    bob: boto3.Session
    inbox: str
    thaws: datetime
    frozen: str = field(default="/frozen")

    def records(self, arn: str, control: str = CONTROL) -> list[dict[str, Any]]:
        """Return the records of a resource and control, oldest first."""
        pages = (
            self.sandbox.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.stack.outputs["AuditTableName"],
                KeyConditionExpression="#r = :r",
                ExpressionAttributeNames={"#r": "resource"},
                ExpressionAttributeValues={":r": {"S": arn}},
            )
        )
        found = [unwire(item) for page in pages for item in page["Items"]]
        return [record for record in found if record["control"] == control]

    def outcomes(self, arn: str, control: str = CONTROL) -> list[str]:
        """Return the outcomes of a resource and control, oldest first."""
        return [record["outcome"] for record in self.records(arn, control) if "outcome" in record]

    def awaited(self, arn: str, outcome: str, control: str = CONTROL, count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th record with an outcome; return the last."""

        def found() -> list[dict[str, Any]]:
            fitting = [each for each in self.records(arn, control) if each.get("outcome") == outcome]
            return fitting if len(fitting) >= count else []

        last: dict[str, Any] = _eventually(found, f"{outcome} of {control} at {arn}")[-1]
        return last

    def chain_is_unbroken(self, arn: str, control: str = CONTROL) -> bool:
        """Prove a chain against the head in the state table."""
        key = wire({"pk": f"{control}#{arn}"})
        item = self.sandbox.client("dynamodb").get_item(TableName=self.stack.outputs["StateTableName"], Key=key)["Item"]
        found = self.records(arn, control)
        return len(records.chained(found, item["head"]["S"], arn, datetime.now(UTC))) == len(found)

    def decide(self, who: boto3.Session, **payload: Any) -> dict[str, Any]:
        """Send a person's proved decision about a record or control to the KMS function."""
        proof = sign(who, self.sandbox.endpoint, self.stack.name, payload)
        return self.invoke(self.stack.outputs["KmsFunctionName"], {**payload, "caller": proof}, who)

    def invoke(self, function: str, payload: dict[str, Any], who: boto3.Session | None = None) -> dict[str, Any]:
        """Invoke a function and return its answer."""
        answer = self.sandbox.client("lambda", who, read_timeout=120).invoke(
            FunctionName=function, Payload=json.dumps(payload)
        )
        found: dict[str, Any] = json.load(answer["Payload"])
        return found

    def rotates(self, arn: str) -> bool:
        """Say whether a key rotates."""
        return bool(self.sandbox.client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"])

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that came since the last call."""
        client, found = self.sandbox.client("sqs"), []
        while batch := client.receive_message(
            QueueUrl=self.inbox, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in batch:
                found.append(message)
                client.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return found


def _eventually(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


def _document(thaws: datetime) -> dict[str, Any]:
    begins = thaws - timedelta(hours=1)
    return {
        "schema_version": 1,
        "settle_seconds": 0,
        "controls": {
            CONTROL: {"mode": "approve", "overrides": [{"tags": {"env": ["dev"]}, "mode": "enforce"}]},
            "tagging-required-tags": {"mode": "off"},
        },
        "exemptions": [
            {"controls": [RECOVERY], "resources": ["*:table/scratch-*"], "reason": "lab", "approver": "ciso",
             "expires": "2099-01-01"}
        ],
        "freezes": [
            {"name": "a release", "cron": f"{begins.minute} {begins.hour} * * *", "hours": 1, "controls": [RETENTION]}
        ],
    }  # fmt: skip


def _inbox(sandbox: Sandbox, stack: Stack) -> str:
    """Return the URL of a queue that hears every alert."""
    sqs = sandbox.client("sqs")
    url = str(sqs.create_queue(QueueName="inbox")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": arn}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    topic = next(value for name, value in stack.outputs.items() if "Topic" in name and value.startswith("arn:"))
    sandbox.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return url


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack on a sandbox of its own, its settings pushed, and one log group made in a freeze."""
    with Sandbox(table_seconds=0.0) as running:
        stack = deploy(running)
        alice, bob = running.create_user("alice"), running.create_user("bob")
        thaws = (datetime.now(UTC) + timedelta(seconds=100)).replace(second=0, microsecond=0)
        push(running, stack, _document(thaws))
        there = Place(running, stack, alice, bob, _inbox(running, stack), thaws)
        running.client("logs", alice).create_log_group(logGroupName=there.frozen)
        yield there


def _dev_key(place: Place) -> str:
    """Return a development key whose creation was repaired."""
    tags = [{"TagKey": "env", "TagValue": "dev"}]
    arn = str(place.sandbox.client("kms", place.alice).create_key(Tags=tags)["KeyMetadata"]["Arn"])
    place.awaited(arn, "REMEDIATED")
    return arn


def test_approval_is_another_persons_and_counts_once(place: Place) -> None:
    """People could approve what they caused, or nobody could approve anything."""
    arn = str(place.sandbox.client("kms", place.alice).create_key()["KeyMetadata"]["Arn"])
    name = place.awaited(arn, "AWAITING")["record_id"]
    refused = place.decide(place.alice, approve=name, resource=arn)
    assert "user/alice caused it; somebody else has to decide" in refused["error"]
    assert not place.rotates(arn)
    (done,) = place.decide(place.bob, approve=name, resource=arn)["results"]
    assert (done["outcome"], place.rotates(arn)) == ("REMEDIATED", True)
    assert "was decided" in place.decide(place.bob, approve=name, resource=arn)["error"]
    assert place.records(arn)[-1]["approver"].endswith(":user/bob")
    assert place.chain_is_unbroken(arn)


def test_approvals_at_once_make_one_change(place: Place) -> None:
    """Two people who approve at the same moment would change the resource twice."""
    arn = str(place.sandbox.client("kms", place.alice).create_key()["KeyMetadata"]["Arn"])
    name = place.awaited(arn, "AWAITING")["record_id"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: place.decide(place.bob, approve=name, resource=arn), range(4)))
    outcomes = [result["outcome"] for answer in answers for result in answer.get("results", ())]
    assert outcomes.count("REMEDIATED") == 1
    assert place.outcomes(arn) == ["AWAITING", "REMEDIATED"]
    assert place.chain_is_unbroken(arn)


def test_what_is_exempt_is_left_alone_and_its_neighbour_is_not(place: Place) -> None:
    """An approved exemption would be ignored, or hide more than was approved."""
    client = place.sandbox.client("dynamodb", place.alice)
    arns = [
        str(client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )["TableDescription"]["TableArn"])
        for name in ("scratch-1", "orders")
    ]  # fmt: skip
    place.awaited(arns[1], "REMEDIATED", RECOVERY)
    line = _eventually(
        lambda: [each for each in place.sandbox.logs("evenkeel-dynamodb") if '"SKIPPED"' in each and arns[0] in each],
        "the skipped table",
    )
    assert "exempt until 2099-01-01: lab (approved by ciso)" in line[0]
    assert place.records(arns[0], RECOVERY) == []


def test_tug_of_war_is_stopped_and_names_who(place: Place) -> None:
    """Evenkeel and a pipeline would set each other back for ever, and nobody would learn whose pipeline it is."""
    arn = _dev_key(place)
    kms = place.sandbox.client("kms", place.alice)
    for count in (2, 3):
        kms.disable_key_rotation(KeyId=arn)
        place.awaited(arn, "REMEDIATED", count=count)
    kms.disable_key_rotation(KeyId=arn)
    held = place.awaited(arn, "HELD")
    assert held["severity"] == "CRITICAL"
    assert "set back again by arn:aws:iam::123456789012:user/alice with DisableKeyRotation" in held["detail"]
    assert not place.rotates(arn)
    alert = _eventually(
        lambda: [each for each in place.alerts() if held["record_id"] in each["Body"]], "the alert of the tug of war"
    )
    assert alert[0]["MessageAttributes"]["severity"]["StringValue"] == "CRITICAL"
    (released,) = place.decide(place.bob, release=CONTROL, resource=arn)["results"]
    assert (released["outcome"], place.rotates(arn)) == ("REMEDIATED", True)
    assert place.chain_is_unbroken(arn)


def test_parallel_equal_events_make_one_change(place: Place) -> None:
    """An event that is delivered many times at once would change the resource many times, or fork its chain."""
    arn = _dev_key(place)
    place.sandbox.client("kms", place.alice).disable_key_rotation(KeyId=arn)
    event = cloudtrail(
        "kms.amazonaws.com",
        "DisableKeyRotation",
        requestParameters={"keyId": arn},
        resources=[{"ARN": arn, "type": "AWS::KMS::Key"}],
    )
    function = place.stack.outputs["KmsFunctionName"]

    def deliver(number: int) -> dict[str, Any]:
        batch = sqs_event(event)
        batch["Records"][0]["messageId"] = f"parallel-{number}"
        return place.invoke(function, batch)

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(deliver, range(PARALLEL)))
    assert answers == [{"batchItemFailures": []}] * PARALLEL
    place.awaited(arn, "REMEDIATED", count=2)
    time.sleep(5)  # those that found another at work come again
    assert place.outcomes(arn) == ["REMEDIATED"] * 2
    assert len(place.records(arn)) == 4
    assert place.chain_is_unbroken(arn)


def _evenkeels_roles(place: Place) -> dict[str, boto3.Session]:
    """Return a session of every role of the stack, by its name; root lets alice assume them."""
    iam, found = place.sandbox.client("iam"), {}
    sts = place.sandbox.client("sts", place.alice)
    for role in iam.list_roles(PathPrefix="/evenkeel/")["Roles"]:
        trust = iam.get_role(RoleName=role["RoleName"])["Role"]["AssumeRolePolicyDocument"]
        trust = trust if isinstance(trust, dict) else json.loads(trust)
        alice = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}
        wider = {**trust, "Statement": [*trust["Statement"], alice]}
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=json.dumps(wider))
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="thief")["Credentials"]
        found[role["RoleName"]] = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=place.sandbox.region
        )
    return found


def _attempts(client: Any, table: str, record: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return the ways to change or remove a record that is there, but for a put."""
    key = wire({name: record[name] for name in ("resource", "record_id")})
    keys = [key["resource"], key["record_id"]]
    change: dict[str, Any] = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET reason = :x",
        "ExpressionAttributeValues": {":x": {"S": "nothing"}},
    }
    update = f"UPDATE \"{table}\" SET reason='nothing' WHERE resource=? AND record_id=?"  # noqa: S608 - the stack's own table
    delete = f'DELETE FROM "{table}" WHERE resource=? AND record_id=?'  # noqa: S608 - as above
    insert = f"INSERT INTO \"{table}\" VALUE {{'resource': ?, 'record_id': 'planted'}}"
    batch = client.batch_write_item
    return {
        "UpdateItem": lambda: client.update_item(**change),
        "DeleteItem": lambda: client.delete_item(TableName=table, Key=key),
        "BatchWriteItem put": lambda: batch(RequestItems={table: [{"PutRequest": {"Item": wire(record)}}]}),
        "BatchWriteItem delete": lambda: batch(RequestItems={table: [{"DeleteRequest": {"Key": key}}]}),
        "TransactWriteItems update": lambda: client.transact_write_items(TransactItems=[{"Update": change}]),
        "TransactWriteItems delete": lambda: client.transact_write_items(
            TransactItems=[{"Delete": {"TableName": table, "Key": key}}]
        ),
        "PartiQL update": lambda: client.execute_statement(Statement=update, Parameters=keys),
        "PartiQL delete": lambda: client.execute_statement(Statement=delete, Parameters=keys),
        "PartiQL insert": lambda: client.execute_statement(Statement=insert, Parameters=keys[:1]),
        "PartiQL batch": lambda: client.batch_execute_statement(Statements=[{"Statement": delete, "Parameters": keys}]),
        "PartiQL transaction": lambda: client.execute_transaction(
            TransactStatements=[{"Statement": update, "Parameters": keys}]
        ),
    }


def test_nobody_changes_or_removes_a_record(place: Place) -> None:
    """Who can run any function of the stack, or administers the account, could rewrite what Evenkeel did."""
    arn = _dev_key(place)
    before, table = place.records(arn), place.stack.outputs["AuditTableName"]
    people: dict[str, Any] = {"root": None, "administrator": place.alice, **_evenkeels_roles(place)}
    assert len(people) >= 8
    let_through = []
    for who, session in people.items():
        client = place.sandbox.client("dynamodb", session, retries={"total_max_attempts": 1})
        for how, attempt in _attempts(client, table, before[-1]).items():
            try:
                answer = attempt()
            except ClientError as error:
                if "AccessDenied" not in str(error):
                    let_through.append(f"{who}: {how}: {error}")
            else:
                errors = [each["Error"]["Code"] for each in answer.get("Responses", ()) if "Error" in each]
                if errors != ["AccessDenied"]:
                    let_through.append(f"{who}: {how}")
    assert let_through == []
    assert place.records(arn) == before
    assert place.chain_is_unbroken(arn)


def test_only_evenkeels_own_roles_put_and_an_overwriting_put_is_a_critical_alert(place: Place) -> None:
    """A record could be overwritten, which IAM cannot forbid those who write it, and nobody would be called."""
    arn = _dev_key(place)
    record, table = place.records(arn)[-1], place.stack.outputs["AuditTableName"]
    forged = wire({**record, "reason": "nothing happened"})
    put: dict[str, Any] = {"TableName": table, "Item": forged}
    for session in (None, place.alice):
        client = place.sandbox.client("dynamodb", session)
        for attempt in (
            lambda: client.put_item(**put),  # noqa: B023 - called at once
            lambda: client.transact_write_items(TransactItems=[{"Put": put}]),  # noqa: B023 - as above
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                attempt()
    thief = next(session for name, session in _evenkeels_roles(place).items() if "kms" in name.lower())
    place.alerts()
    place.sandbox.client("dynamodb", thief).put_item(**put)
    alert = _eventually(
        lambda: [each for each in place.alerts() if record["record_id"] in each["Body"]], "the alert of tampering"
    )[0]
    assert "MODIFY of reason" in alert["Body"]
    attributes = {name: value["StringValue"] for name, value in alert["MessageAttributes"].items()}
    assert (attributes["kind"], attributes["severity"]) == ("Tampering", "CRITICAL")
    with pytest.raises(records.BrokenChainError, match="was changed after it was written"):
        place.chain_is_unbroken(arn)


def test_planted_record_that_fits_itself_is_a_critical_alert(place: Place) -> None:
    """Whoever gets hold of a role of ours could have people told that a weak resource was mended."""
    record = place.records(_dev_key(place))[-1]
    kept = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    forged = records.seal({**kept, "record_id": records.new_id(datetime.now(UTC))}, record["hash"])
    thief = next(session for name, session in _evenkeels_roles(place).items() if "kms" in name.lower())
    place.alerts()
    table = place.stack.outputs["AuditTableName"]
    place.sandbox.client("dynamodb", thief).put_item(TableName=table, Item=wire(forged))
    [alert] = _eventually(
        lambda: [each for each in place.alerts() if forged["record_id"] in each["Body"]], "the alert of tampering"
    )
    assert alert["MessageAttributes"]["kind"]["StringValue"] == "Tampering"


def test_what_came_up_in_a_freeze_is_repaired_when_it_ends(place: Place) -> None:
    """A freeze would lose what came up in it, or end before its time."""
    arn = f"arn:aws:logs:{place.sandbox.region}:{place.sandbox.account}:log-group:{place.frozen}"
    held = place.awaited(arn, "HELD", RETENTION)
    assert held["detail"] == f"frozen until {place.thaws:%Y-%m-%d %H:%M} UTC"
    clerk = place.stack.outputs["ClerkFunctionName"]
    if datetime.now(UTC) < place.thaws - timedelta(seconds=5):
        place.invoke(clerk, {})
        assert place.outcomes(arn, RETENTION) == ["HELD"]
    time.sleep(max(0.0, (place.thaws - datetime.now(UTC)).total_seconds()) + 1)
    assert place.invoke(clerk, {})["due"] >= 1
    place.awaited(arn, "REMEDIATED", RETENTION)
    (group,) = place.sandbox.client("logs").describe_log_groups(logGroupNamePrefix=place.frozen)["logGroups"]
    assert group["retentionInDays"]
    assert place.chain_is_unbroken(arn, RETENTION)
