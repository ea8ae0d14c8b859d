"""The resources that a group of controls adds to the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.patterns import patterns
from evenkeel.remediator import MAX_RECEIVES
from tools.alarms import alarms
from tools.cfn import Fn, Star, arn_of, ref
from tools.names import TAGS, condition, stem
from tools.statements import Statement, allow, granted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.control import Control

TIMEOUT_SECONDS = 60
"""Of every function, as in the template's Globals."""
FOURTEEN_DAYS = 1_209_600

Resources = dict[str, dict[str, Any]]


def resources(group: str, controls: Sequence[Control]) -> Resources:
    """Return everything one group consists of, by logical id, in the order in which it is read."""
    name = stem(group)
    found_patterns = patterns(controls)
    rules = [f"{name}{suffix}Rule" for suffix in found_patterns]
    found = {
        f"{name}Queue": _queue(),
        f"{name}QueuePolicy": _queue_policy(name, rules),
        **{f"{name}{suffix}Rule": _rule(name, group, suffix, pattern) for suffix, pattern in found_patterns.items()},
        f"{name}Logs": _logs(group),
        f"{name}Role": _role(name, group, controls),
        f"{name}Function": _function(name, group, controls),
        f"{name}Source": _source(name),
        **alarms(name, group, rules),
    }
    return {logical: {"Type": body["Type"], "Condition": condition(group), **body} for logical, body in found.items()}


def _queue() -> dict[str, Any]:
    redrive = {"deadLetterTargetArn": arn_of("DeadLetters"), "maxReceiveCount": MAX_RECEIVES}
    return {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "KmsMasterKeyId": ref("DataKey"),
            "KmsDataKeyReusePeriodSeconds": 300,
            "MessageRetentionPeriod": FOURTEEN_DAYS,
            "VisibilityTimeout": 6 * TIMEOUT_SECONDS,
            "RedrivePolicy": redrive,
            "Tags": TAGS,
        },
    }


def _queue_policy(name: str, rules: Sequence[str]) -> dict[str, Any]:
    queue = arn_of(f"{name}Queue")
    from_rules = {
        "StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")},
        "ArnEquals": {"aws:SourceArn": [arn_of(rule) for rule in rules]},
    }
    events = {"Service": "events.amazonaws.com"}
    tls = {"Bool": {"aws:SecureTransport": False}}
    only_tls = allow("OnlyOverTls", ["sqs:SendMessage"], queue, Condition=tls)
    statements = [
        allow("EventsOfItsRules", ["sqs:SendMessage"], queue, Principal=events, Condition=from_rules),
        {**only_tls, "Effect": "Deny", "Principal": "*"},
    ]
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [ref(f"{name}Queue")],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
        },
    }


def _rule(name: str, group: str, suffix: str, pattern: dict[str, Any]) -> dict[str, Any]:
    """Return a rule. Its name is given: CloudFormation would cut a long stack's, and the dead letters admit by name."""
    target = {
        "Id": "queue",
        "Arn": arn_of(f"{name}Queue"),
        "RetryPolicy": {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185},
        "DeadLetterConfig": {"Arn": arn_of("DeadLetters")},
    }
    return {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Name": Fn("Sub", f"${{AWS::StackName}}-{group}-{suffix}"),
            "Description": f"Wakes Evenkeel's {group} controls",
            "EventPattern": _substituted(pattern),
            "Targets": [target],
            "Tags": TAGS,
        },
    }


def _substituted(value: Any) -> Any:
    """Return the pattern with every text that holds a placeholder as ``!Sub``."""
    if isinstance(value, dict):
        return {key: _substituted(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_substituted(member) for member in value]
    return Fn("Sub", value) if isinstance(value, str) and "${" in value else value


def _logs(group: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": Fn("Sub", f"/aws/lambda/${{AWS::StackName}}-{group}"),
            "KmsKeyId": arn_of("LogKey"),
            "RetentionInDays": ref("LogRetentionDays"),
            "Tags": TAGS,
        },
    }


def _role(name: str, group: str, controls: Sequence[Control]) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [*granted(controls), *_engine_statements(name)]}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Path": "/evenkeel/",
            "Description": f"Evenkeel's {group} controls: what they read, list and change; undo has its own role",
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": group, "PolicyDocument": policy}],
            "Tags": TAGS,
        },
    }


def _engine_statements(name: str) -> list[Statement]:
    """Return what the engine itself needs, whatever the controls."""
    document = "${SettingsApplication}/environment/${SettingsEnvironment}/configuration/${SettingsProfile}"
    settings = Fn(
        "Sub", f"arn:${{AWS::Partition}}:appconfig:${{AWS::Region}}:${{AWS::AccountId}}:application/{document}"
    )
    own = arn_of(f"{name}Queue")
    via = [
        Fn("Sub", f"{service}.${{AWS::Region}}.{suffix}")
        for service in ("dynamodb", "sqs")
        for suffix in ("amazonaws.com", "${AWS::URLSuffix}")
    ]
    key_use = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    return [
        allow("AddAuditRecords", ["dynamodb:GetItem", "dynamodb:PutItem"], arn_of("AuditTable")),
        allow("KeepState", ["dynamodb:GetItem", "dynamodb:UpdateItem"], arn_of("StateTable")),
        allow("FindWhatIsHeld", ["dynamodb:Query"], Fn("Sub", "${StateTable.Arn}/index/due")),
        allow("ReadSettings", ["appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"], settings),
        allow("ReadTagsForRules", ["tag:GetResources"], Star("tag:GetResources supports no resource-level permission")),
        allow("TakeMessages", ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], own),
        allow("ReturnMessages", ["sqs:SendMessage"], [own, arn_of("DeadLetters")]),
        allow("UseTheKey", key_use, arn_of("DataKey"), Condition={"StringEquals": {"kms:ViaService": via}}),
        allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], arn_of(f"{name}Logs")),
        allow(
            "Trace",
            ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            Star("X-Ray has no resources to name for these"),
        ),
    ]


def _function(name: str, group: str, controls: Sequence[Control]) -> dict[str, Any]:
    package = type(controls[0]).__module__.partition(".")[0]
    return {
        "Type": "AWS::Serverless::Function",
        "Metadata": {"BuildMethod": "makefile"},
        "Properties": {
            "FunctionName": Fn("Sub", f"${{AWS::StackName}}-{group}"),
            "Description": f"Keeps {group} resources upright - {len(controls)} control{'s' * (len(controls) != 1)}",
            "Handler": f"{package}.handler.handler",
            "Role": arn_of(f"{name}Role"),
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": ref(f"{name}Logs")},
            "Environment": {
                "Variables": {"EVENKEEL_QUEUE_URL": ref(f"{name}Queue"), "POWERTOOLS_SERVICE_NAME": group},
            },
        },
    }


def _source(name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "FunctionName": arn_of(f"{name}Function"),
            "EventSourceArn": arn_of(f"{name}Queue"),
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 10},
            "Tags": TAGS,
        },
    }
