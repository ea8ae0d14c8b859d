"""The stack practises what it preaches: encryption, retention, recovery, tags, alarms, dead letters."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from typing import Any

import pytest

from evenkeel.control.registry import all_controls
from notifier.next_steps import Home
from tools.rendering import ROOT, Stack, source

UNTAGGABLE = {
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::IAM::Policy",
    "AWS::KMS::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
WANTED = {"Project": "evenkeel", "Environment": "dev", "Owner": "platform", "CostCenter": "platform"}
SECONDS_IN_14_DAYS = 14 * 24 * 3600
SILENCE_RINGS = {"SwitchedOffAlarm"}


def tags(properties: dict[str, Any]) -> dict[str, str]:
    """Return tags as a mapping, from either form."""
    given = properties.get("Tags", {})
    return given if isinstance(given, dict) else {tag["Key"]: tag["Value"] for tag in given}


def test_everything_is_tagged(stack: Stack) -> None:
    """Fails when a resource of ours could not be told whose it is."""
    for name, body in stack.resources.items():
        if body["Type"] in UNTAGGABLE:
            continue
        assert WANTED.items() <= tags(body["Properties"]).items(), name


def test_prod_is_protected_and_starts_by_telling() -> None:
    """Fails when production would be deployed without protection, or change things from its first minute."""
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    overrides = configured["prod"]["deploy"]["parameters"]["parameter_overrides"]
    assert {"Environment=prod", "Protect=true", "StartMode=notify"} <= set(overrides)
    stacks = {configured[name]["deploy"]["parameters"]["stack_name"] for name in ("default", "staging", "prod")}
    assert len(stacks) == 3


@pytest.mark.parametrize("environment", ["default", "staging", "prod"])
def test_each_environment_keeps_its_logs_as_long_as_the_control_wants(environment: str) -> None:
    """Fails when a deployment as we configured it begins with findings about Evenkeel's own log groups."""
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    overrides = configured[environment]["deploy"]["parameters"]["parameter_overrides"]
    deployed = Stack(parameters=dict(each.split("=", 1) for each in overrides))
    wanted = all_controls()["logs-group-retention"].parameters["days"]
    assert {int(group["RetentionInDays"]) >= wanted for group in deployed.of_type("AWS::Logs::LogGroup").values()} == {
        True
    }


def test_tables_are_recoverable_and_expire(stack: Stack) -> None:
    """Fails when a table could not be restored or would keep records for ever."""
    tables = stack.of_type("AWS::DynamoDB::Table")
    assert set(tables) == {"AuditTable", "StateTable"}
    for table in tables.values():
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert tables["AuditTable"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize(("protect", "expected"), [("true", True), ("false", False)])
def test_only_a_protected_stack_keeps_its_tables(protect: str, expected: bool) -> None:
    """Fails when deleting a prod stack would delete its audit, or a dev stack could not be deleted."""
    stack = Stack(parameters={"Protect": protect})
    tables = stack.of_type("AWS::DynamoDB::Table").values()
    assert {table["DeletionProtectionEnabled"] for table in tables} == {expected}


def test_a_replaced_table_is_kept(stack: Stack) -> None:
    """Fails when an update of the stack could lose the audit by replacing the table."""
    for name in ("AuditTable", "StateTable"):
        body = stack.resources[name]
        assert body["UpdateReplacePolicy"] == "Retain"
        assert body["Properties"]["TableName"], "CloudFormation replaces unnamed resources without asking"


def test_only_the_log_key_outlives_the_stack(stack: Stack) -> None:
    """Fails when a deleted dev stack would leave something behind, or other people's logs would become unreadable."""
    kept = {name: body["DeletionPolicy"] for name, body in stack.resources.items() if "DeletionPolicy" in body}
    creation_may_fail = "RetainExceptOnCreate"
    assert {name: policy for name, policy in kept.items() if policy != "Delete"} == {"LogKey": creation_may_fail}
    assert stack.resources["LogKey"]["UpdateReplacePolicy"] == "Retain"
    assert "remains when this stack is deleted" in stack.outputs["LogKeyIsRetained"]


def test_deletion_policies_come_in_pairs_of_literals() -> None:
    """Fails when CloudFormation would refuse a policy, or treat a replacement otherwise than a deletion unsaid."""
    for name, body in source()["Resources"].items():
        assert ("DeletionPolicy" in body) == ("UpdateReplacePolicy" in body), name
        assert isinstance(body.get("DeletionPolicy", ""), str), name


def test_functions_run_as_agreed(stack: Stack) -> None:
    """Fails when a function would run elsewhere than on arm64 and Python 3.13, or untraced."""
    functions = stack.of_type("AWS::Lambda::Function")
    assert {"NotifierFunction", "ClerkFunction", "SettingsValidatorFunction"} < set(functions)
    for function in functions.values():
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert (function["MemorySize"], function["Timeout"]) == (512, 60)
        assert "ReservedConcurrentExecutions" not in function


def test_log_groups_come_before_their_functions(stack: Stack) -> None:
    """Fails when Lambda would make a function's log group itself: unencrypted and without retention."""
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        group = stack.resources[function["LoggingConfig"]["LogGroup"].strip("<>")]["Properties"]
        assert group["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}", name
        assert int(group["RetentionInDays"]) > 0
        assert group["KmsKeyId"] == "<LogKey.Arn>"


def test_queues_lose_nothing(stack: Stack) -> None:
    """Fails when a message could expire early, be worked on twice at once, or vanish after its last try."""
    queues = stack.of_type("AWS::SQS::Queue")
    for name, queue in queues.items():
        assert queue["MessageRetentionPeriod"] == SECONDS_IN_14_DAYS, name
        assert queue["VisibilityTimeout"] >= 6 * 60, name
        if name != "DeadLetters":
            redrive = {"deadLetterTargetArn": "<DeadLetters.Arn>", "maxReceiveCount": 5}
            assert queue["RedrivePolicy"] == redrive, name


def test_rules_deliver_to_a_queue_that_admits_them(stack: Stack, group_names: list[str]) -> None:
    """Fails when a rule's event would be refused by its queue, if only while the stack is made, or lost in the end."""
    rules = stack.of_type("AWS::Events::Rule")
    policies = {
        queue: policy["PolicyDocument"]["Statement"]
        for policy in stack.of_type("AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
    }
    assert len(rules) > len(group_names)
    for name, rule in rules.items():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": "<DeadLetters.Arn>"}, name
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        if target["Arn"] == "<ClerkFunction.Arn>":
            continue
        allow = policies[f"<{target['Arn'].strip('<>').partition('.')[0]}>"][0]
        assert allow["Principal"] == {"Service": "events.amazonaws.com"}
        assert f"<{name}.Arn>" in allow["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert allow["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
        assert stack.resources[name]["DependsOn"] == "QueuePolicy", name


def test_event_sources_report_partial_failures(stack: Stack) -> None:
    """Fails when one bad message would bring back its whole batch, or a poison record would block a shard for a day."""
    sources = stack.of_type("AWS::Lambda::EventSourceMapping")
    for name, mapping in sources.items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
    stream = sources["NotifierSource"]
    assert stream["BisectBatchOnFunctionError"] is True
    assert stream["MaximumRetryAttempts"] < 20
    assert stream["MaximumRecordAgeInSeconds"] < 24 * 3600
    assert stream["DestinationConfig"] == {"OnFailure": {"Destination": "<DeadLetters.Arn>"}}
    assert stream["StartingPosition"] == "TRIM_HORIZON", "LATEST would skip what is audited while the mapping is made"


def test_every_alarm_reaches_on_call(stack: Stack) -> None:
    """Fails when an alarm changes its colour and tells nobody, or rings for want of data and should not."""
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == ["<Alerts>"], name
        rings = name in SILENCE_RINGS
        assert alarm["TreatMissingData"] == ("missing" if rings else "notBreaching"), name
        assert alarm.get("InsufficientDataActions", []) == ["<Alerts>"] * rings, name
        assert alarm["AlarmDescription"], name


def test_the_topic_admits_this_accounts_alarms_only(stack: Stack) -> None:
    """Fails when alarms could not publish, or those of other accounts could."""
    policy = stack.resources["AlertsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allow,) = [statement for statement in policy if statement["Effect"] == "Allow"]
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert allow["Condition"]["ArnLike"]["aws:SourceArn"].endswith(":123456789012:alarm:*")


def test_the_environment_is_as_the_engine_reads_it(stack: Stack, group_names: list[str]) -> None:
    """Fails when a function would start without a variable that the engine or its handler reads."""
    common = {
        "EVENKEEL_STACK", "EVENKEEL_SETTINGS", "EVENKEEL_START_MODE",
        "EVENKEEL_SCOPE", "EVENKEEL_RETENTION_DAYS", "EVENKEEL_LOG_KEY_ARN", "EVENKEEL_DLQ_URL",
        "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL", "POWERTOOLS_SERVICE_NAME",
    }  # fmt: skip
    own = {
        "notifier": {
            "EVENKEEL_TOPIC_ARN", "EVENKEEL_BUS_NAME", "EVENKEEL_DIGEST_KEY_ARN", "EVENKEEL_UNDO_ENABLED",
        },
        "clerk": {"EVENKEEL_DIGEST_KEY_ARN", "EVENKEEL_GROUPS", "EVENKEEL_NOTIFIER_SOURCE"},
        "settings-validator": set(),
        **{
            group: {"EVENKEEL_DATA_KEY_ARN", "EVENKEEL_DIGEST_KEY_ARN", "EVENKEEL_QUEUE_URL"} for group in group_names
        },
    }  # fmt: skip
    seen = {}
    for function in stack.of_type("AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        seen[variables["POWERTOOLS_SERVICE_NAME"]] = set(variables) - common
        assert common <= set(variables)
        folder, module, _ = function["Handler"].split(".")
        assert list((ROOT / "functions").glob(f"*/{folder}/{module}.py")), function["Handler"]
    assert seen == own


def test_rate_of_the_clerk_and_its_retries_do_not_overlap(stack: Stack) -> None:
    """Fails when a late round of the clerk would still be tried when the next one is due."""
    (target,) = stack.resources["ClerkSchedule"]["Properties"]["Targets"]
    (invoke,) = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    ages = [target["RetryPolicy"]["MaximumEventAgeInSeconds"], invoke["MaximumEventAgeInSeconds"], 5 * 60]
    assert all(earlier <= later for earlier, later in pairwise(ages))


@pytest.mark.parametrize("undo", ["true", "false"])
def test_the_notifier_knows_whether_there_is_an_undo_function(undo: str) -> None:
    """Fails when an alert names an undo that the stack does not have, or suggests an exemption where it has one."""
    stack = Stack(parameters={"EnableUndo": undo})
    variables = stack.resources["NotifierFunction"]["Properties"]["Environment"]["Variables"]
    home = Home.read({**variables, "AWS_REGION": "eu-west-1"})
    assert (home.stack, home.undo) == ("evenkeel", "UndoFunction" in stack.resources)
