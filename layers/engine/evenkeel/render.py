"""A call as the AWS CLI line that a person would type."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from botocore import xform_name

if TYPE_CHECKING:
    from evenkeel.model import Call

_CLI_NAMES = {"s3": "s3api"}  # the CLI's own ``s3`` is a set of high-level commands


def cli_line(call: Call, region: str = "") -> str:
    """Return e.g. ``aws kms enable-key-rotation --key-id 1234 --region eu-west-1``; values are quoted for a shell."""
    words = ["aws", _CLI_NAMES.get(call.service, call.service), call.operation.replace("_", "-")]
    for name, value in call.params.items():
        words += _option(name, value)
    if region:
        words += ["--region", region]
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + xform_name(name, "-")
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [flag, *value]
    if isinstance(value, dict | list):
        return [flag, json.dumps(value, sort_keys=True)]
    return [flag, str(value)]
