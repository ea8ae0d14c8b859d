"""What ``evenkeel audit verify`` says of a chain that somebody tampered with, and of one that nobody did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.records import new_id, seal
from evenkeel_cli.audit.chains import Chain, Fault, Judged, link

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.records import Record

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RETENTION = timedelta(days=400)
ARN = "arn:aws:kms:eu-west-1:123456789012:key/1"
CONTROL = "kms-key-rotation"


class Written:
    """The records of two repairs and the state item, as the engine leaves them."""

    def __init__(self, began: datetime = NOW - timedelta(hours=5)) -> None:
        """Write plan, outcome, plan, outcome, an hour between each."""
        self.records: list[Record] = []
        self.head = ""
        self.expires_at = 0
        for hours in range(4):
            self.write(began + timedelta(hours=hours))

    def write(self, at: datetime) -> None:
        """Chain one more record."""
        planned = len(self.records) % 2 == 0
        record: Record = {
            "record_id": new_id(at), "resource": ARN, "control": CONTROL, "reason": "rotation is off",
            "step": "PLANNED" if planned else "OUTCOME", "expires_at": int((at + RETENTION).timestamp()),
        }  # fmt: skip
        if not planned:
            record |= {"outcome": "REMEDIATED", "plan_id": self.records[-1]["record_id"]}
        self.seal(record)

    def seal(self, record: Record) -> None:
        """Chain a record to the last one, and set the head to it."""
        sealed = seal(record, self.head, self.expires_at)
        self.records.append(sealed)
        self.head, self.expires_at = sealed["hash"], sealed["expires_at"]

    def reseal(self, number: int, **changes: Any) -> None:
        """Put another record in a record's place, with a hash that fits it."""
        old = self.records[number]
        self.records[number] = seal({name: value for name, value in {**old, **changes}.items() if name != "hash"},
                                    old["previous"])  # fmt: skip

    def judge(self, *, headless: bool = False) -> Judged:
        """Judge what is there now."""
        state = None if headless else {"head": self.head, "head_expires_at": self.expires_at}
        return Chain(CONTROL, ARN, [link(each) for each in self.records], state, NOW).judge()

    def id(self, number: int) -> str:
        """Return a record's id."""
        return str(self.records[number]["record_id"])


def test_untouched_records_are_in_order() -> None:
    """A verification that always finds something would be ignored, and an alarm with it."""
    assert Written().judge() == Judged()


def change(there: Written) -> str:
    """Alter a record and leave its hash."""
    there.records[1]["outcome"] = "ANNOUNCED"
    return there.id(1)


def change_its_hash(there: Written) -> str:
    """Alter the hash alone."""
    there.records[1]["hash"] = "0" * 64
    return there.id(1)


def overwrite_a_plan(there: Written) -> str:
    """Put another plan in a plan's place, with a hash that fits."""
    there.reseal(2, reason="nothing was wrong")
    return there.id(2)


def remove_a_plan(there: Written) -> str:
    """Take a plan away whose outcome is still there."""
    return str(there.records.pop(2)["record_id"])


def remove_an_outcome(there: Written) -> str:
    """Take an outcome away that a later plan is chained to: nothing else names it."""
    there.records.pop(1)
    return ""


def remove_the_last(there: Written) -> str:
    """Cut the end off."""
    there.records.pop()
    return there.id(2)


def remove_the_first(there: Written) -> str:
    """Cut the beginning off."""
    return str(there.records.pop(0)["record_id"])


def remove_all(there: Written) -> str:
    """Leave only the head."""
    there.records.clear()
    return ""


def plant(there: Written) -> str:
    """Add a record that nobody chained."""
    there.records.append(
        seal({**there.records[1], "record_id": new_id(NOW - timedelta(hours=4, minutes=30))}, "f" * 64)
    )
    return there.id(4)


def set_the_head_back(there: Written) -> str:
    """Let the head forget the last record."""
    there.head = there.records[2]["hash"]
    return there.id(3)


def move(there: Written) -> str:
    """Give the last record a time before the first one's, with hash and head that fit."""
    there.reseal(3, record_id=new_id(NOW - timedelta(hours=9)))
    there.head = there.records[3]["hash"]
    return there.id(3)


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (change, Fault.CHANGED),
        (change_its_hash, Fault.CHANGED),
        (overwrite_a_plan, Fault.OVERWRITTEN),
        (remove_a_plan, Fault.MISSING),
        (remove_an_outcome, Fault.MISSING),
        (remove_the_last, Fault.TRUNCATED),
        (remove_the_first, Fault.MISSING),
        (remove_all, Fault.MISSING),
        (plant, Fault.OUT_OF_PLACE),
        (set_the_head_back, Fault.OUT_OF_PLACE),
        (move, Fault.OUT_OF_PLACE),
    ],
)
def test_what_was_done_is_named_with_its_record(tamper: Callable[[Written], str], fault: Fault) -> None:
    """Somebody could rewrite what Evenkeel did, and the verification would say nothing, or name the wrong record."""
    there = Written()
    record_id = tamper(there)
    (found,) = there.judge().findings
    assert (found.fault, found.record_id) == (fault, record_id)
    assert (found.control, found.resource) == (CONTROL, ARN)


def test_a_chain_without_a_head_is_told() -> None:
    """Whoever removes the state item could cut the chain where they like."""
    (found,) = Written().judge(headless=True).findings
    assert found.fault is Fault.TRUNCATED


def test_several_faults_are_all_told() -> None:
    """The first fault would hide the others, and an incident would look smaller than it is."""
    there = Written()
    changed, planted = change(there), plant(there)
    assert {(each.fault, each.record_id) for each in there.judge().findings} == {
        (Fault.CHANGED, changed),
        (Fault.OUT_OF_PLACE, planted),
    }


OLD = NOW - RETENTION - timedelta(minutes=90)
"""Two of four records that begin here have outlived their retention by now."""


@pytest.mark.parametrize("gone", [[0], [1], [0, 1]], ids=str)
def test_what_the_retention_removed_is_no_fault(gone: list[int]) -> None:
    """A year after the first repair every verification would fail; DynamoDB removes days late and in any order."""
    there = Written(OLD)
    there.records = [each for number, each in enumerate(there.records) if number not in gone]
    assert there.judge() == Judged(begins_late=True)


def test_a_chain_that_the_retention_removed_whole_is_no_fault() -> None:
    """Each resource that was repaired once would be reported for ever."""
    there = Written(NOW - RETENTION - timedelta(days=9))
    there.records.clear()
    assert there.judge() == Judged(begins_late=True)


def test_a_removal_before_its_time_is_a_fault_in_an_old_chain() -> None:
    """In a chain with expired records any other could be removed unseen."""
    there = Written(OLD)
    gone = remove_a_plan(there)
    assert [(each.fault, each.record_id) for each in there.judge().findings] == [(Fault.MISSING, gone)]


@pytest.mark.parametrize("number", [1, 3], ids=["within", "last"])
def test_a_shortened_time_to_live_is_a_fault(number: int) -> None:
    """The time is in no hash: somebody could have the table itself remove the record tomorrow, as if it were due."""
    there = Written()
    there.records[number]["expires_at"] = int((NOW + timedelta(days=1)).timestamp())
    (found,) = there.judge().findings
    assert (found.fault, found.record_id) == (Fault.CHANGED, there.id(number))


def test_a_record_of_any_shape_can_be_judged() -> None:
    """A planted item without the usual fields would end the verification with a traceback."""
    there = Written()
    there.records.append({"resource": ARN, "record_id": "zzz"})
    assert [(each.fault, each.record_id) for each in there.judge().findings] == [(Fault.CHANGED, "zzz")]
