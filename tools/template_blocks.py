"""The generated blocks of template.yaml: their content, and how they are inserted."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from tools import enabled_groups, home_regions
from tools.cfn import spaced, to_yaml
from tools.names import condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.control import Control

_BLOCK = re.compile(
    r"^(?P<open>(?P<indent> *)# >>> generated: (?P<name>[a-z ]+) - run make generate\n)"
    r"(?P<body>.*?)"
    r"(?P<close> *# <<< generated: (?P=name)\n)",
    re.MULTILINE | re.DOTALL,
)

_HANDED = re.compile(
    r"^(?P<indent> +)(?P<key>Parameters|Tags):\n(?P<members>((?P=indent)  \w+: !(Ref|GetAtt) [^\n]+\n)+)", re.MULTILINE
)
_WIDTH = 120


class MarkerError(ValueError):
    """The template's markers and the generated blocks do not match; restore the markers."""


def blocks(groups: Mapping[str, Sequence[Control]]) -> dict[str, object]:
    """Return the content of every block by its name."""
    names = list(groups)
    return {
        "parameters": {**enabled_groups.parameters(names), **home_regions.parameters(groups)},
        "mappings": home_regions.mappings(groups),
        "conditions": {
            **home_regions.conditions(groups),
            **{
                condition(group): home_regions.only_here(enabled_groups.enabled(group), controls)
                for group, controls in groups.items()
            },
        },
        "queue arns": enabled_groups.queue_arns(names),
        "deployed groups": {"EVENKEEL_GROUPS": enabled_groups.deployed(names)},
        "groups": enabled_groups.nested(groups),
        "outputs": {
            "Groups": {
                "Description": "The groups of controls that are deployed",
                "Value": enabled_groups.deployed(names),
            }
        },
    }


def filled(template: str, content: Mapping[str, object]) -> str:
    """Return the template with every marked block replaced.

    Raises:
        MarkerError: a block has no markers in the template, or markers have no block.
    """
    found = [match["name"] for match in _BLOCK.finditer(template)]
    if sorted(found) != sorted(content):
        raise MarkerError(
            f"template.yaml has markers for {sorted(found)}, but the blocks are {sorted(content)}; restore the markers"
        )

    def replace(match: re.Match[str]) -> str:
        body = to_yaml(content[match["name"]], len(match["indent"])) if content[match["name"]] else ""
        return match["open"] + (_compact(spaced(body)) if match["name"] == "groups" else body) + match["close"]

    return _BLOCK.sub(replace, template)


def _compact(text: str) -> str:
    """Return nested stacks with what they are handed filled into lines, so that the root stays short."""

    def fill(match: re.Match[str]) -> str:
        members = ", ".join(line.strip() for line in match["members"].splitlines())
        indent = match["indent"]
        start = f"{indent}{match['key']}: {{"
        whole = re.sub(r"(?<!,) ", "\xa0", f"{members}}}")  # lines break after commas only
        lines = textwrap.fill(whole, _WIDTH, initial_indent=start, subsequent_indent=f"{indent}  ")
        return lines.replace("\xa0", " ") + "\n"

    return _HANDED.sub(fill, text)
