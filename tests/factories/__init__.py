"""Makes one resource of each type that controls look at, as badly configured as AWS's defaults leave it.

Each module is about one service. Its ``MAKERS`` maps CloudFormation's name of a type to the function that makes one and
returns its ARN, and to what such an ARN looks like. A maker takes a ``name``, so that a second one can be made.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from tests.factories.awslambda import function
from tests.factories.cloudtrail import logging_trail, trail
from tests.factories.dynamodb import table
from tests.factories.ec2 import security_group
from tests.factories.kms import key
from tests.factories.logs import group
from tests.factories.s3 import bucket
from tests.factories.sns import topic
from tests.factories.sqs import queue

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ARNS",
    "BY_TYPE",
    "Maker",
    "bucket",
    "function",
    "group",
    "key",
    "logging_trail",
    "queue",
    "security_group",
    "table",
    "topic",
    "trail",
]


class Maker(Protocol):
    """Makes one resource; returns its ARN."""

    def __call__(self, *, name: str = ...) -> str:
        """``name`` tells it from others of its type."""


def _found() -> Iterator[tuple[str, tuple[Maker, str]]]:
    for module in pkgutil.iter_modules(__path__):
        yield from import_module(f"{__name__}.{module.name}").MAKERS.items()


BY_TYPE: dict[str, Maker] = {kind: make for kind, (make, _) in _found()}
"""By CloudFormation's name of the type; a control over many types is tried on all of these that it applies to."""
ARNS: dict[str, str] = {kind: arn for kind, (_, arn) in _found()}
"""What the ARN of each type looks like."""
