"""``evenkeel audit list`` and the release of a wave: who did what, one line each, and what still waits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.runtime.dynamodb import wire
from evenkeel_cli.aws import proved
from tests.cli.running import evenkeel
from tests.cli.test_patience import KEY, ME, Account, name_of, repair, undone

if TYPE_CHECKING:
    from collections.abc import Sequence

ALICE = "arn:aws:iam::123456789012:user/alice"
OTHER = f"{KEY}2"
FOR_EVER = 4_000_000_000


class Listed(Account):
    """An account whose resources are held by the records named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hold nothing."""
        super().__init__(monkeypatch)
        self.held_by: dict[str, str] = {}

    def get_item(self, *, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Return the state item of a control and resource, where a record holds it."""
        record = self.held_by.get(Key["pk"]["S"].partition("#")[2])
        return {"Item": wire({"pk": "x", "hold_record": record, "hold_until": FOR_EVER})} if record else {}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Return an account with two repairs, of two keys, caused by alice and by us."""
    found = Listed(monkeypatch)
    found.records = [
        {**repair(1, KEY), "actor": {"principal": ALICE, "owner": "alice"}, "reason": "rotation is off\nsince today"},
        {**repair(2, OTHER), "actor": {"principal": ME, "owner": "me"}, "approver": ALICE},
    ]
    return found


def listed(*arguments: str) -> list[dict[str, Any]]:
    """Return what is listed, as JSON."""
    result = evenkeel("audit", "list", "--stack", "prod", "-o", "json", *arguments)
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def ids(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the records' ids."""
    return [each["record_id"] for each in found]


@pytest.mark.usefixtures("account")
def test_a_record_is_one_line_that_says_who() -> None:
    """If this fails, who looks for a person's changes has to open each record, and grep finds half of one."""
    lines = evenkeel("audit", "list", "--stack", "prod").stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["time", "(UTC)", "outcome", "record", "control", "resource", "who", "reason"]
    [row] = [line for line in lines if name_of(1) in line]
    assert row.split()[2:] == [
        "REMEDIATED", name_of(1), "kms-key-rotation", "kms", KEY.rpartition(":")[2], "user/alice",
        *["rotation", "is", "off", "since", "today"],
    ]  # fmt: skip


def test_what_prevented_a_repair_and_who_released_one_stand_in_the_line(account: Listed) -> None:
    """If this fails, on-call opens each held record to see why, and a released repair seems to be nobody's."""
    held = {**repair(1, KEY), "outcome": "HELD", "reason": "off", "detail": "frozen until 2026-11-21 23:00 UTC"}
    nobody = {"principal": "", "owner": "", "user_agent": ""}
    released = {**repair(2, KEY), "actor": nobody, "approver": ME}
    account.records = [held, released]
    lines = evenkeel("audit", "list", "--stack", "prod").stdout.splitlines()
    assert any(line.endswith("off; frozen until 2026-11-21 23:00 UTC") for line in lines)
    assert any(ME.rpartition(":")[2] in line.split() for line in lines if name_of(2) in line)


@pytest.mark.parametrize(
    ("actor", "found"), [("alice", [2, 1]), ("ALICE", [2, 1]), ("user/me", [2]), ("bob", []), ("", [2, 1])]
)
@pytest.mark.usefixtures("account")
def test_records_of_an_actor_are_those_that_they_caused_or_decided(actor: str, found: list[int]) -> None:
    """If this fails, what a person did, or let through, is not found by their name."""
    assert ids(listed("--actor", actor)) == [name_of(number) for number in found]


@pytest.mark.usefixtures("account")
def test_resource_is_found_by_its_name_or_a_part_that_only_one_has() -> None:
    """If this fails, people copy ARNs together, or see the records of another resource than they mean."""
    assert name_of(2) in ids(listed("--resource", OTHER.rpartition("/")[2]))
    for part, told in (("key/", "matches several resources"), ("absent", "no resource of this name")):
        result = evenkeel("audit", "list", "--stack", "prod", "--resource", part)
        assert (result.exit_code, told in result.stderr) == (2, True)


def test_what_still_waits_is_listed_and_nothing_that_was_decided(account: Listed) -> None:
    """If this fails, people approve what was approved days ago, or miss what waits since the day before yesterday."""
    account.records = [{**repair(n, f"{KEY}{n}"), "outcome": "AWAITING"} for n in (1, 2, 3)]
    account.held_by = {f"{KEY}1": name_of(1), f"{KEY}2": name_of(99)}
    assert ids(listed("--outcome", "awaiting")) == [name_of(1)]
    assert len(listed("--outcome", "awaiting", "--outcome", "REMEDIATED")) == 3


def test_a_wrong_wave_is_released_in_one_go(account: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, who undid a hundred repairs by mistake has to release a hundred resources by hand."""
    asked: list[Any] = []

    def answer(_stack: Any, _function: str, payload: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        asked.append((payload["release"], payload["resource"]))
        result = {"outcome": "REMEDIATED", "control": payload["release"], "resource": payload["resource"]}
        return {"results": [{**result, "reason": "off", "record_id": "", "calls": []}]}

    monkeypatch.setattr(proved, "ask", answer)
    account.records = [{**undone(n, ME), "resource": f"{KEY}{n}"} for n in (1, 2, 3)]
    account.held_by = {f"{KEY}{n}": name_of(n + 100) for n in (1, 3)}
    unasked = evenkeel("release", "--undone-since", "1h", "--stack", "prod")
    assert (unasked.exit_code, asked) == (2, [])
    done = evenkeel("release", "--undone-since", "1h", "--stack", "prod", "--yes")
    assert (done.exit_code, done.stdout.count("REMEDIATED")) == (0, 2)
    assert asked == [("kms-key-rotation", f"{KEY}{n}") for n in (1, 3)]
    account.held_by = {}
    assert "Nothing that was undone" in evenkeel("release", "--undone-since", "1h", "--stack", "prod").stdout


def test_what_refuses_does_not_stop_the_rest_of_a_wave(account: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, one resource that is busy keeps all that come after it weak."""
    from evenkeel_cli.aws.functions import RefusedError  # noqa: PLC0415 - one user

    def answer(_stack: Any, _function: str, payload: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        if payload["resource"].endswith("1"):
            raise RefusedError("LeaseHeldError", "another worker is busy with it", "")
        return {"results": [{"outcome": "COMPLIANT", "control": "c", "resource": "r", "reason": ""}]}

    monkeypatch.setattr(proved, "ask", answer)
    account.records = [{**undone(n, ME), "resource": f"{KEY}{n}"} for n in (1, 2)]
    account.held_by = {f"{KEY}{n}": name_of(n + 100) for n in (1, 2)}
    result = evenkeel("release", "--undone-since", "1h", "--stack", "prod", "--yes")
    assert (result.exit_code, "COMPLIANT" in result.stdout) == (1, True)
    assert "1 of 2 were not released: another worker is busy with it" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--undone-since", "1h", "--resource", KEY), ("--undone-since", "soon")])
@pytest.mark.usefixtures("account")
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...]) -> None:
    """If this fails, a release without a control or with two meanings releases something."""
    assert evenkeel("release", "--stack", "prod", *arguments, "--yes").exit_code == 2
