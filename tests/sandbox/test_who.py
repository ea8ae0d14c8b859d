"""Who acts on Evenkeel is named, on the real stack with IAM enforced: runs, pauses, pushes, letters sent back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import names
from sandbox.deploy.settings import push
from tests.sandbox import inbox
from tests.sandbox.cli_stack import CONTROL, Place, eventually, standing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, and an operator who may do everything."""
    with standing() as there:
        yield there


@pytest.fixture(scope="module")
def alerts(place: Place) -> str:
    """The URL of a queue that hears the stack's alerts."""
    return inbox.subscribe(place.sandbox, place.stack, RawMessageDelivery="true")


def operator(place: Place) -> str:
    """Return the ARN of who uses the command line."""
    keys = {"aws_access_key_id": place.operator["AWS_ACCESS_KEY_ID"]}
    users = place.sandbox.client("iam").list_users()["Users"]
    names = [user["UserName"] for user in users]
    of = place.sandbox.client("iam").list_access_keys
    (arn,) = [
        user["Arn"] for user, name in zip(users, names, strict=True)
        if keys["aws_access_key_id"] in {key["AccessKeyId"] for key in of(UserName=name)["AccessKeyMetadata"]}
    ]  # fmt: skip
    return str(arn)


def written(place: Place, outcome: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait for records with an outcome; return them, the newest first."""

    def found() -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = place.ask("audit", "list", "--outcome", outcome)
        return records if len(records) >= count else []

    records: list[dict[str, Any]] = eventually(found, f"{count} of {outcome}")
    return records


def heard(place: Place, url: str, record_id: str) -> str:
    """Wait for the alert of a record; return its text."""
    (message,) = eventually(
        lambda: [each for each in inbox.take(place.sandbox, url) if record_id in each["Body"]], f"alert of {record_id}"
    )
    return str(message["Body"])


def test_a_run_names_who_ran_it_in_record_and_alert(place: Place, alerts: str) -> None:
    """If this fails, somebody changes existing resources by hand and neither audit nor on-call can say who."""
    assert place.run("pause").exit_code == 0
    key = place.sandbox.client("kms", place.sandbox.admin()).create_key()["KeyMetadata"]["Arn"]
    done = place.ask("run", CONTROL, "--resource", key, "--apply", "--yes")
    record = place.outcome(key)
    assert (record["actor"]["principal"], record["run"]) == (operator(place), done["run"])
    assert f"{operator(place)} with Run at " in heard(place, alerts, record["record_id"])
    (opened,), (ended,) = written(place, "OPENED"), written(place, "ENDED")
    assert {opened["resource"].rpartition("/")[2], ended["resource"].rpartition("/")[2]} == {done["run"]}
    assert (opened["before"]["resources"], ended["actor"]["principal"]) == ([key], operator(place))
    function = place.stack.resources["KmsFunction"]
    payload = {"control": CONTROL, "resources": [key], "dry_run": False}
    for run in ({}, {"run": done["run"]}):
        client = place.sandbox.client("lambda", read_timeout=120)
        answer = json.load(client.invoke(FunctionName=function, Payload=json.dumps(payload | run))["Payload"])
        assert answer["error"]["kind"] == "RunRefusedError"
    assert place.run("resume", "--yes").exit_code == 0


def test_pause_and_resume_name_who_whatever_the_client(place: Place, alerts: str) -> None:
    """If this fails, repair is switched off for everybody, and nobody is told or can say by whom."""
    before = len(place.ask("audit", "list", "--outcome", "PAUSED"))
    assert place.run("pause").exit_code == 0
    groups = place.stack.outputs["Groups"].split(",")
    paused = written(place, "PAUSED", before + len(groups))[: len(groups)]
    assert {each["actor"]["principal"] for each in paused} == {operator(place)}
    assert {each["resource"].split(":")[6].partition("/")[0] for each in paused} == {
        names.function(place.stack.name, group) for group in groups
    }  # fmt: skip
    source = place.sandbox.client("lambda")
    source.update_event_source_mapping(UUID=place.stack.resources["KmsSource"], Enabled=True)

    def by_root() -> list[dict[str, Any]]:
        found = place.ask("audit", "list", "--outcome", "RESUMED")
        return [each for each in found if each["actor"]["principal"].endswith(":root")]

    (resumed,) = eventually(by_root, "the record of what root did without the command line")
    assert "kms controls was switched on" in heard(place, alerts, resumed["record_id"])
    assert place.run("resume", "--yes").exit_code == 0


def test_a_push_of_settings_names_who(place: Place, alerts: str) -> None:
    """If this fails, a control is switched off by its settings, and nobody is told or can say by whom."""
    alice = place.sandbox.create_user("alice-pushes")
    number = push(place.sandbox, place.stack, {"schema_version": 1, "settle_seconds": 3}, alice)

    def of_this_push() -> list[dict[str, Any]]:
        found = place.ask("audit", "list", "--outcome", "PUSHED")
        return [each for each in found if each["before"]["requestParameters"]["configurationVersion"] == f"{number}"]

    (record,) = eventually(of_this_push, f"the record of settings {number}")
    assert record["actor"]["principal"].endswith(":user/alice-pushes")
    assert f"version {number} of the settings" in heard(place, alerts, record["record_id"])


def test_letters_sent_back_name_who_and_need_the_clerk_only(place: Place, alerts: str) -> None:
    """If this fails, old events are acted on again, and nobody is told or can say who wanted so."""
    sqs = place.sandbox.client("sqs")
    dead = place.stack.outputs["DeadLetterQueueUrl"]
    letter = sqs.send_message(QueueUrl=dead, MessageBody='{"detail-type": "nothing"}')["MessageId"]
    assert place.ask("dlq", "redrive", letter, "--to", "kms")["sent"] == [{"id": letter, "group": "kms"}]
    (record,) = written(place, "REDRIVEN")
    assert (record["actor"]["principal"], record["before"]) == (operator(place), {"messages": {"kms": [letter]}})
    assert operator(place) in heard(place, alerts, record["record_id"])
