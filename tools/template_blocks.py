"""The marked blocks of template.yaml: what stands in each, and how a text gets them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools import choice
from tools.cfn import to_yaml
from tools.group_resources import resources
from tools.names import condition
from tools.statements import UNDO_PATH, granted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.control import Control

_BLOCK = re.compile(
    r"^(?P<open>(?P<indent> *)# >>> generated: (?P<name>[a-z ]+) - run make generate\n)"
    r"(?P<body>.*?)"
    r"(?P<close> *# <<< generated: (?P=name)\n)",
    re.MULTILINE | re.DOTALL,
)


class MarkerError(ValueError):
    """The template's markers and the generated blocks do not match; restore the markers."""


def blocks(groups: Mapping[str, Sequence[Control]]) -> dict[str, object]:
    """Return the content of every block by its name."""
    names = list(groups)
    every = {group: resources(group, controls) for group, controls in groups.items()}
    return {
        "parameters": choice.parameters(names),
        "conditions": {condition(group): choice.enabled(group) for group in names},
        "queue arns": choice.queue_arns(names),
        "queue urls": choice.queue_urls(names),
        "rules": choice.rules(every),
        "undo grants": granted([control for controls in groups.values() for control in controls], UNDO_PATH),
        "groups": {name: body for members in every.values() for name, body in members.items()},
        "outputs": {name: body for group in names for name, body in choice.outputs(group).items()},
    }


def filled(template: str, content: Mapping[str, object]) -> str:
    """Return the template with every marked block replaced.

    Raises:
        MarkerError: a block has no markers in the template, or markers have no block.
    """
    found = [match["name"] for match in _BLOCK.finditer(template)]
    if sorted(found) != sorted(content):
        raise MarkerError(f"template.yaml marks {sorted(found)}, generated are {sorted(content)}; restore the markers")

    def replace(match: re.Match[str]) -> str:
        body = to_yaml(content[match["name"]], len(match["indent"]))
        if match["name"] == "groups":
            body = re.sub(r"\n(?=  \w+:\n)", "\n\n", body)
        return match["open"] + body + match["close"]

    return _BLOCK.sub(replace, template)
