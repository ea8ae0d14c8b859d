"""Makes one resource of each type that controls look at, as badly configured as AWS's defaults leave it."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Callable


def key(**params: object) -> str:
    """Make a KMS key; return its ARN."""
    return client("kms").create_key(**params)["KeyMetadata"]["Arn"]


def table(name: str = "orders") -> str:
    """Make a DynamoDB table; return its ARN."""
    made = client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return made["TableDescription"]["TableArn"]


def group(name: str = "/app/orders", **params: object) -> str:
    """Make a log group; return its ARN without the ``:*``."""
    client("logs").create_log_group(logGroupName=name, **params)
    return f"arn:aws:logs:eu-west-1:123456789012:log-group:{name}"


def bucket() -> str:
    """Make a bucket; return its ARN."""
    client("s3").create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return "arn:aws:s3:::orders"


def function() -> str:
    """Make a Lambda function; return its ARN."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("orders.py", "def handler(event, context): ...")
    role = client("iam").create_role(RoleName="orders", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = client("lambda").create_function(
        FunctionName="orders",
        Runtime="python3.13",
        Role=role,
        Handler="orders.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    return made["FunctionArn"]


def queue() -> str:
    """Make a queue; return its ARN."""
    client("sqs").create_queue(QueueName="orders")
    return "arn:aws:sqs:eu-west-1:123456789012:orders"


def topic() -> str:
    """Make a topic; return its ARN."""
    return client("sns").create_topic(Name="orders")["TopicArn"]


BY_TYPE: dict[str, Callable[[], str]] = {
    "AWS::KMS::Key": key,
    "AWS::DynamoDB::Table": table,
    "AWS::Logs::LogGroup": group,
    "AWS::S3::Bucket": bucket,
    "AWS::Lambda::Function": function,
    "AWS::SQS::Queue": queue,
    "AWS::SNS::Topic": topic,
}
"""By CloudFormation's name of the type; a control over many types is tried on all of these that it applies to."""
