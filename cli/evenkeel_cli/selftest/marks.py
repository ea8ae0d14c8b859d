"""The names and tags that identify the resources of a self-test.

A run's id begins with its time, so that a later run knows a resource's age without asking AWS.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "evenkeel-selftest-"
"""Prefix of the name of everything that a self-test creates."""
TAG = "evenkeel-selftest"
"""The tag on everything that a self-test creates; its value is the run's id."""
NAME = "Name"
"""The tag that has the name, for resources that have only an id."""
ROLE_PATH = "/evenkeel-selftest/"
"""The IAM path of a self-test's roles."""
KEPT_FOR = timedelta(hours=1)
"""A resource up to this age may belong to a self-test that is still running."""
BEGUN_WITHIN = timedelta(minutes=30)
"""A run starts no control later than this: with :data:`MOST_SECONDS` for each of four waits, it ends within an hour."""
MOST_SECONDS = 400
"""The longest that a run may wait for one record, state or alert."""
NEWER_WITHIN = timedelta(seconds=30)
"""Time that a refused undo waits for the record of the newer change that prevents it."""
_RUN = re.compile(r"[0-9a-f]{12}")
_TIME_DIGITS = 8


def new_run(now: datetime) -> str:
    """Return a new run's id: 12 hex digits, the first 8 of which are the time in seconds."""
    return f"{int(now.timestamp()):0{_TIME_DIGITS}x}{token_hex(2)}"


def is_run(text: str) -> bool:
    """Return whether a text has the form of a run's id."""
    return bool(_RUN.fullmatch(text))


def started(run: str) -> datetime:
    """Return when a run began."""
    return datetime.fromtimestamp(int(run[:_TIME_DIGITS], 16), UTC)


def name(run: str, of: str) -> str:
    """Return the name of a run's resources for a control, e.g. ``evenkeel-selftest-6920…-kms-key-rotation``."""
    return f"{PREFIX}{run}-{of}"


def tags(run: str, named: str) -> dict[str, str]:
    """Return the tags of a resource that a run creates."""
    return {TAG: run, NAME: named}


def owner(named: str, found: Mapping[str, str]) -> str:
    """Return the id of the run that created a resource of this name and tags; empty unless both name the same run."""
    run = found.get(TAG, "")
    return run if is_run(run) and named.startswith(f"{PREFIX}{run}-") else ""
