"""Makes moto quick where it works out the same thing again and again; what it answers stays the same, byte by byte.

A third of the CPU of all tests went into moto's search for the attributes of a DynamoDB item under ten names each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from moto.core import models, responses, utils
from moto.core.serialize import AttributePickerContext, BaseJSONSerializer, XFormedAttributePicker
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node, UpdateExpression
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS: dict[tuple[Any, ...], tuple[str, ...]] = {}
_AS_IT_IS = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
"""Kinds of attributes that go over the wire as moto keeps them; binary ones are encoded."""


@lru_cache(maxsize=1)
def quicken() -> None:
    """Put the quick ways in, for the whole run."""
    models.RESPONSES_METHODS = []  # thousands of patterns for the library ``requests``, which nothing here uses
    responses.method_names_from_class = lru_cache(maxsize=None)(utils.method_names_from_class)
    XFormedAttributePicker.get_possible_keys = _remembered(XFormedAttributePicker.get_possible_keys)
    BaseJSONSerializer._serialize_type_structure = _items_first(BaseJSONSerializer._serialize_type_structure)
    DepthFirstTraverser.traverse = _traverse
    ActionCountValidator.verify_action_counts = _root_only(ActionCountValidator.verify_action_counts)
    OverlappingPathsValidator.check_for_overlapping_paths = _root_only(
        OverlappingPathsValidator.check_for_overlapping_paths
    )
    Item.__init__ = _weighed_once


def _remembered(real: Callable[..., Any]) -> Callable[..., tuple[str, ...]]:
    """Return the names under which an attribute may be found: they depend on its place in the model and the class."""

    def get_possible_keys(self: XFormedAttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
        shape = context.shape
        parent = getattr(shape, "parent", None)
        place = (
            type(context.obj),
            context.key,
            context.service_model.service_name if context.service_model else "",
            shape.name if shape else "",
            parent.name if parent else "",
        )
        if place not in _KEYS:
            _KEYS[place] = tuple(dict.fromkeys(real(self, context)))
        return _KEYS[place]

    return get_possible_keys


def _items_first(real: Callable[..., None]) -> Callable[..., None]:
    """Return a serializer that hands attributes of DynamoDB items on as they are."""

    def serialize(self: BaseJSONSerializer, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and _goes_as_it_is(value):
            self._default_serialize(serialized, value, shape, key)
        else:
            real(self, serialized, value, shape, key)

    return serialize


def _goes_as_it_is(value: Any) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, inner),) = value.items()
    if kind == "M":
        return all(map(_goes_as_it_is, inner.values()))
    if kind == "L":
        return all(map(_goes_as_it_is, inner))
    return kind in _AS_IT_IS


def _traverse(self: DepthFirstTraverser, root: Node) -> Node:
    """Process a tree bottom up as moto does, which asks for the table of processors anew at each node."""
    processors = self._processing_map()
    by_type: dict[type, Callable[[Node], Node] | None] = {}

    def visit(node: Any, place: int) -> Any:
        kind = type(node)
        if kind not in by_type:
            by_type[kind] = next((process for known, process in processors.items() if issubclass(kind, known)), None)
        if not isinstance(node, Node):
            return node
        parent, process = node.parent, by_type[kind]
        for number, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, number)
            visit(child, number)
        if process is None:
            return node
        made = process(node)
        made.parent = parent
        if parent:
            parent.children[place] = made
        return made

    return visit(root, -1)


def _root_only(real: Callable[..., UpdateExpression]) -> Callable[..., UpdateExpression]:
    """Return a check that looks at a whole update expression once, not at each of its parts as well."""

    def check(self: DepthFirstTraverser, node: UpdateExpression) -> UpdateExpression:
        return node if node.parent else real(self, node)

    return check


def _weighed_once(self: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
    """Make an item whose size is measured when its last attribute is put in, not at each."""
    self.hash_key, self.range_key, self.attrs = hash_key, range_key, LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(self.attrs, name, DynamoType(value))
    if attrs:
        self.attrs[name] = self.attrs.pop(name)
