"""What the clerk tells and drops, on the real stack in a sandbox with IAM enforced."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel_cli.local import local_stack
from sandbox.deploy.settings import push
from tests.sandbox import inbox
from tests.sandbox.cli_stack import Place, eventually, on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.shared import Shared


@pytest.fixture(scope="module")
def place(shared: Shared) -> Iterator[Place]:
    """The real stack, and a person who may do everything."""
    yield on(shared, local_stack.settings())
    shared.forget_settings()


@pytest.fixture(scope="module")
def alerts(place: Place, shared: Shared) -> str:
    """The URL of a queue that hears the stack's alerts."""
    return shared.inbox(raw=False)


def alerts_of(place: Place, url: str, outcome: str) -> list[dict[str, Any]]:
    """Take all alerts that have come; return those of an outcome (the sandbox has its own repairs to tell of)."""
    found = [json.loads(each["Body"]) for each in inbox.take(place.sandbox, url)]
    return [alert for alert in found if f" {outcome} " in alert["Subject"]]


def _round(place: Place) -> None:
    """Wake the clerk as its schedule does, and wait for it."""
    answer = place.sandbox.client("lambda").invoke(FunctionName=place.stack.outputs["ClerkFunctionName"], Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_an_exemption_that_ends_soon_is_announced_once(place: Place, alerts: str) -> None:
    """If this fails, exemptions end without a word, the clerk's role cannot tell of them, or it tells every round."""
    last = datetime.now(UTC).date() + timedelta(days=5)
    exemption = {"controls": ["kms-key-rotation"], "resources": ["arn:aws:kms:*:*:key/none"], "reason": "a drill",
                 "approver": "alice", "expires": f"{last}"}  # fmt: skip
    push(place.sandbox, place.stack, {**local_stack.settings(), "exemptions": [exemption]})
    wanted = ("audit", "list", "--control", "evenkeel-exemption")

    def noticed() -> Any:
        _round(place)
        return place.ask(*wanted)

    (record,) = eventually(noticed, "the record of the exemption")
    for _ in range(2):
        _round(place)
    assert place.ask(*wanted) == [record]
    assert (record["outcome"], record["before"]["expires"]) == ("EXPIRING", f"{last}")
    (told,) = eventually(lambda: alerts_of(place, alerts, "EXPIRING"), "the alert")
    assert told["MessageAttributes"]["record_id"]["Value"] == record["record_id"]
    assert f"its last day is {last} (UTC)" in told["Message"]

    shown = place.ask("audit", "show", record["record_id"])
    assert shown["chain"] == {"position": 1, "length": 1, "trouble": ""}
    assert "a drill" in place.run("audit", "show", record["record_id"]).stdout
    assert place.ask("audit", "verify", "--resource", record["resource"])["ok"]
    assert place.run("undo", record["record_id"], "--yes").exit_code == 1
    assert not alerts_of(place, alerts, "EXPIRING")


def test_a_dropped_dead_letter_is_audited_in_the_operators_name(place: Place, alerts: str) -> None:
    """If this fails, an accepted event can vanish without a trace, or dropping works for nobody."""
    sqs, url = place.sandbox.client("sqs"), place.stack.outputs["DeadLetterQueueUrl"]
    reason = {"reason": {"DataType": "String", "StringValue": "Crashed: KeyError"}}
    place.forget_letters()
    dropped, other = (
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=reason)["MessageId"]
        for body in ("drop me", "keep me")
    )
    result = place.run("dlq", "drop", dropped, "--because", "its key is gone", "--yes")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["body"] == "drop me"
    assert [each["id"] for each in place.ask("dlq", "list")] == [other]
    (record,) = place.ask("audit", "list", "--outcome", "DROPPED")
    assert record["actor"]["principal"].endswith(":user/operator")
    assert record["before"]["message"] == dropped
    assert "its key is gone" in record["detail"]
    (told,) = eventually(lambda: alerts_of(place, alerts, "DROPPED"), "the alert")
    assert "its key is gone" in told["Message"]
    assert place.ask("audit", "verify", "--resource", record["resource"])["ok"]


def test_who_may_not_invoke_the_clerk_drops_nothing(place: Place) -> None:
    """If this fails, the queue's own permissions are enough to make an event vanish unseen."""
    statement = {"Effect": "Allow", "Action": ["cloudformation:DescribeStacks", "sqs:*", "kms:*"], "Resource": "*"}
    session: Any = place.sandbox.create_user("reader", {"Version": "2012-10-17", "Statement": [statement]})
    keys = session.get_credentials()
    url = place.stack.outputs["DeadLetterQueueUrl"]
    letter = place.sandbox.client("sqs").send_message(QueueUrl=url, MessageBody="stays")["MessageId"]
    reader = Place(
        place.sandbox,
        place.stack,
        {**place.operator, "AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key},
    )
    result = reader.run("dlq", "drop", letter, "--because", "I can", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "access denied by AWS at Invoke" in result.stderr
    assert letter in {each["id"] for each in place.ask("dlq", "list")}
