"""From API calls to the IAM actions that AWS asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.wire import Made

ACTIONS = {  # operations whose IAM action has another name (Service Authorization Reference)
    ("efs", "DescribeFileSystems"): "elasticfilesystem:DescribeFileSystems",
    ("resourcegroupstaggingapi", "GetResources"): "tag:GetResources",
    ("resourcegroupstaggingapi", "TagResources"): "tag:TagResources",
    ("resourcegroupstaggingapi", "UntagResources"): "tag:UntagResources",
    ("s3", "DeletePublicAccessBlock"): "s3:PutBucketPublicAccessBlock",
    ("s3", "GetPublicAccessBlock"): "s3:GetBucketPublicAccessBlock",
    ("s3", "ListBuckets"): "s3:ListAllMyBuckets",
    ("s3", "PutPublicAccessBlock"): "s3:PutBucketPublicAccessBlock",
    ("stepfunctions", "DescribeStateMachine"): "states:DescribeStateMachine",
    ("stepfunctions", "ListStateMachines"): "states:ListStateMachines",
}
# Permissions that AWS asks for beside the call's own (Tagging API reference, TagResources and UntagResources: "you also
# need the permissions of the service that manages the resource"; S3 user guide: tags are one document, read and put).
IMPLIED = {
    "TagResources": {
        "dynamodb": {"dynamodb:TagResource"},
        "ec2": {"ec2:CreateTags"},
        "ecr": {"ecr:TagResource"},
        "ecs": {"ecs:TagResource"},
        "elasticfilesystem": {"elasticfilesystem:TagResource"},
        "kms": {"kms:TagResource"},
        "lambda": {"lambda:TagResource"},
        "logs": {"logs:TagResource"},
        "rds": {"rds:AddTagsToResource"},
        "s3": {"s3:GetBucketTagging", "s3:PutBucketTagging"},
        "secretsmanager": {"secretsmanager:TagResource"},
        "sns": {"sns:TagResource"},
        "sqs": {"sqs:TagQueue"},
        "states": {"states:TagResource"},
    },
    "UntagResources": {
        "dynamodb": {"dynamodb:UntagResource"},
        "ec2": {"ec2:DeleteTags"},
        "ecr": {"ecr:UntagResource"},
        "ecs": {"ecs:UntagResource"},
        "elasticfilesystem": {"elasticfilesystem:UntagResource"},
        "kms": {"kms:UntagResource"},
        "lambda": {"lambda:UntagResource"},
        "logs": {"logs:UntagResource"},
        "rds": {"rds:RemoveTagsFromResource"},
        "s3": {"s3:GetBucketTagging", "s3:PutBucketTagging"},
        "secretsmanager": {"secretsmanager:UntagResource"},
        "sns": {"sns:UntagResource"},
        "sqs": {"sqs:UntagQueue"},
        "states": {"states:UntagResource"},
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


def pascal(service: str, operation: str) -> str:
    """Return AWS's name of one of boto3's operations: ``modify_db_instance`` is ModifyDBInstance."""
    name: str = client(service).meta.method_to_api_mapping[operation]
    return name
