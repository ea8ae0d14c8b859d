"""Buckets on the real stack with IAM enforced: what somebody weakens, what is public on purpose, whose policy it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.cases.s3_tls_only_policy import OURS, READER
from tests.sandbox.cli_stack import Place, eventually, on, strict
from tests.world import cloudtrail, sqs_event

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

BLOCK, TLS, VERSIONS = "s3-bucket-public-access-block", "s3-tls-only-policy", "s3-versioning"
OTHER = "210987654321"


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack with the undo function."""
    return on(shared, strict())


@pytest.fixture(scope="module")
def alice(place: Place, shared: Shared) -> Any:
    """An S3 client of an IAM user who may do everything."""
    return place.sandbox.client("s3", shared.user("alice"))


def _bucket(client: Any, name: str) -> str:
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return f"arn:aws:s3:::{name}"


def _about(name: str, statement: dict[str, Any]) -> dict[str, Any]:
    """Return a statement of the decision table, for another bucket."""
    return dict(json.loads(json.dumps(statement).replace(":::orders", f":::{name}")))


def _put(client: Any, name: str, *statements: dict[str, Any]) -> str:
    text = json.dumps({"Version": "2012-10-17", "Statement": [_about(name, each) for each in statements]})
    client.put_bucket_policy(Bucket=name, Policy=text)
    return text


def _told(client: Any, operation: str, absent: str, name: str) -> dict[str, Any]:
    """Return S3's answer about a bucket, empty where it says that there is no such configuration."""
    try:
        return dict(getattr(client, operation)(Bucket=name))
    except ClientError as error:
        if error.response["Error"]["Code"] != absent:
            raise
        return {}


def _statements(client: Any, name: str) -> list[dict[str, Any]]:
    found = _told(client, "get_bucket_policy", "NoSuchBucketPolicy", name)
    return list(json.loads(found["Policy"])["Statement"]) if found else []


def _is_blocked(client: Any, name: str) -> bool:
    found = _told(client, "get_public_access_block", "NoSuchPublicAccessBlockConfiguration", name)
    return bool(found) and all(found["PublicAccessBlockConfiguration"].values())


def test_block_that_is_taken_off_comes_back_and_can_be_taken_off_for_good(place: Place, alice: Any) -> None:
    """If this fails, a bucket stays open to the public, or cannot be opened on purpose."""
    arn = _bucket(alice, "invoices")
    alice.delete_public_access_block(Bucket="invoices")
    record = place.outcome(arn, control=BLOCK)
    assert _is_blocked(alice, "invoices")
    assert record["actor"]["principal"].endswith("user/alice")
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    assert not _is_blocked(alice, "invoices")


def test_website_stays_open(place: Place, alice: Any) -> None:
    """If this fails, a bucket that serves the public on purpose is shut, or cut off from plain HTTP."""
    assert place.run("pause").exit_code == 0
    arn = _bucket(alice, "website")
    alice.delete_public_access_block(Bucket="website")
    _put(alice, "website", {**READER, "Principal": "*"})
    assert place.run("resume").exit_code == 0
    for control, says in ((BLOCK, "policy is public"), (TLS, "everybody without a signature")):
        assert says in place.outcome(arn, "ANNOUNCED", control)["detail"]
    assert not _is_blocked(alice, "website")
    assert _statements(alice, "website") == [_about("website", {**READER, "Principal": "*"})]


def test_bucket_that_an_access_control_list_opens_is_critical(place: Place, alice: Any) -> None:
    """If this fails, a bucket that somebody makes public hides behind the alert that it may become so."""
    arn = _bucket(alice, "photos")
    alice.put_bucket_ownership_controls(
        Bucket="photos", OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    alice.delete_public_access_block(Bucket="photos")
    assert place.outcome(arn, "ANNOUNCED", BLOCK)["severity"] == "HIGH"
    alice.put_bucket_acl(Bucket="photos", ACL="public-read")

    def told() -> list[str]:
        records = place.ask("audit", "list", "--resource", arn, "--control", BLOCK)
        return [record["reason"] for record in records if record["severity"] == "CRITICAL"]

    eventually(lambda: bool(told()), "an alert about the open bucket")
    assert "its access control list grants READ to AllUsers" in told()[0]


def test_statement_joins_the_owners_policy_and_leaves_it(place: Place, alice: Any) -> None:
    """If this fails, a policy loses what its owner wrote: by a repair, by its undo, or by an undo that is forced."""
    arn = _bucket(alice, "reports")
    place.outcome(arn, control=TLS)
    text = _put(alice, "reports", READER)
    both = [_about("reports", READER), _about("reports", OURS)]
    eventually(lambda: _statements(alice, "reports") == both, "our statement after the owner's")
    eventually(lambda: len(place.listed(arn, "REMEDIATED", TLS)) == 2, "the record of the second repair")
    newest = place.outcome(arn, control=TLS)["record_id"]
    _put(alice, "reports", READER, {**READER, "Sid": "Later"}, OURS)
    forced = place.run("undo", newest, "--yes", "--force")
    assert forced.exit_code != 0
    assert "edit it by hand" in forced.stderr
    assert len(_statements(alice, "reports")) == 3
    _put(alice, "reports", READER, OURS)
    assert place.run("undo", newest, "--yes").exit_code == 0
    assert _statements(alice, "reports") == json.loads(text)["Statement"]


def test_versions_are_announced_and_not_switched_on(place: Place, alice: Any) -> None:
    """If this fails, Evenkeel runs up storage costs that nobody asked for."""
    arn = _bucket(alice, "scratch")
    assert place.outcome(arn, "ANNOUNCED", VERSIONS)["calls"][0]["operation"] == "put_bucket_versioning"
    assert "Status" not in alice.get_bucket_versioning(Bucket="scratch")


def test_bucket_of_another_account_is_left_alone(place: Place) -> None:
    """If this fails, an event of this account that names somebody else's bucket ends in a change or an alarm."""
    theirs = place.sandbox.client("s3", boto3.Session(OTHER, "test", region_name="eu-west-1"))
    _bucket(theirs, "elsewhere")
    everything = {
        "Sid": "Any",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::elsewhere",
    }
    theirs.delete_public_access_block(Bucket="elsewhere")
    _put(theirs, "elsewhere", everything)
    event = cloudtrail("s3.amazonaws.com", "PutBucketVersioning", requestParameters={"bucketName": "elsewhere"})
    function, payload = place.stack.resources["S3Function"], json.dumps(sqs_event(event))
    answer = place.sandbox.client("lambda").invoke(FunctionName=function, Payload=payload)
    assert json.load(answer["Payload"]) == {"batchItemFailures": []}
    assert place.ask("audit", "list", "--resource", "arn:aws:s3:::elsewhere") == []
    assert [line for line in place.sandbox.logs(function) if "GONE" in line]
