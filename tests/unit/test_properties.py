"""Properties that hold for whatever arrives: no surprise but our own errors, and other people's tags survive."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.control import Context
from evenkeel.control.registry import all_controls, groups
from evenkeel.errors import MalformedPayloadError, SettingsError
from evenkeel.events import parsing
from evenkeel.events.message import encode
from evenkeel.model import Actor, NonCompliant, Resource
from evenkeel.settings import parser
from evenkeel.settings.problems import InvalidSettingsError
from evenkeel.settings.rules import Subject
from tests.cases.case import NOW
from tests.contract.registry import EXAMPLES
from tests.examples import examples
from tests.fuzzing import CONTROLS, DOCUMENTS, FREEZES, JSON, TEXT, VALID, spoiled
from tests.world import ACCOUNT, PLACE, REGION

if TYPE_CHECKING:
    from evenkeel.settings.problems import DocumentPath

QUICK = examples(60)


@st.composite
def events_or_requests(draw: st.DrawFn) -> Any:
    """Return an example event, or the request that comes back of it."""
    document = draw(st.sampled_from([example.event for example in EXAMPLES]))
    parsed = parsing.parse(document, CONTROLS, PLACE)
    return encode(parsed.requests[0]) if parsed.requests and draw(st.booleans()) else document


def _parse(payload: Any) -> None:
    for controls in groups().values():
        with suppress(MalformedPayloadError):
            parsed = parsing.parse(payload, controls, PLACE)
            assert bool(parsed.requests) is not bool(parsed.irrelevant)
            for request in parsed.requests:
                assert request.resource.arn.split(":")[4] in {"", ACCOUNT}
                assert request.resource.arn.split(":")[3] in {"", REGION}
                assert parsing.parse(encode(request), controls, PLACE).requests == (request,)


@QUICK
@given(JSON)
def test_any_payload_is_served_or_refused(payload: Any) -> None:
    """If this fails, some payload crashes the worker instead of becoming a dead letter with a reason."""
    _parse(payload)


@QUICK
@given(spoiled(events_or_requests()))
def test_any_spoiled_event_is_served_or_refused(payload: Any) -> None:
    """If this fails, an event that AWS cut or changed crashes the worker, or leads it to a foreign resource."""
    _parse(payload)


VARIABLES = {"EVENKEEL_LOG_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/1"}


def _is_part(document: Any, place: DocumentPath) -> bool:
    """Return whether a place is in a document, but for its last part, which may be what is missing."""
    for part in place.parts[:-1]:
        if not isinstance(document, dict if isinstance(part, str) else list):
            return False
        document = document[part]
    return isinstance(document, dict | list) or not place.parts


SUBJECTS = st.builds(
    Subject,
    TEXT | st.just(f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"),
    st.just(ACCOUNT),
    st.just(REGION),
    st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
)
MOMENTS = st.integers(1_600_000_000, 2_200_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@QUICK
@given(DOCUMENTS, SUBJECTS, MOMENTS)
def test_any_document_is_read_or_refused(document: Any, subject: Subject, now: datetime) -> None:
    """If this fails, a strange settings document crashes every worker instead of being refused."""
    with suppress(SettingsError):
        parsed = parser.parse(json.dumps(document))
        for control in CONTROLS:
            found = parsed.of(control, subject, VARIABLES)
            assert found.radius.limit > 0
            assert control.check_parameters(found.parameters) is None
            parsed.exemption(control, subject, now)
            ends = parsed.frozen_until(control, now)
            assert ends is None or now < ends <= now + timedelta(days=32)


@QUICK
@given(st.lists(FREEZES, min_size=1, max_size=2), MOMENTS)
def test_any_freeze_is_refused_or_ends(freezes: list[Any], now: datetime) -> None:
    """If this fails, a freeze crashes every worker, is over before it was seen, or never ends."""
    with suppress(SettingsError):
        parsed = parser.parse(json.dumps({"schema_version": 1, "freezes": freezes}))
        for control in CONTROLS:
            ends = parsed.frozen_until(control, now)
            assert ends is None or now < ends <= now + timedelta(days=32)


@QUICK
@given(DOCUMENTS)
def test_what_is_checked_is_obeyed_without_complaint(document: Any) -> None:
    """If this fails, the validator lets a document through that functions refuse, and all repair stops."""
    with patch.dict(os.environ, VARIABLES):
        try:
            checked = parser.check(json.dumps(document), CONTROLS)
        except InvalidSettingsError as error:
            places = [problem.place for problem in error.problems]
        else:
            places = []
        assert all(_is_part(document, place) for place in places)
        for control in () if places else CONTROLS:
            checked.of(control, Subject("arn:aws:x:::y", ACCOUNT, REGION, {"a": "b"}), VARIABLES)


def test_settings_that_are_spoiled_are_valid_before() -> None:
    """If this fails, fuzzing begins with settings that are refused anyway, and tries nothing."""
    parser.check(json.dumps(VALID), CONTROLS, variables=VARIABLES)


@QUICK
@given(TEXT | st.binary())
def test_any_text_is_taken_or_refused_as_settings(document: str | bytes) -> None:
    """If this fails, a settings parameter that is no JSON crashes every worker."""
    with pytest.raises(InvalidSettingsError):
        parser.parse(document)


TAGS = all_controls()["tagging-required-tags"]
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
    resource = Resource(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/q", ACCOUNT, REGION)
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
