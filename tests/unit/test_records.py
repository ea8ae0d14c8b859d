"""The audit record: its id, hash, chain and evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel import canonical
from evenkeel.audit import record_types, records
from evenkeel.control.registry import all_controls
from evenkeel.errors import BrokenChainError
from evenkeel.model import Actor, Call, Cause, Change, Mode, Outcome, Request, Resource
from evenkeel.runtime.dynamodb import unwire, wire
from tests.samples import stored

NOW = datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
ARN = "arn:aws:kms:eu-west-1:123456789012:key/1"
KMS = all_controls()["kms-key-rotation"]
REQUEST = Request(
    KMS.id, Resource(ARN, "123456789012", "eu-west-1"), Cause("cloudtrail", "e", "CreateKey", "t"),
    Actor("p", "IAMUser", "alice"), creates=True,
)  # fmt: skip
CHANGE = Change((Call("kms", "enable", {"KeyId": "1"}),), (Call("kms", "disable", {"KeyId": "1"}),), "kept")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=4),
    max_leaves=15,
)


def _finding(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "now": NOW, "mode": Mode.ENFORCE, "settings_version": "abc", "parameters": {"period_days": 365},
        "reason": "off", "before": {"on": False}, "change": CHANGE, "remains": "", "retention_days": 400, **changes,
    }  # fmt: skip
    return records.finding_record(KMS, REQUEST, **fields)


def test_finding_holds_all_that_the_audit_promises() -> None:
    """If this fails, a record lacks what an auditor or an undo needs."""
    assert _finding() == {
        "schema_version": 1,
        "resource": ARN,
        "control": "kms-key-rotation",
        "title": "Customer managed symmetric KMS keys rotate their key material at least once a year",
        "severity": "MEDIUM",
        "mode": "enforce",
        "parameters": {"period_days": 365},
        "creates": True,
        "waited": "",
        "account": "123456789012",
        "region": "eu-west-1",
        "reason": "off",
        "remains": "",
        "before": {"on": False},
        "calls": [{"service": "kms", "operation": "enable", "params": {"KeyId": "1"}}],
        "undo": [{"service": "kms", "operation": "disable", "params": {"KeyId": "1"}}],
        "residue": "kept",
        "actor": {
            "principal": "p", "kind": "IAMUser", "owner": "alice", "user_agent": "", "invoked_by": "", "source_ip": "",
        },
        "cause": {"origin": "cloudtrail", "event_id": "e", "event_name": "CreateKey", "event_time": "t",
                  "finding_id": "", "product_arn": ""},
        "settings_version": "abc",
        "expires_at": int(NOW.timestamp()) + 400 * 86400,
    }  # fmt: skip


def test_finding_without_a_change_has_no_calls() -> None:
    """If this fails, a finding for people only shows calls that nobody computed."""
    found = _finding(change=None)
    assert (found["calls"], found["undo"], found["residue"]) == ([], [], "")


def test_plan_and_outcome_belong_together() -> None:
    """If this fails, an outcome cannot be told to its plan, or lost what the plan said."""
    plan = records.seal(records.planned(_finding(), NOW), "before")
    later = NOW + timedelta(seconds=1)
    ended = records.ended(
        plan, Outcome.REMEDIATED, now=later, detail="fine", after={"on": True}, aws_calls=4, announce=False
    )
    assert (plan["step"], plan["at"]) == ("PLANNED", "2026-11-20T09:00:00.123+00:00")
    assert (ended["step"], ended["outcome"], ended["plan_id"]) == ("OUTCOME", "REMEDIATED", plan["record_id"])
    assert (ended["detail"], ended["after"], ended["aws_calls"], ended["announce"]) == ("fine", {"on": True}, 4, False)
    assert (ended["at"], ended["day_shard"]) == ("2026-11-20T09:00:01.123+00:00", records.day_shard(ARN, later))
    assert ended["record_id"] > plan["record_id"]
    assert not {"hash", "previous"} & set(ended)
    kept = set(plan) - {"record_id", "hash", "previous", "step", "at"}
    assert {name: ended[name] for name in kept} == {name: plan[name] for name in kept}


def test_outcome_of_a_finding_without_a_plan() -> None:
    """If this fails, an announcement claims a plan, or evidence that it has not."""
    ended = records.ended(_finding(), Outcome.ANNOUNCED, now=NOW)
    assert (ended["plan_id"], ended["after"], ended["aws_calls"]) == ("", None, 0)
    assert (ended["announce"], ended["detail"]) == (True, "")


def test_ids_are_ordered_by_time_and_unique() -> None:
    """If this fails, a resource's history reads in the wrong order, or two records have one key."""
    moments = [NOW + timedelta(milliseconds=number) for number in range(200)]
    ids = [records.new_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert len({records.new_id(NOW) for _ in range(1000)}) == 1000
    assert records.new_id(NOW).startswith(f"{int(NOW.timestamp() * 1000):012x}-")
    assert len(records.new_id(NOW)) == 29
    assert records.new_id(datetime(2026, 1, 1, tzinfo=UTC)) < records.new_id(datetime(2100, 1, 1, tzinfo=UTC))


@given(st.dictionaries(st.text(min_size=1, max_size=9), JSON, min_size=1, max_size=6))
def test_hash_survives_the_table(fields: dict[str, Any]) -> None:
    """If this fails, an untouched record looks tampered with once it was read back."""
    sealed = records.seal(fields, "before")
    back = unwire(json.loads(json.dumps(wire(sealed))))
    assert back == canonical.plain(sealed)
    assert records.record_hash(back) == back["hash"] == sealed["hash"]


@pytest.mark.parametrize("field", ["reason", "outcome", "previous", "before", "record_id", "announce"])
def test_hash_covers_every_field(field: str) -> None:
    """If this fails, a field of a record can be changed without anyone noticing."""
    sealed = records.seal(records.ended(_finding(), Outcome.FAILED, now=NOW), "x")
    assert records.record_hash({**sealed, field: "changed"}) != sealed["hash"]
    assert records.record_hash({name: value for name, value in sealed.items() if name != field}) != sealed["hash"]


def test_hash_leaves_out_itself_and_what_may_change() -> None:
    """If this fails, prolonging a record's life breaks its chain."""
    sealed = records.seal(_finding(), "x")
    assert sealed["previous"] == "x"
    assert records.record_hash({**sealed, "expires_at": 1, "hash": "y"}) == sealed["hash"]


def test_digest_is_sha256_of_canonical_json() -> None:
    """If this fails, hashes written by an older version cannot be checked any more."""
    assert canonical.digest({"b": 1, "a": [True, None, "é"]}) == canonical.digest({"a": [True, None, "é"], "b": 1})
    import hashlib  # noqa: PLC0415 - one user

    text = '{"a":[true,null,"é"],"b":1}'
    assert canonical.digest({"b": 1, "a": [True, None, "é"]}) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (NOW, "2026-11-20T09:00:00.123456+00:00"),
        (1.0, 1),
        (0.5, "0.5"),
        (Decimal(3), 3),
        (Decimal("0.1"), "0.1"),
        ((1, 2), [1, 2]),
        ({1: {2}}, {"1": [2]}),
        (frozenset({1}), [1]),
        (True, True),
        (None, None),
        ("x", "x"),
        ("é😀 \ud83d", "é😀 ?"),
        (7, 7),
    ],
)
def test_plain(value: Any, plain: Any) -> None:
    """If this fails, evidence cannot be stored, or is not the same when read back."""
    found = canonical.plain(value)
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    ("size", "kept"), [(10, True), (records.MAX_STATE_BYTES - 9, True), (records.MAX_STATE_BYTES - 8, False)]
)
def test_evidence_that_is_too_large_is_kept_as_its_hash(size: int, kept: bool) -> None:
    """If this fails, a large state makes the record too large for the table, or is cut in silence."""
    state = {"x": "a" * size}
    found = records.evidence(state)
    if kept:
        assert found == state
    else:
        assert found == {"truncated": True, "bytes": size + 9, "sha256": canonical.digest(state)}


def test_evidence_is_measured_in_bytes() -> None:
    """If this fails, a state of other letters is too large for the table."""
    assert records.evidence({"x": "é" * 40_000})["truncated"]


def test_shards_are_stable_and_spread() -> None:
    """If this fails, outcomes of a day heat one partition, or cannot be found again."""
    assert records.shard("a") == int("ca978112", 16) % 16
    assert {records.shard(str(number)) for number in range(500)} == set(range(16))
    assert records.day_shard("a", NOW) == f"2026-11-20#{records.shard('a'):02d}"


def _chain(count: int) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    for number in range(count):
        record = {"record_id": f"r{number}", "reason": "x"}
        chain.append(records.seal(record, chain[-1]["hash"] if chain else ""))
    return chain


def test_chain_is_put_in_order() -> None:
    """If this fails, a whole chain is not recognized, or is read in the wrong order."""
    chain = _chain(4)
    assert records.chained(chain[::-1], chain[-1]["hash"], ARN, NOW) == chain
    assert records.chained([], "", ARN, NOW) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda chain: chain[1:], "is missing"),
        (lambda chain: chain[:-1], "is missing"),
        (lambda chain: [chain[0], chain[2]], "is missing"),
        (lambda chain: [{**chain[0], "reason": "y"}, *chain[1:]], "r0 was changed after it was written"),
        (lambda chain: [*chain, records.seal({"record_id": "r9"}, "")], "r9 is not in the chain"),
    ],
)
def test_broken_chain_is_told(spoil: Any, told: str) -> None:
    """If this fails, a removed, changed or planted record goes unnoticed."""
    chain = _chain(3)
    with pytest.raises(BrokenChainError) as caught:
        records.chained(spoil(chain), chain[-1]["hash"], ARN, NOW)
    assert told in str(caught.value)
    assert str(caught.value).startswith(ARN)


SOON, PAST = int(NOW.timestamp()) + 60, int(NOW.timestamp()) - 60


@pytest.mark.parametrize(
    ("expires", "kept", "broken"),
    [((PAST, PAST, SOON), 1, False), ((PAST, SOON, SOON), 2, False), ((PAST, SOON, SOON), 1, True),
     ((SOON, SOON, SOON), 2, True), ((PAST, PAST, SOON), 3, False)],
)  # fmt: skip
def test_chain_may_begin_only_where_the_time_to_live_has_cut_it(
    expires: tuple[int, ...], kept: int, broken: bool
) -> None:
    """If this fails, every chain breaks after the retention, or records can be cut off its beginning."""
    chain: list[dict[str, Any]] = []
    for number, until in enumerate(expires):
        last = chain[-1] if chain else {"hash": "", "expires_at": 0}
        chain.append(records.seal({"record_id": f"r{number}", "expires_at": until}, last["hash"], last["expires_at"]))
    left = chain[-kept:]
    if broken:
        with pytest.raises(BrokenChainError, match="is missing"):
            records.chained(left, chain[-1]["hash"], ARN, NOW)
    else:
        assert records.chained(left, chain[-1]["hash"], ARN, NOW) == left


def test_expired_record_that_is_still_there_is_no_planted_one() -> None:
    """If this fails, a chain counts as broken while the time-to-live takes its records one by one."""
    chain = [records.seal({"record_id": "r0", "expires_at": PAST}, "")]
    chain.append(records.seal({"record_id": "r1", "expires_at": PAST}, chain[0]["hash"], PAST))
    chain.append(records.seal({"record_id": "r2", "expires_at": SOON}, chain[1]["hash"], PAST))
    assert records.chained([chain[0], chain[2]], chain[2]["hash"], ARN, NOW) == [chain[2]]
    planted = records.seal({"record_id": "r9", "expires_at": SOON}, "")
    with pytest.raises(BrokenChainError, match="r9 is not in the chain"):
        records.chained([*chain, planted], chain[2]["hash"], ARN, NOW)


@pytest.mark.parametrize("release", stored.releases())
def test_types_have_the_fields_that_releases_wrote(release: str) -> None:
    """If this fails, the types promise a field that a stored record lacks, or do not know one that it has."""
    seen: set[str] = set()
    for record in stored.load(release, "tables")["audit"]:
        if "step" not in record:
            continue  # a part of a digest
        undo, ended = "undoes" in record, records.has_ended(record)
        kind = {
            (False, False): record_types.PlannedRecord,
            (False, True): record_types.EndedRecord,
            (True, False): record_types.PlannedUndo,
            (True, True): record_types.EndedUndo,
        }[undo, ended]
        fields = kind.__annotations__
        always = {name for name, hint in fields.items() if "NotRequired" not in str(hint)}
        assert always <= record.keys() <= fields.keys(), record["record_id"]
        assert bool(records.undone(record)) is undo
        seen.add(kind.__name__)
    assert seen == {"PlannedRecord", "EndedRecord", "PlannedUndo", "EndedUndo"}
