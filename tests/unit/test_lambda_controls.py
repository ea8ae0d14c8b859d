"""Functions on an AWS (moto and its gaps): races with deployments, refusals, secrets, ARNs, the list of runtimes."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from awslambda.runtimes import READ_ON, RUNTIMES
from evenkeel.control import Context, resource_arn
from evenkeel.control.registry import all_controls
from evenkeel.model import NonCompliant, Resource
from evenkeel.operators import on_demand
from tests import factories, moto_gaps
from tests.cases.case import NOW
from tests.world import ACCOUNT, PLACE, REGION, client, request

if TYPE_CHECKING:
    from tests.world import World

TRACING, RUNTIME = "lambda-xray-tracing", "lambda-deprecated-runtime"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders"
ENFORCE = {"schema_version": 1, "settle_seconds": 0, "controls": {TRACING: {"mode": "enforce"}}}


def _configured(**params: Any) -> dict[str, Any]:
    """Change the function as people do; return its configuration."""
    client("lambda").update_function_configuration(FunctionName="orders", **params)
    return dict(client("lambda").get_function_configuration(FunctionName="orders"))


def _mode() -> str:
    return str(client("lambda").get_function_configuration(FunctionName="orders")["TracingConfig"]["Mode"])


def test_repair_takes_three_calls_and_a_look_at_what_traces_one(world: World) -> None:
    """If this fails, functions cost more of Lambda's 15 calls a second than they must."""
    arn = factories.function()
    assert world.run(TRACING, request(TRACING, arn), document=ENFORCE).outcome == "REMEDIATED"
    assert [name for name in world.wire.names() if name.startswith("lambda:")] == [
        "lambda:GetFunctionConfiguration",
        "lambda:UpdateFunctionConfiguration",
        "lambda:GetFunctionConfiguration",
    ]
    assert _mode() == "Active"
    assert world.run(TRACING, request(TRACING, arn), document=ENFORCE).outcome == "COMPLIANT"
    assert world.wire.names() == ["lambda:GetFunctionConfiguration"]


def test_by_default_tracing_is_announced_only(world: World) -> None:
    """If this fails, Evenkeel runs up a bill for traces that nobody asked for."""
    arn = factories.function()
    assert world.run(TRACING, request(TRACING, arn)).outcome == "ANNOUNCED"
    assert _mode() == "PassThrough"


def test_nothing_else_of_a_function_is_changed_or_kept(world: World) -> None:
    """If this fails, a repair replaces what a deployment set, or an environment's secrets get into the audit table."""
    arn = factories.function()
    before = _configured(MemorySize=512, Timeout=30, Environment={"Variables": {"PASSWORD": "correct horse"}})
    world.run(TRACING, request(TRACING, arn), document=ENFORCE)
    world.run(RUNTIME, request(RUNTIME, arn))
    after = _configured()
    for changed in ("TracingConfig", "ResponseMetadata", "LastModified", "RevisionId"):
        before.pop(changed, None)
        after.pop(changed, None)
    assert after == before
    assert "PASSWORD" not in json.dumps(world.records(), default=str)
    assert "correct horse" not in json.dumps(world.records(), default=str)


def test_function_that_is_being_changed_is_waited_for(world: World) -> None:
    """If this fails, a deployment in progress makes the repair fail, or the repair makes the deployment fail."""
    arn = factories.function()
    with moto_gaps.updating("orders"):
        result = world.run(TRACING, request(TRACING, arn), document=ENFORCE)
        assert (result.outcome, "InProgress" in result.reason) == ("RETURNED", True)
        assert world.wire.changes() == []
    assert world.run(TRACING, request(TRACING, arn), document=ENFORCE).outcome == "REMEDIATED"


def test_deployment_that_starts_after_the_read_is_waited_for(world: World) -> None:
    """If this fails, Lambda's refusal of two changes at a time counts as a failure, and nothing follows."""
    arn = factories.function()
    world.wire.fail("lambda", "UpdateFunctionConfiguration", "ResourceConflictException", "in progress", status=409)
    assert world.run(TRACING, request(TRACING, arn), document=ENFORCE).outcome == "RETURNED"
    assert world.run(TRACING, request(TRACING, arn), document=ENFORCE).outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_role_that_may_not_write_traces_is_told(world: World) -> None:
    """If this fails, people do not learn which permission keeps a function from tracing."""
    arn = factories.function()
    told = "The provided execution role does not have permissions to call PutTraceSegments on XRAY"
    world.wire.fail("lambda", "UpdateFunctionConfiguration", "InvalidParameterValueException", told)
    assert world.run(TRACING, request(TRACING, arn), document=ENFORCE).outcome == "FAILED"
    last = world.records()[-1]
    assert last["announce"]
    assert told in last["detail"]


def test_function_that_is_gone_is_nothing_to_tell(world: World) -> None:
    """If this fails, functions that live for minutes fill the dead letters."""
    for control in (TRACING, RUNTIME):
        assert world.run(control, request(control, ARN)).outcome == "GONE"
    assert world.records() == []


def test_deprecated_runtime_is_told_once_a_day_and_never_changed(world: World) -> None:
    """If this fails, people are told of one runtime again and again, or not of the next one."""
    arn = factories.function()
    _configured(Runtime="nodejs18.x")
    document = {"schema_version": 1, "settle_seconds": 0, "controls": {RUNTIME: {"mode": "enforce"}}}
    assert world.run(RUNTIME, request(RUNTIME, arn), document=document).outcome == "ANNOUNCED"
    assert "move to nodejs24.x" in world.records()[-1]["reason"]
    assert world.run(RUNTIME, request(RUNTIME, arn), document=document).outcome == "SKIPPED"
    _configured(Runtime="nodejs16.x")
    assert world.run(RUNTIME, request(RUNTIME, arn), document=document).outcome == "ANNOUNCED"
    assert [made for made in world.wire.calls if made.operation.startswith("Update") and made.service == "lambda"] == []


@pytest.mark.parametrize("qualifier", ["", ":1", ":$LATEST", ":live", ":*"])
def test_versions_and_aliases_mean_their_function(qualifier: str) -> None:
    """If this fails, one function has two chains, and a change goes to a version, which AWS refuses."""
    template = all_controls()[TRACING].arn
    assert resource_arn(template, f"{ARN}{qualifier}", PLACE) == ARN
    payload = {"control": TRACING, "resources": [f"{ARN}{qualifier}"]}
    wish = on_demand.parse(payload, tuple(all_controls().values()), PLACE, "invocation-1", NOW)
    assert wish.arns == (ARN,)


def test_name_that_is_like_a_function_keeps_its_end() -> None:
    """If this fails, other services' ARNs lose what follows the word function."""
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:function:orders:1"
    assert resource_arn("", arn, PLACE) == arn


def _guide() -> dict[str, Any]:
    """Return the dates that cfn-lint has for runtimes of archives (those of images alone have no days of blocking)."""
    path = distribution("cfn-lint").locate_file("cfnlint/data/AdditionalSpecs/LmbdRuntimeLifecycle.json")
    listed = json.loads(Path(str(path)).read_text())  # the package itself takes seconds to import
    return {name: days for name, days in listed.items() if days["create-block"]}


def test_list_of_runtimes_is_as_new_as_the_linters() -> None:
    """If this fails, AWS moved a date or has a new runtime: bring awslambda/runtimes.py up to date."""
    mine = {
        name: {
            "deprecated": str(one.deprecated),
            "create-block": str(one.no_creation),
            "update-block": str(one.no_update),
            "successor": one.successor or None,
        }
        for name, one in RUNTIMES.items()
    }
    assert mine == _guide()


def test_successors_are_on_the_list_and_supported_when_it_was_read() -> None:
    """If this fails, people are told to move from one deprecated runtime to another."""
    for runtime in RUNTIMES.values():
        if runtime.successor:
            assert RUNTIMES[runtime.successor].deprecated > READ_ON
            assert not RUNTIMES[runtime.successor].successor


def test_no_runtime_that_aws_knows_and_the_list_does_not_is_an_alarm() -> None:
    """If this fails, a function on a runtime newer than this release is called deprecated."""
    shape = botocore.session.get_session().get_service_model("lambda").shape_for("Runtime")
    control = all_controls()[RUNTIME]
    context = Context(Resource(ARN, ACCOUNT, REGION), control.parameters, NOW)
    for name in set(shape.enum) - set(RUNTIMES):
        judged = control.judge({"Runtime": name, "PackageType": "Zip"}, context)
        assert not isinstance(judged, NonCompliant)


def test_warning_after_the_day_is_refused() -> None:
    """If this fails, a typing mistake in the settings silences every warning."""
    control = all_controls()[RUNTIME]
    refused = control.check_parameters({"warn_days": -1})
    assert refused is not None
    assert refused.hint.startswith("write 0")
    assert control.check_parameters({"warn_days": 0}) is None
