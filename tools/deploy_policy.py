"""The policies of the person or role that deploys, docs/deploy-policy*.json.

Those of resources, and of roles and keys, are derived: for each resource type of the root's and the groups' templates,
what CloudFormation's handlers call to create, read, update and delete one (``handlers`` in its resource schemas, which
cfn-lint ships), without what only properties need that no template has. CloudFormation makes these calls with the
deploying person's credentials, or with the service role that ``sam deploy --role-arn`` names. The third is what sam
itself calls, and ``make changes``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from policy_sentry.querying.actions import get_action_data

from tools.replacements import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Statement = dict[str, Any]

MAX_CHARACTERS = 6_144
"""Characters of a managed policy, not counting white space (IAM user guide, "IAM and STS quotas")."""
SAM_TYPES = {
    "AWS::Serverless::Application": "AWS::CloudFormation::Stack",
    "AWS::Serverless::Function": "AWS::Lambda::Function",
    "AWS::Serverless::LayerVersion": "AWS::Lambda::LayerVersion",
}
"""The types that sam expands its own types to, besides the configuration of asynchronous invocations."""
UNUSED = {
    "replicas and imports of tables, and contributor insights": (
        "dynamodb:AssociateTableReplica", "dynamodb:BatchWriteItem", "dynamodb:CreateTableReplica",
        "dynamodb:DeleteItem", "dynamodb:DescribeImport", "dynamodb:GetItem", "dynamodb:ImportTable",
        "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateContributorInsights",
        "dynamodb:UpdateItem", "iam:CreateServiceLinkedRole", "logs:CreateLogStream", "logs:DescribeLogStreams",
        "logs:PutLogEvents", "s3:GetObjectMetadata", "s3:ListBucket",
    ),
    "Kinesis streams of tables": (
        "dynamodb:DisableKinesisStreamingDestination", "dynamodb:EnableKinesisStreamingDestination",
        "dynamodb:UpdateKinesisStreamingDestination", "kinesis:DescribeStream", "kinesis:PutRecords",
    ),
    "keys, policies and archives of event buses": (
        "events:PutPermission", "events:RemovePermission", "kms:ReEncrypt",
    ),
    "functions in a VPC, with a file system, signed code, versions, or their own concurrency and runtime updates": (
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
        "elasticfilesystem:DescribeMountTargets", "lambda:DeleteFunctionCodeSigningConfig",
        "lambda:DeleteFunctionConcurrency", "lambda:GetCodeSigningConfig", "lambda:PassCapacityProvider",
        "lambda:PublishVersion", "lambda:PutFunctionCodeSigningConfig", "lambda:PutFunctionConcurrency",
        "lambda:PutFunctionRecursionConfig", "lambda:PutFunctionScalingConfig", "lambda:PutRuntimeManagementConfig",
        "s3files:ListMountTargets",
    ),
    "deliveries, indexes and policies of log groups": (
        "firehose:TagDeliveryStream", "logs:CreateLogDelivery", "logs:DeleteIndexPolicy", "logs:DeleteResourcePolicy",
        "logs:PutBearerTokenAuthentication", "logs:PutDataProtectionPolicy", "logs:PutIndexPolicy",
        "logs:PutLogGroupDeletionProtection", "logs:PutResourcePolicy", "s3:REST.PUT.OBJECT",
    ),
    "policies of groups and users, managed policies and permissions boundaries": (
        "iam:AttachRolePolicy", "iam:DeleteGroupPolicy", "iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPolicy",
        "iam:DetachRolePolicy", "iam:GetGroupPolicy", "iam:GetUserPolicy", "iam:PutGroupPolicy",
        "iam:PutRolePermissionsBoundary", "iam:PutUserPolicy",
    ),
    "data protection of topics": ("sns:PutDataProtectionPolicy",),
    "stack policies": ("cloudformation:SetStackPolicy",),
}  # fmt: skip
"""Calls of handlers for properties that no template here uses."""
PASSED_TO = ("appconfig.amazonaws.com", "lambda.amazonaws.com")
"""The services that get a role of the stack."""
_KEY_USE = {
    "kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:RevokeGrant",
}  # fmt: skip
"""Uses of a key, allowed only through the services that the stack encrypts with it."""
_KEY_SERVICES = ("dynamodb", "lambda", "logs", "sns", "sqs")
_BUCKET = "aws-sam-cli-managed-default-*"
_STACKS = ("stack/evenkeel*/*",)
_SCOPES: Mapping[str, Sequence[str]] = {
    # Ids that AWS generates do not contain the stack's name: AppConfig's, keys', event source mappings'.
    "appconfig": ("application/*", "deploymentstrategy/*"),
    "cloudformation": _STACKS,
    "cloudwatch": ("alarm:evenkeel*",),
    "dynamodb": ("table/evenkeel-*",),
    "events": ("event-bus/evenkeel*", "rule/evenkeel-*"),
    "iam": ("role/evenkeel/evenkeel-*",),
    "kms": ("alias/evenkeel/*", "key/*"),
    "lambda": ("event-source-mapping:*", "function:evenkeel-*", "layer:evenkeel-*"),
    "logs": ("log-group:/aws/lambda/evenkeel-*",),
    "s3": (f"{_BUCKET}/*",),
    "sns": ("evenkeel-*",),
    "sqs": ("evenkeel-*",),
}
"""Endings of each service's ARNs, for stacks whose names begin with ``evenkeel``."""
_SAM = {
    "Stacks": (
        ("CancelUpdateStack", "ContinueUpdateRollback", "CreateChangeSet", "DeleteChangeSet", "DeleteStack",
         "DescribeChangeSet", "DescribeStackEvents", "DescribeStackResources", "DescribeStacks", "ExecuteChangeSet",
         "GetTemplate", "GetTemplateSummary", "ListChangeSets", "ListStackResources", "RollbackStack", "TagResource",
         "UntagResource", "UpdateStack", "UpdateTerminationProtection"),
        (*_STACKS, "stack/aws-sam-cli-managed-default/*", "changeSet/changes-*", "changeSet/samcli-deploy*"),
    ),
    "Transform": (("CreateChangeSet",), ("transform/Serverless-2016-10-31",)),
}  # fmt: skip
_ARTIFACTS = (
    "AbortMultipartUpload", "CreateBucket", "DeleteObject", "DeleteObjectVersion", "GetBucketLocation", "GetObject",
    "GetBucketPolicy", "GetBucketVersioning", "GetEncryptionConfiguration", "GetBucketPublicAccessBlock",
    "GetBucketTagging", "ListBucket", "ListBucketVersions", "ListMultipartUploadParts", "PutBucketPolicy",
    "PutBucketPublicAccessBlock", "PutBucketTagging", "PutBucketVersioning", "PutEncryptionConfiguration", "PutObject",
)  # fmt: skip


def types(templates: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the resource types of templates as CloudFormation sees them."""
    found = set()
    for body in (each for template in templates for each in template["Resources"].values()):
        found.add(SAM_TYPES.get(body["Type"], body["Type"]))
        if "EventInvokeConfig" in body.get("Properties", {}):
            found.add("AWS::Lambda::EventInvokeConfig")
    return sorted(found)


def called(kinds: Iterable[str]) -> list[str]:
    """Return the calls of CloudFormation's handlers of some types, without those for unused properties."""
    unused = {action for actions in UNUSED.values() for action in actions}
    handlers = (handler for kind in kinds for name, handler in schema(kind)["handlers"].items() if name != "list")
    return sorted({action for handler in handlers for action in handler["permissions"]} - unused)


def policies(templates: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the policy documents by the names of their files."""
    statements = list(_for_resources(called(types(templates))))
    sensitive = [each for each in statements if each["Sid"] in {"Iam", "Kms", "KeysThroughServices", "Roles"}]
    others = [each for each in statements if each not in sensitive]
    parts = {"": others, "-roles-and-keys": sensitive, "-sam": _for_sam()}
    return {f"deploy-policy{end}.json": {"Version": "2012-10-17", "Statement": part} for end, part in parts.items()}


def text(document: Mapping[str, Any]) -> str:
    """Return a policy document as its file has it."""
    return json.dumps(document, indent=1) + "\n"


def _for_resources(actions: Sequence[str]) -> list[Statement]:
    """Return a statement a service, and those that need a condition or name no resource."""
    by_service: dict[str, list[str]] = defaultdict(list)
    for action in actions:
        if action in _KEY_USE:
            by_service["key use"].append(action)
        elif action != "iam:PassRole":
            by_service[action.partition(":")[0] if _has_resources(action) else "everything"].append(action)
    everything = by_service.pop("everything", [])
    use = by_service.pop("key use", [])
    via = {"kms:ViaService": [f"{service}.*" for service in _KEY_SERVICES]}
    passed = {"iam:PassedToService": list(PASSED_TO)}
    return [
        *(_allow(service.title(), mine, _arns(service, _SCOPES[service])) for service, mine in by_service.items()),
        _allow("KeysThroughServices", use, _arns("kms", ("key/*",)), StringLike=via),
        _allow("Roles", ["iam:PassRole"], _arns("iam", _SCOPES["iam"]), StringEquals=passed),
        _allow("NoResourceToName", everything, ["*"]),
    ]


def _for_sam() -> list[Statement]:
    stacks = [
        _allow(sid, [f"cloudformation:{action}" for action in actions], _arns("cloudformation", resources))
        for sid, (actions, resources) in _SAM.items()
    ]
    bucket = [f"arn:aws:s3:::{_BUCKET}", f"arn:aws:s3:::{_BUCKET}/*"]
    return [*stacks, _allow("Artifacts", [f"s3:{action}" for action in _ARTIFACTS], bucket)]


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str], **condition: Any) -> Statement:
    one = resources[0] if len(resources) == 1 else list(resources)
    granted = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": one}
    return {**granted, "Condition": condition} if condition else granted


def _has_resources(action: str) -> bool:
    """Return whether IAM supports resource-level permissions for an action."""
    service, _, operation = action.partition(":")
    found = get_action_data(service, operation)
    forms = {each["resource_arn_format"] for each in found[service]} if found else set()
    return forms != {"*"}


def _arns(service: str, ends: Sequence[str]) -> list[str]:
    place = {"iam": ":*", "s3": ":"}.get(service, "*:*")
    return [f"arn:aws:{service}:{'*:aws' if end.startswith('transform/') else place}:{end}" for end in ends]
