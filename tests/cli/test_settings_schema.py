"""The published JSON Schema of settings.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evenkeel_cli.settings import json_schema, source_file
from tests.cli.running import evenkeel

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def judge() -> Any:
    """Return a validator of the schema."""
    schema = json_schema.schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_command_prints_the_schema() -> None:
    """Who has another version of Evenkeel than the documentation's would have no schema, or one in another order."""
    assert evenkeel("settings", "schema").stdout == (DOCS / "settings.schema.json").read_text(encoding="utf-8")


def test_the_example_in_the_documentation_fits(judge: Any, tmp_path: Path) -> None:
    """An editor would underline what the functions accept."""
    path = tmp_path / "settings.yaml"
    path.write_text((DOCS / "settings.md").read_text(encoding="utf-8").split("```yaml\n")[1].partition("```")[0])
    judge.validate(source_file.read(path).document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema_version": 2},
        {"schema_version": 1, "settle": 1},
        {"schema_version": 1, "settle_seconds": 901},
        {"schema_version": 1, "controls": {"kms": {}}},
        {"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "destroy"}}},
        {"schema_version": 1, "controls": {"kms-key-rotation": {"parameters": {"days": 1}}}},
        {"schema_version": 1, "controls": {"kms-key-rotation": {"parameters": {"period_days": "365"}}}},
        {"schema_version": 1, "controls": {"kms-key-rotation": {"blast_radius": {"limit": 0}}}},
        {"schema_version": 1, "controls": {"kms-key-rotation": {"overrides": [{"accounts": ["1"], "mode": "off"}]}}},
        {"schema_version": 1, "exemptions": [{"controls": ["*"], "resources": ["*"], "reason": "x", "approver": "y"}]},
        {"schema_version": 1, "controls": {"s3-versioning": {"overrides": [{"resources": ["my-*"], "mode": "off"}]}}},
        {"schema_version": 1, "freezes": [{"cron": "* * * * *", "hours": 0}]},
    ],
)
def test_nonsense_does_not_fit(judge: Any, document: dict[str, Any]) -> None:
    """An editor would let a mistake pass that the functions refuse."""
    assert not judge.is_valid(document)
