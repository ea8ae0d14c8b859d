"""CloudFormation values as Python data, and back to YAML in the short form (``!Sub``, ``!GetAtt``, ...)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml.emitter import ScalarAnalysis


@dataclass(frozen=True, slots=True)
class Fn:
    """An intrinsic function: ``Fn("Sub", "...")`` is written ``!Sub ...``."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Star:
    """The resource ``*``, written with a comment on why it cannot be narrower."""

    reason: str


NO_VALUE = Fn("Ref", "AWS::NoValue")

_STAR = re.compile(r"'\* because (.*)'$", re.MULTILINE)
_NEVER_FOLDED = 100_000  # characters: a comment must stay on its value's line
_ONE_LINE = 80  # characters of a list or mapping that fit in one line
_PLAIN_ANYWHERE = re.compile(r"\w([\w.:/-]*\w)?")  # what a flow collection takes without quotes, AWS::NoValue for one


def ref(name: str) -> Fn:
    """Return ``!Ref name``."""
    return Fn("Ref", name)


def arn_of(resource: str) -> Fn:
    """Return ``!GetAtt resource.Arn``."""
    return Fn("GetAtt", f"{resource}.Arn")


def when(condition: str, value: Any) -> Fn:
    """Return the value if the condition holds, otherwise nothing."""
    return Fn("If", [condition, value, NO_VALUE])


def plain(value: Any) -> Any:
    """Return the value as JSON has it, functions in their long form."""
    if isinstance(value, Fn):
        argument = plain(value.value)
        if value.name == "GetAtt":
            argument = argument.split(".", 1)
        return {value.name if value.name in {"Ref", "Condition"} else f"Fn::{value.name}": argument}
    if isinstance(value, Star):
        return "*"
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list | tuple) else value


def to_yaml(value: Any, spaces: int) -> str:
    """Return the value as YAML lines, indented by so many spaces, each ending in a newline."""
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=_NEVER_FOLDED, allow_unicode=True, default_flow_style=None
    )
    return indent(_STAR.sub(_with_reason, text), " " * spaces)


def document(template: dict[str, Any]) -> str:
    """Return a template as a hand-written one would be: a blank line before each section and between resources."""
    return spaced(re.sub(r"\n(?=\w+:\n)", "\n\n", to_yaml(template, 0)))


def spaced(text: str) -> str:
    """Return YAML with a blank line before each member of several lines, save the first."""
    return re.sub(r"(?<!:)\n(?=  \w+:\n)", "\n\n", text)


def _with_reason(found: re.Match[str]) -> str:
    """Return ``*`` and its reason as a comment; YAML doubles the quotes within quotes."""
    return "'*'  # " + found[1].replace("''", "'")


class _Dumper(yaml.SafeDumper):
    """Indents lists under their key and knows the types above."""

    event: yaml.ScalarEvent
    analysis: ScalarAnalysis  # PyYAML sets both before it asks for a scalar's style

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's own name
        """Never write a list at its key's own indentation."""
        super().increase_indent(flow, indentless=False)

    def choose_scalar_style(self) -> str:
        """Write text without quotes where YAML needs none; PyYAML quotes what has a tag, or a colon in a short list."""
        style, text = super().choose_scalar_style(), self.event.value
        plain = self.analysis.allow_flow_plain if self.flow_level else self.analysis.allow_block_plain
        is_text = self.event.implicit[0] or (self.event.tag or "").startswith("!")  # and would not be read as a number
        unquoted = is_text and bool(text) and (plain or _PLAIN_ANYWHERE.fullmatch(text))
        return "" if style == "'" and unquoted else style

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        """Write a short list of scalars in one line, a long one as lines that a diff shows one by one."""
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = node.flow_style and (flow_style is True or _is_short(node.value))
        return node

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """Write a short mapping of scalars in one line."""
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = node.flow_style and _is_short([member for pair in node.value for member in pair])
        return node

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own signature
        """Write repeated values out: CloudFormation does not read YAML aliases."""
        return True


def _is_short(nodes: list[yaml.Node]) -> bool:
    """Return whether scalars and the functions among them fit in one line."""
    return sum(len(str(node.value)) + len(node.tag) % 20 + 2 for node in nodes) <= _ONE_LINE


def _represent_fn(dumper: yaml.SafeDumper, function: Fn) -> yaml.Node:
    """Write a function of a scalar as ``!Name value``, of a list as ``!Name [...]`` in one line."""
    tag = f"!{function.name}"
    if isinstance(function.value, list):
        return dumper.represent_sequence(tag, function.value, flow_style=True)
    return dumper.represent_scalar(tag, str(function.value))


def _represent_star(dumper: yaml.SafeDumper, star: Star) -> yaml.Node:
    """Write a text that ``to_yaml`` turns into ``'*'`` and a comment."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", f"* because {star.reason}", style="'")


_Dumper.add_representer(Fn, _represent_fn)
_Dumper.add_representer(Star, _represent_star)
