"""The ARNs of the resources of a call: for ``resources`` in events and for tag changes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sandbox.events import tag_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.protocol.calls import Call

TYPES = {
    "kms": "AWS::KMS::Key", "dynamodb": "AWS::DynamoDB::Table", "s3": "AWS::S3::Bucket", "sqs": "AWS::SQS::Queue",
    "ecr": "",
}  # fmt: skip
"""Services whose CloudTrail events carry ``resources``, with the type of their resources.

ECR's have no type (Amazon ECR user guide, "Understanding Amazon ECR log file entries").
"""

Members = dict[str, Any]


def touched(call: Call, account: str, parameters: Members, result: Members) -> list[str]:
    """Return the ARNs of the resources in a call's parameters or result (both by the model's member names)."""
    finder = FINDERS.get(call.service)
    return finder(f"{call.region}:{account}", parameters, result) if finder else []


def _kms(place: str, parameters: Members, result: Members) -> list[str]:
    if "KeyMetadata" in result:
        return [str(result["KeyMetadata"]["Arn"])]
    name = parameters.get("TargetKeyId") or parameters.get("KeyId")
    store = importlib.import_module("ministack.services.kms")
    record = store._resolve_key(name) if name else None
    return [f"arn:aws:kms:{place}:key/{record['KeyId']}"] if record else []


def _dynamodb(place: str, parameters: Members, _: Members) -> list[str]:
    name = str(parameters.get("TableName") or parameters.get("ResourceArn") or "")
    if not name:
        return []
    return [name if name.startswith("arn:") else f"arn:aws:dynamodb:{place}:table/{name}"]


def _logs(place: str, parameters: Members, _: Members) -> list[str]:
    arn = str(parameters.get("resourceArn") or parameters.get("resourceIdentifier") or "").removesuffix(":*")
    if arn:
        return [arn]
    name = parameters.get("logGroupName")
    return [f"arn:aws:logs:{place}:log-group:{name}"] if name else []


def _s3(_place: str, parameters: Members, _: Members) -> list[str]:
    return [f"arn:aws:s3:::{parameters['Bucket']}"] if parameters.get("Bucket") else []


def _s3control(_place: str, parameters: Members, _: Members) -> list[str]:
    return [str(parameters["ResourceArn"])] if parameters.get("ResourceArn") else []


def _lambda(place: str, parameters: Members, _: Members) -> list[str]:
    name = str(parameters.get("FunctionName") or parameters.get("Resource") or "")
    if not name:
        return []
    return [name if name.startswith("arn:") else f"arn:aws:lambda:{place}:function:{name}"]


def _sns(place: str, parameters: Members, result: Members) -> list[str]:
    arn = result.get("TopicArn") or parameters.get("ResourceArn") or parameters.get("TopicArn")
    if arn:
        return [str(arn)]
    return [f"arn:aws:sns:{place}:{parameters['Name']}"] if parameters.get("Name") else []


def _sqs(place: str, parameters: Members, _: Members) -> list[str]:
    name = str(parameters.get("QueueName") or parameters.get("QueueUrl") or "").rpartition("/")[2]
    return [f"arn:aws:sqs:{place}:{name}"] if name else []


def _ec2(place: str, parameters: Members, result: Members) -> list[str]:
    """Return the instances, volumes and NAT gateways that a call creates or tags."""
    made = [result.get("VolumeId"), result.get("NatGateway", {}).get("NatGatewayId")]
    made += [instance.get("InstanceId") for instance in result.get("Instances", [])]
    ids = [str(each) for each in (*made, *parameters.get("Resources", [])) if each]
    kinds = tag_store.ID_PREFIXES.items()
    return [f"arn:aws:ec2:{place}:{kind}/{each}" for each in ids for start, kind in kinds if each.startswith(start)]


def _rds(_place: str, parameters: Members, result: Members) -> list[str]:
    made = result.get("DBInstance", {}).get("DBInstanceArn") or result.get("DBCluster", {}).get("DBClusterArn")
    return [str(arn) for arn in (made, parameters.get("ResourceName")) if arn]


def _named(*paths: str) -> Callable[[str, Members, Members], list[str]]:
    """Return a finder for services with the ARN in their parameters or results, at paths like ``repository.arn``."""

    def find(_place: str, parameters: Members, result: Members) -> list[str]:
        found = [value for members in (result, parameters) for path in paths if (value := _at(members, path))]
        return [value for value in dict.fromkeys(found) if value.startswith("arn:")]

    return find


def _at(members: Members, path: str) -> str:
    value: Any = members
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _efs(place: str, parameters: Members, result: Members) -> list[str]:
    name = str(result.get("FileSystemId") or parameters.get("ResourceId") or "").rpartition("/")[2]
    return [f"arn:aws:elasticfilesystem:{place}:file-system/{name}"] if name else []


def _tagging(_place: str, parameters: Members, _: Members) -> list[str]:
    return [str(each) for each in parameters.get("ResourceARNList") or []]


FINDERS: dict[str, Callable[[str, Members, Members], list[str]]] = {
    "kms": _kms, "dynamodb": _dynamodb, "logs": _logs, "s3": _s3, "s3control": _s3control, "lambda": _lambda,
    "sns": _sns, "sqs": _sqs, "resourcegroupstaggingapi": _tagging, "ec2": _ec2, "rds": _rds, "efs": _efs,
    "ecr": _named("repository.repositoryArn", "resourceArn"), "ecs": _named("cluster.clusterArn", "resourceArn"),
    "secretsmanager": _named("ARN", "SecretId"), "stepfunctions": _named("stateMachineArn", "resourceArn"),
}  # fmt: skip
