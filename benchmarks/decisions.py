"""The cost of decisions: the same events under settings without rules, with many rules, and with rules about tags.

The rules match other resources, so that all of them are evaluated and the outcome is the same.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.measure import counted, served, weak
from benchmarks.process import Worker
from evenkeel.control.registry import all_controls
from evenkeel.runtime.tags import TAGGING
from tests.cases.case import enforcing
from tests.world import ACCOUNT, REGION

if TYPE_CHECKING:
    from benchmarks.place import Place
    from benchmarks.scenarios import Scenario

RULES = 20
"""So many overrides of a control's resources; as many exemptions, and half as many freezes."""
TAG_READ = f"{TAGGING}:get_resources"
_NOBODY = "210987654321"
_WIDE = {"limit": 100_000, "window_seconds": 3600}


def unbounded(scenarios: tuple[Scenario, ...]) -> dict[str, Any]:
    """Return settings that leave everything as it is by default, but for the blast radius."""
    return {"controls": {scenario.control.id: {"blast_radius": _WIDE} for scenario in scenarios}}


def plain(scenarios: tuple[Scenario, ...]) -> dict[str, Any]:
    """Return settings under which each control acts at once and without bound, and that hold no rule."""
    controls = unbounded(scenarios)["controls"]
    for scenario in scenarios:
        if not scenario.control.only_announces:
            controls[scenario.control.id] |= enforcing(scenario.control.id)
    return {"settle_seconds": 0, "controls": controls}


def full_of_rules(scenarios: tuple[Scenario, ...]) -> dict[str, Any]:
    """Return the same with overrides by account, region and resource, exemptions, and freezes that do not hold now."""
    document = plain(scenarios)
    now = datetime.now(UTC)
    for given in document["controls"].values():
        given["overrides"] = [
            {"accounts": [ACCOUNT], "blast_radius": _WIDE},
            {"accounts": [_NOBODY], "mode": "off"},
            {"regions": [REGION], "blast_radius": _WIDE},
            {"regions": ["us-east-1"], "mode": "off"},
            *({"resources": [f"arn:aws:*:*shadow-{number}-*"], "mode": "notify"} for number in range(RULES)),
        ]
    approved = {
        "reason": "measured",
        "approver": "alice@example.com",
        "expires": f"{now + timedelta(days=90):%Y-%m-%d}",
    }
    document["exemptions"] = [
        {"controls": ["*"], "resources": [f"arn:aws:*:*scratch-{number}-*"], **approved} for number in range(RULES)
    ]
    document["freezes"] = [
        {"cron": f"0 {hour} 1 {now.month % 12 + 1} *", "hours": 2, "timezone": "Europe/Madrid"}
        for hour in range(RULES // 2)
    ]
    return document


def asking_for_tags(scenarios: tuple[Scenario, ...]) -> dict[str, Any]:
    """Return the same with several rules more that depend on tags."""
    document = full_of_rules(scenarios)
    for given in document["controls"].values():
        given["overrides"] += [{"tags": {"Measured": ["never"]}, "mode": "off"}]
    document["exemptions"] += [{**document["exemptions"][0], "tags": {"Measured": ["not"]}}]
    return document


def cost(scenarios: tuple[Scenario, ...], place: Place) -> list[dict[str, Any]]:
    """Serve each control's event under each of the settings; return each one's calls by name, and the settings read."""
    rows: list[dict[str, Any]] = [{"control": scenario.control.id} for scenario in scenarios]
    for kind, document in (("plain", plain), ("rules", full_of_rules), ("tags", asking_for_tags)):
        place.settings(document(scenarios))
        with Worker(place.variables) as worker:
            for row, scenario in zip(rows, scenarios, strict=True):
                first, later = (_served(scenario, place, worker) for _ in range(2))
                row[f"{kind}_settings_read"] = [name for service, name, *_ in first if service == "appconfigdata"]
                row[kind] = counted(later, engine=False)
                row[f"{kind}_engine"] = counted(later, engine=True)
    return rows


def _served(scenario: Scenario, place: Place, worker: Worker) -> list[list[Any]]:
    arn, _ = weak(scenario, place)
    calls: list[list[Any]] = served(scenario, arn, worker)["calls"]
    return calls


def dearer(row: dict[str, Any]) -> list[str]:
    """Return a sentence for each extra call that rules cost a control; rules about tags may cost one read."""
    broken = []
    taggable = not all_controls()[row["control"]].of_the_account
    for kind, allowed in (("rules", Counter()), ("tags", Counter([TAG_READ] if taggable else ()))):
        for part, more in (("", allowed), ("_engine", Counter())):
            wanted, found = row[f"plain{part}"] + more, row[f"{kind}{part}"]
            if wanted != found:
                broken.append(f"{row['control']}: {dict(found)} under settings with {kind}, not {dict(wanted)}")
    return broken
