"""The nested template of a group of controls, with all of the group's resources.

The tags come from the root stack; CloudFormation puts them on every resource.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from evenkeel import names
from evenkeel.events.eventbridge import patterns
from evenkeel.plurals import plural
from evenkeel.queue_messages import MAX_RECEIVES
from tools import home_regions
from tools.cfn import Fn, Star, arn_of, document, ref
from tools.names import stem
from tools.role import Role
from tools.statements import UNDO_PATH, Statement, allow, granted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.control import Control

TIMEOUT_SECONDS = 60
"""Of every function, as in the root's Globals."""
FOURTEEN_DAYS = 1_209_600
PARAMETERS = {
    "Stack": ref("AWS::StackName"),
    "Layer": ref("EngineLayer"),
    "DataKey": arn_of("DataKey"),
    "LogKey": arn_of("LogKey"),
    "DigestKey": arn_of("DigestKey"),
    "DeadLettersUrl": ref("DeadLetters"),
    "SettingsApplication": ref("SettingsApplication"),
    "SettingsEnvironment": ref("SettingsEnvironment"),
    "SettingsProfile": ref("SettingsProfile"),
    "StartMode": ref("StartMode"),
    "Scope": ref("Scope"),
    "EnableUndo": ref("EnableUndo"),
    "AuditRetentionDays": ref("AuditRetentionDays"),
    "LogRetentionDays": ref("LogRetentionDays"),
    "MaximumConcurrency": ref("MaximumConcurrency"),
}
"""The parameters that the root gives each group: each id by itself, since a new stack's change set does not know them
yet, and ``Fn::Select`` of an unknown value fails there (aws-cloudformation/cloudformation-coverage-roadmap #759)."""

Resources = dict[str, dict[str, Any]]


def template(group: str, controls: Sequence[Control]) -> dict[str, Any]:
    """Return the template of a group.

    Raises:
        ValueError: no group can have that name.
    """
    names.check_group(group)
    count = plural(len(controls), "control")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": f"Part of Evenkeel: the {group} group, {count}",
        "Parameters": {name: {"Type": "String"} for name in PARAMETERS},
        "Conditions": {"UndoIsEnabled": Fn("Equals", [ref("EnableUndo"), "true"])},
        "Resources": resources(group, controls),
    }


def text(body: dict[str, Any]) -> str:
    """Return a group's template as it is written."""
    head = "# Generated from the controls in this folder: run make generate. The root template sets its parameters.\n"
    return head + document(body)


def listed(groups: Mapping[str, Sequence[Control]]) -> str:
    """Return the JSON text of groups.json: the rules of each group, and whether it is in the home region only.

    The clerk finds deleted rules by it.
    """
    found = {
        group: {"rules": list(patterns(controls)), "home_region_only": home_regions.is_global(controls)}
        for group, controls in groups.items()
    }
    return json.dumps(found, indent=1) + "\n"


def group_names(groups: Mapping[str, Sequence[Control]]) -> str:
    """Return the engine's module that names all groups and their rules, for functions that carry one group's code."""
    found = {group: list(patterns(controls)) for group, controls in groups.items()}
    lines = [f"    {json.dumps(group)}: ({_quoted(suffixes)}),\n" for group, suffixes in found.items()]
    head = '"""All groups of controls, and the suffixes of their rules\' names. Generated: run make generate."""\n\n'
    return f"{head}RULES: dict[str, tuple[str, ...]] = {{\n{''.join(lines)}}}\n"


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(map(json.dumps, texts)) + "," * (len(texts) == 1)


def resources(group: str, controls: Sequence[Control]) -> Resources:
    """Return a group's resources by logical id, in reading order."""
    found = patterns(controls)
    return {
        "Queue": _queue(group),
        "QueuePolicy": _queue_policy([names.rule(_STACK, group, suffix) for suffix in found]),
        **{f"{suffix}Rule": _rule(group, suffix, pattern) for suffix, pattern in found.items()},
        "Logs": _logs(group),
        **_role(group, controls),
        **_undo_role(group, controls),
        f"{stem(group)}Function": _function(group, controls),  # `sam build` calls the Makefile's target of this name
        "Source": _source(group),
    }


def _sub(text: str) -> Fn:
    """Return ``!Sub`` of a text, in which ``${Stack}`` is the root stack's name."""
    return Fn("Sub", text)


_STACK, _REGION = "${Stack}", "${AWS::Region}"


def _local_arn(service: str, rest: str) -> Fn:
    """Return the ARN of something in the stack's own account and region."""
    return _sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}")


def _role_arn(name: str) -> Fn:
    return _sub(f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role{names.ROLE_PATH}{name}")


def _queue(group: str) -> dict[str, Any]:
    dead = _local_arn("sqs", names.dead_letters(_STACK))
    return {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "QueueName": _sub(names.queue(_STACK, group)),
            "KmsMasterKeyId": ref("DataKey"),
            "KmsDataKeyReusePeriodSeconds": 300,
            "MessageRetentionPeriod": FOURTEEN_DAYS,
            "VisibilityTimeout": 6 * TIMEOUT_SECONDS,
            "RedrivePolicy": {"deadLetterTargetArn": dead, "maxReceiveCount": MAX_RECEIVES},
        },
    }


def _queue_policy(rules: Sequence[str]) -> dict[str, Any]:
    """Return the queue policy for rules. It is created first: an event that a rule may not deliver is a dead letter."""
    queue = arn_of("Queue")
    from_rules = {
        "StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")},
        "ArnEquals": {"aws:SourceArn": [_local_arn("events", f"rule/{rule}") for rule in rules]},
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
            "Queues": [ref("Queue")],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
        },
    }


def _rule(group: str, suffix: str, pattern: dict[str, Any]) -> dict[str, Any]:
    """Return a rule. Its name is fixed: the dead-letter queue's policy and the clerk refer to it."""
    target = {
        "Id": "queue",
        "Arn": arn_of("Queue"),
        "RetryPolicy": {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185},
        "DeadLetterConfig": {"Arn": _local_arn("sqs", names.dead_letters(_STACK))},
    }
    return {
        "Type": "AWS::Events::Rule",
        "DependsOn": "QueuePolicy",
        "Properties": {
            "Name": _sub(names.rule(_STACK, group, suffix)),
            "Description": f"Triggers Evenkeel's {group} controls",
            "EventPattern": _substituted(pattern),
            "Targets": [target],
        },
    }


def _substituted(value: Any) -> Any:
    """Return the pattern with every placeholder as ``!Ref``, or as ``!Sub`` within a longer text."""
    if isinstance(value, dict):
        return {key: _substituted(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_substituted(member) for member in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    alone = re.fullmatch(r"\$\{([^}]*)\}", value)
    return ref(alone[1]) if alone else Fn("Sub", value)


def _logs(group: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": _sub(names.log_group(_STACK, group)),
            "KmsKeyId": ref("LogKey"),
            "RetentionInDays": ref("LogRetentionDays"),
        },
    }


def _role(group: str, controls: Sequence[Control]) -> Resources:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    statements = [*granted(controls), *_engine_statements()]
    description = f"Evenkeel's {group} controls: what they read, list and change; undo has its own role"
    name = names.role(_STACK, _REGION, group)
    return Role("Role", name, description, trust, group, statements).resources()


def _undo_role(group: str, controls: Sequence[Control]) -> Resources:
    """Return the role that only the undo function assumes.

    By a condition, not as the principal: IAM turns a principal's ARN into an id, which a recreated role does not have.
    """
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": _sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": _role_arn(names.role(_STACK, _REGION, names.UNDO))}},
    }
    description = f"Role with which Evenkeel's undo function undoes changes of the {group} controls"
    name, statements = names.undo_role(_STACK, _REGION, group), granted(controls, UNDO_PATH)
    return Role("UndoRole", name, description, trust, f"{group}-undo", statements, "UndoIsEnabled").resources()


def _engine_statements() -> list[Statement]:
    """Return the statements that the engine itself needs."""
    audit = _local_arn("dynamodb", f"table/{names.audit_table(_STACK)}")
    state = _local_arn("dynamodb", f"table/{names.state_table(_STACK)}")
    due = _local_arn("dynamodb", f"table/{names.state_table(_STACK)}/index/due")
    settings = _local_arn(
        "appconfig",
        "application/${SettingsApplication}/environment/${SettingsEnvironment}/configuration/${SettingsProfile}",
    )
    own = arn_of("Queue")
    via = [
        Fn("Sub", f"{service}.${{AWS::Region}}.{suffix}")
        for service in ("dynamodb", "sqs")
        for suffix in ("amazonaws.com", "${AWS::URLSuffix}")
    ]
    key_use = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    return [
        allow("AddAuditRecords", ["dynamodb:GetItem", "dynamodb:PutItem"], audit),
        allow("KeepState", ["dynamodb:GetItem", "dynamodb:UpdateItem"], state),
        allow("FindWhatIsHeld", ["dynamodb:Query"], due),
        allow("ReadSettings", ["appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"], settings),
        allow("ReadTagsForRules", ["tag:GetResources"], Star("tag:GetResources supports no resource-level permission")),
        allow("TakeMessages", ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], own),
        allow("ReturnMessages", ["sqs:SendMessage"], [own, _local_arn("sqs", names.dead_letters(_STACK))]),
        allow("UseTheKey", key_use, ref("DataKey"), Condition={"StringEquals": {"kms:ViaService": via}}),
        allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], arn_of("Logs")),
        allow(
            "Trace",
            ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            Star("X-Ray has no resources to name for these"),
        ),
    ]


def _function(group: str, controls: Sequence[Control]) -> dict[str, Any]:
    package = type(controls[0]).__module__.partition(".")[0]
    variables = {
        "EVENKEEL_STACK": ref("Stack"),
        "EVENKEEL_SETTINGS": Fn("Sub", "${SettingsApplication}/${SettingsEnvironment}/${SettingsProfile}"),
        "EVENKEEL_START_MODE": ref("StartMode"),
        "EVENKEEL_SCOPE": ref("Scope"),
        "EVENKEEL_RETENTION_DAYS": ref("AuditRetentionDays"),
        "EVENKEEL_DATA_KEY_ARN": ref("DataKey"),
        "EVENKEEL_LOG_KEY_ARN": ref("LogKey"),
        "EVENKEEL_DIGEST_KEY_ARN": ref("DigestKey"),
        "EVENKEEL_QUEUE_URL": ref("Queue"),
        "EVENKEEL_DLQ_URL": ref("DeadLettersUrl"),
        "POWERTOOLS_SERVICE_NAME": group,
        "POWERTOOLS_METRICS_NAMESPACE": "Evenkeel",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    return {
        "Type": "AWS::Serverless::Function",
        "Metadata": {"BuildMethod": "makefile"},
        "Properties": {
            "FunctionName": _sub(names.function(_STACK, group)),
            "Description": f"Keeps {group} resources upright - {plural(len(controls), 'control')}",
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "CodeUri": "../../",
            "Handler": f"{package}.handler.handler",
            "Layers": [ref("Layer")],
            "MemorySize": 512,
            "Timeout": TIMEOUT_SECONDS,
            "Tracing": "Active",
            "Role": arn_of("Role"),
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": ref("Logs")},
            "Environment": {"Variables": variables},
        },
    }


def _source(group: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "FunctionName": arn_of(f"{stem(group)}Function"),
            "EventSourceArn": arn_of("Queue"),
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": ref("MaximumConcurrency")},
        },
    }
