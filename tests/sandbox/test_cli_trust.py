"""The commands that show, prove and take back what Evenkeel did, on the real stack in a sandbox with IAM enforced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.records import seal
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel_cli.ui import prompts
from tests.sandbox.cli_stack import CONTROL, Place, eventually, standing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, and a person who may do everything."""
    with standing() as there:
        yield there


def test_the_list_finds_an_outcome_by_time_control_and_outcome(place: Place) -> None:
    """On-call would see an alert and not find what was done, or get another control's records."""
    arn, record_id = place.repaired_key()
    listed = place.ask("audit", "list", "--since", "1h", "--control", CONTROL, "--outcome", "remediated")
    (record,) = (each for each in listed if each["record_id"] == record_id)
    promised = {"record_id", "step", "outcome", "before", "after", "calls", "undo", "actor", "at", "settings_version"}
    assert promised <= record.keys()
    assert record["resource"] == arn
    assert not place.ask("audit", "list", "--control", CONTROL, "--outcome", "DENIED")
    assert {each["control"] for each in listed} == {CONTROL}


def test_the_newest_come_first_and_the_limit_says_that_there_are_more(place: Place) -> None:
    """The record of a minute ago would be on the last page, or missing without a word."""
    place.repaired_key()
    _, newest = place.repaired_key()
    result = place.run("audit", "list", "--control", CONTROL, "--limit", "1")
    assert newest in result.stdout
    assert "There are more" in result.stderr
    times = [each["at"] for each in place.ask("audit", "list")]
    assert times == sorted(times, reverse=True)


def test_a_resources_list_has_the_plan_as_well(place: Place) -> None:
    """A plan that never had an outcome would not be seen anywhere."""
    arn, record_id = place.repaired_key()
    found = place.ask("audit", "list", "--resource", arn, "--control", CONTROL)
    assert [each["step"] for each in found] == ["OUTCOME", "PLANNED"]
    assert [each["record_id"] for each in found] == [record_id, found[0]["plan_id"]]


def test_a_record_is_shown_in_full_and_found_by_its_id_alone(place: Place) -> None:
    """On-call has the id from the alert, and would need the ARN, the shard and three commands to see what was done."""
    arn, record_id = place.repaired_key()
    shown = place.run("audit", "show", record_id).stdout
    key = arn.rpartition("/")[2]
    assert f"aws kms enable-key-rotation --key-id {key} --rotation-period-in-days 365 --region eu-west-1\n" in shown
    assert f"aws kms disable-key-rotation --key-id {key} --region eu-west-1\n" in shown
    for wanted in ("- KeyRotationEnabled: false", "+ KeyRotationEnabled: true", ":root", "2 of 2"):
        assert wanted in shown
    assert place.ask("audit", "show", record_id)["chain"] == {"position": 2, "length": 2, "trouble": ""}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("audit", "show", "019a0000"), "not a record id"),
        (("audit", "show", "01a1f8a02e04-ff902f20115493f0"), "has no record 01a1f8a02e04-ff902f20115493f0"),
        (("audit", "list", "--outcome", "REMEDIED"), "Did you mean REMEDIATED"),
        (("audit", "list", "--control", "kms"), "Did you mean kms-key-rotation"),
        (("audit", "list", "--resource", "absent"), "no resource of this name"),
        (("audit", "list", "--stack", "evenkell"), "there is no stack evenkell"),
        (("undo",), "neither a record id nor --since"),
        (("undo", "01a1f8a02e04-ff902f20115493f0", "--since", "1h"), "one or the other"),
        (("undo", "--since", "soon"), "not a time"),
        (("dlq", "redrive"), "Give the messages' ids, or --all"),
        (("dlq", "drop", "1", "--because", " "), "Write a reason"),
        (("dlq", "redrive", "1", "--to", "kmz"), "no such group"),
        (("settings", "push", "no-such-file.yaml"), "No such file"),
    ],
)
def test_what_cannot_be_is_a_usage_error(place: Place, arguments: tuple[str, ...], told: str) -> None:
    """A typing error would be taken for a failure of AWS, end in a traceback, or do something else."""
    result = place.run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_undo_shows_asks_proves_who_and_takes_back_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change could not be taken back, would be without a question, in another's name, or be repaired again."""
    arn, record_id = place.repaired_key()
    unasked = place.run("undo", record_id)
    assert (unasked.exit_code, place.rotates(arn)) == (2, True)
    assert "aws kms disable-key-rotation" in unasked.stdout

    monkeypatch.setattr(prompts, "at_terminal", lambda: True)
    refused = place.run("undo", record_id)  # the runner's empty stdin answers nothing
    assert (refused.exit_code, place.rotates(arn)) == (1, True)

    done = place.run("undo", record_id, "--yes")
    assert (done.exit_code, place.rotates(arn)) == (0, False)
    assert "UNDONE" in done.stdout
    record = place.outcome(arn, "UNDONE")
    assert record["actor"]["principal"].endswith(":user/operator")
    assert record["undoes"] == record_id

    for again in (record_id, record["record_id"]):
        result = place.run("undo", again, "--yes")
        assert result.exit_code == 1
        assert "next:" in result.stderr
    assert not place.rotates(arn)


def test_undo_of_what_changed_since_needs_force(place: Place) -> None:
    """Undo would throw away what somebody set up meanwhile."""
    arn, record_id = place.repaired_key()
    place.sandbox.client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=100)
    refused = place.run("undo", record_id, "--yes")
    assert refused.exit_code == 1
    assert "changed since" in refused.stderr
    assert place.rotates(arn)
    assert place.run("undo", record_id, "--yes", "--force").exit_code == 0
    assert not place.rotates(arn)


def test_an_undo_whose_answer_is_lost_is_told_as_what_the_audit_says(place: Place) -> None:
    """If this fails, a change that was taken back is told as refused: its answer was lost, and it is not done twice."""
    arn, record_id = place.repaired_key()
    lost = place.sandbox.faults.add(
        "lambda", "Invoke", code="ServiceException", status=500, times=1, skip=1, after=True
    )
    done = place.run("undo", record_id, "--yes")
    place.sandbox.faults.clear(lost)
    assert (done.exit_code, place.rotates(arn)) == (0, False)
    assert "the answer of function evenkeel-undo was lost (ServiceException); trying again in 1 s" in done.stderr
    records = place.ask("audit", "list", "--resource", arn, "--control", CONTROL)
    assert [each.get("outcome", "PLANNED") for each in records] == ["UNDONE", "PLANNED", "REMEDIATED", "PLANNED"]
    assert f"record {records[0]['record_id']}; Evenkeel does not repair it again while it is held" in done.stdout


def test_a_wave_is_taken_back_newest_first_and_can_be_gone_on_with(place: Place) -> None:
    """After a bad push hundreds of changes would have to be taken back by hand, and a break would start all over."""
    wave = [place.repaired_key() for _ in range(3)]
    place.run("undo", wave[1][1], "--yes")
    changed = wave[0][0]
    place.sandbox.client("kms").enable_key_rotation(KeyId=changed, RotationPeriodInDays=100)
    since = place.outcome(wave[0][0])["at"]
    arguments = ("undo", "--since", since, "--control", CONTROL)

    looked = place.run(*arguments, "--dry-run")
    assert looked.exit_code == 0
    assert [place.rotates(arn) for arn, _ in wave] == [True, False, True]
    assert "1 would be undone, 1 would be refused, 1 skipped" in looked.stdout

    first = place.run(*arguments, "--yes")
    assert first.exit_code == 1
    assert [place.rotates(arn) for arn, _ in wave] == [True, False, False]
    lines = [line for line in first.stdout.splitlines() if CONTROL in line and "/2 " in line]
    assert ["UNDONE" in line for line in lines] == [True, False]
    assert "1 undone, 1 refused, 1 skipped" in first.stdout

    second = place.run(*arguments, "--yes", "--force", "--output", "json")
    assert second.exit_code == 0
    report = json.loads(second.stdout)
    assert (report["done"], report["refused"], report["already"]) == (1, 0, 2)
    assert not any(place.rotates(arn) for arn, _ in wave)


def test_dead_letters_are_seen_sent_back_and_dropped(place: Place) -> None:
    """Whatever could not be served would be lost, sent to the wrong function, or hidden while somebody looks."""
    sqs, url = place.sandbox.client("sqs"), place.stack.outputs["DeadLetterQueueUrl"]
    arn = place.sandbox.client("kms").create_key()["KeyMetadata"]["Arn"]
    place.outcome(arn)
    event = {
        "detail-type": "AWS API Call via CloudTrail", "source": "aws.kms", "account": place.sandbox.account,
        "region": place.sandbox.region, "time": "2026-11-20T00:00:00Z",
        "detail": {
            "eventSource": "kms.amazonaws.com", "eventName": "DisableKeyRotation", "awsRegion": place.sandbox.region,
            "recipientAccountId": place.sandbox.account, "userIdentity": {"type": "Root"},
            "requestParameters": {"keyId": arn},
        },
    }  # fmt: skip

    def send(body: str, **attributes: str) -> str:
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        return str(sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=given)["MessageId"])

    place.forget_letters()
    told = send(json.dumps(event), reason="Crashed: KeyError", origin=place.stack.resources["KmsQueue"])
    derived = send(json.dumps(event))
    creation = {**event, "detail": {**event["detail"], "eventName": "CreateKey",  # type: ignore[dict-item]
                                    "responseElements": {"keyMetadata": {"arn": arn}}}}  # fmt: skip
    unclear = send(json.dumps(creation))
    planted = send("garbage", origin="https://sqs.eu-west-1.amazonaws.com/999999999999/theirs")

    for _ in range(2):  # looking must not hide them
        listed = {each["id"]: each for each in place.ask("dlq", "list")}
        assert listed.keys() == {told, derived, unclear, planted}
    assert listed[told]["reason"] == "Crashed: KeyError"
    assert {name: listed[name]["groups"] for name in listed} == {
        told: ["kms"], derived: ["kms"], unclear: ["kms", "tagging"], planted: [],
    }  # fmt: skip

    place.sandbox.client("kms").disable_key_rotation(KeyId=arn)
    redriven = place.run("dlq", "redrive", "--all", "--yes", "-o", "json")
    assert redriven.exit_code == 1
    report = json.loads(redriven.stdout)
    assert {each["id"]: each["group"] for each in report["sent"]} == {told: "kms", derived: "kms"}
    assert {each["id"] for each in report["kept"]} == {unclear, planted}
    eventually(lambda: place.rotates(arn), "the repair that the dead letter asked for")

    assert place.ask("dlq", "redrive", unclear, "--to", "kms")["sent"] == [{"id": unclear, "group": "kms"}]
    assert place.run("dlq", "drop", planted, "--because", "no event").exit_code == 2
    dropped = place.run("dlq", "drop", planted, "--because", "no event", "--yes")
    assert "1 dropped, printed whole on stdout." in dropped.stderr
    assert json.loads(dropped.stdout)["body"] == "garbage"
    assert place.ask("dlq", "list") == []
    assert place.run("dlq", "drop", planted, "--because", "again", "--yes").exit_code == 2


def test_verify_names_what_was_tampered_with(place: Place) -> None:
    """Somebody with the table's keys could rewrite what Evenkeel did."""
    good = place.ask("audit", "verify")
    assert (good["ok"], good["findings"]) == (True, [])
    assert good["records"] >= 2

    tampered = [place.repaired_key() for _ in range(4)]
    table = place.sandbox.client("dynamodb")
    names = {"audit": place.stack.outputs["AuditTableName"], "state": place.stack.outputs["StateTableName"]}
    for guarded in ("AuditTableArn", "StateTableArn"):  # the tables' own policies would refuse what follows
        table.delete_resource_policy(ResourceArn=place.stack.outputs[guarded])

    def record(number: int) -> dict[str, Any]:
        arn, record_id = tampered[number]
        key = wire({"resource": arn, "record_id": record_id})
        return unwire(table.get_item(TableName=names["audit"], Key=key)["Item"])

    place.put({**record(0), "outcome": "ANNOUNCED"})
    plan = {**record(1), "record_id": record(1)["plan_id"], "reason": "nothing", "step": "PLANNED"}
    place.put(seal({name: value for name, value in plan.items() if name not in {"hash", "plan_id"}}, ""))
    planted = f"{tampered[2][1][:12]}-{'f' * 16}"  # not old: old records without a digest are a finding
    place.put(seal({**record(2), "record_id": planted}, "f" * 64))
    table.update_item(
        TableName=names["state"],
        Key=wire({"pk": f"{CONTROL}#{tampered[3][0]}"}),
        UpdateExpression="SET head = :zero",
        ExpressionAttributeValues=wire({":zero": "0" * 64}),
    )
    result = place.run("audit", "verify", "-o", "json")
    assert result.exit_code == 1
    found = {(each["resource"], each["fault"], each["record_id"]) for each in json.loads(result.stdout)["findings"]}
    assert found == {
        (tampered[0][0], "changed", tampered[0][1]),
        (tampered[1][0], "overwritten", record(1)["plan_id"]),
        (tampered[2][0], "out of place", planted),
        (tampered[3][0], "truncated", tampered[3][1]),
    }
    of_one = place.run("audit", "verify", "--resource", tampered[0][0])
    assert of_one.exit_code == 1
    assert "CHANGED" in of_one.stdout
    assert tampered[0][1] in of_one.stdout
    undone = place.run("undo", tampered[0][1], "--yes")
    assert undone.exit_code == 1
    assert "evenkeel audit verify" in undone.stderr
