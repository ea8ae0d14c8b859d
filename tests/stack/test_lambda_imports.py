"""What Lambda code imports: the runtime, the layer, and nothing that only the command line or the tests have."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAMBDA = ("layers/engine/evenkeel", "functions/controls", "functions/system")
OURS = {"evenkeel", *(path.name for root in LAMBDA[1:] for path in (ROOT / root).iterdir() if path.is_dir())}
RUNTIME = {"boto3", "botocore", "jmespath"}
"""What the python3.13 runtime brings (Lambda developer guide, "Runtime-included SDK versions")."""
LOCKED = (ROOT / "layers/engine/requirements.txt").read_text(encoding="utf-8")
LAYER = {name.replace("-", "_") for name in re.findall(r"^([\w.-]+)==", LOCKED, re.MULTILINE)}


def _imported(path: Path) -> set[str]:
    """Return the packages that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_lambda_code_imports_only_what_a_function_has() -> None:
    """If this fails, a function imports what only the command line or the tests have, and crashes when deployed."""
    allowed = {*sys.stdlib_module_names, *OURS, *RUNTIME, *LAYER}
    files = [path for root in LAMBDA for path in (ROOT / root).rglob("*.py")]
    assert len(files) > 50
    foreign = {(str(path.relative_to(ROOT)), name) for path in files for name in _imported(path) - allowed}
    assert foreign == set()
    assert not {"ruamel", "yaml"} & allowed
