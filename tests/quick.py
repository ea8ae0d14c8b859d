"""What makes the tests quick without making them prove less: work that is the same each time is done once a run."""

from __future__ import annotations

import gc
from typing import Any

from botocore.loaders import Loader

_SHARED: dict[Any, Any] = {}


class _Models(dict[Any, Any]):
    """What one loader of botocore's has read: its own model of S3, since botocore's client edits that; all else shared.

    A key is the loader's method and its arguments: ``("load_service_model", "kms", "service-2", None)``.
    """

    def _of(self, key: tuple[Any, ...]) -> dict[Any, Any]:
        return self.__dict__ if any(str(part).partition("/")[0] == "s3" for part in key) else _SHARED

    def __contains__(self, key: Any) -> bool:
        return key in self._of(key)

    def __getitem__(self, key: Any) -> Any:
        return self._of(key)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._of(key)[key] = value


def share_models() -> None:
    """Let all boto3 sessions share the models of AWS's services, which each session would read and parse again.

    The functions and the command line make a session of their own at each start, and tests start them thousands of
    times.
    """
    real = Loader.__init__

    def sharing(self: Loader, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        self._cache = _Models()

    Loader.__init__ = sharing


def spare_the_collector() -> None:
    """Keep the garbage collector from walking what lives as long as the run: modules, moto's and botocore's models."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
