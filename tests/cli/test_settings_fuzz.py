"""Whatever stands in a settings file, a person is told where it is wrong: never a traceback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from evenkeel_cli.settings import source_file
from evenkeel_cli.ui.failure import CommandError
from tests.examples import examples
from tests.fuzzing import DOCUMENTS, VALID

DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
EXAMPLE = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[0]
PIECES = st.sampled_from([
    "\t", "  ", ":", "- ", "&a", "*a", "<<: ", "!!set ", "!!binary ", "{", "}", "[", "]", '"\\uD800"', "? ", "|",
    "\x00", "%YAML 9.9\n", "---\n", "\ufeff", "\u2028", "'", "#", "1e999", "0x1F", ".nan", "~", "null",
    "[" * 300, "9" * 5000,
])  # fmt: skip


@st.composite
def garbled(draw: st.DrawFn) -> str:
    """Return settings as text, with up to four stretches cut out or replaced by what YAML reads in its own way."""
    text: str = draw(st.sampled_from([EXAMPLE, yaml.safe_dump(VALID)]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(PIECES | st.text(max_size=3) | st.just("")) + text[end:]
    return text


def _checked(folder: Path, content: bytes) -> None:
    path, refused = folder / "settings.yaml", None
    path.write_bytes(content)
    try:
        source_file.check(source_file.read(path))
    except CommandError as error:
        refused = error
    if refused:
        assert re.search(r"settings\.yaml(:\d+)?: \S", refused.message)
        assert refused.next_step


@examples(20)
@given(garbled().map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60))
@example(b"\x1f")
@example(b'schema_version: 1\nfreezes: [{cron: "0 0 1 * *", hours: 3, name: "\\uD800"}]\n')
def test_any_text_is_read_or_refused_with_its_place(tmp_path_factory: Any, content: bytes) -> None:
    """If this fails, a slip in a settings file ends in a traceback, or nobody is told where it is."""
    _checked(tmp_path_factory.getbasetemp(), content)


@examples(25)
@given(DOCUMENTS)
def test_any_document_is_checked_or_refused_with_its_place(tmp_path_factory: Any, document: Any) -> None:
    """If this fails, settings that are valid YAML and nonsense end in a traceback."""
    text = yaml.safe_dump(document, allow_unicode=False)
    _checked(tmp_path_factory.getbasetemp(), text.encode())
