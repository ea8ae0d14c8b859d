"""Functions on the real stack with IAM enforced: tracing is repaired and taken back, old runtimes are told of."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories
from tests.sandbox.cli_stack import Place, eventually, on, strict
from tests.world import reaching

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

TRACING, RUNTIME = "lambda-xray-tracing", "lambda-deprecated-runtime"
SECRET = "correct horse battery staple"
"""What must not be found anywhere."""


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack with tracing enforced."""
    return on(shared, strict())


@pytest.fixture(scope="module")
def alice(place: Place, shared: Shared) -> Any:
    """A Lambda client of an IAM user who may do everything."""
    return place.sandbox.client("lambda", shared.user("alice"))


@pytest.fixture(scope="module")
def arn(place: Place, alice: Any) -> str:
    """A function with a secret among its variables, made without tracing and repaired."""
    with reaching(place.sandbox.client):
        made = factories.function()
    variables = {"Variables": {"PASSWORD": SECRET}}
    eventually(lambda: _settled(alice), "a function that stands")
    alice.update_function_configuration(FunctionName="orders", Environment=variables)
    return made


def _configuration(alice: Any) -> dict[str, Any]:
    return dict(alice.get_function_configuration(FunctionName="orders"))


def _settled(alice: Any) -> bool:
    found = _configuration(alice)
    return bool(found["State"] == "Active" and found["LastUpdateStatus"] == "Successful")


def _idle(place: Place) -> bool:
    """Say whether no request is in the group's queue, on its way or put off."""
    kinds = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    url = place.stack.resources["LambdaQueue"]
    found = place.sandbox.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=kinds)["Attributes"]
    return not any(map(int, found.values()))


def _mode(alice: Any) -> str:
    return str(_configuration(alice)["TracingConfig"]["Mode"])


def _records(place: Place, arn: str, control: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.ask("audit", "list", "--resource", arn, "--control", control)
    return found


def test_new_function_traces_and_keeps_the_rest(place: Place, alice: Any, arn: str) -> None:
    """If this fails, tracing is not switched on, or a deployment beside it loses what it set, or its secrets leak."""
    record = place.outcome(arn, control=TRACING)
    eventually(lambda: _mode(alice) == "Active", "a function that traces")
    assert record["undo"][0]["params"] == {"FunctionName": "orders", "TracingConfig": {"Mode": "PassThrough"}}
    assert _configuration(alice)["Environment"]["Variables"] == {"PASSWORD": SECRET}
    rows = place.sandbox.client("dynamodb").scan(TableName=place.stack.outputs["AuditTableName"])["Items"]
    assert SECRET not in json.dumps([rows, place.sandbox.events(source="aws.lambda")], default=str)
    assert SECRET not in str(place.sandbox.logs(place.stack.resources["LambdaFunction"]))


def test_tracing_is_switched_on_again_and_undo_holds(place: Place, alice: Any, arn: str) -> None:
    """If this fails, who switches tracing off is not noticed, or Evenkeel repairs what its own undo took back."""
    place.outcome(arn, control=TRACING)
    # Of the creation, too: a request that comes back later would be who finds the next weakening, in its maker's name.
    eventually(lambda: _idle(place), "all requests so far to be served")
    before = len(place.listed(arn, "REMEDIATED", TRACING))
    eventually(lambda: _settled(alice), "a function that stands")
    alice.update_function_configuration(FunctionName="orders", TracingConfig={"Mode": "PassThrough"})
    eventually(lambda: _mode(alice) == "Active", "a function that traces again")
    eventually(lambda: len(place.listed(arn, "REMEDIATED", TRACING)) > before, "the record of the second repair")
    eventually(lambda: _settled(alice), "a function that stands")
    record = place.outcome(arn, control=TRACING)
    assert record["actor"]["principal"].endswith(":user/alice")
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    assert _mode(alice) == "PassThrough"
    eventually(lambda: _settled(alice), "a function that stands")
    alice.update_function_configuration(FunctionName="orders", MemorySize=256)
    time.sleep(3)
    assert _mode(alice) == "PassThrough"


def test_old_runtime_is_announced_and_left(place: Place, alice: Any, arn: str) -> None:
    """If this fails, nobody hears of a function that gets no security fixes, or its code is broken for it."""
    assert _records(place, arn, RUNTIME) == []
    eventually(lambda: _settled(alice), "a function that stands")
    alice.update_function_configuration(FunctionName="orders", Runtime="python3.9")
    record = place.outcome(arn, "ANNOUNCED", RUNTIME)
    assert "move to python3.14" in record["reason"]
    assert _configuration(alice)["Runtime"] == "python3.9"


def test_new_code_and_versions_wake_nobody(place: Place, alice: Any, arn: str) -> None:
    """If this fails, each deployment costs invocations for nothing."""
    eventually(lambda: _settled(alice), "a function that stands")
    before = len(place.sandbox.events(source="aws.lambda"))
    seen = {name: len(_records(place, arn, name)) for name in (TRACING, RUNTIME)}
    alice.publish_version(FunctionName="orders")
    alice.create_alias(FunctionName="orders", Name="live", FunctionVersion="1")
    time.sleep(3)
    assert len(place.sandbox.events(source="aws.lambda")) >= before + 2
    assert {name: len(_records(place, arn, name)) for name in (TRACING, RUNTIME)} == seen
