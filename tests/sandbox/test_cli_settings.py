"""The settings' commands on the real stack in a sandbox: what is live, what a file changes, and the push of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel_cli.local import local_stack
from tests.factories import rds as making
from tests.sandbox.cli_stack import CONTROL, Place, on
from tests.world import reaching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sandbox.shared import Shared

PUBLIC = "rds-public-access"
EXEMPT = """schema_version: 1
settle_seconds: 2
exemptions:
  - controls: [kms-key-rotation]
    resources: ["{arn}"]
    reason: rotates in the HSM
    approver: alice@example.com
    expires: 2099-01-01
  - controls: ["*"]
    tags: {{Team: sandbox}}
    reason: plays only
    approver: bob@example.com
    expires: 2098-01-01
"""


@pytest.fixture(scope="module")
def place(shared: Shared) -> Iterator[Place]:
    """The real stack, and a person who may do everything."""
    yield on(shared, local_stack.settings())
    shared.forget_settings()


def written(folder: Path, text: str) -> str:
    """Write a settings file and return its path."""
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_is_shown_can_be_pushed_again(place: Place, tmp_path: Path) -> None:
    """Whoever starts from what is live would get a file that says something else, or none that YAML can read."""
    shown = place.run("settings", "show")
    path = written(tmp_path, shown.stdout)
    result = place.run("settings", "push", path, "--yes")
    assert (result.exit_code, "already has these settings" in result.stdout) == (0, True)
    assert place.ask("settings", "diff", path)["diff"] == []


def test_a_push_shows_the_difference_asks_and_is_live(place: Place, tmp_path: Path) -> None:
    """Settings could be pushed unseen, or be said to be live when they are not."""
    path = written(tmp_path, "schema_version: 1\nsettle_seconds: 3\ncontrols:\n  kms-key-rotation:\n    mode: off\n")
    unasked = place.run("settings", "push", path)
    assert unasked.exit_code == 2
    assert "+    mode: 'off'" in unasked.stderr
    assert place.ask("settings", "show")["settings"]["settle_seconds"] == 2

    pushed = place.run("settings", "push", path, "--yes")
    assert (pushed.exit_code, "has the new settings" in pushed.stdout) == (0, True)
    assert "announced" not in pushed.stdout
    live = place.ask("settings", "show")
    assert live["settings"] == {"schema_version": 1, "settle_seconds": 3, "controls": {CONTROL: {"mode": "off"}}}
    assert live["coming"] is None

    back = written(tmp_path, "schema_version: 1\nsettle_seconds: 2\n")
    at_once = place.ask("settings", "push", back, "--yes", "--at-once")
    assert at_once["state"] == "COMPLETE"
    assert place.ask("settings", "show")["settings"] == {"schema_version": 1, "settle_seconds": 2}


def test_a_raised_mode_says_which_announced_findings_wait(place: Place, tmp_path: Path) -> None:
    """If this fails, what was announced stays weak under `enforce`, and nobody knows that it waits for an event."""
    client = place.sandbox.client("rds", place.sandbox.admin())
    with reaching(lambda _: client):
        arn = making.instance("announced", PubliclyAccessible=True)
    place.outcome(arn, "ANNOUNCED", PUBLIC)
    path = written(tmp_path, f"schema_version: 1\nsettle_seconds: 2\ncontrols:\n  {PUBLIC}: {{mode: enforce}}\n")
    pushed = place.run("settings", "push", path, "--yes", "--at-once")
    # Other files announce databases, too, on the stack that they share.
    assert re.search(rf"announced findings? of {PUBLIC} of the last 30 days waits? for an event", pushed.stdout)
    line = f"evenkeel run {PUBLIC} --stack {place.stack.name} --region {place.sandbox.region} --all"
    assert line in pushed.stdout.splitlines()[-1]
    assert place.run(*line.split()[1:]).exit_code == 0


def test_a_wrong_file_is_not_pushed(place: Place, tmp_path: Path) -> None:
    """AppConfig would be asked for what cannot work, and its answer names no line."""
    path = written(tmp_path, "schema_version: 1\ncontrols:\n  kms-key-rotation: {mode: destroy}\n")
    before = place.ask("settings", "show")["version"]
    result = place.run("settings", "push", path, "--yes")
    assert result.exit_code == 2
    assert f"{path}:3: controls.kms-key-rotation.mode" in result.stderr
    assert place.ask("settings", "show")["version"] == before


def test_who_may_not_read_the_settings_is_told_which_permission_is_missing(place: Place) -> None:
    """Somebody without the permission would see a traceback."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    not_this = {"Effect": "Deny", "Action": "appconfig:ListDeployments", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [everything, not_this]}
    credentials = place.sandbox.create_user("stranger", policy).get_credentials()
    assert credentials
    keys = {"AWS_ACCESS_KEY_ID": credentials.access_key, "AWS_SECRET_ACCESS_KEY": credentials.secret_key}
    result = Place(place.sandbox, place.stack, {**place.operator, **keys}).run("settings", "show")
    assert result.exit_code == 1
    assert "access denied by AWS at ListDeployments" in result.stderr


def test_exemptions_and_what_they_change_are_told(place: Place, tmp_path: Path) -> None:
    """If this fails, people push an exemption without knowing what it hides, or by which tags, and who approved it."""
    arn, _ = place.repaired_key()
    tagged, _ = place.repaired_key()
    untagged, _ = place.repaired_key()
    place.sandbox.client("kms").tag_resource(KeyId=tagged, Tags=[{"TagKey": "Team", "TagValue": "sandbox"}])
    path = written(tmp_path, EXEMPT.format(arn=arn))

    compared = place.ask("settings", "diff", path)
    otherwise = {(each["control"], each["resource"]): each for each in compared["decided_otherwise"]}
    assert otherwise[CONTROL, arn]["before"] == "enforce"
    assert otherwise[CONTROL, arn]["after"] == "exempt until 2099-01-01: rotates in the HSM"
    assert otherwise[CONTROL, tagged]["after"] == "exempt until 2098-01-01: plays only"
    assert (CONTROL, untagged) not in otherwise
    assert compared["findings"] >= len(otherwise)
    assert compared["tags_unread"] == {}

    assert place.run("settings", "push", path, "--yes").exit_code == 0
    tags, key = place.ask("exemptions")
    assert (key["hides"], key["approver"]) == ([f"{CONTROL} {arn}"], "alice@example.com")
    assert f"{CONTROL} {tagged}" in tags["hides"]
    assert not {f"{CONTROL} {untagged}", *tags["unknown"]} & set(tags["hides"])
    shown = place.run("exemptions").stdout
    assert "rotates in the HSM (alice@example.com)" in shown
    assert "2099-01-01" in shown


def test_tags_that_cannot_be_read_are_said(place: Place, tmp_path: Path) -> None:
    """If this fails, who may not read tags is told that a rule over tags changes nothing."""
    arn, _ = place.repaired_key()
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    not_this = {"Effect": "Deny", "Action": "tag:GetResources", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [everything, not_this]}
    credentials: Any = place.sandbox.create_user("tagless", policy).get_credentials()
    keys = {"AWS_ACCESS_KEY_ID": credentials.access_key, "AWS_SECRET_ACCESS_KEY": credentials.secret_key}
    someone = Place(place.sandbox, place.stack, {**place.operator, **keys})
    place.run("settings", "push", written(tmp_path, "schema_version: 1\n"), "--yes")
    path = written(tmp_path, EXEMPT.format(arn="arn:aws:kms:*:*:key/none"))
    compared = someone.ask("settings", "diff", path)
    assert "access denied by AWS at GetResources" in compared["tags_unread"][arn]
    after = {each["resource"]: each["after"] for each in compared["decided_otherwise"]}
    assert after[arn] == "depends on tags that cannot be read: not changed"
    assert "could not be read: cannot read tags: access denied" in someone.run("settings", "diff", path).stdout

    assert place.run("settings", "push", path, "--yes").exit_code == 0
    tags, _ = someone.ask("exemptions")
    assert (tags["hides"], f"{CONTROL} {arn}" in tags["unknown"]) == ([], True)
    shown = someone.run("exemptions")
    assert "whose tags cannot be read" in shown.stdout
    assert "access denied by AWS at GetResources" in shown.stderr


def test_a_comparison_is_json_for_machines_and_lines_for_people(place: Place, tmp_path: Path) -> None:
    """A reviewer would see only that something differs."""
    path = written(tmp_path, "schema_version: 1\nsettle_seconds: 5\n")
    shown = place.run("settings", "diff", path)
    assert "+settle_seconds: 5" in shown.stdout
    assert "findings of the last 30 days would change" in shown.stdout
    assert "+settle_seconds: 5" in json.loads(place.run("settings", "diff", path, "-o", "json").stdout)["diff"]
