"""Settings on the real stack: none yet, pushed, gone, refused by the validator, out of reach without the grant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from evenkeel.settings.loaded_mark import KEY
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy
from sandbox.deploy.settings import push, revert
from sandbox.readback import check
from tests.sandbox.cli_stack import CONTROL, Place, eventually, operator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OFF = {"schema_version": 1, "settle_seconds": 0, "controls": {CONTROL: {"mode": "off"}}}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Stack]]:
    """The real stack on a sandbox of its own."""
    with Sandbox(table_seconds=0.0, quiet_stacks=True) as running:
        yield running, deploy(running)


@pytest.fixture(scope="module")
def alice(place: tuple[Sandbox, Stack]) -> Any:
    """An IAM user who may do everything."""
    return place[0].create_user("alice")


def _session_of(sandbox: Sandbox, stack: Stack, session: Any) -> Any:
    return sandbox.client("appconfigdata", session).start_configuration_session(
        ApplicationIdentifier=stack.outputs["SettingsApplicationId"],
        EnvironmentIdentifier=stack.outputs["SettingsEnvironmentId"],
        ConfigurationProfileIdentifier=stack.outputs["SettingsProfileId"],
    )


def test_what_the_template_claims_of_appconfig_is_there(place: tuple[Sandbox, Stack]) -> None:
    """The watch over pushes or the validator could be missing, and every push would look fine."""
    sandbox, stack = place
    assert check.check(sandbox, stack.name) > 500
    kinds = {body["Type"] for body in stack.expanded["Resources"].values()}
    assert {kind for kind in kinds if kind.startswith("AWS::AppConfig::")} <= set(check.readers.READERS)


def test_a_stack_to_which_nothing_was_pushed_repairs(place: tuple[Sandbox, Stack], alice: Any) -> None:
    """A new stack would do nothing until somebody pushes settings, or nobody would learn what holds."""
    sandbox, stack = place
    person = Place(sandbox, stack, operator(sandbox, stack, alice))
    shown = person.run("settings", "show")
    assert "nothing has been pushed yet; the empty document holds: every control has its recommended" in shown.stderr
    assert shown.stdout == "schema_version: 1\n"
    arn, _ = person.repaired_key()
    assert person.rotates(arn)
    assert person.ask("settings", "show")["state"] == "NOTHING_PUSHED"
    assert not _marked(sandbox, stack)


def test_settings_that_vanish_stop_all_acting(place: tuple[Sandbox, Stack], alice: Any, tmp_path: Path) -> None:
    """Whoever deletes the settings' deployment would switch everything on that people had switched off."""
    sandbox, stack = place
    person, kms = Place(sandbox, stack, operator(sandbox, stack, alice)), sandbox.client("kms", alice)
    push(sandbox, stack, OFF)
    sandbox.recycle()
    left = str(kms.create_key()["KeyMetadata"]["Arn"])
    eventually(lambda: _marked(sandbox, stack), "the note that settings were loaded")

    revert(sandbox, stack)
    sandbox.recycle()
    weak = str(kms.create_key()["KeyMetadata"]["Arn"])
    lines = eventually(
        lambda: [each for each in sandbox.logs("evenkeel-kms") if '"RETURNED"' in each and weak in each],
        "the message's return",
    )
    assert "no document is deployed there, and this stack has loaded one before" in lines[0]
    assert any('"SettingsUnread":[1' in each.replace(" ", "") for each in sandbox.logs("evenkeel-kms"))
    assert not person.rotates(left)
    assert not person.rotates(weak)
    shown = person.run("settings", "show")
    assert (shown.exit_code, "had settings and has none in force now" in shown.stderr) == (1, True)

    (tmp_path / "settings.yaml").write_text("schema_version: 1\nsettle_seconds: 0\n", encoding="utf-8")
    pushed = person.run("settings", "push", str(tmp_path / "settings.yaml"), "--yes")
    assert (pushed.exit_code, "has the new settings" in pushed.stdout) == (0, True)
    assert _newest(sandbox, stack)["GrowthFactor"] == 100  # those not reached yet would have no settings
    sandbox.recycle()
    assert person.rotates(person.repaired_key()[0])


def _marked(sandbox: Sandbox, stack: Stack) -> bool:
    table = stack.outputs["StateTableName"]
    return "Item" in sandbox.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": KEY}})


def _newest(sandbox: Sandbox, stack: Stack) -> Any:
    """Return the last deployment of settings."""
    outputs = stack.outputs
    place = {"ApplicationId": outputs["SettingsApplicationId"], "EnvironmentId": outputs["SettingsEnvironmentId"]}
    found = sandbox.client("appconfig").list_deployments(**place)["Items"]
    return max(found, key=lambda each: each["DeploymentNumber"])


def test_nonsense_is_refused_by_the_validator(place: tuple[Sandbox, Stack], alice: Any) -> None:
    """Settings that stop all repair would be deployed, and whoever pushed them would not learn why."""
    sandbox, stack = place
    environment = {"ApplicationId": stack.outputs["SettingsApplicationId"],
                   "EnvironmentId": stack.outputs["SettingsEnvironmentId"]}  # fmt: skip
    client = sandbox.client("appconfig")
    before = len(client.list_deployments(**environment)["Items"])
    for document, told in (
        ("nonsense", "settings: not JSON"),
        (
            {"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "destroy"}}},
            "write one of off, notify, approve, enforce",
        ),
        ({"schema_version": 1, "controls": {"kms-key": {}}}, "controls.kms-key: unknown key; did you mean"),
    ):
        with pytest.raises(ClientError, match="BadRequestException") as refused:
            push(sandbox, stack, document, alice)
        (detail,) = refused.value.response["Details"]["InvalidConfiguration"]
        assert told in detail["Reason"]
    assert len(client.list_deployments(**environment)["Items"]) == before


def test_a_validator_that_does_not_admit_appconfig_refuses(place: tuple[Sandbox, Stack]) -> None:
    """The function's permission would never be tried, and pushes would fail on AWS only."""
    sandbox, stack = place
    lambdas, name = sandbox.client("lambda"), stack.outputs["SettingsValidatorFunctionName"]
    (statement,) = json.loads(lambdas.get_policy(FunctionName=name)["Policy"])["Statement"]
    lambdas.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    try:
        with pytest.raises(ClientError, match=r"does not let appconfig\.amazonaws\.com invoke it"):
            push(sandbox, stack, {"schema_version": 1})
    finally:
        lambdas.add_permission(
            FunctionName=name,
            StatementId=statement["Sid"],
            Action=statement["Action"],
            Principal="appconfig.amazonaws.com",
        )
    assert push(sandbox, stack, {"schema_version": 1})


def test_an_update_of_the_stack_and_its_tags_keeps_what_was_pushed(place: tuple[Sandbox, Stack]) -> None:
    """The next deployment of the stack, or of its tags, would lay the empty document over people's settings."""
    sandbox, stack = place
    push(sandbox, stack, {"schema_version": 1, "settle_seconds": 3})
    others = {"Environment": "other", "LogRetentionDays": "30", "Owner": "others", "CostCenter": "4711"}
    deploy(sandbox, parameters=others)
    _tag(sandbox, stack.name, commit="1234")
    token = _session_of(sandbox, stack, None)["InitialConfigurationToken"]
    served = sandbox.client("appconfigdata").get_latest_configuration(ConfigurationToken=token)
    assert json.loads(served["Configuration"].read())["settle_seconds"] == 3


def _tag(sandbox: Sandbox, name: str, **tags: str) -> None:
    """Give a stack tags, as ``sam deploy --tags`` does, and wait until its resources have them."""
    client = sandbox.client("cloudformation")
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    client.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Capabilities=stack["Capabilities"],
        Parameters=[{"ParameterKey": each["ParameterKey"], "UsePreviousValue": True} for each in stack["Parameters"]],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    client.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    resource = client.describe_stack_resource(StackName=name, LogicalResourceId="SettingsApplication")
    arn = f"arn:aws:appconfig:{sandbox.region}:{sandbox.account}:application/"
    identifier = resource["StackResourceDetail"]["PhysicalResourceId"]
    given = sandbox.client("appconfig").list_tags_for_resource(ResourceArn=arn + identifier)["Tags"]
    assert tags.items() <= given.items()


def test_a_poll_too_early_and_a_token_used_twice_are_refused(place: tuple[Sandbox, Stack]) -> None:
    """A worker that polls wrongly would work here and be refused on AWS."""
    sandbox, stack = place
    client = sandbox.client("appconfigdata")
    token = _session_of(sandbox, stack, None)["InitialConfigurationToken"]
    answer = client.get_latest_configuration(ConfigurationToken=token)
    for used in (token, answer["NextPollConfigurationToken"]):
        with pytest.raises(client.exceptions.BadRequestException):
            client.get_latest_configuration(ConfigurationToken=used)


@pytest.mark.parametrize("action", ["StartConfigurationSession", "GetLatestConfiguration"])
def test_reading_needs_both_grants(place: tuple[Sandbox, Stack], action: str) -> None:
    """A role without them would read its settings here and nothing on AWS."""
    sandbox, stack = place
    resource = (
        f"arn:aws:appconfig:{sandbox.region}:{sandbox.account}:application/{stack.outputs['SettingsApplicationId']}"
        f"/environment/{stack.outputs['SettingsEnvironmentId']}/configuration/{stack.outputs['SettingsProfileId']}"
    )
    both = {f"appconfig:{name}" for name in ("StartConfigurationSession", "GetLatestConfiguration")}
    name = f"reads-without-{action}".lower()
    statement = {"Effect": "Allow", "Action": sorted(both - {f"appconfig:{action}"}), "Resource": resource}
    session = sandbox.create_user(name, {"Version": "2012-10-17", "Statement": [statement]})
    starter = session if action == "StartConfigurationSession" else None

    def read() -> None:
        token = _session_of(sandbox, stack, starter)["InitialConfigurationToken"]
        sandbox.client("appconfigdata", session).get_latest_configuration(ConfigurationToken=token)

    with pytest.raises(ClientError, match=f"not authorized to perform: appconfig:{action}"):
        read()


def test_without_the_grant_nothing_is_changed_and_the_message_waits(place: tuple[Sandbox, Stack], alice: Any) -> None:
    """A worker that cannot read its settings would act on defaults, or lose the event."""
    sandbox, stack = place
    iam, role = sandbox.client("iam"), stack.resources["LogsRole"]
    whole = iam.get_role_policy(RoleName=role, PolicyName="logs")["PolicyDocument"]
    kept = [each for each in whole["Statement"] if each.get("Sid") != "ReadSettings"]
    assert len(kept) == len(whole["Statement"]) - 1
    iam.put_role_policy(RoleName=role, PolicyName="logs", PolicyDocument=json.dumps({**whole, "Statement": kept}))
    sandbox.client("logs", alice).create_log_group(logGroupName="/waits")
    line = eventually(
        lambda: [each for each in sandbox.logs("evenkeel-logs") if '"RETURNED"' in each and ":/waits" in each],
        "the message's return",
    )
    assert "settings: AppConfig" in line[0]
    assert "appconfig:StartConfigurationSession" in line[0]
    (group,) = sandbox.client("logs").describe_log_groups(logGroupNamePrefix="/waits")["logGroups"]
    assert not {"retentionInDays", "kmsKeyId"} & set(group)
    waiting = sandbox.client("sqs").get_queue_attributes(
        QueueUrl=stack.resources["LogsQueue"], AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert int(waiting["Attributes"]["ApproximateNumberOfMessagesDelayed"]) >= 1
