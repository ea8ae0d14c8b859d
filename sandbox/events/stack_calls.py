"""The API calls that CloudFormation makes for a stack's resources, from their properties.

The engine provisions resources in its own process, without calls; on AWS there are calls, and they become events. This
module has the types that controls read, with the calls that matter to them. Tags become tag changes, without calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.protocol import models
from sandbox.protocol.calls import Call
from sandbox.protocol.requests import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Members = dict[str, Any]

SOURCE = "cloudformation.amazonaws.com"
"""User agent, address and ``invokedBy`` of every call that CloudFormation makes for a caller (CloudTrail user guide,
"CloudTrail userIdentity element")."""


@dataclass(frozen=True)
class MadeCall(Call):
    """A call that did not come over the wire."""

    given: Members = field(default_factory=dict)

    def parameters(self) -> Members:
        """Return the parameters by the model's member names."""
        return dict(self.given)


@dataclass(frozen=True)
class Kind:
    """The calls by which CloudFormation creates, changes and deletes a type of resource."""

    service: str
    create: str
    delete: str
    names: tuple[str, ...]
    """Parameters that name the resource: the first takes its physical id, the others the id's last part."""
    answer: str = ""
    """Path of the resource's name in the creation's answer, e.g. ``KeyMetadata.Arn``; empty if the answer has none."""
    change: str = ""
    """The call that changes the properties that it has as parameters; empty if each property has a call of its own."""
    parts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Properties that are set by a call of their own, and the call that removes each (empty if there is none)."""
    late: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Like ``parts``, for properties that the creation sets, too."""


_BLOCK = ("PutPublicAccessBlock", "DeletePublicAccessBlock")
_INGRESS = ("AuthorizeSecurityGroupIngress", "")

KINDS = {
    "AWS::KMS::Key": Kind(
        "kms", "CreateKey", "ScheduleKeyDeletion", ("KeyId",), "KeyMetadata.Arn",
        parts={"EnableKeyRotation": ("EnableKeyRotation", "DisableKeyRotation")},
    ),
    "AWS::DynamoDB::Table": Kind(
        "dynamodb", "CreateTable", "DeleteTable", ("TableName",), "TableDescription.TableArn", "UpdateTable",
        parts={
            "PointInTimeRecoverySpecification": ("UpdateContinuousBackups", ""),
            "TimeToLiveSpecification": ("UpdateTimeToLive", ""),
        },
    ),
    "AWS::DynamoDB::GlobalTable": Kind(  # CDK's TableV2
        "dynamodb", "CreateTable", "DeleteTable", ("TableName",), "TableDescription.TableArn", "UpdateTable",
        parts={"TimeToLiveSpecification": ("UpdateTimeToLive", "")},
    ),
    "AWS::Logs::LogGroup": Kind(
        "logs", "CreateLogGroup", "DeleteLogGroup", ("logGroupName",),
        parts={"RetentionInDays": ("PutRetentionPolicy", "DeleteRetentionPolicy")},
        late={"KmsKeyId": ("AssociateKmsKey", "DisassociateKmsKey")},
    ),
    "AWS::S3::Bucket": Kind(
        "s3", "CreateBucket", "DeleteBucket", ("Bucket",),
        parts={
            "VersioningConfiguration": ("PutBucketVersioning", ""),
            "PublicAccessBlockConfiguration": _BLOCK,
        },
    ),
    "AWS::S3::BucketPolicy": Kind("s3", "PutBucketPolicy", "DeleteBucketPolicy", ("Bucket",), change="PutBucketPolicy"),
    "AWS::Lambda::Function": Kind(
        "lambda", "CreateFunction", "DeleteFunction", ("FunctionName",), "FunctionArn", "UpdateFunctionConfiguration",
        late={"Code": ("UpdateFunctionCode", "")},
    ),
    "AWS::SQS::Queue": Kind(
        "sqs", "CreateQueue", "DeleteQueue", ("QueueUrl", "QueueName"), "QueueUrl", "SetQueueAttributes"
    ),
    "AWS::SNS::Topic": Kind("sns", "CreateTopic", "DeleteTopic", ("TopicArn", "Name"), "TopicArn"),
    "AWS::EC2::SecurityGroup": Kind(
        "ec2", "CreateSecurityGroup", "DeleteSecurityGroup", ("GroupId",), "GroupId",
        parts={"SecurityGroupIngress": _INGRESS},
    ),
    "AWS::ECR::Repository": Kind(
        "ecr", "CreateRepository", "DeleteRepository", ("repositoryName",), "repository.repositoryArn"
    ),
    "AWS::ECS::Cluster": Kind(
        "ecs", "CreateCluster", "DeleteCluster", ("cluster", "clusterName"), "cluster.clusterArn", "UpdateCluster"
    ),
    "AWS::EFS::FileSystem": Kind("efs", "CreateFileSystem", "DeleteFileSystem", ("FileSystemId",), "FileSystemArn"),
    "AWS::SecretsManager::Secret": Kind(
        "secretsmanager", "CreateSecret", "DeleteSecret", ("SecretId",), "ARN", "UpdateSecret"
    ),
    "AWS::StepFunctions::StateMachine": Kind(
        "stepfunctions", "CreateStateMachine", "DeleteStateMachine", ("stateMachineArn", "name"), "stateMachineArn",
        "UpdateStateMachine",
    ),
    "AWS::RDS::DBInstance": Kind(
        "rds", "CreateDBInstance", "DeleteDBInstance", ("DBInstanceIdentifier",), "DBInstance.DBInstanceArn",
        "ModifyDBInstance",
    ),
    "AWS::RDS::DBCluster": Kind(
        "rds", "CreateDBCluster", "DeleteDBCluster", ("DBClusterIdentifier",), "DBCluster.DBClusterArn",
        "ModifyDBCluster",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Provisioned:
    """A resource of a stack: its type, physical id, region and attributes."""

    type: str
    identifier: str
    region: str
    attributes: Members = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The calls of its type."""
        return KINDS[self.type]

    def created(self, properties: Members) -> Iterator[tuple[MadeCall, Members]]:
        """Yield the calls that create it, each with the members of its answer."""
        call = self._call(self.kind.create, properties)
        yield call, self._answer(call, properties)
        for name in self.kind.parts:
            if name in properties:
                yield from self._part(name, properties)

    def changed(self, old: Members, new: Members) -> Iterator[tuple[MadeCall, Members]]:
        """Yield the calls that change its properties."""
        differing = {name for name in {*old, *new} if old.get(name) != new.get(name)} - {"Tags"}
        for name in {**self.kind.parts, **self.kind.late}:
            if name in differing:
                yield from self._part(name, new)
        rest = differing - {*self.kind.parts, *self.kind.late}
        if rest and self.kind.change:
            yield self._call(self.kind.change, {name: new[name] for name in rest if name in new}), {}

    def deleted(self) -> tuple[MadeCall, Members]:
        """Return the call that deletes it."""
        return self._call(self.kind.delete, {}), {}

    def _part(self, name: str, properties: Members) -> Iterator[tuple[MadeCall, Members]]:
        put, remove = {**self.kind.parts, **self.kind.late}[name]
        value = properties.get(name)
        operation = remove if value is None or str(value).lower() == "false" else put
        if operation:
            yield self._call(operation, {name: value} if operation == put else {}), {}

    def _call(self, operation: str, properties: Members) -> MadeCall:
        model = models.operation(self.kind.service, operation)
        if model is None:
            raise ValueError(f"{self.kind.service} has no operation {operation}")
        query = str(model.http["requestUri"]).partition("?")[2] if self.kind.service == "s3" else ""
        given = _fitting(model.input_shape, _parameters(self.kind.service, model.input_shape, properties))
        members = model.input_shape.members if model.input_shape else {}
        for number, name in enumerate(self.kind.names):
            if name in members and not (number and name in given):
                given[name] = self.identifier if number == 0 else _tail(self.identifier)
        request = HttpRequest("POST", "/", query, {}, b"")
        return MadeCall(self.kind.service, operation, self.region, "", request, model, given=given)

    def _answer(self, call: MadeCall, properties: Members) -> Members:
        """Return the members of the creation's answer: the properties that it repeats, and the resource's name."""
        if not self.kind.answer or call.model is None:
            return {}
        holder, _, name = self.kind.answer.rpartition(".")
        output: Any = call.model.output_shape
        shape = output.members[holder] if holder else output
        own = self.attributes.get("Arn") if name.lower().endswith("arn") else None
        answer = _fitting(shape, properties) | {name: self.attributes.get(name) or own or self.identifier}
        return {holder: answer} if holder else answer


def _fitting(shape: Any, properties: Members) -> Members:
    """Return the properties that are members of a structure, by the members' names, whose first letters may differ."""
    members = {name[:1].upper() + name[1:]: name for name in (shape.members if shape is not None else ())}
    return {members[name[:1].upper() + name[1:]]: value for name, value in properties.items()
            if name[:1].upper() + name[1:] in members}  # fmt: skip


def _parameters(service: str, shape: Any, properties: Members) -> Members:
    """Return properties as parameters of the call, where CloudFormation and the API name or nest them differently."""
    if service == "s3" and shape is not None:
        body = shape.serialization.get("payload")
        if body == "Policy":
            return {"Policy": json.dumps(properties.get("PolicyDocument", {}))} if properties else {}
        return {body: properties[body]} if body in properties else {}
    if service == "ec2":
        rules = properties.get("SecurityGroupIngress") or []
        described = {"Description": properties["GroupDescription"]} if "GroupDescription" in properties else {}
        return properties | described | {"IpPermissions": [_permission(rule) for rule in rules]}
    return {name: value for name, value in properties.items() if name != "Tags"}


def _permission(rule: Members) -> Members:
    """Return a rule of a template's security group in the API's form."""
    found: Members = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    for name, ranges in (("CidrIp", "IpRanges"), ("CidrIpv6", "Ipv6Ranges")):
        if name in rule:
            found[ranges] = [{name: rule[name]}]
    if "SourceSecurityGroupId" in rule:
        found["UserIdGroupPairs"] = [{"GroupId": rule["SourceSecurityGroupId"]}]
    return found


def _tail(identifier: str) -> str:
    return identifier.replace(":", "/").rpartition("/")[2]
