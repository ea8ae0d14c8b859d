"""The list of all patches, and the engine's version that they were written for."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from sandbox.patches import (
    appconfig,
    authorization,
    change_sets,
    cloudwatch,
    dynamodb,
    dynamodb_streams,
    ec2,
    event_sources,
    kms,
    lambda_workers,
    logs,
    nested_stacks,
    rds,
    rule_targets,
    s3,
    security_hub,
    stack_conditions,
    stack_properties,
    tagging,
)

if TYPE_CHECKING:
    from sandbox.options import Options

ENGINE_VERSION = "1.5.33"


class EngineVersionError(RuntimeError):
    """The installed engine is not the one that the patches were written for."""


def apply(options: Options) -> None:
    """Patch the imported engine; raise EngineVersionError if it is another version."""
    found = version("ministack")
    if found != ENGINE_VERSION:
        message = (
            f"the sandbox's patches are for ministack {ENGINE_VERSION}, but {found} is installed: pin it, or review "
            "sandbox/patches and its tests and raise ENGINE_VERSION"
        )
        raise EngineVersionError(message)
    authorization.apply()
    appconfig.apply(options.minute_seconds)
    kms.apply()
    logs.apply()
    dynamodb.apply(options.table_seconds)
    ec2.apply()
    rds.apply(options.table_seconds)
    s3.apply()
    tagging.apply()
    stack_properties.apply()
    stack_conditions.apply()
    nested_stacks.apply()
    change_sets.apply()
    lambda_workers.apply()
    event_sources.apply()
    dynamodb_streams.apply()
    rule_targets.apply()
    security_hub.apply()
    cloudwatch.apply()
