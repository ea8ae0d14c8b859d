"""What the command imports, before anything is asked of it."""

from __future__ import annotations

import subprocess
import sys

from evenkeel import __version__
from tests.cli.running import evenkeel

SLOW = ("boto3", "botocore", "evenkeel", "sandbox", "ministack", "rich.live")


def test_help_imports_nothing_slow() -> None:
    """Completion and --help would take half a second, because AWS's library is loaded to print a page."""
    code = f"import sys, evenkeel_cli.main; print([name for name in {SLOW!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_help_names_every_command() -> None:
    """A command that help does not show is one that nobody finds in an emergency."""
    shown = evenkeel("--help").stdout
    for command in ("demo", "sandbox", "pause", "resume", "controls", "run", "selftest"):
        assert command in shown


def test_the_version_is_told() -> None:
    """If this fails, a report of a defect does not say which Evenkeel it is about."""
    found = evenkeel("--version")
    assert (found.exit_code, found.stdout) == (0, f"evenkeel {__version__}\n")


def test_pause_without_a_stack_is_a_usage_error() -> None:
    """Without a name, a pause could stop some other stack than the one on fire."""
    assert evenkeel("pause", env={"EVENKEEL_STACK": None}).exit_code == 2
