"""What ``evenkeel audit verify`` says of the digests, and of chains that were rewritten or cut with their heads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.audit import digests
from evenkeel.audit.digests import Begun, Head, Part
from evenkeel_cli.audit import digest_chain
from evenkeel_cli.audit.chains import Chain, Fault, Finding, Judged, link
from tests.cli.test_chains import ARN, CONTROL, NOW, RETENTION, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evenkeel.audit.records import Record
    from evenkeel_cli.audit.digest_chain import Anchor

DAY = timedelta(days=1)
MORNING = NOW.replace(hour=0, minute=5)


class Kept:
    """The digests of some days, as the clerk leaves them."""

    def __init__(self, days: int = 5, retention: timedelta = RETENTION) -> None:
        """Make one a day, the newest this morning; the third is of two parts."""
        self.items: list[Record] = []
        self.retention = retention
        for number in range(days):
            at = MORNING - (days - 1 - number) * DAY
            begun = Begun(f"{at:%Y-%m-%d}", int(at.timestamp()), int((at - DAY).timestamp()), "")
            if number == 2:
                self.put(begun, 0, "more")
            self.put(begun, int(number == 2), "")

    def put(self, begun: Begun, number: int, after: str, heads: Sequence[Head] = ()) -> None:
        """Add a part."""
        previous = Part.read(self.items[-1]) if self.items else None
        at = datetime.fromtimestamp(begun.begun_at, UTC)
        sealed = digests.sealed(begun, number, heads, after, previous, now=at, retention=self.retention)
        self.items.append({**sealed, "mac": "0" * 64})

    def judge(self, *forged: str, now: datetime = NOW) -> digest_chain.Digests:
        """Judge what is there now, where all but the forged have a MAC that is the key's."""
        return digest_chain.digests(self.items, {each["record_id"] for each in self.items} - {*forged}, now)

    def faults(self, *forged: str, now: datetime = NOW) -> list[tuple[Fault, str]]:
        """Return what is wrong with them."""
        found = self.judge(*forged, now=now).findings
        assert all((each.resource, each.control) == (digests.RESOURCE, "") for each in found)
        return [(each.fault, each.record_id) for each in found]

    def name(self, number: int) -> str:
        """Return the id of a part."""
        return str(self.items[number]["record_id"])


def test_digests_that_nobody_touched_are_fine() -> None:
    """If this fails, each verification finds something, and nobody believes the next one."""
    judged = Kept().judge()
    assert (judged.findings, judged.missed) == ([], ())
    assert judged.days == tuple(f"{MORNING - number * DAY:%Y-%m-%d}" for number in (4, 3, 2, 1, 0))


def test_digest_that_is_not_the_clerks_is_named() -> None:
    """If this fails, digests can be changed, or forged with a key of one's own."""
    there = Kept()
    assert there.faults(there.name(1)) == [(Fault.CHANGED, there.name(1))]
    there.items[4]["heads"] = [{"control": "c", "resource": "r", "record_id": "", "hash": "", "expires_at": 0}]
    assert there.faults() == [(Fault.CHANGED, there.name(4))]
    assert not there.judge().anchors


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_digest_that_is_gone_is_told_with_its_neighbours(number: int) -> None:
    """If this fails, the digest that would prove a chain rewritten can simply be removed."""
    there = Kept()
    there.items.pop(number)
    (found,) = there.judge().findings
    assert found.fault is Fault.MISSING
    assert there.name(number) in found.message


def test_digests_of_the_last_days_that_are_gone_are_told() -> None:
    """If this fails, cutting off the newest digests would hide what they anchored."""
    there = Kept()
    del there.items[-2:]
    (found,) = there.judge().findings
    assert (found.fault, there.name(-1) in found.message) == (Fault.MISSING, True)


def test_digest_under_another_day_is_told() -> None:
    """If this fails, digests can be put in another order."""
    there = Kept()
    moved = {**there.items[1], "record_id": "2026-11-19#0007"}
    there.items.append(moved)
    assert there.faults() == [(Fault.CHANGED, "2026-11-19#0007")]


def test_chain_of_digests_that_begins_anew_is_told() -> None:
    """If this fails, digests could be hidden from the clerk and given back, as if nothing had been."""
    there = Kept()
    late = Kept(1)
    there.items[-1] = late.items[0]
    assert there.faults() == [(Fault.OUT_OF_PLACE, there.name(-1))]


def test_what_the_retention_removed_of_the_digests_is_no_fault() -> None:
    """If this fails, each verification fails once the first digest expires; DynamoDB removes late and in any order."""
    there = Kept(retention=2 * DAY)
    for gone in ([0], [1], [0, 1], [0, 1, 2], [2]):
        rest = Kept(retention=2 * DAY)
        rest.items = [each for number, each in enumerate(there.items) if number not in gone]
        assert rest.faults() == [], gone
    there.items.pop(4)
    assert [fault for fault, _ in there.faults()] == [Fault.MISSING]


def test_days_without_a_digest_are_told_and_no_fault_where_the_chain_holds() -> None:
    """If this fails, a day on which the clerk did not run looks like tampering, or like nothing at all."""
    there = Kept(1)
    begun = Begun("2026-11-24", int((MORNING + 4 * DAY).timestamp()), int(MORNING.timestamp()), "")
    there.put(begun, 0, "")
    judged = there.judge(now=NOW + 4 * DAY)
    assert (judged.findings, judged.missed) == ([], ("2026-11-21", "2026-11-22", "2026-11-23"))


def test_stack_without_digests_is_only_told_when_it_should_have_one() -> None:
    """If this fails, a new stack looks tampered with, or removing all digests goes unseen."""
    assert Kept(0).judge() == digest_chain.Digests()
    assert digest_chain.none_at_all(0, NOW) == []
    assert digest_chain.none_at_all((NOW - timedelta(hours=35)).timestamp(), NOW) == []
    (found,) = digest_chain.none_at_all((NOW - timedelta(hours=37)).timestamp(), NOW)
    assert found.fault is Fault.MISSING


def head_of(there: Written, number: int = -1, **changes: int) -> Head:
    """Return what a digest keeps of a record that is the last of its chain."""
    record = there.records[number]
    found = Head(CONTROL, ARN, record["record_id"], record["hash"], record["expires_at"])
    return replace(found, **changes)


def anchored(*heads: Head, now: datetime = NOW) -> list[Anchor]:
    """Return what the digests of the last days anchor of the chain, one a day."""
    there = Kept(0)
    for number, head in enumerate(heads):
        at = MORNING - (len(heads) - 1 - number) * DAY
        there.put(Begun(f"{at:%Y-%m-%d}", int(at.timestamp()), 0, ""), 0, "", [head])
    return there.judge(now=now).anchors.get((CONTROL, ARN), [])


def against(there: Written, *heads: Head, now: datetime = NOW) -> list[Finding]:
    """Judge a chain against the digests."""
    return digest_chain.against(CONTROL, ARN, [link(each) for each in there.records], anchored(*heads, now=now))


def rewrite(there: Written) -> str:
    """Make the whole chain anew with the same ids, hashes and head that fit; return the record to be named."""
    records, there.records, there.head, there.expires_at = there.records, [], "", 0
    for record in records:
        kept = {
            name: value for name, value in record.items() if name not in {"hash", "previous", "previous_expires_at"}
        }
        there.seal({**kept, "reason": "nothing was wrong"})
    return there.id(3)


def rewrite_with_other_ids(there: Written) -> str:
    """Make the whole chain anew, as if it had happened later."""
    name = there.id(3)
    there.records, there.head, there.expires_at = [], "", 0
    for hours in range(4):
        there.write(NOW - timedelta(minutes=30 - hours))
    return name


def cut(there: Written) -> str:
    """Take the last record away and set the head back."""
    name = there.id(3)
    there.records.pop()
    there.head, there.expires_at = there.records[-1]["hash"], there.records[-1]["expires_at"]
    return name


def cut_and_grow(there: Written) -> str:
    """Take the last record away and let the chain go on from the one before."""
    name = cut(there)
    there.write(NOW - timedelta(minutes=1))
    return name


def remove_all(there: Written) -> str:
    """Leave nothing, not even a head."""
    name = there.id(3)
    there.records, there.head = [], ""
    return name


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (rewrite, Fault.REWRITTEN),
        (rewrite_with_other_ids, Fault.REWRITTEN),
        (cut, Fault.TRUNCATED),
        (cut_and_grow, Fault.REWRITTEN),
        (remove_all, Fault.MISSING),
    ],
)
def test_chain_made_anew_with_its_head_is_told_by_what_was_anchored(
    tamper: Callable[[Written], str], fault: Fault
) -> None:
    """If this fails, whoever can write both tables can make Evenkeel's history what they like."""
    there = Written()
    head = head_of(there)
    name = tamper(there)
    assert there.judge().findings == ()
    (found,) = against(there, head)
    assert (found.fault, found.record_id, found.control, found.resource) == (fault, name, CONTROL, ARN)
    assert "2026-11-20" in found.message


def test_oldest_loss_is_named_and_the_others_are_counted() -> None:
    """If this fails, a long chain made anew fills the screen, or its beginning is not told."""
    there = Written()
    heads = [head_of(there, number) for number in range(4)]
    first = there.id(0)
    rewrite(there)
    (found,) = against(there, *heads)
    assert found.record_id == first
    assert "3 more" in found.message


@given(st.integers(0, 3), st.integers(0, 6), st.integers(0, 500))
def test_chain_that_grew_or_expired_since_it_was_anchored_is_fine(number: int, more: int, days: int) -> None:
    """If this fails, a chain that is used, or old, looks tampered with."""
    began = NOW - days * DAY - timedelta(hours=5)
    there = Written(began)
    head = head_of(there, number)
    for minutes in range(more):
        there.write(began + timedelta(hours=4, minutes=minutes))
    there.records = [each for each in there.records if each["expires_at"] > NOW.timestamp()]
    assert against(there, head) == []


@given(st.integers(0, 3), st.sampled_from([rewrite, rewrite_with_other_ids]))
def test_no_rewritten_chain_passes(number: int, tamper: Callable[[Written], str]) -> None:
    """If this fails, there is a record whose rewriting no digest shows."""
    there = Written()
    head = head_of(there, number)
    tamper(there)
    assert against(there, head)


def test_record_that_may_have_expired_is_not_asked_for() -> None:
    """If this fails, a chain that the retention removed whole is reported for ever."""
    there = Written()
    over = head_of(there, expires_at=int(NOW.timestamp()) - 1)
    remove_all(there)
    assert against(there, over) == []
    assert len(against(there, replace(over, expires_at=0))) == 1


def test_chain_that_is_wrong_by_itself_holds_the_record_that_was_changed() -> None:
    """If this fails, a changed record counts as one that is still what was anchored."""
    there = Written()
    head = head_of(there)
    there.records[3]["outcome"] = "ANNOUNCED"
    assert Chain(CONTROL, ARN, [link(each) for each in there.records], None, NOW).judge() != Judged()
    (found,) = against(there, head)
    assert (found.fault, found.record_id) == (Fault.REWRITTEN, there.id(3))


def test_findings_survive_being_kept_in_a_file() -> None:
    """If this fails, what an interrupted verification found is lost or garbled when it goes on."""
    found = Finding(Fault.OUT_OF_PLACE, "r", ARN, CONTROL, "what")
    assert Finding.of(found.described()) == found
