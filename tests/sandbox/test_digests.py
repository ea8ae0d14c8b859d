"""The daily digest on the real stack with IAM enforced: who can make one, and what it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from evenkeel.audit import digests
from evenkeel.audit.records import seal
from evenkeel.runtime.dynamodb import unwire, wire
from tests.sandbox.cli_stack import CONTROL, Place, eventually, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.audit.records import Record


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, and a person who may do everything."""
    with standing() as there:
        yield there


@pytest.fixture(scope="module")
def keys(place: Place) -> list[str]:
    """Return the ARNs of four repaired keys, in the digest of today."""
    arns = [place.repaired_key()[0] for _ in range(4)]
    clerk(place)
    return arns


def clerk(place: Place) -> None:
    """Wake the clerk, as its schedule does."""
    name = place.stack.outputs["ClerkFunctionName"]
    answer = place.sandbox.client("lambda").invoke(FunctionName=name, Payload="{}")
    assert "FunctionError" not in answer, answer["Payload"].read()


def records(place: Place, arn: str) -> list[Record]:
    """Return the records of a key's rotation, oldest first."""
    return list(reversed(place.ask("audit", "list", "--resource", arn, "--control", CONTROL)))


def put(place: Place, *chain: Record) -> None:
    """Write records past the tables' policies, and make the last one the head."""
    for record in chain:
        place.put(record)
    last = chain[-1]
    place.sandbox.client("dynamodb").update_item(
        TableName=place.stack.outputs["StateTableName"],
        Key=wire({"pk": f"{CONTROL}#{last['resource']}"}),
        UpdateExpression="SET head = :hash, head_record = :id, head_expires_at = :until",
        ExpressionAttributeValues=wire({":hash": last["hash"], ":id": last["record_id"], ":until": last["expires_at"]}),
    )


def roles(place: Place) -> dict[str, boto3.Session]:
    """Return a session of every role of the stack, by its name; root lets the operator assume them."""
    iam, found = place.sandbox.client("iam"), {}
    operator = boto3.Session(
        place.operator["AWS_ACCESS_KEY_ID"], place.operator["AWS_SECRET_ACCESS_KEY"], region_name=place.sandbox.region
    )
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{place.sandbox.account}:root"},
             "Action": "sts:AssumeRole"}  # fmt: skip
    for role in iam.list_roles(PathPrefix="/evenkeel/")["Roles"]:
        document = {"Version": "2012-10-17", "Statement": [trust]}
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=json.dumps(document))
        sts = place.sandbox.client("sts", operator)
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="thief")["Credentials"]
        found[role["RoleName"]] = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=place.sandbox.region
        )
    found["administrator"] = operator
    return found


def test_clerk_makes_a_digest_that_the_operator_can_prove(place: Place, keys: list[str]) -> None:
    """If this fails, the deployed clerk may not do what a digest takes, or nobody can check it."""
    report = place.ask("audit", "verify")
    assert (report["ok"], report["digests"]["days"]) == (True, 1)
    clerk(place)
    assert place.ask("audit", "verify")["digests"]["days"] == 1
    told = place.sandbox.logs("evenkeel-notifier")
    assert any('"digest"' in line for line in told)
    assert not any('"tampering"' in line for line in told)
    assert len(keys) == 4


def answer(ask: Callable[..., Any], **params: Any) -> str:
    """Return the error code of a call, or ``done``."""
    try:
        ask(**params)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def test_only_the_clerk_can_make_a_mac(place: Place) -> None:
    """If this fails, a remediator or an administrator can give a forged digest its MAC."""
    made, checked = {}, {}
    for name, session in roles(place).items():
        kms = place.sandbox.client("kms", session, retries={"total_max_attempts": 1})
        message = digests.to_sign("0" * 64, place.stack.outputs["DigestKeyArn"])
        made[name] = answer(kms.generate_mac, **message)
        checked[name] = answer(kms.verify_mac, **message, Mac=b"0" * 32)
    assert set(made.values()) == {"done", "AccessDeniedException"}
    (maker,) = [name for name, what in made.items() if what == "done"]
    assert maker.endswith("-clerk")
    assert set(checked.values()) == {digests.WRONG_MAC, "AccessDeniedException"}
    one, other = sorted(name for name, what in checked.items() if what == digests.WRONG_MAC)
    assert (one, other.endswith("-notifier")) == ("administrator", True)


def test_operator_without_the_key_is_told_that_the_digests_are_not_verified(place: Place, keys: list[str]) -> None:
    """If this fails, a verification without the digests looks like one with them."""
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["cloudformation:DescribeStacks", "dynamodb:*"], "Resource": "*"},
        ],
    }
    credentials: Any = place.sandbox.create_user("auditor", document).get_credentials()
    auditor = {**place.operator, "AWS_ACCESS_KEY_ID": credentials.access_key,
               "AWS_SECRET_ACCESS_KEY": credentials.secret_key}  # fmt: skip
    result = Place(place.sandbox, place.stack, auditor).run("audit", "verify", "--resource", keys[0])
    assert result.exit_code == 1
    assert "digests were not verified" in result.stderr
    assert "VerifyMac" in result.stderr


def test_planted_digest_is_a_critical_alert_and_does_not_stop_the_clerk(place: Place, keys: list[str]) -> None:
    """If this fails, a remediator that was taken over can forge a digest unseen, or end them all."""
    thief = next(session for name, session in roles(place).items() if name.endswith("-kms"))
    table = place.stack.outputs["AuditTableName"]
    forged = {"resource": digests.RESOURCE, "record_id": "9999-12-31#0000", "mac": "0" * 64}
    place.sandbox.client("dynamodb", thief).put_item(TableName=table, Item=wire(seal(forged, "")))
    eventually(
        lambda: [line for line in place.sandbox.logs("evenkeel-notifier") if "9999-12-31#0000" in line],
        "the alert of the planted digest",
    )
    clerk(place)
    result = place.run("audit", "verify", "--output", "json")
    (found,) = json.loads(result.stdout)["findings"]
    assert (found["fault"], found["record_id"]) == ("changed", "9999-12-31#0000")
    assert keys


def test_chains_made_anew_or_cut_with_their_heads_are_named(place: Place, keys: list[str]) -> None:
    """If this fails, an administrator can rewrite what Evenkeel did, and nothing shows it."""
    dynamodb = place.sandbox.client("dynamodb")
    for guarded in ("AuditTableArn", "StateTableArn"):  # the tables' own policies would refuse what follows
        dynamodb.delete_resource_policy(ResourceArn=place.stack.outputs[guarded])
    anew: list[Record] = []
    for record in records(place, keys[0]):
        kept = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
        anew.append(seal({**kept, "reason": "nothing was wrong"}, anew[-1]["hash"] if anew else ""))
    put(place, *anew)
    first, last = records(place, keys[1])
    dynamodb.delete_item(
        TableName=place.stack.outputs["AuditTableName"],
        Key=wire({name: last[name] for name in ("resource", "record_id")}),
    )
    put(place, first)
    result = place.run("audit", "verify", "--output", "json")
    assert result.exit_code == 1
    found = {(each["fault"], each["record_id"], each["resource"]) for each in json.loads(result.stdout)["findings"]}
    assert {
        ("rewritten", anew[-1]["record_id"], keys[0]),
        ("truncated", last["record_id"], keys[1]),
    } <= found
    assert {resource for _, _, resource in found} == {keys[0], keys[1], digests.RESOURCE}
    told = place.run("audit", "verify", "--resource", keys[0])
    assert "REWRITTEN" in told.stdout
    assert anew[-1]["record_id"] in told.stdout


def test_heads_of_untouched_chains_are_in_the_digest(place: Place, keys: list[str]) -> None:
    """If this fails, the digest of the real tables lacks chains, or holds other hashes than they do."""
    items = place.sandbox.client("dynamodb").query(
        TableName=place.stack.outputs["AuditTableName"],
        KeyConditionExpression="#r = :r",
        ExpressionAttributeNames={"#r": "resource"},
        ExpressionAttributeValues=wire({":r": digests.RESOURCE}),
    )["Items"]
    parts = [part for part in (digests.Part.read(unwire(item)) for item in items) if part]
    heads = {head.resource: head.hash for part in parts for head in part.heads if head.control == CONTROL}
    assert {arn: records(place, arn)[-1]["hash"] for arn in keys[2:]} == {arn: heads[arn] for arn in keys[2:]}
