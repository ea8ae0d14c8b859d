"""Injected faults: the wire shape of each protocol, counts, latency, whom they strike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.client import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.client import Sandbox


@pytest.fixture(autouse=True)
def _no_faults_left(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.faults.clear()


def _client(sandbox: Sandbox, service: str, session: Any = None) -> Any:
    return sandbox.client(service, session, retries={"total_max_attempts": 1})


@pytest.mark.parametrize(
    ("service", "operation", "call"),
    [
        ("kms", "ListKeys", lambda client: client.list_keys()),
        ("sns", "ListTopics", lambda client: client.list_topics()),
        ("s3", "ListBuckets", lambda client: client.list_buckets()),
        ("lambda", "ListFunctions", lambda client: client.list_functions()),
        ("ec2", "DescribeVpcs", lambda client: client.describe_vpcs()),
        ("ssm", "GetParameter", lambda client: client.get_parameter(Name="x")),
        ("cloudwatch", "PutMetricData", lambda client: client.put_metric_data(
            Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}])),
    ],
)  # fmt: skip
def test_an_error_has_the_shape_of_its_protocol(
    sandbox: Sandbox, service: str, operation: str, call: Callable[[Any], Any]
) -> None:
    """boto3 would raise a parser's error instead of the one that code under test has to handle."""
    sandbox.faults.add(service, operation, code="ThrottlingException", message="slow down")
    with pytest.raises(ClientError, match="slow down") as caught:
        call(_client(sandbox, service))
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"


def test_a_counted_fault_ends_and_server_errors_are_500(sandbox: Sandbox) -> None:
    """Retries could never succeed, and would not be tried where the status is a client's."""
    client = _client(sandbox, "kms")
    sandbox.faults.add("kms", "ListKeys", code="KMSInternalException", times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            client.list_keys()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    client.list_keys()
    assert [each["hits"] for each in sandbox.faults.list()] == [2]


def test_a_fault_can_start_later(sandbox: Sandbox) -> None:
    """The second of two calls could not be made to fail, as a crash between them does."""
    client = _client(sandbox, "kms")
    sandbox.faults.add("kms", "ListKeys", code="ThrottlingException", skip=1)
    client.list_keys()
    with pytest.raises(ClientError):
        client.list_keys()


def test_a_fault_strikes_only_the_named_principal(sandbox: Sandbox, alice: Any) -> None:
    """A remediator could not be throttled without throttling whoever makes its resources."""
    sandbox.faults.add("kms", code="AccessDeniedException", principal="user/alice")
    _client(sandbox, "kms").list_keys()
    with pytest.raises(ClientError, match="AccessDenied"):
        _client(sandbox, "kms", alice).list_keys()


def test_latency_alone_delays_and_lets_through(sandbox: Sandbox) -> None:
    """The benchmark's added latency a call would be missing, or would fail the calls."""
    sandbox.faults.add("kms", "ListKeys", latency=0.2)
    started = time.monotonic()
    _client(sandbox, "kms").list_keys()
    assert time.monotonic() - started >= 0.2


def test_a_refused_mutation_is_told_with_its_error(sandbox: Sandbox) -> None:
    """A throttled call leaves an event with an ``errorCode`` on AWS; patterns must be tried against it."""
    sandbox.faults.add("kms", "CreateKey", code="ThrottlingException", times=1)
    with pytest.raises(ClientError):
        _client(sandbox, "kms").create_key()
    assert sandbox.events(errorCode="ThrottlingException", eventName="CreateKey")


def test_a_lost_answer_comes_after_the_effect(sandbox: Sandbox) -> None:
    """What happens to a change whose answer is lost could not be tried."""
    client = _client(sandbox, "sqs")
    sandbox.faults.add("sqs", "CreateQueue", code="InternalError", after=True, times=1)
    with pytest.raises(ClientError, match="Injected"):
        client.create_queue(QueueName="lost-answer")
    assert client.get_queue_url(QueueName="lost-answer")["QueueUrl"]


def test_a_fault_by_chance_strikes_some_calls(sandbox: Sandbox) -> None:
    """Chaos would fail every call, or none."""
    client = _client(sandbox, "kms")
    sandbox.faults.add("kms", "ListKeys", code="ThrottlingException", chance=0.5)
    struck = 0
    for _ in range(60):
        try:
            client.list_keys()
        except ClientError:
            struck += 1
    assert 5 < struck < 55


def test_a_wrong_fault_is_refused(sandbox: Sandbox) -> None:
    """A misspelt field would inject nothing, and the test would pass for the wrong reason."""
    with pytest.raises(SandboxError, match="knows only"):
        sandbox.faults.add("kms", tmes=2)
