"""What lets people trust Evenkeel with `enforce`, on the real stack with IAM enforced."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.cli_stack import CONTROL, eventually
from tests.sandbox.trust_stack import Place, dev_key, on
from tests.world import cloudtrail, sqs_event

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

RECOVERY = "dynamodb-point-in-time-recovery"
PARALLEL = 20


DOCUMENT = {
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
}  # fmt: skip


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack, which asks before it changes a key, but for those of developers."""
    return on(shared, DOCUMENT)


def test_approval_is_another_persons_and_counts_once(place: Place) -> None:
    """People could approve what they caused, or nobody could approve anything."""
    arn = str(place.sandbox.client("kms", place.alice).create_key()["KeyMetadata"]["Arn"])
    name = place.awaited(arn, "AWAITING")["record_id"]
    refused = place.decide(place.alice, approve=name, resource=arn)
    assert "user/alice caused it; somebody else has to decide" in refused["error"]["message"]
    assert not place.rotates(arn)
    (done,) = place.decide(place.bob, approve=name, resource=arn)["results"]
    assert (done["outcome"], place.rotates(arn)) == ("REMEDIATED", True)
    assert "was decided" in place.decide(place.bob, approve=name, resource=arn)["error"]["message"]
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
        for name in ("scratch-1", "parcels")
    ]  # fmt: skip
    place.awaited(arns[1], "REMEDIATED", RECOVERY)
    line = eventually(
        lambda: [each for each in place.sandbox.logs("evenkeel-dynamodb") if '"SKIPPED"' in each and arns[0] in each],
        "the skipped table",
    )
    assert "exempt until 2099-01-01: lab (approved by ciso)" in line[0]
    assert place.records(arns[0], RECOVERY) == []


def test_tug_of_war_is_stopped_and_names_who(place: Place) -> None:
    """Evenkeel and a pipeline would set each other back for ever, and nobody would learn whose pipeline it is."""
    arn = dev_key(place)
    kms = place.sandbox.client("kms", place.alice)
    for count in (2, 3):
        kms.disable_key_rotation(KeyId=arn)
        place.awaited(arn, "REMEDIATED", count=count)
    kms.disable_key_rotation(KeyId=arn)
    held = place.awaited(arn, "HELD")
    assert held["severity"] == "CRITICAL"
    assert "set back again by arn:aws:iam::123456789012:user/alice with DisableKeyRotation" in held["detail"]
    assert not place.rotates(arn)
    alert = eventually(
        lambda: [each for each in place.alerts() if held["record_id"] in each["Body"]], "the alert of the tug of war"
    )
    assert alert[0]["MessageAttributes"]["severity"]["StringValue"] == "CRITICAL"
    (released,) = place.decide(place.bob, release=CONTROL, resource=arn)["results"]
    assert (released["outcome"], place.rotates(arn)) == ("REMEDIATED", True)
    assert place.chain_is_unbroken(arn)


def test_parallel_equal_events_make_one_change(place: Place) -> None:
    """An event that is delivered many times at once would change the resource many times, or fork its chain."""
    arn = dev_key(place)
    place.sandbox.client("kms", place.alice).disable_key_rotation(KeyId=arn)
    event = cloudtrail(
        "kms.amazonaws.com",
        "DisableKeyRotation",
        requestParameters={"keyId": arn},
        resources=[{"ARN": arn, "type": "AWS::KMS::Key"}],
    )
    function = place.stack.resources["KmsFunction"]

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
