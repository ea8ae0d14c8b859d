"""Reads tags through the Resource Groups Tagging API, which covers all types."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenkeel.runtime.aws import Aws

TAGGING = "resourcegroupstaggingapi"


def read_tags(aws: Aws, arn: str) -> dict[str, str]:
    """Return a resource's tags; AWS's answer omits resources that were never tagged, which have none.

    Raises:
        ClientError, BotoCoreError: AWS refused the call, or did not answer.
    """
    answer = aws(TAGGING, "get_resources", ResourceARNList=[arn])
    found = [item for item in answer["ResourceTagMappingList"] if item["ResourceARN"].removesuffix(":*") == arn]
    return {tag["Key"]: tag["Value"] for item in found for tag in item["Tags"]}
