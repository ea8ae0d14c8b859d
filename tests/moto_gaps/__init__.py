"""Where moto 5.2.5 lacks what the controls need, or is kinder than AWS; each gap is filled here and nowhere else.

Each module is about one service and says which behaviour of AWS it puts in.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from tests.moto_gaps.appconfig import Configuration
from tests.moto_gaps.awslambda import updating
from tests.moto_gaps.dynamodb import creating
from tests.moto_gaps.sqs import undelay

if TYPE_CHECKING:
    import pytest

__all__ = ["Configuration", "creating", "install", "undelay", "updating"]


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    for found in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{found.name}")
        if hasattr(module, "install"):
            module.install(patch)
