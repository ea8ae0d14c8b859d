"""What the benchmark makes of its figures, and what the functions import before their first event."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import __main__ as bench
from benchmarks import imports, promises
from benchmarks.measure import cpu_ratio, is_clear, loads_settings
from evenkeel.runtime.dynamodb import wire
from evenkeel.settings import loaded_mark

if TYPE_CHECKING:
    from collections.abc import Iterable

RARELY_NEEDED = (
    "cronsim",
    "zoneinfo",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.parameters",
)


def _pairs(times: Iterable[tuple[float, float]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [({"cpu_ms": ours}, {"cpu_ms": bare}) for ours, bare in times]


def test_what_loads_the_settings_is_not_replayed() -> None:
    """Bare boto3 would be refused what only a worker's first round can do, and the benchmark would end there."""
    mark = ["dynamodb", "update_item", {"TableName": "evenkeel-state", "Key": wire({"pk": loaded_mark.KEY})}, ""]
    lease = ["dynamodb", "update_item", {"TableName": "evenkeel-state", "Key": wire({"pk": "kms-key-rotation#a"})}, ""]
    settings = ["appconfigdata", "get_latest_configuration", {"ConfigurationToken": "t"}, ""]
    assert [loads_settings(call) for call in (mark, settings, lease)] == [True, True, False]


def test_other_work_that_slows_both_sides_leaves_the_ratio_of_cpu() -> None:
    """A busy machine would break the promise of CPU, because quiet rounds are held against busy ones."""
    quiet, busy = [(14.0, 10.0)] * 4, [(42.0, 30.0)] * 5
    assert cpu_ratio(_pairs([*quiet, *busy])) == pytest.approx(1.4)
    one_side_only = [(60.0, 10.0), (14.0, 40.0), (90.0, 10.0)]
    assert cpu_ratio(_pairs([*quiet, *busy, *one_side_only])) == pytest.approx(1.4)


def test_what_scatters_is_measured_until_the_verdict_is_clear() -> None:
    """A few slow rounds on a busy machine would break a promise that is kept, because so few of them are no verdict."""
    scattered = [(12.0, 10.0), (14.0, 10.0), (16.0, 10.0)] * 5
    assert not is_clear(_pairs(scattered), 1.5)
    assert is_clear(_pairs(scattered * 5), 1.5)
    assert is_clear(_pairs([(12.0, 10.0), (13.0, 10.0), (14.0, 10.0)] * 5), 1.5)
    assert is_clear(_pairs([(16.0, 10.0), (17.0, 10.0), (18.0, 10.0)] * 5), 1.5)


def test_other_work_that_slows_both_imports_leaves_their_ratio() -> None:
    """A busy machine would break the promise of imports, because boto3 was imported in a quiet moment."""
    found = imports.summary(
        "kms.handler", [(200.0, 50.0), (210.0, 50.4), (800.0, 200.0), (200.0, 400.0), (640.0, 160.0)]
    )
    assert found["ratio"] == pytest.approx(1.25)


def test_the_import_of_a_handler_costs_at_most_three_tenths_of_boto3s() -> None:
    """If this fails, a cold start may become slower than what is promised, and the benchmark says nothing."""
    rows = [{"module": "kms.handler", "ratio": 1.29}, {"module": "s3.handler", "ratio": 1.31}]
    assert promises.slow_imports(rows) == ["import of s3.handler and boto3 is 1.31 times boto3's, not 1.3"]


def test_no_function_imports_what_few_events_need() -> None:
    """Every cold start would pay for time zones and Powertools' rarely used parts."""
    modules = ", ".join(imports.handlers())
    code = f"import sys; sys.path[:0] = {imports.PATH!r}; import {modules}\n"
    code += f"print([name for name in {RARELY_NEEDED!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_parts_are_chosen_by_name() -> None:
    """A repeated run of one control would measure for minutes what nobody asked for."""
    controls = {"kms-key-rotation", "s3-versioning"}
    assert bench.chosen_parts("imports,kms-key-rotation", controls) == {"imports", "kms-key-rotation"}
    assert bench.chosen_parts("events", controls) == {"events", *controls}
    assert bench.chosen_parts(None, controls) == {*bench.PARTS, *controls}


def test_an_unknown_part_is_refused() -> None:
    """A misspelt control would pass the benchmark, because nothing was measured."""
    with pytest.raises(ValueError, match=r"kms-key: write ids of controls, or imports, "):
        bench.chosen_parts("kms-key", {"kms-key-rotation"})
