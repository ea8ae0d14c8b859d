"""The difference between two settings documents, as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest

from evenkeel_cli.settings import comparison

CONTROLS: dict[str, Any] = {
    name: {"blast_radius": {"limit": 5, "window_seconds": 60}, "mode": "notify", "parameters": {"a": 1, "b": 2}}
    for name in ("one", "two", "three")
}
RULE = {"approver": "a", "controls": ["one"], "expires": "2027-01-01", "reason": "r", "resources": ["*"]}
OLD: dict[str, Any] = {"schema_version": 1, "controls": CONTROLS, "exemptions": [RULE]}


@pytest.mark.parametrize(
    ("new", "place"),
    [
        ({"controls": {**CONTROLS, "two": {**CONTROLS["two"], "mode": "off"}}}, "controls.two"),
        ({"controls": {**CONTROLS, "two": {**CONTROLS["two"], "parameters": {"a": 1, "b": 3}}}},
         "controls.two.parameters"),
        ({"controls": {name: CONTROLS[name] for name in ("one", "three")}}, "controls"),
        ({"exemptions": [{**RULE, "resources": ["*", "*:x"]}]}, "exemptions.resources"),
        ({"exemptions": []}, ""),
        ({"freezes": [{"cron": "* * * * *", "hours": 1}]}, ""),
    ],
)  # fmt: skip
def test_each_change_says_where_it_is(new: dict[str, Any], place: str) -> None:
    """If this fails, a changed mode is shown without the control whose it is."""
    found = comparison.lines(OLD, {**OLD, **new}, "live", "file")
    (header,) = [line for line in found if line.startswith("@@")]
    assert header.rpartition("@@")[2].strip() == place


def test_documents_that_say_the_same_have_no_difference() -> None:
    """If this fails, a push of what is live is deployed again."""
    assert comparison.lines(OLD, dict(reversed(OLD.items())), "live", "file") == []
    assert comparison.lines({}, OLD, "live", "file")
