"""The notifier and the digests on the audit table's stream: the clerk's own are silent, all others are tampering."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit import digests
from evenkeel.audit.records import seal
from evenkeel.runtime.dynamodb import wire
from notifier.handler import handler
from tests.unit.test_notifier import EXPIRED, FINE
from tests.world import Context, client, metrics

if TYPE_CHECKING:
    from tests.world import World

NOW = datetime(2026, 11, 20, tzinfo=UTC)
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture
def alerts(variables: pytest.MonkeyPatch, digest_key: str) -> None:
    """Give the notifier a topic and a bus."""
    variables.setenv("EVENKEEL_TOPIC_ARN", client("sns").create_topic(Name="alerts")["TopicArn"])
    variables.setenv("EVENKEEL_BUS_NAME", client("events").create_event_bus(Name="evenkeel")["EventBusArn"])


def part(key: str) -> dict[str, Any]:
    """Return a digest as the clerk writes it, with a MAC of a key."""
    begun = digests.Begun("2026-11-20", 0, 0, "")
    heads = [digests.Head("c", "r", "i", "f" * 64, 0)]
    sealed = digests.sealed(begun, 0, heads, "", None, now=NOW, retention=timedelta(days=1))
    return {**sealed, "mac": client("kms").generate_mac(**digests.to_sign(sealed["hash"], key))["Mac"].hex()}


def told(
    world: World, output: pytest.CaptureFixture[str], change: str, item: dict[str, Any], **more: Any
) -> tuple[int, float]:
    """Have the notifier serve a change of an item; return its alerts and the tampering that it counted."""
    world.wire.clear()
    images = {"Keys": wire({name: item[name] for name in ("resource", "record_id")}), "SequenceNumber": "1"}
    images["NewImage" if change == "INSERT" else "OldImage"] = wire(item)
    assert handler({"Records": [{"eventName": change, "dynamodb": images, **more}]}, Context()) == FINE
    return len(world.wire.params("Publish")), metrics(output.readouterr().out).get("Tampering", 0)


@pytest.mark.usefixtures("alerts")
def test_digest_of_the_clerk_is_silent(world: World, digest_key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, each day's digest is a critical alert, until nobody reads critical alerts."""
    item = part(digest_key)
    assert told(world, capsys, "INSERT", item) == (0, 0)
    assert told(world, capsys, "REMOVE", item, userIdentity=EXPIRED) == (0, 0)


@pytest.mark.usefixtures("alerts")
def test_digest_of_a_later_release_waits(world: World, digest_key: str) -> None:
    """If this fails, the first digest after an update is a critical alert where the notifier is replaced last."""
    item = {**part(digest_key), "schema_version": 2, "heads": "of another form"}
    item["hash"] = digests.content_hash(item)
    item["mac"] = client("kms").generate_mac(**digests.to_sign(item["hash"], digest_key))["Mac"].hex()
    images = {"Keys": wire({name: item[name] for name in ("resource", "record_id")}), "SequenceNumber": "1"}
    event = {"Records": [{"eventName": "INSERT", "dynamodb": {**images, "NewImage": wire(item)}}]}
    assert handler(event, Context()) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert world.wire.params("Publish") == []


@pytest.mark.usefixtures("alerts")
def test_digest_that_is_removed_is_tampering(world: World, digest_key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, somebody can take the newest digest away before its chains are rewritten."""
    assert told(world, capsys, "REMOVE", part(digest_key)) == (1, 1)


@pytest.mark.usefixtures("alerts")
@pytest.mark.parametrize("forge", ["content", "mac", "key", "shape"])
def test_digest_that_is_not_the_clerks_is_tampering(
    world: World, digest_key: str, capsys: pytest.CaptureFixture[str], forge: str
) -> None:
    """If this fails, a forged digest comes into the table unseen."""
    item = part(digest_key)
    if forge == "content":
        item["begun_at"] += 1
    elif forge == "mac":
        item["mac"] = "0" * 64
    elif forge == "key":
        own = client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
        item = part(own)
    else:
        item = seal({"resource": digests.RESOURCE, "record_id": item["record_id"]}, "")
    assert told(world, capsys, "INSERT", item) == (1, 1)


@pytest.mark.usefixtures("alerts")
def test_digest_is_looked_at_again_when_kms_does_not_answer(world: World, digest_key: str) -> None:
    """If this fails, a throttled KMS makes a genuine digest a critical alert, or a forged one pass."""
    item = part(digest_key)
    world.wire.fail("kms", "VerifyMac", "KMSInternalException", status=500, times=9)
    images = {"Keys": wire({name: item[name] for name in ("resource", "record_id")}), "NewImage": wire(item)}
    batch = {"Records": [{"eventName": "INSERT", "dynamodb": {**images, "SequenceNumber": "7"}}]}
    assert handler(batch, Context()) == {"batchItemFailures": [{"itemIdentifier": "7"}]}
    assert world.wire.params("Publish") == []
