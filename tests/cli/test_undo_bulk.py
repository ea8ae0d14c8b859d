"""What ``evenkeel undo`` tells of one change and of a wave: what is done, what only would be, and what goes on."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from evenkeel_cli.changes import undo_command
from tests.cli.running import evenkeel, refuses
from tests.cli.test_patience import KEY, ME, Account, done, name_of, repair, undone


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return an account whose records are of two keys."""
    return Account(monkeypatch)


@pytest.mark.parametrize("undone_before", [(), (undone(2, ME),)])
def test_of_several_repairs_of_one_resource_only_the_newest_is_taken_back(
    account: Account, undone_before: tuple[dict[str, Any], ...]
) -> None:
    """If this fails, a wave ends red over a repair that was overtaken, though all is as it was."""
    account.records = [repair(1, KEY), repair(2, KEY), repair(3), *undone_before]
    result = account.wave(done(3), done(2), output="json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert [payload["record"] for payload in account.asked] == [name_of(n) for n in (3, 2)[: 2 - len(undone_before)]]
    assert (report["done"], report["already"], report["overtaken"]) == (2 - len(undone_before), len(undone_before), 1)
    assert (report["results"][-1]["record"], report["results"][-1]["outcome"]) == (name_of(1), "OVERTAKEN")


def test_by_force_each_repair_is_taken_back(account: Account) -> None:
    """If this fails, an older repair that closed another rule of a security group cannot be taken back in a wave."""
    account.records = [repair(1, KEY), repair(2, KEY)]
    report = json.loads(account.wave(done(2), done(1), output="json", force=True).stdout)
    assert [payload["record"] for payload in account.asked] == [name_of(2), name_of(1)]
    assert (report["done"], report["overtaken"]) == (2, 0)


def test_what_was_overtaken_is_told_as_skipped(account: Account) -> None:
    """If this fails, a person looks for a change that the wave seems to have forgotten."""
    account.records = [repair(1, KEY), repair(2, KEY)]
    result = account.wave(done(2))
    assert "1 undone, 0 refused, 1 skipped (1 overtaken by a newer repair)." in result.stdout
    account.records.append({**undone(2, ME), "resource": KEY})
    assert "Nothing to undo: 1 already undone, 1 overtaken by a newer repair." in account.wave().stdout


def test_a_dry_run_of_a_wave_claims_nothing_done(account: Account) -> None:
    """If this fails, a script takes a look at a wave for the wave."""
    account.answers = [{"drifted": False, "calls": []}] * 2
    result = evenkeel("undo", "--since", "1h", "--stack", "prod", "--dry-run", "-o", "json")
    report = json.loads(result.stdout)
    assert (report["dry_run"], report["done"], report["would"]) == (True, 0, 2)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"drifted": True, "calls": []}, "it changed since; --force undoes it anyway"),
        (refuses("UndoRefusedError", f"{KEY}: record is too large"), "record is too large"),
    ],
)
def test_a_dry_run_that_finds_a_refusal_is_done(account: Account, answer: dict[str, Any], told: str) -> None:
    """If this fails, a dry run ends red and says that changes were not undone, though nobody asked to undo them."""
    account.answers = [answer, {"drifted": False, "calls": []}]
    result = evenkeel("undo", "--since", "1h", "--stack", "prod", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "1 would be undone, 1 would be refused, 0 skipped." in result.stdout
    assert ("WOULD_REFUSE" in result.stdout, told in result.stdout) == (True, True)
    assert "not undone" not in result.stdout + result.stderr


def test_a_dry_run_that_could_not_look_is_not_done(account: Account) -> None:
    """If this fails, a dry run is green though the function crashed, and the wave behind it stops half way."""
    account.answers = [{"drifted": False, "calls": []}, {"errorType": "Crash"}]
    crash = {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "Crash"}')}
    invoke = account.invoke
    account.invoke = lambda **how: invoke(**how) if len(account.answers) > 1 else crash  # type: ignore[method-assign]
    result = evenkeel("undo", "--since", "1h", "--stack", "prod", "--dry-run")
    assert result.exit_code == 1
    assert "for 1 of 2 changes it is not known whether an undo would succeed" in result.stderr


def test_an_undo_says_how_the_resource_is_repaired_again(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, who undid too much releases the whole control, which leaves undone resources on hold."""
    monkeypatch.setattr(undo_command.Reader, "record", lambda *_: repair(1))
    plan = {"control": "kms-key-rotation", "resource": KEY, "calls": [], "residue": "", "drifted": False}
    account.answers = [plan, {**plan, **done(1)}]
    result = evenkeel("undo", name_of(1), "--stack", "prod", "--yes")
    assert result.exit_code == 0
    again = f"evenkeel release kms-key-rotation --stack prod --region eu-west-1 --resource {KEY}\n"
    assert again in result.stdout


@pytest.mark.parametrize(("arguments", "title"), [(("--dry-run",), "would call"), (("--yes",), "will call")])
def test_a_dry_run_does_not_say_that_it_will_call(
    account: Account, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], title: str
) -> None:
    """If this fails, a dry run reads as if the change were being undone."""
    monkeypatch.setattr(undo_command.Reader, "record", lambda *_: repair(1))
    calls = ["aws kms disable-key-rotation --key-id 1"]
    plan = {"control": "kms-key-rotation", "resource": KEY, "calls": calls, "residue": "", "drifted": False}
    account.answers = [plan, {**plan, **done(1)}]
    result = evenkeel("undo", name_of(1), "--stack", "prod", *arguments)
    assert f"  {title}\n    {calls[0]}\n" in result.stdout


def test_a_refused_undo_says_that_it_cannot_be_undone(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, undoing a change twice is answered as if the audit could not be read."""
    monkeypatch.setattr(undo_command.Reader, "record", lambda *_: repair(1))
    account.answers = [refuses("UndoRefusedError", f"{KEY}: record {name_of(1)} was undone already")]
    result = evenkeel("undo", name_of(1), "--stack", "prod", "--dry-run")
    assert result.exit_code == 1
    assert f"error: cannot undo record {name_of(1)}: " in result.stderr


def test_a_record_that_is_not_found_says_the_whole_command(account: Account) -> None:
    """If this fails, who looks for a plan by its id has to find out which command takes --resource."""
    account.records = []
    result = evenkeel("audit", "show", name_of(9), "--stack", "prod")
    assert result.exit_code == 2
    assert "A PLANNED record needs --resource." in result.stderr
    assert result.stderr.endswith("evenkeel audit list --stack prod --region eu-west-1 --since 2026-11-20\n")
