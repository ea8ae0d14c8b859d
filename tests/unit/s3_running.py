"""Runs a control of buckets in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world import request

if TYPE_CHECKING:
    from evenkeel.model import Result
    from tests.world import World

BLOCK, TLS, VERSIONS = "s3-bucket-public-access-block", "s3-tls-only-policy", "s3-versioning"


def run(world: World, control: str, arn: str, *, creates: bool = False, **settings: Any) -> Result:
    """Run a control in ``enforce``, without settling, unless the settings say otherwise."""
    document = {"schema_version": 1, "settle_seconds": 0, "controls": {control: {"mode": "enforce", **settings}}}
    return world.run(control, request(control, arn, creates=creates), document=document)
