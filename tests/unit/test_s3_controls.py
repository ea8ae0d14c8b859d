"""Buckets' controls on an AWS (moto and its gaps): who would be shut out, what others wrote, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.ledger import Ledger
from evenkeel.control import Context
from evenkeel.control.registry import all_controls
from evenkeel.errors import UndoRefusedError
from evenkeel.model import Resource
from evenkeel.remediation.decide import settle_delay
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from notifier import alert
from tests.cases.case import NOW
from tests.cases.s3_tls_only_policy import HTTP, OURS, READER, deny
from tests.factories.s3 import bucket, open_bucket
from tests.tables import AUDIT, STATE
from tests.unit.s3_running import BLOCK, TLS, VERSIONS, run
from tests.unit.test_alert import HOME
from tests.world import ACCOUNT, client, request

if TYPE_CHECKING:
    from tests.world import World

ALL = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
WEBSITE = {**READER, "Sid": "Site", "Principal": "*", "Resource": "arn:aws:s3:::orders-open/*"}


def _policy(name: str = "orders") -> dict[str, Any]:
    return json.loads(client("s3").get_bucket_policy(Bucket=name)["Policy"])


def _put_policy(*statements: dict[str, Any], name: str = "orders") -> None:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    client("s3").put_bucket_policy(Bucket=name, Policy=json.dumps(document))


def _block(name: str) -> list[bool]:
    found = client("s3").get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    return [found[flag] for flag in ALL]


def _s3_changes(world: World) -> list[str]:
    return [name for name in world.wire.changes() if name.startswith("s3:")]


def _undoer(world: World) -> Undoer:
    ledger = Ledger(Aws(client), AUDIT, STATE, "undo-1", world.clock, world.sleep)
    return Undoer(Aws(client), ledger, f"arn:aws:iam::{ACCOUNT}:user/bob", 400, world.clock, world.sleep)


def test_new_buckets_block_public_access_by_themselves(world: World) -> None:
    """If this fails, every new bucket is changed for nothing."""
    assert run(world, BLOCK, bucket(), creates=True).outcome == "COMPLIANT"


def test_website_is_announced_and_stays_open(world: World) -> None:
    """If this fails, a bucket that serves the public on purpose is shut."""
    arn = open_bucket()
    _put_policy(WEBSITE, name="orders-open")
    for control in (BLOCK, TLS):
        assert run(world, control, arn).outcome == "ANNOUNCED"
        assert _s3_changes(world) == []
        assert world.wire.names().count("s3:GetBucketOwnershipControls") == 1
        assert "s3:GetBucketAcl" not in world.wire.names()
    told = [record["detail"] for record in world.records()]
    assert "policy is public" in told[0]
    assert "everybody without a signature" in told[1]


def test_settings_may_close_public_buckets_too(world: World) -> None:
    """If this fails, an organization without public buckets cannot have them shut within seconds."""
    arn = open_bucket()
    _put_policy(WEBSITE, name="orders-open")
    assert run(world, BLOCK, arn, parameters={"spare_public": False}).outcome == "REMEDIATED"
    assert _block("orders-open") == [True] * 4
    assert world.records()[0]["before"]["PolicyIsPublic"]


def test_policy_without_a_verdict_counts_as_public(world: World) -> None:
    """If this fails, an answer of S3's with parts left out lets a website be shut."""
    arn = open_bucket()
    world.wire.answer("s3", "GetBucketPolicyStatus", {})
    assert run(world, BLOCK, arn).outcome == "ANNOUNCED"


@pytest.mark.parametrize("ownership", ["ObjectWriter", "BucketOwnerPreferred", None])
def test_old_bucket_with_access_control_lists_is_announced(world: World, ownership: str | None) -> None:
    """If this fails, objects that are public by their own access control list are shut off."""
    arn = open_bucket()
    client("s3").delete_bucket_ownership_controls(Bucket="orders-open")
    if ownership:
        rules = {"Rules": [{"ObjectOwnership": ownership}]}
        client("s3").put_bucket_ownership_controls(Bucket="orders-open", OwnershipControls=rules)
    for control in (BLOCK, TLS):
        assert run(world, control, arn).outcome == "ANNOUNCED"
        assert "access control lists" in world.records()[-1]["detail"]


@pytest.mark.parametrize(
    ("off", "asked", "spared"),
    [
        ("RestrictPublicBuckets", "GetBucketPolicyStatus", "GetBucketOwnershipControls"),
        ("IgnorePublicAcls", "GetBucketOwnershipControls", "GetBucketPolicyStatus"),
    ],
)
def test_only_what_the_missing_part_would_shut_is_asked(world: World, off: str, asked: str, spared: str) -> None:
    """If this fails, a look costs a call whose answer does not matter, or spares one whose answer does."""
    arn = bucket()
    block = {**dict.fromkeys(ALL, True), off: False}
    client("s3").put_public_access_block(Bucket="orders", PublicAccessBlockConfiguration=block)
    assert run(world, BLOCK, arn).outcome == "REMEDIATED"
    assert f"s3:{asked}" in world.wire.names()
    assert f"s3:{spared}" not in world.wire.names()


def test_block_keeps_what_is_on_and_comes_back_exactly(world: World) -> None:
    """If this fails, undo leaves another block than there was."""
    arn, former = bucket(), {**dict.fromkeys(ALL, False), "BlockPublicPolicy": True}
    client("s3").put_public_access_block(Bucket="orders", PublicAccessBlockConfiguration=former)
    result = run(world, BLOCK, arn)
    assert (result.outcome, _block("orders")) == ("REMEDIATED", [True] * 4)
    assert _undoer(world).run(all_controls()[BLOCK], arn, result.record_id).outcome == "UNDONE"
    assert _block("orders") == [former[flag] for flag in ALL]


def test_statement_joins_a_policy_and_leaves_it_as_it_was(world: World) -> None:
    """If this fails, somebody's policy loses or changes a statement by a repair or by its undo."""
    arn = bucket()
    _put_policy(READER, deny(Resource="arn:aws:s3:::orders/*"))
    before = _policy()
    result = run(world, TLS, arn)
    assert result.outcome == "REMEDIATED"
    assert _policy() == {**before, "Statement": [*before["Statement"], OURS]}
    assert run(world, TLS, arn).outcome == "COMPLIANT"
    assert _undoer(world).run(all_controls()[TLS], arn, result.record_id).outcome == "UNDONE"
    assert _policy() == before


def test_edit_made_while_a_bucket_is_looked_at_is_kept(world: World) -> None:
    """If this fails, what somebody writes into a policy during the look is lost by the repair."""
    arn = bucket()
    world.wire.when("s3", "GetPublicAccessBlock", lambda _: _put_policy(READER))
    assert run(world, TLS, arn).outcome == "REMEDIATED"
    assert _policy()["Statement"] == [READER, OURS]
    assert "s3:GetBucketOwnershipControls" not in world.wire.names()


def test_undo_never_drops_what_others_wrote_since(world: World) -> None:
    """If this fails, --force puts an old policy over the statements that somebody added after the repair."""
    arn = bucket()
    result = run(world, TLS, arn)
    _put_policy(OURS, READER)
    for force in (False, True):
        with pytest.raises(UndoRefusedError, match="edit it by hand"):
            _undoer(world).run(all_controls()[TLS], arn, result.record_id, force=force)
    assert _policy()["Statement"] == [OURS, READER]


def test_policy_that_only_looks_different_is_the_same() -> None:
    """If this fails, undo is refused because S3 wrote the policy's parts in another order."""
    essence = all_controls()[TLS].essence
    one, other = json.dumps(OURS), json.dumps(dict(reversed(OURS.items())), indent=2)
    assert essence({"Policy": one, "ObeysAcls": True}) == essence({"Policy": other})
    assert essence({"Policy": one}) != essence({"Policy": None})


def test_statement_that_is_taken_out_is_put_back(world: World) -> None:
    """If this fails, a later weakening of a policy stays."""
    arn = bucket()
    run(world, TLS, arn)
    _put_policy(READER)
    assert run(world, TLS, arn).outcome == "REMEDIATED"
    assert _policy()["Statement"] == [READER, OURS]
    client("s3").delete_bucket_policy(Bucket="orders")
    assert run(world, TLS, arn).outcome == "REMEDIATED"
    assert _policy()["Statement"] == [OURS]


def test_policy_without_room_is_announced_before_s3_refuses(world: World) -> None:
    """If this fails, a policy near S3's limit is tried again and again, or cut."""
    arn = bucket()
    _put_policy({**READER, "Resource": f"arn:aws:s3:::orders/{'a' * 20_200}/*"})
    result = run(world, TLS, arn)
    assert (result.outcome, _s3_changes(world)) == ("ANNOUNCED", [])
    assert "S3 accepts 20480" in world.records()[-1]["reason"]
    _put_policy({**READER, "Resource": f"arn:aws:s3:::orders/{'a' * 19_000}/*"})
    assert run(world, TLS, arn).outcome == "REMEDIATED"
    shown = alert.outcome(world.records()[-1], HOME).text
    assert len(shown) < 8000
    assert "the record has the full text" in shown


def test_makers_policy_comes_first(world: World) -> None:
    """If this fails, Evenkeel's policy and the one that a bucket's maker sets in a second call replace each other."""
    wish = request(TLS, "arn:aws:s3:::orders", creates=True)
    assert settle_delay(all_controls()[TLS], wish, 60, world.start) > 50
    assert settle_delay(all_controls()[VERSIONS], wish, 60, world.start) == 0


def test_versions_are_announced_unless_asked_for(world: World) -> None:
    """If this fails, Evenkeel runs up storage costs that nobody asked for."""
    result = world.run(VERSIONS, request(VERSIONS, bucket()), document={"schema_version": 1})
    assert (result.outcome, client("s3").get_bucket_versioning(Bucket="orders").get("Status")) == ("ANNOUNCED", None)


def test_versions_are_suspended_by_undo_and_say_what_stays(world: World) -> None:
    """If this fails, undo claims that a bucket is unversioned again."""
    arn = bucket()
    result = run(world, VERSIONS, arn)
    assert "never becomes unversioned again" in world.records()[-1]["residue"]
    assert _undoer(world).run(all_controls()[VERSIONS], arn, result.record_id).outcome == "UNDONE"
    assert client("s3").get_bucket_versioning(Bucket="orders")["Status"] == "Suspended"


def test_versions_under_mfa_delete_are_left_to_root(world: World) -> None:
    """If this fails, Evenkeel tries what only root with its device can do."""
    arn = bucket()
    world.wire.answer("s3", "GetBucketVersioning", {"Status": "Suspended", "MFADelete": "Enabled"})
    assert run(world, VERSIONS, arn).outcome == "ANNOUNCED"
    assert "only root" in world.records()[-1]["reason"]


def test_statement_names_the_bucket_that_was_asked_about() -> None:
    """If this fails, a recorded state can turn an undo or a repair against another bucket."""
    control = all_controls()[TLS]
    context = Context(Resource("arn:aws-us-gov:s3:::orders", ACCOUNT, "us-gov-west-1"), {}, NOW)
    found: Any = control.judge({"Policy": None, "ObeysAcls": False, "Bucket": "others"}, context)
    (call,) = found.change.calls
    (statement,) = json.loads(call.params["Policy"])["Statement"]
    assert (call.params["Bucket"], statement["Condition"]) == ("orders", HTTP)
    assert statement["Resource"] == ["arn:aws-us-gov:s3:::orders", "arn:aws-us-gov:s3:::orders/*"]
