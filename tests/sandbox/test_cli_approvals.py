"""The commands with which people approve, reject and release what is kept, on the real stack with IAM enforced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.cli_stack import CONTROL, Place, on

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

APPROVERS = 4


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack, which asks before it changes a key."""
    return on(shared, {"schema_version": 1, "settle_seconds": 0, "controls": {CONTROL: {"mode": "approve"}}})


def _waiting(place: Place) -> tuple[str, str]:
    arn = place.sandbox.client("kms", place.sandbox.admin()).create_key()["KeyMetadata"]["Arn"]
    return arn, str(place.outcome(arn, "AWAITING")["record_id"])


def test_an_approved_change_is_made_once(place: Place) -> None:
    """An approval would do nothing, or could be given again for a resource that somebody has changed since."""
    arn, record = _waiting(place)
    assert not place.rotates(arn)
    (result,) = place.ask("approve", record, "--yes")
    assert (result["outcome"], place.rotates(arn)) == ("REMEDIATED", True)
    again = place.run("approve", record, "--yes")
    assert (again.exit_code, "was decided" in again.stderr) == (1, True)


def test_a_rejected_change_is_not_made(place: Place) -> None:
    """A person's no would be forgotten, or be without its reason in the audit."""
    arn, record = _waiting(place)
    place.ask("reject", record, "--because", "a test key")
    assert not place.rotates(arn)
    assert "a test key" in place.outcome(arn, "REJECTED")["detail"]
    assert place.run("approve", record, "--yes").exit_code == 1
    assert _run(place, arn) == {"SKIPPED": 1}


def _run(place: Place, arn: str) -> dict[str, int]:
    """Bring one key in line by hand, which has to end with 0; return the counts."""
    counts: dict[str, int] = place.ask("run", CONTROL, "--resource", arn, "--apply", "--yes")["counts"]
    return counts


def test_what_people_hold_is_released_one_by_one(place: Place) -> None:
    """If this fails, a run is red over what a person undid or has yet to approve, or an undo holds for good."""
    arn, record = _waiting(place)
    assert _run(place, arn) == {"SKIPPED": 1}
    (approved,) = place.ask("approve", record, "--yes")
    place.ask("undo", approved["record_id"], "--yes")
    assert _run(place, arn) == {"SKIPPED": 1}
    of = ("release", CONTROL, "--resource", arn)
    assert (place.run(*of).exit_code, _run(place, arn)) == (2, {"SKIPPED": 1})
    released = place.run(*of, "--yes")
    assert (released.exit_code, "next, another person: evenkeel approve" in released.stdout) == (0, True)


def test_approvals_at_the_same_moment_make_one_change(place: Place) -> None:
    """If this fails, two people who approve at once change the resource twice, or one is not told what became of it."""
    arn, record = _waiting(place)
    command = [str(Path(sys.executable).with_name("evenkeel")), "approve", record, "--resource", arn, "--yes"]
    environment = {**os.environ, **place.operator}
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(APPROVERS)
    ]
    said = [(*each.communicate(), each.returncode) for each in running]
    assert sum("REMEDIATED" in out for out, _, _ in said) == 1
    for out, err, code in said:
        assert "Traceback" not in err
        if "REMEDIATED" in out:
            assert code == 0
        elif "COMPLIANT" in out:
            assert (code, "nothing was left to change" in out) == (0, True)
        else:
            assert code == 1
            assert any(
                told in out + err for told in ("was decided", "another worker is busy with it", "it changed since")
            )
    found = place.ask("audit", "list", "--resource", arn, "--control", CONTROL)
    assert sorted(each.get("outcome", each["step"]) for each in found) == ["AWAITING", "PLANNED", "REMEDIATED"]
    assert place.ask("audit", "verify", "--resource", arn)["ok"]


def test_nothing_held_is_said(place: Place) -> None:
    """A release would seem to have failed, or to have done something."""
    assert place.ask("release", CONTROL, "--yes") == []
    nothing_there = f"arn:aws:kms:{place.sandbox.region}:{place.sandbox.account}:key/no"
    assert place.ask("release", CONTROL, "--resource", nothing_there, "--yes") == []
    result = place.run("release", "nonsense-control", "--yes")
    assert (result.exit_code, "not known" in result.stderr) == (2, True)
