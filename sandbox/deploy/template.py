"""CloudFormation templates in YAML, read as plain data with their short tags in the long form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

Template = dict[str, Any]


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader, which is faster, if PyYAML was built with it."""


class TemplateLoader(_Loader):  # type: ignore[misc]
    """A safe YAML loader that turns ``!Ref`` and its like into the long form."""


def _tag(loader: TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


TemplateLoader.add_multi_constructor("!", _tag)
# Dates in a template, such as a policy's Version, stay text.
TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def load(path: Path) -> Template:
    """Return a template as plain data, intrinsic functions in their long form."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Template:
    """Return a template's text as plain data, intrinsic functions in their long form."""
    found: Template = yaml.load(text, Loader=TemplateLoader)  # noqa: S506  # nosec B506 - a SafeLoader
    return found
