"""The pure part of the digests: what a part is, how heads are packed, what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.audit import digests
from evenkeel.audit.digests import Begun, Head, Part
from evenkeel.audit.records import new_id
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.versions import DIGEST
from tests.examples import examples

NOW = datetime(2026, 11, 20, 0, 3, tzinfo=UTC)
RETENTION = timedelta(days=400)
BEGUN = Begun("2026-11-20", int(NOW.timestamp()), 0, "")

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
heads = st.builds(
    Head,
    st.from_regex(r"[a-z-]{1,20}", fullmatch=True),
    names,
    names,
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.integers(0, 2_000_000_000),
)


def item(*found: Head, after: str = "", previous: Part | None = None, mac: str = "0" * 64) -> dict[str, Any]:
    """Return a part as the clerk puts it, with any MAC."""
    sealed = digests.sealed(BEGUN, 0, found, after, previous, now=NOW, retention=RETENTION)
    return {**sealed, "mac": mac}


def part(begun_at: datetime, *, before: int = 0, after: str = "") -> Part:
    """Return a part of a day's digest."""
    begun = Begun(f"{begun_at:%Y-%m-%d}", int(begun_at.timestamp()), before, "")
    record = digests.sealed(begun, 0, (), after, None, now=begun_at, retention=RETENTION)
    found = Part.read({**record, "mac": "0" * 64})
    assert found
    return found


@examples(40)
@given(st.lists(heads, max_size=8))
def test_part_comes_back_from_the_table_as_it_was_put(found: list[Head]) -> None:
    """If this fails, a digest that nobody touched is announced as tampering."""
    read = Part.read(unwire(wire(item(*found, after="k"))))
    assert read
    assert (list(read.heads), read.day, read.number, read.last) == (found, "2026-11-20", 0, False)


@examples(40)
@given(st.lists(heads, min_size=1, max_size=8), st.data())
def test_any_change_of_a_part_shows(found: list[Head], data: st.DataObject) -> None:
    """If this fails, somebody can take a head out of a digest, or put another in, and its MAC still fits."""
    record = item(*found)
    name = data.draw(st.sampled_from(sorted(set(record) - {"expires_at", "mac", "heads"})))
    assert Part.read({**record, name: "x" if isinstance(record[name], str) else record[name] + 1}) is None
    number = data.draw(st.integers(0, len(found) - 1))
    assert Part.read({**record, "heads": [each for n, each in enumerate(record["heads"]) if n != number]}) is None


@pytest.mark.parametrize(
    "planted",
    [
        {},
        {"resource": digests.RESOURCE, "record_id": "2026-11-20#0000"},
        {**item(), "mac": "no MAC"},
        {**item(), "mac": b"bytes"},
        {**item(), "schema_version": DIGEST.version + 1},
        {**item(), "heads": "text"},
        {**item(), "heads": [{"control": "x"}]},
        {**item(), "more": b"bytes"},
        {**item(), "previous_expires_at": "soon"},
    ],
)
def test_what_is_no_part_is_none_and_no_error(planted: dict[str, Any]) -> None:
    """If this fails, a planted item of any shape stops the clerk, the notifier or a verification."""
    assert Part.read(planted) is None


@examples(40)
@given(st.lists(heads, max_size=40), st.integers(100, 2000))
def test_packing_keeps_every_head_in_its_order_and_no_pack_is_too_large(found: list[Head], most: int) -> None:
    """If this fails, a chain is in no digest, or a part is larger than an item of DynamoDB may be."""
    full, rest = digests.packed(found, most)
    assert [head for pack in [*full, rest] for head in pack] == found
    assert all(sum(head.size for head in pack) <= most or len(pack) == 1 for pack in [*full, rest])


def test_part_of_the_largest_heads_fits_into_an_item() -> None:
    """If this fails, DynamoDB refuses the part of a stack with long ARNs, and there is no digest any more."""
    long = Head("c" * 64, "arn:" + "ü" * 2044, "r" * 29, "f" * 64, 2_000_000_000)
    full, _ = digests.packed([long] * 500)
    biggest = max(len(str(wire(item(*pack))).encode()) for pack in full)
    assert biggest < 400_000 / 2


def test_head_is_read_from_a_state_item() -> None:
    """If this fails, a digest anchors another chain, or dies of an item that an older version wrote."""
    arn = "arn:aws:x:::y#z"
    old = Head.of({"pk": f"kms-key-rotation#{arn}", "head": "f" * 64})
    assert old == Head("kms-key-rotation", arn, "", "f" * 64, 0)
    assert old.key == f"kms-key-rotation#{arn}"


def test_digest_lives_as_long_as_what_it_anchors() -> None:
    """If this fails, a shorter retention lets digests go before the records that only they can prove."""
    long = int((NOW + timedelta(days=4000)).timestamp())
    assert item(Head("c", "r", "i", "f" * 64, long))["expires_at"] == long
    assert item()["expires_at"] == int((NOW + RETENTION).timestamp())


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (None, BEGUN),
        (part(NOW - timedelta(hours=1)), Begun("2026-11-20", int(NOW.timestamp()), int(NOW.timestamp()) - 3600, "")),
        (part(NOW - timedelta(days=3)), Begun("2026-11-20", int(NOW.timestamp()), int(NOW.timestamp()) - 259200, "")),
        (part(NOW - timedelta(minutes=1)), None),
        (part(NOW + timedelta(days=1)), None),
        (
            part(NOW - timedelta(days=1), before=7, after="there"),
            Begun("2026-11-19", int(NOW.timestamp()) - 86400, 7, "there"),
        ),
    ],
    ids=["first", "new day", "missed days", "made already", "clock ahead", "half made"],
)
def test_what_is_due(newest: Part | None, expected: Begun | None) -> None:
    """If this fails, a day has no digest, or two, or one that was begun is left half made."""
    assert digests.due(newest, NOW) == expected


@examples(40)
@given(st.integers(0, 300), st.integers(0, 59))
def test_what_moved_after_the_digest_before_began_is_in_the_next(minutes: int, late: int) -> None:
    """If this fails, a record that was written while a digest was made is in no digest at all."""
    before = NOW - timedelta(minutes=minutes + 1)
    begun = digests.due(part(before, before=1), NOW + timedelta(days=1))
    assert begun
    written = new_id(before - timedelta(minutes=late))
    assert written >= begun.since
    assert new_id(before - 2 * digests.OVERLAP) < begun.since


@pytest.mark.parametrize(
    ("newest", "hours"),
    [
        (None, 0),
        (part(NOW - timedelta(hours=5)), 5),
        (part(NOW - timedelta(hours=5), before=int(NOW.timestamp()) - 29 * 3600, after="there"), 29),
        (part(NOW - timedelta(hours=40), after="there"), 40),
        (part(NOW + timedelta(hours=1)), 0),
    ],
    ids=["none", "whole", "half made", "first is half made", "clock ahead"],
)
def test_age_is_that_of_the_newest_whole_digest(newest: Part | None, hours: int) -> None:
    """If this fails, the alarm is silent about digests that are begun and never ended, or rings for nothing."""
    assert digests.age(newest, NOW) == hours * 3600
