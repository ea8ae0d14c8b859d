"""From API calls to the IAM actions that AWS asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.wire import Made

ACTIONS = {  # operations whose IAM action has another name (Service Authorization Reference)
    ("resourcegroupstaggingapi", "GetResources"): "tag:GetResources",
    ("resourcegroupstaggingapi", "TagResources"): "tag:TagResources",
    ("resourcegroupstaggingapi", "UntagResources"): "tag:UntagResources",
    ("s3", "ListBuckets"): "s3:ListAllMyBuckets",
}
# Permissions that AWS asks for beside the call's own (Tagging API reference, TagResources and UntagResources: "you also
# need the permissions of the service that manages the resource"; S3 user guide: tags are one document, read and put).
IMPLIED = {
    "TagResources": {
        "dynamodb": {"dynamodb:TagResource"},
        "kms": {"kms:TagResource"},
        "lambda": {"lambda:TagResource"},
        "logs": {"logs:TagResource"},
        "s3": {"s3:GetBucketTagging", "s3:PutBucketTagging"},
        "sns": {"sns:TagResource"},
        "sqs": {"sqs:TagQueue"},
    },
    "UntagResources": {
        "dynamodb": {"dynamodb:UntagResource"},
        "kms": {"kms:UntagResource"},
        "lambda": {"lambda:UntagResource"},
        "logs": {"logs:UntagResource"},
        "s3": {"s3:GetBucketTagging", "s3:PutBucketTagging"},
        "sns": {"sns:UntagResource"},
        "sqs": {"sqs:UntagQueue"},
    },
}


def actions(calls: Iterable[Made]) -> set[str]:
    """Return the IAM actions that calls need, by their names and by what they imply."""
    needed = set()
    for made in calls:
        needed.add(ACTIONS.get((made.service, made.operation), f"{made.service}:{made.operation}"))
        for arn in made.params.get("ResourceARNList", []):
            needed |= IMPLIED.get(made.operation, {}).get(arn.split(":")[2], set())
        # EC2 user guide, "Grant permission to tag Amazon EC2 resources during creation".
        needed |= {"ec2:CreateTags"} if made.params.get("TagSpecifications") else set()
    return needed


def pascal(operation: str) -> str:
    """Return AWS's name of one of boto3's operations: ``enable_key_rotation`` is EnableKeyRotation."""
    return "".join(word.title() for word in operation.split("_"))
