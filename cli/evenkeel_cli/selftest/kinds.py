"""The kinds of resources that a self-test creates: the calls that create and delete each one, as data.

None is reachable from outside, holds data, or costs more than a fraction of a cent in the minutes that it exists.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel.model import Call
from evenkeel_cli.selftest import marks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Calls = Callable[["Target"], tuple[Call, ...]]

RUNTIME = "python3.13"


@dataclass(frozen=True, slots=True)
class Site:
    """The stack's partition, account and region. ``queues`` is the prefix of queue URLs."""

    partition: str
    region: str
    account: str
    queues: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One resource of a run. Its ARN ends in ``id``; ``others`` are the ids of the resources created before it."""

    site: Site
    run: str
    name: str
    id: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    runtime: str = RUNTIME

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags that it is created with."""
        return marks.tags(self.run, self.name)

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """Return the same tags in the form that most services take."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource. Its first call creates it with its tags, so that it never exists without them."""

    what: str
    arn: str
    make: Calls
    remove: Calls
    permissions: tuple[str, ...] = ()
    """IAM actions that the calls need besides the actions of the same names."""
    id: str = ""
    """JMESPath to its id in the first call's response; empty if the id is the name."""
    unprotect: Calls = lambda _: ()
    """Calls to make if AWS refuses the deletion because another control protects the resource."""
    removable: Callable[[Any, Target], bool] = lambda _cloud, _target: True
    """Returns whether it can still be deleted, given clients by service name; False if the deletion has begun."""
    not_yet: frozenset[str] = frozenset()
    """Error codes with which AWS refuses to create it until the resources before it are visible everywhere."""

    @property
    def named(self) -> bool:
        """Return whether its creator names it; otherwise AWS assigns an id, and the tag ``Name`` has the name."""
        return not self.id

    def arn_of(self, target: Target) -> str:
        """Return the ARN of a target."""
        site = target.site
        return self.arn.format(partition=site.partition, region=site.region, account=site.account, id=target.id)


def _one(service: str, operation: str, **params: Any) -> tuple[Call, ...]:
    return (Call(service, operation, params),)


def _make_key(target: Target) -> tuple[Call, ...]:
    tags = [{"TagKey": key, "TagValue": value} for key, value in target.tags.items()]
    return _one("kms", "create_key", Description=target.name, Tags=tags)


def _key_lives(cloud: Any, target: Target) -> bool:
    return bool(cloud("kms").describe_key(KeyId=target.id)["KeyMetadata"]["KeyState"] != "PendingDeletion")


# A key costs $1 a month by the hour, and nothing while its deletion is pending (KMS pricing); 7 days is the minimum
# (KMS API reference, ScheduleKeyDeletion).
KEY = Kind(
    "KMS key",
    "arn:{partition}:kms:{region}:{account}:key/{id}",
    make=_make_key,
    remove=lambda target: _one("kms", "schedule_key_deletion", KeyId=target.id, PendingWindowInDays=7),
    permissions=("kms:TagResource", "kms:DescribeKey"),
    id="KeyMetadata.KeyId",
    removable=_key_lives,
)
LOG_GROUP = Kind(
    "log group",
    "arn:{partition}:logs:{region}:{account}:log-group:{id}",
    make=lambda target: _one("logs", "create_log_group", logGroupName=target.name, tags=target.tags),
    remove=lambda target: _one("logs", "delete_log_group", logGroupName=target.name),
    permissions=("logs:TagResource",),
)
TABLE = Kind(
    "DynamoDB table",
    "arn:{partition}:dynamodb:{region}:{account}:table/{id}",
    make=lambda target: _one(
        "dynamodb",
        "create_table",
        TableName=target.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=target.tag_list,
    ),
    remove=lambda target: _one("dynamodb", "delete_table", TableName=target.name),
    permissions=("dynamodb:TagResource",),
    unprotect=lambda target: _one("dynamodb", "update_table", TableName=target.name, DeletionProtectionEnabled=False),
)


def _make_bucket(target: Target) -> tuple[Call, ...]:
    # The default region must not be named (S3 API reference, CreateBucketConfiguration).
    where = {} if target.site.region == "us-east-1" else {"LocationConstraint": target.site.region}
    configuration = {**where, "Tags": target.tag_list}
    return _one("s3", "create_bucket", Bucket=target.name, CreateBucketConfiguration=configuration)


# A bucket can be created with its tags by a caller with s3:TagResource (S3 API reference, CreateBucketConfiguration).
BUCKET = Kind(
    "S3 bucket",
    "arn:{partition}:s3:::{id}",
    make=_make_bucket,
    remove=lambda target: _one("s3", "delete_bucket", Bucket=target.name, ExpectedBucketOwner=target.site.account),
    permissions=("s3:TagResource",),
)
# A VPC of its own has neither a gateway nor a subnet: whatever its security group lets in, nobody can reach it.
VPC = Kind(
    "VPC",
    "arn:{partition}:ec2:{region}:{account}:vpc/{id}",
    make=lambda target: _one(
        "ec2",
        "create_vpc",
        CidrBlock="10.0.0.0/28",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": target.tag_list}],
    ),
    remove=lambda target: _one("ec2", "delete_vpc", VpcId=target.id),
    permissions=("ec2:CreateTags",),
    id="Vpc.VpcId",
)
SECURITY_GROUP = Kind(
    "security group",
    "arn:{partition}:ec2:{region}:{account}:security-group/{id}",
    make=lambda target: _one(
        "ec2",
        "create_security_group",
        GroupName=target.name,
        Description="evenkeel selftest; safe to delete",
        VpcId=target.others[VPC.what],
        TagSpecifications=[{"ResourceType": "security-group", "Tags": target.tag_list}],
    ),
    remove=lambda target: _one("ec2", "delete_security_group", GroupId=target.id),
    permissions=("ec2:CreateTags",),
    id="GroupId",
    not_yet=frozenset({"InvalidVpcID.NotFound"}),
)
_TRACES = {"Effect": "Allow", "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"}
_BY_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# Lambda refuses active tracing where the role may not write traces (Lambda developer guide, "AWS X-Ray").
ROLE = Kind(
    "IAM role",
    "arn:{partition}:iam::{account}:role" + marks.ROLE_PATH + "{id}",
    make=lambda target: (
        *_one(
            "iam",
            "create_role",
            RoleName=target.name,
            Path=marks.ROLE_PATH,
            AssumeRolePolicyDocument=_policy(_BY_LAMBDA),
            Tags=target.tag_list,
        ),
        *_one("iam", "put_role_policy", RoleName=target.name, PolicyName="traces", PolicyDocument=_policy(_TRACES)),
    ),
    remove=lambda target: (
        *_one("iam", "delete_role_policy", RoleName=target.name, PolicyName="traces"),
        *_one("iam", "delete_role", RoleName=target.name),
    ),
    permissions=("iam:TagRole",),
)


def _code() -> bytes:
    """Return a package whose handler does nothing; nobody invokes it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    pass\n")
    return packed.getvalue()


FUNCTION = Kind(
    "Lambda function",
    "arn:{partition}:lambda:{region}:{account}:function:{id}",
    make=lambda target: _one(
        "lambda",
        "create_function",
        FunctionName=target.name,
        Runtime=target.runtime,
        Role=ROLE.arn.format(partition=target.site.partition, account=target.site.account, id=target.name),
        Handler="index.handler",
        Code={"ZipFile": _code()},
        Tags=target.tags,
    ),
    remove=lambda target: _one("lambda", "delete_function", FunctionName=target.name),
    permissions=("lambda:TagResource", "iam:PassRole"),
    # "The role defined for the function cannot be assumed by Lambda", for some seconds after it was created.
    not_yet=frozenset({"InvalidParameterValueException"}),
)


def _make_queue(target: Target) -> tuple[Call, ...]:
    site = target.site
    topic = target.others["topic"]
    from_topic = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE.arn.format(
            partition=site.partition, region=site.region, account=site.account, id=target.name
        ),
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    attributes = {"Policy": _policy(from_topic), "MessageRetentionPeriod": "3600", "SqsManagedSseEnabled": "true"}
    return _one("sqs", "create_queue", QueueName=target.name, Attributes=attributes, tags=target.tags)


# SNS decrypts what it delivers, so a queue under SQS's own key needs no access to the topic's key (SNS developer guide,
# "Data encryption").
QUEUE = Kind(
    "SQS queue",
    "arn:{partition}:sqs:{region}:{account}:{id}",
    make=_make_queue,
    remove=lambda target: _one("sqs", "delete_queue", QueueUrl=f"{target.site.queues}/{target.name}"),
    permissions=("sqs:TagQueue", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sns:Subscribe", "sns:Unsubscribe",
                 "sns:ListSubscriptions"),
)  # fmt: skip
KINDS = (KEY, LOG_GROUP, TABLE, BUCKET, SECURITY_GROUP, VPC, FUNCTION, ROLE, QUEUE)
"""All kinds, in an order in which they can be deleted."""
