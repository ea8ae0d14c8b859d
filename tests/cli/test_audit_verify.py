"""``evenkeel audit verify`` on tables: chains against digests, what may not be looked at, breaks and going on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from clerk.digest import Digests
from evenkeel.audit import digests
from evenkeel.audit.records import seal
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.runtime.environment import Environment
from evenkeel_cli.audit import checkpoint, verify_command
from evenkeel_cli.aws.stacks import Stack
from tests.cli.running import evenkeel
from tests.tables import AUDIT, STATE
from tests.world import VARIABLES, client, request

if TYPE_CHECKING:
    from click.testing import Result

    from tests.world import World

CONTROL = "kms-key-rotation"


@dataclass
class Place:
    """A stack with some repaired keys and a clerk."""

    world: World
    key: str
    arns: list[str]

    def digest(self) -> None:
        """Let the clerk make what is due."""
        environment = Environment.read(VARIABLES)
        Digests(Aws(client), environment, self.key, lambda: 60_000, lambda: self.world.now).make_due()

    def run(self, *options: str) -> Result:
        """Verify."""
        return evenkeel("audit", "verify", "--stack", "evenkeel", *options)

    def ask(self, *options: str, code: int = 0) -> dict[str, Any]:
        """Verify, for the report."""
        result = self.run("--output", "json", *options)
        assert result.exit_code == code, result.stderr
        report: dict[str, Any] = json.loads(result.stdout)
        return report

    def put(self, record: dict[str, Any]) -> None:
        """Write a record past all rules."""
        client("dynamodb").put_item(TableName=AUDIT, Item=wire(record))

    def head(self, record: dict[str, Any]) -> None:
        """Make a record the last of its chain."""
        client("dynamodb").update_item(
            TableName=STATE,
            Key=wire({"pk": f"{CONTROL}#{record['resource']}"}),
            UpdateExpression="SET head = :hash, head_record = :id",
            ExpressionAttributeValues=wire({":hash": record["hash"], ":id": record["record_id"]}),
        )

    def of(self, arn: str) -> list[dict[str, Any]]:
        """Return a resource's records."""
        return [each for each in self.world.records() if each["resource"] == arn]

    def rewrite(self, arn: str) -> str:
        """Make a key's chain anew, with its head; return the id of its last record."""
        previous, expiry = "", 0
        for record in self.of(arn):
            kept = {
                name: value for name, value in record.items() if name not in {"hash", "previous", "previous_expires_at"}
            }
            sealed = seal({**kept, "reason": "nothing was wrong"}, previous, expiry)
            previous, expiry = sealed["hash"], sealed["expires_at"]
            self.put(sealed)
        self.head(sealed)
        return str(sealed["record_id"])


@pytest.fixture
def place(world: World, digest_key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """Three repaired keys."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    arns = [client("kms").create_key()["KeyMetadata"]["Arn"] for _ in range(3)]
    for arn in arns:
        world.run(CONTROL, request(CONTROL, arn))
    outputs = {"AuditTableName": AUDIT, "StateTableName": STATE, "DigestKeyArn": digest_key}
    stack = Stack("evenkeel", cast("Any", client), outputs, {})
    monkeypatch.setattr(verify_command, "stacks", SimpleNamespace(find=lambda *_: stack))
    return Place(world, digest_key, sorted(arns))


def test_audit_that_nobody_touched_is_proved_with_its_digests(place: Place) -> None:
    """If this fails, the command finds something where there is nothing, or does not look at the digests."""
    place.digest()
    report = place.ask()
    assert (report["ok"], report["records"], report["chains"], report["findings"]) == (True, 6, 3, [])
    day = f"{place.world.now:%Y-%m-%d}"
    assert report["digests"] == {"first": day, "last": day, "days": 1, "missed": [], "unchecked": None}
    assert f"Daily digests anchor the chains: 1, from {day} to {day}." in place.run().stdout


def test_chains_rewritten_or_cut_with_their_heads_are_named(place: Place) -> None:
    """If this fails, an administrator can make Evenkeel's history what they like."""
    place.digest()
    rewritten = place.rewrite(place.arns[0])
    first, last = place.of(place.arns[1])
    key = wire({name: last[name] for name in ("resource", "record_id")})
    client("dynamodb").delete_item(TableName=AUDIT, Key=key)
    place.head(first)
    for gone in place.of(place.arns[2]):
        key = wire({name: gone[name] for name in ("resource", "record_id")})
        client("dynamodb").delete_item(TableName=AUDIT, Key=key)
    client("dynamodb").delete_item(TableName=STATE, Key=wire({"pk": f"{CONTROL}#{place.arns[2]}"}))
    report = place.ask(code=1)
    assert {(each["fault"], each["record_id"], each["resource"]) for each in report["findings"]} == {
        ("rewritten", rewritten, place.arns[0]),
        ("truncated", last["record_id"], place.arns[1]),
        ("missing", gone["record_id"], place.arns[2]),
    }
    for arn, fault in zip(place.arns, ("rewritten", "truncated", "missing"), strict=True):
        (found,) = place.ask("--resource", arn, code=1)["findings"]
        assert (found["fault"], found["resource"]) == (fault, arn)


def test_chain_that_went_on_after_its_digest_is_fine(place: Place) -> None:
    """If this fails, every chain that is used looks tampered with until the next digest."""
    place.digest()
    client("kms").disable_key_rotation(KeyId=place.arns[0])
    place.world.now += timedelta(minutes=1)
    place.world.run(CONTROL, request(CONTROL, place.arns[0]))
    assert place.ask()["records"] == 8


def test_forged_digest_is_named(place: Place) -> None:
    """If this fails, who rewrites a chain can rewrite its digest, too."""
    place.digest()
    place.rewrite(place.arns[0])
    [item] = [unwire(each) for each in client("dynamodb").scan(TableName=AUDIT)["Items"]
              if each["resource"]["S"] == digests.RESOURCE]  # fmt: skip
    heads = [{**each, "hash": place.of(each["resource"])[-1]["hash"]} for each in item["heads"]]
    forged = {**item, "heads": heads}
    place.put({**forged, "hash": digests.content_hash(forged)})
    (found,) = place.ask(code=1)["findings"]
    assert (found["fault"], found["record_id"], found["resource"]) == ("changed", item["record_id"], digests.RESOURCE)
    assert "the daily digests" in place.run().stdout


def test_whoever_may_not_check_macs_is_told_so_plainly(place: Place) -> None:
    """If this fails, a verification without the digests looks like one with them."""
    place.digest()
    place.rewrite(place.arns[0])
    place.world.wire.fail(
        "kms", "VerifyMac", "AccessDeniedException", "not authorized to perform: kms:VerifyMac", times=9
    )
    result = place.run()
    assert result.exit_code == 1
    assert "The digests were not verified." in result.stdout
    assert "all are as they were written" not in result.stdout
    assert "kms:VerifyMac on the key" in result.stderr.replace("\n", " ")
    report = place.ask(code=1)
    assert (report["ok"], report["findings"]) == (False, [])
    assert "access denied by AWS at VerifyMac" in report["digests"]["unchecked"]


def test_stack_without_a_digest_yet_is_told(place: Place) -> None:
    """If this fails, people believe chains to be anchored that are not."""
    assert "There is no daily digest yet" in place.run().stdout
    assert place.ask()["digests"]["days"] == 0


def test_resource_that_is_known_nowhere_is_an_error(place: Place) -> None:
    """If this fails, a misspelt ARN is reported as verified."""
    result = place.run("--resource", "arn:aws:kms:eu-west-1:123456789012:key/none")
    assert result.exit_code == 1
    assert "has no record of arn:aws:kms:" in result.stderr


class _Stop(KeyboardInterrupt):
    """Ctrl-C."""


def _interrupted(place: Place, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    """Verify, with Ctrl-C after the first resource."""

    def stop(*_: object) -> None:
        raise _Stop

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "keep_now_and_then", stop)
        return place.run(*options)


def test_interrupted_verification_goes_on_where_it_stopped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, an hour's reading is lost, read twice, or what it had found is forgotten."""
    place.digest()
    rewritten = {place.rewrite(arn) for arn in place.arns}
    stopped = _interrupted(place, monkeypatch)
    assert stopped.exit_code == 1
    assert "stopped after 2 records" in stopped.stderr
    assert "evenkeel audit verify --stack evenkeel --region eu-west-1 --resume" in stopped.stderr.replace("\n", " ")
    place.world.wire.clear()
    report = place.ask("--resume", code=1)
    assert (report["records"], report["chains"]) == (6, 3)
    assert {each["record_id"] for each in report["findings"]} == rewritten
    assert len(report["findings"]) == 3
    assert any("ExclusiveStartKey" in each for each in place.world.wire.params("Scan"))
    again = place.run("--resume")
    assert again.exit_code == 2
    assert "nothing to resume" in again.stderr


def test_verification_that_aws_breaks_off_can_go_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, credentials that expire after an hour make a large audit impossible to verify."""
    place.digest()
    assert _interrupted(place, monkeypatch).exit_code == 1
    place.world.wire.fail("dynamodb", "Scan", "ExpiredTokenException", "expired", skip=1)
    stopped = place.run("--resume")
    assert stopped.exit_code == 1
    assert "ExpiredTokenException" in stopped.stderr
    assert place.ask("--resume")["records"] == 6


@pytest.mark.parametrize("spoil", ["garbage", "another", "old", "absent"])
def test_what_cannot_be_gone_on_with_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    """If this fails, a verification goes on with another table's, or with what was read weeks ago."""
    _interrupted(place, monkeypatch)
    path = checkpoint.Checkpoint(f"arn:aws:dynamodb:eu-west-1:123456789012:table/{AUDIT}", datetime.now(UTC)).path
    kept = json.loads(path.read_text())
    old = datetime.now(UTC) - timedelta(hours=25)
    spoilt = {"another": {**kept, "table": "arn:else"}, "old": {**kept, "begun_at": old.isoformat()}}
    path.write_text("{" if spoil == "garbage" else json.dumps(spoilt.get(spoil, {})))
    if spoil == "absent":
        path.unlink()
    result = place.run("--resume")
    assert result.exit_code == 2
    assert "nothing to resume" in result.stderr


def test_place_that_cannot_be_written_is_told(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If this fails, Ctrl-C on a read-only machine ends with a traceback."""
    (tmp_path / "evenkeel").write_text("a file where the folder should be")
    result = _interrupted(place, monkeypatch)
    assert result.exit_code == 1
    assert "cannot save the verification's progress" in result.stderr


def test_one_resource_is_not_resumed(place: Place) -> None:
    """If this fails, --resume goes on with the whole table where one resource was asked for."""
    assert place.run("--resume", "--resource", place.arns[0]).exit_code == 2


def test_progress_is_kept_now_and_then(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a killed process leaves nothing to resume."""
    kept = []
    monkeypatch.setattr(checkpoint, "KEEP_EVERY", timedelta(0))
    monkeypatch.setattr(Path, "replace", lambda self, target: kept.append(json.loads(self.read_text())) or target)
    place.run()
    assert [each["records"] for each in kept] == [2, 4, 6]
