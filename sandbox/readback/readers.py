"""Readers of resources through their services, in the spelling of CloudFormation's properties; one reader a type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.readback import appconfig_readers
from sandbox.readback.services import as_list, own_tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.readback.services import Properties, World


def _tags_like(claimed: Properties, tags: list[dict[str, str]]) -> Any:
    """Return tags as a map where the template has a map."""
    if isinstance(claimed.get("Tags"), dict):
        return {each["Key"]: each["Value"] for each in tags}
    return tags


def _alarm(world: World, name: str, _: Properties) -> Properties:
    found = world("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    tags = world("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    return {**found, "Tags": own_tags(tags)}


def _table(world: World, name: str, _: Properties) -> Properties:
    client = world("dynamodb")
    table = client.describe_table(TableName=name)["Table"]
    recovery = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = recovery["PointInTimeRecoveryDescription"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    encryption = table.get("SSEDescription", {})
    arn = table["TableArn"]
    found = {
        **table,
        "BillingMode": table.get("BillingModeSummary", {}).get("BillingMode"),
        "PointInTimeRecoverySpecification": {
            "PointInTimeRecoveryEnabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED",
            "RecoveryPeriodInDays": recovery.get("RecoveryPeriodInDays"),
        },
        "TimeToLiveSpecification": {
            "AttributeName": expiry.get("AttributeName"),
            "Enabled": expiry["TimeToLiveStatus"] == "ENABLED",
        },
        "SSESpecification": {
            "SSEEnabled": encryption.get("Status") == "ENABLED",
            "SSEType": encryption.get("SSEType"),
            "KMSMasterKeyId": encryption.get("KMSMasterKeyArn"),
        },
        "Tags": own_tags(client.list_tags_of_resource(ResourceArn=arn)["Tags"]),
    }
    try:
        found["ResourcePolicy"] = {"PolicyDocument": client.get_resource_policy(ResourceArn=arn)["Policy"]}
    except client.exceptions.PolicyNotFoundException:
        found.pop("ResourcePolicy", None)
    return found


def _bus(world: World, name: str, _: Properties) -> Properties:
    found = world("events").describe_event_bus(Name=name)
    return {**found, "Tags": own_tags(world("events").list_tags_for_resource(ResourceARN=found["Arn"])["Tags"])}


def _rule(world: World, identifier: str, claimed: Properties) -> Properties:
    bus, _, name = identifier.rpartition("|") if "|" in identifier else ("", "", identifier)
    where = {"EventBusName": bus or claimed.get("EventBusName", "default")}
    name = name.rpartition("/")[2]
    found = world("events").describe_rule(Name=name, **where)
    targets = world("events").list_targets_by_rule(Rule=name, **where)["Targets"]
    tags = world("events").list_tags_for_resource(ResourceARN=found["Arn"])["Tags"]
    return {**found, "Targets": targets, "Tags": own_tags(tags)}


def _managed_policy(world: World, arn: str, _: Properties) -> Properties:
    client = world("iam")
    policy = client.get_policy(PolicyArn=arn)["Policy"]
    version = client.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    document = _document(version["Document"])
    return {**policy, "ManagedPolicyName": policy["PolicyName"], "PolicyDocument": document}


def _role(world: World, name: str, claimed: Properties) -> Properties:
    """Return a role with its declared policies, without those that are resources of their own."""
    client = world("iam")
    role = client.get_role(RoleName=name)["Role"]
    wanted = {each["PolicyName"] for each in claimed.get("Policies", [])}
    names = [each for each in client.list_role_policies(RoleName=name)["PolicyNames"] if each in wanted]
    documents = [client.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names]
    managed = client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        **role,
        "Policies": [
            {"PolicyName": each, "PolicyDocument": _document(text)} for each, text in zip(names, documents, strict=True)
        ],
        "ManagedPolicyArns": [each["PolicyArn"] for each in managed],
        "Tags": own_tags(role.get("Tags", [])),
    }


def _attached_policy(world: World, _: str, claimed: Properties) -> Properties:
    """Return a policy as found on the one role that it is attached to."""
    (role,) = claimed["Roles"]
    found = world("iam").get_role_policy(RoleName=role, PolicyName=claimed["PolicyName"])
    return {**found, "PolicyDocument": _document(found["PolicyDocument"]), "Roles": [found["RoleName"]]}


def _document(text: Any) -> Any:
    return unquote(text) if isinstance(text, str) else text


def _alias(world: World, name: str, _: Properties) -> Properties:
    for page in world("kms").get_paginator("list_aliases").paginate():
        for each in page["Aliases"]:
            if each["AliasName"] == name:
                return dict(each)
    return {}


def _key(world: World, key: str, _: Properties) -> Properties:
    client = world("kms")
    found = client.describe_key(KeyId=key)["KeyMetadata"]
    rotates = found["KeySpec"] == "SYMMETRIC_DEFAULT"  # AWS refuses the status of other keys
    status = client.get_key_rotation_status(KeyId=key) if rotates else {"KeyRotationEnabled": False}
    tags = client.list_resource_tags(KeyId=key)["Tags"]
    return {
        **found,
        "EnableKeyRotation": status["KeyRotationEnabled"],
        "RotationPeriodInDays": status.get("RotationPeriodInDays"),
        "KeyPolicy": client.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
        "Tags": own_tags([{"Key": each["TagKey"], "Value": each["TagValue"]} for each in tags]),
    }


def _invoke_config(world: World, _: str, claimed: Properties) -> Properties:
    name, qualifier = claimed["FunctionName"], claimed.get("Qualifier", "$LATEST")
    found = world("lambda").get_function_event_invoke_config(FunctionName=name, Qualifier=qualifier)
    seconds = found.get("MaximumEventAgeInSeconds")
    return {**found, "FunctionName": name, "Qualifier": qualifier, "MaximumEventAgeInSeconds": seconds}


def _source(world: World, identifier: str, claimed: Properties) -> Properties:
    found = world("lambda").get_event_source_mapping(UUID=identifier)
    arn = found.get("EventSourceMappingArn", "")
    tags = world("lambda").list_tags(Resource=arn)["Tags"] if arn else {}
    name = claimed["FunctionName"]
    same = found["FunctionArn"].rpartition(":")[2] == str(name).rpartition(":")[2]
    return {**found, "FunctionName": name if same else found["FunctionArn"],
            "Enabled": found["State"] in ("Enabled", "Enabling"), "Tags": as_list(tags)}  # fmt: skip


def _function(world: World, name: str, claimed: Properties) -> Properties:
    answer = world("lambda").get_function(FunctionName=name)
    found = answer["Configuration"]
    tags = as_list(answer.get("Tags", {}))
    return {**found, "Layers": [each["Arn"] for each in found.get("Layers", [])],
            "Tags": _tags_like(claimed, [*tags, *_sam_tag(claimed)])}  # fmt: skip


def _sam_tag(claimed: Properties) -> list[dict[str, str]]:
    """Return SAM's own tag where the expanded template has it, since own_tags leaves it out of what was found."""
    return [each for each in claimed.get("Tags", []) if each["Key"].startswith("lambda:createdBy")]


def _layer(world: World, arn: str, _: Properties) -> Properties:
    return dict(world("lambda").get_layer_version_by_arn(Arn=arn)) | {"LayerName": arn.split(":")[6]}


def _permission(world: World, _: str, claimed: Properties) -> Properties:
    name = claimed["FunctionName"]
    policy = json.loads(world("lambda").get_policy(FunctionName=name)["Policy"])
    for each in policy["Statement"]:
        condition = each.get("Condition", {})
        source = condition.get("ArnLike", {}).get("AWS:SourceArn")
        if each["Action"] == claimed["Action"] and source == claimed.get("SourceArn"):
            principal = each["Principal"]
            if isinstance(principal, dict):
                principal = principal.get("Service", principal.get("AWS"))
            account = condition.get("StringEquals", {}).get("AWS:SourceAccount")
            return {"Action": each["Action"], "Principal": principal, "FunctionName": name, "SourceArn": source,
                    "SourceAccount": account}  # fmt: skip
    return {}


def _log_group(world: World, name: str, _: Properties) -> Properties:
    groups = world("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    found = next(each for each in groups if each["logGroupName"] == name)
    tags = world("logs").list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"]
    spelled = {key[0].upper() + key[1:]: value for key, value in found.items()}
    return {**spelled, "Tags": as_list(tags)}


def _subscription(world: World, arn: str, claimed: Properties) -> Properties:
    attributes = world("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    for page in world("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=claimed["TopicArn"]):
        for each in page["Subscriptions"]:
            if each["SubscriptionArn"] == arn:
                return {**each, **attributes}
    return dict(attributes)


def _topic(world: World, arn: str, _: Properties) -> Properties:
    attributes = world("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    named = {"TopicName": arn.rpartition(":")[2]}
    return {**attributes, **named, "Tags": own_tags(world("sns").list_tags_for_resource(ResourceArn=arn)["Tags"])}


def _topic_policy(world: World, _: str, claimed: Properties) -> Properties:
    (arn,) = claimed["Topics"]
    return {"PolicyDocument": _topic(world, arn, {}).get("Policy"), "Topics": [arn]}


def _queue(world: World, url: str, _: Properties) -> Properties:
    attributes = world("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    named = {"QueueName": attributes["QueueArn"].rpartition(":")[2]}
    return {**attributes, **named, "Tags": as_list(world("sqs").list_queue_tags(QueueUrl=url).get("Tags", {}))}


def _queue_policy(world: World, _: str, claimed: Properties) -> Properties:
    (url,) = claimed["Queues"]
    return {"PolicyDocument": _queue(world, url, {}).get("Policy"), "Queues": [url]}


def _nested(world: World, arn: str, _: Properties) -> Properties:
    found = world("cloudformation").describe_stacks(StackName=arn)["Stacks"][0]
    given = {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
    return {"Parameters": given, "Tags": found["Tags"]}


READERS: dict[str, Callable[[World, str, Properties], Properties]] = {
    **appconfig_readers.READERS,
    "AWS::CloudFormation::Stack": _nested,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::DynamoDB::Table": _table,
    "AWS::Events::EventBus": _bus,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::Policy": _attached_policy,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Alias": _alias,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::EventInvokeConfig": _invoke_config,
    "AWS::Lambda::EventSourceMapping": _source,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::LayerVersion": _layer,
    "AWS::Lambda::Permission": _permission,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
}
