"""Properties that hold for whatever arrives: no surprise but our own errors, and other people's tags survive."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from evenkeel import events, settings
from evenkeel.control import Context
from evenkeel.errors import MalformedPayloadError, SettingsError
from evenkeel.model import Actor, NonCompliant, Resource
from evenkeel.registry import all_controls, groups
from evenkeel.rules import Subject
from tests.cases.case import NOW
from tests.contract.registry import EXAMPLES
from tests.world import ACCOUNT, PLACE, REGION

CONTROLS = tuple(all_controls().values())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
QUICK = tried(max_examples=150, deadline=2000)
EVENTS = tuple(example.event for example in EXAMPLES)


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all parts of a document but itself."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = []
    for key, value in inside:
        found += [(*path, key), *_places(value, (*path, key))]
    return found


def _replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(document)
    spot = changed
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = value
    return changed


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """Return an example event or a returned request, with up to three parts replaced by anything."""
    document: Any = draw(st.sampled_from(EVENTS))
    if draw(st.booleans()):
        parsed = events.parse(document, CONTROLS, PLACE)
        document = events.encode(parsed.requests[0]) if parsed.requests else document
    for _ in range(draw(st.integers(1, 3))):
        document = _replaced(document, draw(st.sampled_from(_places(document))), draw(JSON))
    return document


def _parse(payload: Any) -> None:
    for controls in groups().values():
        with suppress(MalformedPayloadError):
            parsed = events.parse(payload, controls, PLACE)
            assert bool(parsed.requests) is not bool(parsed.irrelevant)
            for request in parsed.requests:
                assert request.resource.arn.split(":")[4] in {"", ACCOUNT}
                assert request.resource.arn.split(":")[3] in {"", REGION}
                assert events.parse(events.encode(request), controls, PLACE).requests == (request,)


@QUICK
@given(JSON)
def test_any_payload_is_served_or_refused(payload: Any) -> None:
    """If this fails, some payload crashes the worker instead of becoming a dead letter with a reason."""
    _parse(payload)


@QUICK
@given(spoiled())
def test_any_spoiled_event_is_served_or_refused(payload: Any) -> None:
    """If this fails, an event that AWS cut or changed crashes the worker, or leads it to a foreign resource."""
    _parse(payload)


VARIABLES = {"EVENKEEL_LOG_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/1"}
PARAMETERS = st.sampled_from([name for control in CONTROLS for name in control.parameters])
MODES = st.sampled_from(["off", "notify", "approve", "enforce"])
SELECTORS = {
    "resources": JSON | st.lists(st.text() | st.just("*"), max_size=2),
    "accounts": JSON | st.lists(st.text() | st.just(ACCOUNT), max_size=2),
    "tags": JSON | st.dictionaries(st.text(), JSON | st.lists(st.text(), max_size=2), max_size=2),
}
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        **SELECTORS,
        "regions": JSON | st.lists(st.text() | st.just(REGION), max_size=2),
        "mode": JSON | MODES,
        "parameters": JSON | st.dictionaries(PARAMETERS, JSON, max_size=2),
        "blast_radius": JSON | st.fixed_dictionaries({}, optional={"limit": JSON}),
    },
)
OF_A_CONTROL = st.fixed_dictionaries(
    {},
    optional={
        "mode": JSON | MODES,
        "overrides": JSON | st.lists(OVERRIDES, max_size=3),
        "blast_radius": JSON | st.fixed_dictionaries({}, optional={"limit": JSON, "window_seconds": JSON}),
        "parameters": JSON | st.dictionaries(PARAMETERS, JSON, max_size=2),
    },
)
IDS = st.sampled_from([control.id for control in CONTROLS])
NAMED = JSON | st.lists(IDS | st.just("*"), max_size=2)
DATES = JSON | st.dates().map(str) | st.text("0123456789-WTZ", max_size=12)
CRON_PART = st.text("0123456789*/,-L#?", max_size=5) | st.sampled_from(["*", "0", "1", "30", "MON", "FEB"])
CRONS = JSON | st.text() | st.lists(CRON_PART, min_size=5, max_size=5).map(" ".join)
ZONES = JSON | st.text() | st.sampled_from(["Europe/Madrid", "Europe", "UTC", "America", "tzdata.zi", "Asia/Tokyo"])
EXEMPTIONS = st.fixed_dictionaries(
    {},
    optional={**SELECTORS, "controls": NAMED, "reason": st.text() | JSON, "approver": st.text(), "expires": DATES},
)
GOOD_EXEMPTIONS = st.fixed_dictionaries(
    {"controls": st.just(["*"]), "reason": st.just("r"), "approver": st.just("a"), "expires": DATES}, optional=SELECTORS
)
FREEZES = st.fixed_dictionaries(
    {"cron": CRONS, "hours": st.integers(-1, 800) | JSON},
    optional={"timezone": ZONES, "name": JSON, "controls": NAMED},
)
DOCUMENTS = JSON | st.fixed_dictionaries(
    {"schema_version": st.just(1)},
    optional={
        "settle_seconds": JSON,
        "controls": JSON | st.dictionaries(IDS, JSON | OF_A_CONTROL),
        "exemptions": JSON | st.lists(EXEMPTIONS | GOOD_EXEMPTIONS, max_size=3),
        "freezes": JSON | st.lists(FREEZES, max_size=2),
    },
)
SUBJECTS = st.builds(
    Subject,
    st.text() | st.just(f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"),
    st.just(ACCOUNT),
    st.just(REGION),
    st.none() | st.dictionaries(st.text(), st.text(), max_size=2),
)
MOMENTS = st.integers(1_600_000_000, 2_200_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@QUICK
@given(DOCUMENTS, SUBJECTS, MOMENTS)
def test_any_document_is_taken_or_refused(document: Any, subject: Subject, now: datetime) -> None:
    """If this fails, a strange settings document crashes every worker instead of being refused."""
    with suppress(SettingsError):
        parsed = settings.parse(json.dumps(document))
        for control in CONTROLS:
            found = parsed.of(control, subject, VARIABLES)
            assert found.radius.limit > 0
            assert control.check_parameters(found.parameters) == ""
            parsed.exemption(control, subject, now)
            ends = parsed.frozen_until(control, now)
            assert ends is None or now < ends <= now + timedelta(days=32)


@QUICK
@given(st.lists(FREEZES, min_size=1, max_size=2), MOMENTS)
def test_any_freeze_is_refused_or_ends(freezes: list[Any], now: datetime) -> None:
    """If this fails, a freeze crashes every worker, is over before it was seen, or never ends."""
    with suppress(SettingsError):
        parsed = settings.parse(json.dumps({"schema_version": 1, "freezes": freezes}))
        for control in CONTROLS:
            ends = parsed.frozen_until(control, now)
            assert ends is None or now < ends <= now + timedelta(days=32)


@QUICK
@given(DOCUMENTS)
def test_what_is_checked_is_obeyed_without_complaint(document: Any) -> None:
    """If this fails, the validator lets a document through that functions refuse, and all repair stops."""
    with patch.dict(os.environ, VARIABLES):
        try:
            checked = settings.check(json.dumps(document), CONTROLS)
        except SettingsError:
            return
        for control in CONTROLS:
            checked.of(control, Subject("arn:aws:x:::y", ACCOUNT, REGION, {"a": "b"}), VARIABLES)


@QUICK
@given(st.text())
def test_any_text_is_taken_or_refused_as_settings(document: str) -> None:
    """If this fails, a settings parameter that is no JSON crashes every worker."""
    with pytest.raises(SettingsError):
        settings.parse(document)


TAGS = next(control for control in CONTROLS if not control.arn)
KEYS = st.sampled_from(["Owner", "Environment", "Project", "CostCenter", "team", "owner"])


@QUICK
@given(
    st.dictionaries(KEYS, st.text(max_size=6), max_size=6),
    st.dictionaries(KEYS, st.text("abc", min_size=1, max_size=6), max_size=4),
    st.text(max_size=20),
    st.booleans(),
)
def test_other_peoples_tags_survive(tags: dict[str, str], values: dict[str, str], owner: str, creates: bool) -> None:
    """If this fails, a tag that somebody set is changed or taken off, by the change or by its undo."""
    resource = Resource(f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", ACCOUNT, REGION)
    parameters = {**TAGS.parameters, "values": values}
    context = Context(resource, parameters, NOW, actor=Actor(owner=owner), creates=creates)
    judged = TAGS.judge({"Tags": tags}, context)
    if isinstance(judged, NonCompliant) and judged.change:
        [put], [take] = judged.change.calls, judged.change.undo
        added = put.params["Tags"]
        assert added
        assert not set(added) & set(tags)
        assert set(added) <= set(parameters["required"])
        assert sorted(added) == take.params["TagKeys"]
        assert all(0 < len(value) <= 256 for value in added.values())
        again = TAGS.judge({"Tags": {**tags, **added}}, context)
        assert not (isinstance(again, NonCompliant) and again.change)
