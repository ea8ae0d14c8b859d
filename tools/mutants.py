"""Mutation tests of the pure modules: ``make mutants``.

``--changed`` (``make prove``) mutates only modules that changed in the last day of the history, for three minutes at
most, and counts the mutants that were reached.

The library (mutmut 3) names a function by its file's path and expects to import it under the same name. Here packages
stand in ``layers/engine`` and ``functions``, so it works on a copy in ``build/mutants`` where they stand side by side.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "mutants"
CODE = WORK / "code"
LEAST_KILLED, LEAST_OF_SAMPLE = 0.90, 0.80
"""Of all, and of the few hundred that ``--changed`` reaches, which are of a few modules."""
SECONDS = 180.0
"""Time limit of ``--changed``, without the test runs that come first."""
THREE_DAYS = 3 * 86_400.0
_PLANTING = "Running mutation testing"
"""Printed by the library when it starts mutating."""
RECENT = timedelta(days=1)
PURE = (
    *("errors", "cli_lines", "control/triggers"),
    *("events/parsing", "events/eventbridge", "events/actor", "events/security_hub"),
    *("settings/parser", "settings/rules", "settings/resolve", "settings/problems"),
    *("settings/schema", "settings/schema_types", "settings/schema_collections"),
    *("audit/records", "audit/digests", "audit/counters"),
    *("remediation/decide", "remediation/calls", "remediation/fingerprint", "remediation/holds"),
    *("operators/approvals",),
)
"""The engine's pure modules; of the functions, every control is pure in its judgement."""
AT_IMPORT = frozenset({"awslambda/runtimes.py"})
"""Modules that only make a table when they are imported, which is before a fault is planted."""
CALLED_AT_IMPORT = frozenset({
    "dynamodb.table.x_triggers", "tagging.required_tags.x__all", "tagging.required_tags.x__look",
})  # fmt: skip
"""Functions of other modules that are called then only; tests/contract holds what they make to the example events."""
NOT_THERE = frozenset({
    "benchmarks", "change_set", "changes", "cost", "last_release", "mutants", "sandbox_conditions",
})  # fmt: skip
"""Unit tests that need more of the repository than the copy has; all others have to find the faults."""
TESTS = tuple(
    path.stem
    for path in sorted((ROOT / "tests" / "unit").glob("test_*.py"))
    if path.stem.removeprefix("test_") not in NOT_THERE
)

_CONFIG = """
[tool.mutmut]
source_paths = {sources}
only_mutate = {chosen}
also_copy = ["conftest.py", "events"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "--import-mode=importlib"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""
_CONFTEST = '''"""mutmut 3.7 asks for a test's id under a private name that pytest 9 has given up."""

import pytest

pytest.Item._nodeid = property(lambda item: item.nodeid)
'''


def _packages() -> dict[str, Path]:
    """Return every package that is copied, by its import name."""
    functions = {path.parent.name: path.parent for path in sorted((ROOT / "functions").glob("*/*/__init__.py"))}
    return {"evenkeel": ROOT / "layers" / "engine" / "evenkeel", **functions}


def _controls() -> list[str]:
    """Return the files of the controls and what they share."""
    found = [
        path
        for handler in sorted((ROOT / "functions" / "controls").glob("*/handler.py"))
        for path in sorted(handler.parent.glob("*.py"))
        if "evenkeel.lambda_handler" in handler.read_text() and path.name not in {"handler.py", "__init__.py"}
    ]
    return [name for path in found if (name := f"{path.parent.name}/{path.name}") not in AT_IMPORT]


def _chosen() -> list[str]:
    """Return the files that are mutated, as they are called in the copy."""
    return [*(f"evenkeel/{name}.py" for name in PURE), *_controls()]


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout  # noqa: S603  # nosec B603 - git of the PATH


def _changed() -> list[str]:
    """Return those that changed since the last commit that is a day older than the newest, or are not committed yet."""
    newest = datetime.fromisoformat(_git("log", "-1", "--format=%cI").strip())
    base = _git("rev-list", "-1", f"--before={(newest - RECENT).isoformat()}", "HEAD").strip()
    if not base:
        return _chosen()
    names = _git("diff", "--name-only", "--find-renames", "--diff-filter=AM", base).split()  # a move changes nothing
    return [file for file in _chosen() if any(name.endswith(f"/{file}") for name in names)]


def _copy(chosen: list[str]) -> None:
    """Lay the packages, tests and events side by side."""
    shutil.rmtree(WORK, ignore_errors=True)
    packages = _packages()
    skip = shutil.ignore_patterns("__pycache__")
    for name, folder in packages.items():
        shutil.copytree(folder, CODE / name, ignore=skip)
        if (folder / "handler.py").exists():  # the registry looks for groups in a folder beside its package's parents
            (WORK / "functions" / "controls" / name).mkdir(parents=True)
            (WORK / "functions" / "controls" / name / "handler.py").touch()
    for name in ("unit", "contract", "cases", "factories", "moto_gaps", "samples"):
        shutil.copytree(ROOT / "tests" / name, CODE / "tests" / name, ignore=skip)
    for path in (ROOT / "tests").glob("*.py"):
        shutil.copy(path, CODE / "tests")
    shutil.copytree(ROOT / "events", CODE / "events")
    (CODE / "conftest.py").write_text(_CONFTEST)
    tests = [f"tests/unit/{name}.py" for name in TESTS]
    (CODE / "pyproject.toml").write_text(_CONFIG.format(sources=list(packages), chosen=chosen, tests=tests))


def _mutmut(*arguments: str, shown: bool = False, seconds: float = THREE_DAYS) -> str:
    """Run the library on the copy; return what it printed, which is also ``shown`` as it comes.

    It is ended when it has planted for so many seconds. The runs of all tests that come first are not counted: on a
    busy machine they alone take minutes.
    """
    command = [sys.executable, "-m", "mutmut", *arguments]
    clean = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(WORK / "hypothesis")}
    printed: list[str] = []
    with subprocess.Popen(  # noqa: S603  # nosec B603 - our own interpreter
        command,
        cwd=CODE,
        env=clean,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        over = threading.Timer(seconds, os.killpg, (running.pid, signal.SIGKILL))  # it writes each verdict as it comes
        for line in running.stdout or ():
            printed.append(line)
            if shown:
                print(line, end="", flush=True)
            if _PLANTING in line:
                over.start()
        over.cancel()
    if running.returncode not in {0, -signal.SIGKILL}:
        print("".join(printed)[-4000:])
        raise SystemExit(f"mutmut {arguments[0]} ended with {running.returncode}")
    return "".join(printed)


def _verdicts() -> dict[str, str]:
    """Return each mutant's verdict: killed, survived, timeout, no tests, …; none of what is called at import only."""
    printed = _mutmut("results", "--all", "true")
    found = re.findall(r"^\s+(\S+__mutmut_\d+): (.+)$", printed, flags=re.MULTILINE)
    return {name: verdict for name, verdict in found if name.partition("__mutmut_")[0] not in CALLED_AT_IMPORT}


def main() -> int:
    """Plant, test, and print killed and survived by module; 1 where fewer than nine in ten were killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changed", action="store_true", help="only what changed lately, for three minutes")
    parser.add_argument("--only", metavar="MODULES", help="e.g. rules,counters or kms/key_rotation")
    given = parser.parse_args()
    only_changed = given.changed
    chosen = _changed() if only_changed else _chosen()
    if given.only:
        wanted = tuple(f"/{name}.py" for name in given.only.split(","))
        chosen = [file for file in chosen if f"/{file}".endswith(wanted)]
    if not chosen:
        print("no module that is mutated has changed")
        return 0
    _copy(chosen)
    workers = str(os.cpu_count() or 2)
    _mutmut("run", "--max-children", workers, shown=True, seconds=SECONDS if only_changed else THREE_DAYS)
    found = _verdicts()
    if not found:
        raise SystemExit("mutmut planted nothing; look at build/mutants/code")
    if not only_changed:
        return _judged(found, LEAST_KILLED)
    # What no test runs is known at once, and would tip the balance of the few that are reached in the time.
    reached = {name: verdict for name, verdict in found.items() if verdict not in {"not checked", "no tests"}}
    print(f"{len(reached):,} of {len(found):,} mutants were reached in {SECONDS:.0f} s")
    return _judged(reached, LEAST_OF_SAMPLE)


def _judged(verdicts: dict[str, str], least: float) -> int:
    """Print killed and survived by module; return the exit code: 1 where a smaller share than ``least`` was killed."""
    by_module: dict[str, Counter[bool]] = defaultdict(Counter)
    for name, verdict in sorted(verdicts.items()):
        killed = verdict in {"killed", "timeout", "segfault"}
        by_module[name.partition(".x")[0]][killed] += 1
        if not killed:
            print(f"  {verdict:<10} {name}")
    for module, counts in sorted(by_module.items()):
        share = counts[True] / counts.total()
        print(f"{module:<40} killed {counts[True]:>4}  survived {counts[False]:>4}  {share:>6.1%}")
    if not verdicts:
        raise SystemExit("not one mutant was reached")
    killed_share = sum(counts[True] for counts in by_module.values()) / len(verdicts)
    print(f"{killed_share:.1%} of {len(verdicts)} mutants were killed; {least:.0%} are asked for")
    return 0 if killed_share >= least else 1


if __name__ == "__main__":
    raise SystemExit(main())
