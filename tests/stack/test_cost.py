"""What a stack costs stays within its budget, and the page says what the templates and the code make of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tools import generate
from tools.cost import __main__ as cost
from tools.cost import counts
from tools.cost.bill import Item, prices, total, usage
from tools.cost.parts import Parts
from tools.rendering import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def parts(stack: Stack) -> Parts:
    """Return the parts of the whole stack."""
    return Parts.of(stack)


def dollars(items: Sequence[Item], name: str) -> float:
    """Return what the items of a name cost."""
    return total(item for item in items if item.name == name)


@pytest.mark.parametrize(("groups", "budget"), [(9, 10), (30, 17)])
def test_an_idle_month_stays_within_its_budget(parts: Parts, groups: int, budget: float) -> None:
    """If this fails, a stack that does nothing costs more than was promised: an alarm or a metric too many."""
    assert total(counts.idle(parts.grown(groups))) <= budget


def test_the_groups_there_are_cost_no_more_than_as_many_like_them(parts: Parts) -> None:
    """If this fails, some group costs more than a queue and what the clerk reads, which no budget above counts."""
    assert total(counts.idle(parts)) <= total(counts.idle(parts.grown(parts.groups)))


@pytest.mark.parametrize(("kind", "budget"), [("burst", 1), ("spread", 9)])
def test_ten_thousand_events_stay_within_their_budget(parts: Parts, kind: str, budget: float) -> None:
    """If this fails, an event costs more than was promised: a call, a record or an alert too many."""
    assert total(counts.events(parts, kind)) <= budget


def test_growing_to_the_groups_there_are_changes_next_to_nothing(parts: Parts) -> None:
    """If this fails, the figure for thirty groups is of groups that are not like those of today."""
    grown = parts.grown(parts.groups)
    assert grown.vitals - parts.vitals in range(3), "CloudTrail's group has a rule less than the others"
    assert (grown.queues, grown.keys, grown.alarms) == (parts.queues, parts.keys, parts.alarms)


def test_a_group_has_no_key_alarm_or_metric_of_its_own(stack: Stack, parts: Parts) -> None:
    """If this fails, thirty groups cost more than is counted, which is a queue and what the clerk reads of it."""
    one = Parts.of(Stack(parameters={"EnabledGroups": "kms"}))
    assert (one.keys, one.alarms, one.metrics, one.queues) == (parts.keys, parts.alarms, parts.metrics, 1)
    kms = Counter(
        body["Type"] for name, body in stack.resources.items() if name.startswith("Kms") and name != "KmsGroup"
    )
    assert set(kms) == {
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
    }


def test_figures_that_people_can_check_by_hand(parts: Parts) -> None:
    """If this fails, the tool multiplies wrongly, and the budget is held by nothing."""
    idle = counts.idle(parts)
    assert dollars(idle, "KMS: keys") == pytest.approx(3.0)
    assert dollars(idle, "CloudWatch: alarms") == pytest.approx(1.2)
    assert dollars(idle, "SQS: polls of empty queues") == pytest.approx(parts.groups * 5 * 3 * 60 * 730 * 0.0000004)
    assert dollars(idle, "CloudWatch: metrics that the clerk reads") == pytest.approx(parts.vitals * 730 * 0.00001)
    assert dollars(counts.events(parts, "spread"), "AppConfig: settings received") == pytest.approx(8.0)


def test_every_price_has_its_page_and_is_used() -> None:
    """If this fails, nobody can look a price up, or the list has one that nothing is counted with."""
    listed = {name: body for name, body in prices().items() if isinstance(body, dict)}
    assert all(set(body) == {"dollars", "unit", "page", "verified"} for body in listed.values())
    assert all(body["page"].startswith("https://aws.amazon.com/") for body in listed.values())
    parts = Parts.of(Stack())
    used = {item.price for item in (*counts.idle(parts), *counts.events(parts, "spread"))}
    assert used | {each["price"] for each in usage()["other"]} == set(listed)


def test_the_page_is_fresh() -> None:
    """If this fails, docs/cost.md says what was true of an earlier stack; run make generate."""
    ((path, text),) = generate.priced(ROOT).items()
    assert (ROOT / path).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("groups", ["0", "-3"])
def test_a_stack_without_groups_is_refused(groups: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, a typing error prices another stack than was asked for."""
    with pytest.raises(SystemExit) as ended:
        cost.main(["--groups", groups])
    assert ended.value.code == 2
    assert "at least one group" in capsys.readouterr().err


def test_the_command_prints_both_forms(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, `make cost` or its JSON is broken."""
    assert cost.main(["--groups", "30"]) == 0
    text = capsys.readouterr().out
    assert "one idle month, 30 groups" in text
    assert "19,710,000 x sqs_request" in text
    assert cost.main(["--output", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["bills"]
    assert found[f"one idle month, {parts.groups} groups"]["dollars"] == pytest.approx(total(counts.idle(parts)))
    assert all(
        each["dollars"] == pytest.approx(sum(item["dollars"] for item in each["items"])) for each in found.values()
    )
