"""The clerk's digests on tables: one a day, whole, resumed, never stopped by what others put in their place."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from clerk.digest import STOP_AT_MILLISECONDS, Digests
from evenkeel.audit import digests
from evenkeel.audit.digests import Part
from evenkeel.audit.records import new_id, seal
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.runtime.environment import Environment
from tests.tables import AUDIT, STATE
from tests.wire import Crash
from tests.world import VARIABLES, client, request

if TYPE_CHECKING:
    from datetime import datetime

    from tests.world import World

CONTROL = "kms-key-rotation"
DAY = timedelta(days=1)


@dataclass
class Clerk:
    """A clerk who may be short of time, and what is in the tables."""

    world: World
    key: str
    left: list[int] = field(default_factory=list)
    """Milliseconds left at each look; plenty when used up."""

    def keep(self) -> float:
        """Run one round."""
        environment = Environment.read({**VARIABLES, "EVENKEEL_RETENTION_DAYS": "400"})
        return Digests(Aws(client), environment, self.key, self._remaining, lambda: self.world.now).make_due()

    def _remaining(self) -> int:
        return self.left.pop(0) if self.left else 60_000

    def parts(self) -> list[Part]:
        """Return the parts whose content fits their hash, in order."""
        found = [unwire(each) for each in client("dynamodb").scan(TableName=AUDIT)["Items"]]
        return sorted(filter(None, map(Part.read, found)), key=lambda each: each.record_id)

    def heads(self, *days: str) -> list[str]:
        """Return the resources that the digests of some days anchor, of all without any."""
        return sorted(head.resource for part in self.parts() if not days or part.day in days for head in part.heads)

    def today(self) -> str:
        """Return the day it is."""
        return f"{self.world.now:%Y-%m-%d}"


@pytest.fixture
def clerk(world: World, digest_key: str) -> Clerk:
    """A clerk with a key for MACs, at noon."""
    world.now = world.now.replace(hour=12, microsecond=0)
    return Clerk(world, digest_key)


def moved(name: str, when: datetime | None, **more: Any) -> None:
    """Put the state item of a chain whose last record was made then; without a time, as an old version did."""
    head = {"head_record": new_id(when), "head_expires_at": int(when.timestamp()) + 400 * 86400} if when else {}
    item = {"pk": f"{CONTROL}#{name}", "head": "f" * 64, **head, **more}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))


def many(when: datetime) -> None:
    """Put the state items of 1,200 chains."""
    table = client("dynamodb")
    names = [f"arn:aws:kms:eu-west-1:123456789012:key/{number:036d}" for number in range(1200)]
    items = [wire({"pk": f"{CONTROL}#{name}", "head": "f" * 64, "head_record": new_id(when)}) for name in names]
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        table.batch_write_item(RequestItems={STATE: requests})


def put(record: dict[str, Any]) -> None:
    """Put an item into the audit table."""
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(record))


def test_each_day_has_one_digest_of_the_chains_that_moved(clerk: Clerk) -> None:
    """If this fails, chains are in no digest, the same digest is made twice, or each digest repeats all of them."""
    moved("one", clerk.world.now - 300 * DAY)
    client("dynamodb").put_item(TableName=STATE, Item=wire({"pk": "counter", "count": 3}))
    assert (clerk.keep(), clerk.keep()) == (0, 0)
    first = clerk.today()
    assert clerk.heads() == ["one"]
    clerk.world.now += DAY
    moved("two", clerk.world.now - 2 * digests.OVERLAP)
    assert clerk.keep() == 0
    clerk.world.now += DAY
    clerk.keep()
    assert clerk.heads(first) == ["one"]
    assert [len(part.heads) for part in clerk.parts()] == [1, 1, 0]
    assert len({part.day for part in clerk.parts()}) == 3


def test_digest_anchors_the_last_record_as_the_engine_wrote_it(clerk: Clerk) -> None:
    """If this fails, what is anchored is not what the chain holds, and each verification finds a forgery."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    clerk.world.run(CONTROL, request(CONTROL, arn))
    last = clerk.world.records()[-1]
    clerk.keep()
    [part] = clerk.parts()
    [head] = part.heads
    assert (head.control, head.resource, head.record_id) == (CONTROL, arn, last["record_id"])
    assert (head.hash, head.expires_at) == (last["hash"], last["expires_at"])


def test_chain_without_the_id_of_its_head_is_in_every_digest(clerk: Clerk) -> None:
    """If this fails, chains that have not moved since an older version are never anchored."""
    moved("old", None)
    clerk.keep()
    clerk.world.now += DAY
    clerk.keep()
    assert clerk.heads() == ["old", "old"]


def test_days_that_were_missed_are_made_up_for(clerk: Clerk) -> None:
    """If this fails, what moved while the clerk did not run is never anchored."""
    clerk.keep()
    moved("missed", clerk.world.now + DAY)
    clerk.world.now += 5 * DAY
    clerk.keep()
    assert clerk.heads(clerk.today()) == ["missed"]
    assert len(clerk.parts()) == 2


def test_many_heads_make_a_chain_of_parts_each_with_its_mac(clerk: Clerk) -> None:
    """If this fails, a large stack has no digest, or one that lacks chains or hangs together with nothing."""
    many(clerk.world.now)
    clerk.keep()
    parts = clerk.parts()
    assert len(parts) >= 3
    assert len({head.resource for part in parts for head in part.heads}) == 1200
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert [part.previous for part in parts] == ["", *(part.hash for part in parts[:-1])]
    for part in parts:
        assert client("kms").verify_mac(**digests.to_verify(part, clerk.key))["MacValid"]


@pytest.mark.parametrize("crash", ["GenerateMac", "PutItem", "Scan"])
def test_clerk_who_dies_goes_on_where_the_last_part_ends(clerk: Clerk, crash: str) -> None:
    """If this fails, a crash loses chains from a digest, or begins it anew until it never ends."""
    many(clerk.world.now)
    service = "kms" if crash == "GenerateMac" else "dynamodb"
    clerk.world.wire.crash(service, crash, skip=0 if crash == "Scan" else 1)
    with pytest.raises(Crash):
        clerk.keep()
    before = clerk.parts()
    clerk.world.now += timedelta(minutes=5)
    clerk.keep()
    parts = clerk.parts()
    assert parts[: len(before)] == before
    assert len(set(clerk.heads())) == len(clerk.heads()) == 1200
    assert sum(part.last for part in parts) == 1
    assert len({part.begun_at for part in parts[len(before) - 1 :]}) == 1 if before else True


def test_clerk_short_of_time_stops_and_the_next_round_goes_on(clerk: Clerk) -> None:
    """If this fails, a table that takes longer than a minute to read never has a digest."""
    for number in range(30):
        moved(f"chain-{number}", clerk.world.now, padding="x" * 50_000)
    clerk.left = [STOP_AT_MILLISECONDS - 1]
    clerk.keep()
    [half] = clerk.parts()
    assert not half.last
    assert 0 < len(half.heads) < 30
    clerk.world.now += 2 * DAY
    assert clerk.keep() == 2 * DAY.total_seconds()
    assert len(set(clerk.heads(half.day))) == len(clerk.heads(half.day)) == 30
    assert clerk.keep() == 0
    assert clerk.parts()[-1].day == clerk.today()


def test_two_clerks_at_once_make_one_chain(clerk: Clerk) -> None:
    """If this fails, two rounds that overlap fork the digests, and a verification finds one missing."""
    moved("one", clerk.world.now)

    def other(_: Any) -> None:
        clerk.world.wire.clear()
        clerk.keep()

    clerk.world.wire.when("kms", "GenerateMac", other)
    clerk.keep()
    [part] = clerk.parts()
    assert (part.last, clerk.heads()) == (True, ["one"])


def test_planted_digests_neither_stop_nor_mislead_the_clerk(clerk: Clerk) -> None:
    """If this fails, whoever can put one item keeps the audit from being anchored ever after."""
    clerk.keep()
    [first] = clerk.parts()
    clerk.world.now += DAY
    today = clerk.today()
    key = {"resource": digests.RESOURCE}
    forged = digests.sealed(
        digests.Begun(today, int(clerk.world.now.timestamp()), 0, ""), 0, (), "", None,
        now=clerk.world.now, retention=DAY,
    )  # fmt: skip
    put({**forged, "mac": "0" * 64})
    put({**key, "record_id": f"{today}#0001"})
    put({**key, "record_id": "9999-12-31#0000", "heads": "x"})
    moved("one", clerk.world.now)
    clerk.keep()
    [ours] = [part for part in clerk.parts() if part.heads]
    assert (ours.record_id, ours.previous) == (f"{today}#0002", first.hash)
    assert clerk.heads() == ["one"]
    clerk.keep()
    assert len(clerk.parts()) == 3


def test_refusal_of_the_key_is_an_error_and_nothing_is_put(clerk: Clerk) -> None:
    """If this fails, a digest without a MAC is written, or nobody hears that there is none."""
    clerk.world.wire.fail("kms", "GenerateMac", "DisabledException", "the key is disabled")
    with pytest.raises(ClientError, match="DisabledException"):
        clerk.keep()
    assert client("dynamodb").scan(TableName=AUDIT)["Items"] == []


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_table_that_refuses_is_an_error(clerk: Clerk) -> None:
    """If this fails, a digest that could not be written looks like another clerk's."""
    clerk.world.wire.fail("dynamodb", "PutItem", "ValidationException", "too large")
    with pytest.raises(ClientError, match="ValidationException"):
        clerk.keep()


def test_digest_of_another_key_is_not_ours(clerk: Clerk) -> None:
    """If this fails, somebody with a key of their own can have the clerk go on from their digest."""
    clerk.keep()
    [genuine] = clerk.parts()
    mine = client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    begun = digests.Begun(clerk.today(), int(clerk.world.now.timestamp()), 0, "")
    record = digests.sealed(begun, 7, (), "", genuine, now=clerk.world.now, retention=DAY)
    made = client("kms").generate_mac(**digests.to_sign(record["hash"], mine))["Mac"]
    put({**record, "mac": made.hex()})
    clerk.world.now += DAY
    clerk.keep()
    assert clerk.parts()[-1].previous == genuine.hash


def test_a_record_never_passes_for_a_digest(clerk: Clerk) -> None:
    """If this fails, a record put under the digests' key would be taken for one of them."""
    assert (
        Part.read({**seal({"resource": digests.RESOURCE, "record_id": "2026-11-20#0000"}, ""), "mac": "0" * 64}) is None
    )
