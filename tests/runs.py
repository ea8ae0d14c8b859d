"""Open a run, without which no payload of a person's changes a resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def opened(
    ask: Callable[[dict[str, Any]], dict[str, Any]], control: str, resources: list[str] | str = "all", **terms: Any
) -> str:
    """Open a run of one control and return its id; ``ask`` proves the caller of a payload and invokes the function."""
    answer = ask({"open_run": {"controls": [control], "resources": resources, "dry_run": False, **terms}})
    assert "run" in answer, answer
    return str(answer["run"])
