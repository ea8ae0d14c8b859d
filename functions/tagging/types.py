"""The resource types that are tagged, one line of data each: add a type by adding a line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taggable:
    """A resource type: how its creation shows in CloudTrail, what its ARN is, and which actions tag and list it."""

    cfn_type: str
    arn: str
    source: str
    created_by: tuple[str, ...]
    at: str
    """JMESPath into CloudTrail's ``detail``: ARN, id, name or URL of what was created."""
    tag_service: str
    """``detail.service`` of EventBridge's "Tag Change on Resource"."""
    tag: tuple[str, ...]
    """The service's own permissions that tag:TagResources needs beside itself."""
    untag: tuple[str, ...]
    listing: tuple[str, str, str]
    """boto3 service, operation, and JMESPath to ARNs, names or URLs in a page."""
    list_action: str


TYPES = (
    Taggable(
        "AWS::KMS::Key",
        "arn:{partition}:kms:{region}:{account}:key/{id}",
        "kms.amazonaws.com",
        ("CreateKey",),
        "responseElements.keyMetadata.arn",
        "kms",
        ("kms:TagResource",),
        ("kms:UntagResource",),
        ("kms", "list_keys", "Keys[].KeyArn"),
        "kms:ListKeys",
    ),
    Taggable(
        "AWS::DynamoDB::Table",
        "arn:{partition}:dynamodb:{region}:{account}:table/{id}",
        "dynamodb.amazonaws.com",
        ("CreateTable",),
        "responseElements.tableDescription.tableArn || requestParameters.tableName",
        "dynamodb",
        ("dynamodb:TagResource",),
        ("dynamodb:UntagResource",),
        ("dynamodb", "list_tables", "TableNames[]"),
        "dynamodb:ListTables",
    ),
    Taggable(
        "AWS::Logs::LogGroup",
        "arn:{partition}:logs:{region}:{account}:log-group:{id}",
        "logs.amazonaws.com",
        ("CreateLogGroup",),
        "requestParameters.logGroupName",
        "logs",
        ("logs:TagResource",),
        ("logs:UntagResource",),
        ("logs", "describe_log_groups", "logGroups[].logGroupName"),
        "logs:DescribeLogGroups",
    ),
    Taggable(
        "AWS::S3::Bucket",
        "arn:{partition}:s3:::{id}",
        "s3.amazonaws.com",
        ("CreateBucket",),
        "requestParameters.bucketName",
        "s3",
        ("s3:GetBucketTagging", "s3:PutBucketTagging"),
        ("s3:GetBucketTagging", "s3:PutBucketTagging"),
        ("s3", "list_buckets", "Buckets[].Name"),
        "s3:ListAllMyBuckets",
    ),
    Taggable(
        "AWS::Lambda::Function",
        "arn:{partition}:lambda:{region}:{account}:function:{id}",
        "lambda.amazonaws.com",
        ("CreateFunction20150331",),
        "responseElements.functionArn",
        "lambda",
        ("lambda:TagResource",),
        ("lambda:UntagResource",),
        ("lambda", "list_functions", "Functions[].FunctionArn"),
        "lambda:ListFunctions",
    ),
    Taggable(
        "AWS::SQS::Queue",
        "arn:{partition}:sqs:{region}:{account}:{id}",
        "sqs.amazonaws.com",
        ("CreateQueue",),
        "responseElements.queueUrl",
        "sqs",
        ("sqs:TagQueue",),
        ("sqs:UntagQueue",),
        ("sqs", "list_queues", "QueueUrls[]"),
        "sqs:ListQueues",
    ),
    Taggable(
        "AWS::SNS::Topic",
        "arn:{partition}:sns:{region}:{account}:{id}",
        "sns.amazonaws.com",
        ("CreateTopic",),
        "responseElements.topicArn",
        "sns",
        ("sns:TagResource",),
        ("sns:UntagResource",),
        ("sns", "list_topics", "Topics[].TopicArn"),
        "sns:ListTopics",
    ),
)
