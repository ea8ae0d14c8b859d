"""A small stack in the sandbox: packaging, deployment, reading back, streams, rule targets, alarms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.deploy import deployment
from sandbox.deploy.package import PackageError, layer_zip
from sandbox.readback import check
from tests.sandbox.cli_stack import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.client import Sandbox

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small stack's template with its functions and its layer."""
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(HERE / "small", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, source: Path) -> Iterator[deployment.Stack]:
    """The small stack, deployed."""
    yield deployment.deploy(sandbox, source / "template.yaml", "small", {"Letter": "b"})
    deployment.delete(sandbox, "small")


def _receive(sandbox: Sandbox, url: str) -> list[dict[str, Any]]:
    answer = sandbox.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return list(answer.get("Messages", []))


def test_a_sam_template_is_packaged_and_deployed(sandbox: Sandbox, stack: deployment.Stack) -> None:
    """Nothing could be shown on the sandbox without deploying the template as it is, layer and all."""
    answer = sandbox.client("lambda").invoke(FunctionName=stack.outputs["Function"], Payload=b'{"Records": []}')
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": [], "layer": "from the layer", "letter": "b"}


def test_what_the_template_claims_is_there(sandbox: Sandbox, stack: deployment.Stack) -> None:
    """The engine drops a table's recovery, expiry, encryption and policy, a topic's key and a mapping's tags."""
    assert check.check(sandbox, stack.name) > 40
    table = sandbox.client("dynamodb").describe_table(TableName=stack.resources["Table"])["Table"]
    assert table["SSEDescription"]["SSEType"] == "KMS"


def test_a_dropped_property_fails_the_run(sandbox: Sandbox, stack: deployment.Stack) -> None:
    """A green run would say nothing about what the engine left out."""
    queue = stack.resources["Queue"]
    client = sandbox.client("sqs")
    client.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "11"})
    try:
        with pytest.raises(check.DroppedProperty, match="VisibilityTimeout: claimed 60, found 11"):
            check.check(sandbox, stack.name)
    finally:
        client.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60"})


def test_an_update_is_deployed_and_a_repetition_changes_nothing(
    sandbox: Sandbox, source: Path, stack: deployment.Stack
) -> None:
    """People deploy again and again into a running sandbox."""
    again = deployment.deploy(sandbox, source / "template.yaml", "small", {"Letter": "b"})
    assert again.resources == stack.resources


def test_a_failure_is_told_with_the_stacks_events(sandbox: Sandbox, tmp_path: Path) -> None:
    """Whoever breaks the template would read only ROLLBACK_COMPLETE."""
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Wrong: {Type: 'AWS::Logs::LogGroup', Properties: {KmsKeyId: 'arn:aws:kms:x'}}}")
    with pytest.raises(deployment.DeployError, match=r"Wrong \(AWS::Logs::LogGroup\): .*KMS key"):
        deployment.deploy(sandbox, template, "failing")
    deployment.delete(sandbox, "failing")


def test_a_layer_names_exactly_what_is_installed(tmp_path: Path) -> None:
    """The layer would carry another version than the one that was tested."""
    (tmp_path / "requirements.txt").write_text("pytest==0.0.1\n")
    with pytest.raises(PackageError, match=r"needs pytest==0\.0\.1, but"):
        layer_zip(tmp_path, tmp_path / "cache")


def test_a_stream_reports_partial_failures_and_gives_up(sandbox: Sandbox, stack: deployment.Stack) -> None:
    """A poison record would block the shard for ever, and the good ones before it would be handled again and again."""
    client = sandbox.client("dynamodb")
    for letter in ("good-1", "poison", "good-2"):
        client.put_item(TableName=stack.resources["Table"], Item={"a": {"S": letter}})
    failures = eventually(lambda: _receive(sandbox, stack.resources["Failures"]), "the failure record")
    record = json.loads(failures[0]["Body"])
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["DDBStreamBatchInfo"]["batchSize"] == 1

    def handled() -> list[str]:
        lines = "\n".join(sandbox.logs(stack.outputs["Function"]))
        return [word for word in ("good-1", "good-2", "poison") if f"handled {word}" in lines]

    eventually(lambda: handled() == ["good-1", "good-2"], "both good records handled")


def test_metrics_in_logs_raise_alarms_that_reach_the_topic(sandbox: Sandbox, stack: deployment.Stack) -> None:
    """The alarms of the stack would never be seen to fire, nor to reach on-call."""
    sandbox.client("lambda").invoke(FunctionName=stack.outputs["Function"], Payload=b'{"metric": 3, "Records": []}')
    name = stack.resources["Alarm"]
    alarms = sandbox.client("cloudwatch")
    eventually(
        lambda: alarms.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM", "the alarm"
    )
    messages = eventually(lambda: _receive(sandbox, stack.resources["Listener"]), "the alarm's message")
    told = json.loads(json.loads(messages[0]["Body"])["Message"])
    assert (told["AlarmName"], told["NewStateValue"]) == (name, "ALARM")


def test_a_queue_that_refuses_the_rule_leaves_the_event_in_the_dead_letter_queue(
    sandbox: Sandbox, stack: deployment.Stack
) -> None:
    """A queue policy without EventBridge loses every event on AWS, and would lose none here."""
    sandbox.client("sns").create_topic(Name="undeliverable")
    (message,) = eventually(lambda: _receive(sandbox, stack.resources["Lost"]), "the undelivered event")
    assert json.loads(message["Body"])["detail"]["requestParameters"]["name"] == "undeliverable"
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert message["MessageAttributes"]["RULE_ARN"]["StringValue"].endswith(stack.resources["Rule"])
    assert _receive(sandbox, stack.resources["Closed"]) == []


def test_a_mapping_needs_its_roles_permission(sandbox: Sandbox, stack: deployment.Stack) -> None:
    """A role without sqs:DeleteMessage works on the bare engine and polls nothing on AWS."""
    client = sandbox.client("sqs")
    client.send_message(QueueUrl=stack.resources["Queue"], MessageBody="waits")
    mappings = sandbox.client("lambda")

    def result() -> str:
        found = mappings.get_event_source_mapping(UUID=stack.resources["QueueSource"])
        return str(found.get("LastProcessingResult", ""))

    problem = eventually(lambda: result() if "PROBLEM" in result() else "", "the mapping's problem")
    assert "sqs:DeleteMessage" in problem
    assert [each["Body"] for each in _receive(sandbox, stack.resources["Queue"])] == ["waits"]
