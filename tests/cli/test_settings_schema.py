"""The published JSON Schema of settings.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evenkeel.control.registry import all_controls
from evenkeel.settings import schema, schema_collections, schema_types
from evenkeel.settings.problems import ROOT, Problems
from evenkeel_cli.settings import json_schema, source_file
from tests.cli.running import evenkeel
from tests.examples import examples
from tests.fuzzing import DOCUMENTS, JSON, TEXT, spoiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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


CONTROLS = [
    all_controls()[name]
    for name in (
        "ec2-security-group-open-ingress", "kms-key-rotation", "lambda-deprecated-runtime", "logs-group-encryption",
        "s3-bucket-public-access-block", "tagging-required-tags",
    )
]  # fmt: skip
"""Controls with parameters of every type, and one that only announces."""
FORM = schema.document(CONTROLS)
JUDGE = jsonschema.Draft7Validator(json_schema.schema(CONTROLS), format_checker=jsonschema.FormatChecker(["date"]))
CROSS_FIELD = re.compile(r"is not a cron expression|never fires|is not a time zone|can apply to the same resource as")
"""What the reader checks beyond the form; a schema cannot say it. (What needs the controls comes after the reader.)"""


STRATEGIES: dict[type[schema_types.Type], Callable[[Any], st.SearchStrategy[Any]]] = {
    schema_types.Anything: lambda _: JSON,
    schema_types.Boolean: lambda _: st.booleans(),
    schema_types.Choice: lambda kind: st.sampled_from(kind.values),
    schema_types.Constant: lambda kind: st.just(kind.value),
    schema_types.Day: lambda _: st.dates().map(str),
    schema_types.Integer: lambda kind: st.integers(kind.minimum, kind.maximum),
    schema_types.Text: lambda kind: (
        st.from_regex(kind.pattern) if kind.pattern else st.text(min_size=kind.shortest, max_size=9)
    ),
    schema_collections.List: lambda kind: st.lists(fitting(kind.items), min_size=kind.shortest, max_size=2),
    schema_collections.Object: lambda kind: _objects(kind.fields, kind.required, kind.some_of),
    schema_collections.OneOrMore: lambda kind: (
        fitting(kind.items) | st.lists(fitting(kind.items), min_size=1, max_size=2)
    ),
    schema_collections.Table: lambda kind: st.dictionaries(TEXT, fitting(kind.values), min_size=1, max_size=2),
}


def fitting(kind: schema_types.Type) -> st.SearchStrategy[Any]:
    """Return values that are of a type."""
    return STRATEGIES[type(kind)](kind)


def _objects(
    fields: Mapping[str, schema_types.Type], required: Iterable[str], some_of: Iterable[tuple[str, tuple[str, ...]]]
) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of the keys, and all that have to be there."""

    @st.composite
    def drawn(draw: st.DrawFn) -> dict[str, Any]:
        chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=4)) if fields else []
        names = {*required, *chosen, *(draw(st.sampled_from(group)) for _, group in some_of)}
        return {name: draw(fitting(fields[name])) for name in sorted(names)}

    return drawn()


def _agree(document: Any) -> bool:
    """Return whether a document fits the schema, once reader and schema agree on it."""
    assume(not _has_whole_fraction(document))
    found = _problems(FORM, document)
    errors = [error.json_path + ": " + error.message for error in JUDGE.iter_errors(document)]
    assert bool(errors) == bool(found), (errors, found)
    return not errors


def _problems(kind: schema_types.Type, value: Any) -> list[str]:
    """Return what the reader finds wrong with a value of a type, but for what the schema cannot say."""
    problems = Problems()
    kind.read(value, ROOT, problems)
    return [str(each) for each in problems.found + problems.tolerated if not CROSS_FIELD.search(each.message)]


def _has_whole_fraction(part: Any) -> bool:
    """Return whether a document has a number like 60.0: JSON Schema takes it for an integer, the functions do not."""
    if isinstance(part, float):
        return part.is_integer()
    inside = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return any(map(_has_whole_fraction, inside))


@examples(150)
@given(fitting(FORM))
def test_documents_of_the_form_fit_the_schema_and_the_reader(document: Any) -> None:
    """If this fails, an editor underlines what the functions accept, or the functions refuse what it accepts."""
    assert _agree(document)


@examples(250)
@given(spoiled(fitting(FORM)) | DOCUMENTS)
def test_schema_and_reader_agree_on_any_document(document: Any) -> None:
    """If this fails, a key, a type or a bound is said twice, and differently, for editors and for functions."""
    _agree(document)


EDGES = [
    None, True, False, 1, 1.5, -1, 10**30, "", " ", "x", "*", "arn:x", "off", "approve", "1" * 12, "1" * 12 + "\n",
    "\u0661" * 12, "2026-02-28", "2026-02-30", "2026-2-8", "20260228", [], [""], [1], ["x"], ["*"], {}, {"": ""},
    {"a": "b"}, {"a": []}, {"mode": "off"}, {"limit": 1}, {"schema_version": 1},
]  # fmt: skip
"""Values on either side of what some type accepts; the bounds of numbers are added."""


def _types(kind: schema_types.Type) -> Iterator[schema_types.Type]:
    """Yield a type and all types within it."""
    yield kind
    inner = (*getattr(kind, "fields", {}).values(), getattr(kind, "items", None), getattr(kind, "values", None))
    for each in inner:
        if isinstance(each, schema_types.Type):
            yield from _types(each)


def test_each_type_reads_what_its_schema_accepts() -> None:
    """If this fails, a bound or a pattern of one key is another for editors than for functions."""
    tried = 0
    for kind in _types(FORM):
        bounds = [number for number in (getattr(kind, "minimum", None), getattr(kind, "maximum", None)) if number]
        judge = jsonschema.Draft7Validator(kind.json_schema(), format_checker=jsonschema.FormatChecker(["date"]))
        for value in (*EDGES, *(number + step for number in bounds for step in (-1, 0, 1))):
            found = _problems(kind, value)
            assert judge.is_valid(value) is not bool(found), (kind, value, found)
            tried += 1
    assert tried > 5000
