"""What fuzz tests draw from: JSON of any kind, example documents with parts spoiled, and settings that look right."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from evenkeel.control import Env
from evenkeel.control.registry import all_controls
from tests.world import ACCOUNT, REGION

CONTROLS = tuple(all_controls().values())
# Half of a character that takes two in UTF-16 is valid in JSON as an escape, and in no encoding.
TEXT = st.text(max_size=40) | st.text(st.characters(exclude_categories=()), max_size=8)
ODD = st.sampled_from([
    "*", "arn:aws:kms:eu-west-1:123456789012:key/*", "arn:aws:s3:::", f"arn:aws:iam::{ACCOUNT}:role/evenkeel/x",
    "arn:aws:kms:us-east-1:210987654321:key/1", "../..", "\x00", "-1", "true", "2026-11-20", "9" * 40, "x" * 3000,
    "arn:aws:dynamodb:eu-west-1:123456789012:table/audit", 10**30, -(10**30), 1e308, -0.0, 2**63, [[]], {"": {}},
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all parts of a document but itself."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = []
    for key, value in inside:
        found += [(*path, key), *_places(value, (*path, key))]
    return found


def _changed(document: Any, path: tuple[Any, ...], value: Any, *, drop: bool) -> Any:
    changed = deepcopy(document)
    spot = changed
    for key in path[:-1]:
        spot = spot[key]
    if drop:
        del spot[path[-1]]
    else:
        spot[path[-1]] = value
    return changed


@st.composite
def spoiled(draw: st.DrawFn, documents: st.SearchStrategy[Any], least: int = 1) -> Any:
    """Return a document with ``least`` to three parts replaced by anything, or left out."""
    document = draw(documents)
    for _ in range(draw(st.integers(least, 3))):
        places = _places(document)
        if places:
            document = _changed(document, draw(st.sampled_from(places)), draw(JSON), drop=draw(st.booleans()))
    return document


MODES = st.sampled_from(["off", "notify", "approve", "enforce"])
SELECTORS = {
    "resources": JSON | st.lists(TEXT | st.just("*"), max_size=2),
    "accounts": JSON | st.lists(TEXT | st.just(ACCOUNT), max_size=2),
    "tags": JSON | st.dictionaries(TEXT, JSON | st.lists(TEXT, max_size=2), max_size=2),
}
RADII = JSON | st.fixed_dictionaries({}, optional={"limit": JSON, "window_seconds": JSON})
PARAMETERS = st.sampled_from([name for control in CONTROLS for name in control.parameters])
IDS = st.sampled_from([control.id for control in CONTROLS])
NAMED = JSON | st.lists(IDS | st.just("*"), max_size=2)
DATES = JSON | st.dates().map(str) | st.text("0123456789-WTZ", max_size=12)
CRON_PART = st.text("0123456789*/,-L#?", max_size=5) | st.sampled_from(["*", "0", "1", "30", "MON", "FEB"])
CRONS = JSON | TEXT | st.lists(CRON_PART, min_size=5, max_size=5).map(" ".join)
ZONES = JSON | TEXT | st.sampled_from(["Europe/Madrid", "Europe", "UTC", "America", "tzdata.zi", "Asia/Tokyo"])
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        **SELECTORS,
        "regions": JSON | st.lists(TEXT | st.just(REGION), max_size=2),
        "mode": JSON | MODES,
        "parameters": JSON | st.dictionaries(PARAMETERS, JSON, max_size=2),
        "blast_radius": RADII,
    },
)
OF_A_CONTROL = st.fixed_dictionaries(
    {},
    optional={
        "mode": JSON | MODES,
        "overrides": JSON | st.lists(OVERRIDES, max_size=3),
        "blast_radius": RADII,
        "parameters": JSON | st.dictionaries(PARAMETERS, JSON, max_size=2),
    },
)
EXEMPTIONS = st.fixed_dictionaries(
    {}, optional={**SELECTORS, "controls": NAMED, "reason": TEXT | JSON, "approver": TEXT, "expires": DATES}
)
GOOD_EXEMPTIONS = st.fixed_dictionaries(
    {"controls": st.just(["*"]), "reason": st.just("r"), "approver": st.just("a"), "expires": DATES}, optional=SELECTORS
)
FREEZES = st.fixed_dictionaries(
    {"cron": CRONS, "hours": st.integers(-1, 800) | JSON},
    optional={"timezone": ZONES, "name": JSON, "controls": NAMED},
)
VALID: dict[str, Any] = {
    "schema_version": 1,
    "settle_seconds": 60,
    "controls": {
        control.id: {
            "mode": "notify" if control.only_announces else "enforce",
            "blast_radius": {"limit": 5, "window_seconds": 60},
            "parameters": {n: value for n, value in control.parameters.items() if not isinstance(value, Env)},
            "overrides": [{"accounts": [ACCOUNT], "tags": {"env": ["dev"]}, "mode": "notify"}],
        }
        for control in CONTROLS
    },
    "exemptions": [
        {"controls": ["*"], "resources": ["*:x"], "reason": "lab", "approver": "ciso", "expires": "2099-01-01"}
    ],
    "freezes": [{"name": "night", "cron": "0 22 * * *", "hours": 8, "timezone": "Europe/Madrid", "controls": ["*"]}],
}
"""Settings that say something about each parameter of each control."""
DOCUMENTS = (
    JSON
    | st.fixed_dictionaries(
        {"schema_version": st.just(1)},
        optional={
            "settle_seconds": JSON,
            "controls": JSON | st.dictionaries(IDS, JSON | OF_A_CONTROL),
            "exemptions": JSON | st.lists(EXEMPTIONS | GOOD_EXEMPTIONS, max_size=3),
            "freezes": JSON | st.lists(FREEZES, max_size=2),
        },
    )
    | spoiled(st.just(VALID))
)
