"""Lambda functions trace their invocations with X-Ray."""

from __future__ import annotations

from typing import Any

from awslambda import function
from evenkeel.control import (
    Aws,
    Call,
    Change,
    Compliant,
    Context,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    NotReady,
    Severity,
    Stage,
    State,
)

# Lambda developer guide, "Lambda function states"
_LEAVE_ALONE = {
    "Failed": "its creation failed; it can only be deleted and made anew",
    "Deleting": "it is being deleted",
}


class XrayTracing(function.FunctionControl):
    """Lambda functions have active X-Ray tracing.

    Why: a slow or failing request can be followed through every service that it passes.
    Blast radius: all environments start anew, as after any change of configuration. Versions that are published keep
        their setting; only what is published later traces. Lambda refuses the change where the function's role may not
        write traces, which is told as a failure: give the role AWSXRayDaemonWriteAccess. A function that CloudFront
        runs at the edge must not trace: exempt it.
    Cost: 5 dollars per million traces; by default one request a second and 5 % of the others are traced, about 13
        dollars a month for a function that is called every second.
    Undo: tracing is off again; traces recorded meanwhile are kept until they expire.
    Mode: notify, since traces are billed by traffic and every environment of the function starts anew.
    """

    severity = Severity.LOW
    default_mode = Mode.NOTIFY
    frameworks = Frameworks(
        security_hub=("Lambda.7",), nist_800_53=("CA-7",), config_rule="lambda-function-xray-enabled"
    )
    permissions = (
        function.READ_GRANT,
        Grant(Stage.APPLY, ("lambda:UpdateFunctionConfiguration",)),
        Grant(Stage.UNDO, ("lambda:UpdateFunctionConfiguration",)),
        function.DISCOVER_GRANT,
    )

    def read(self, aws: Aws, context: Context) -> State:
        """Read the tracing mode, and whether a change is under way."""
        return function.read(aws, context, "TracingConfig", "State", "LastUpdateStatus")

    def judge(self, state: State, context: Context) -> Judgement:
        """Find functions that do not trace.

        The call names no RevisionId: it changes tracing and leaves all else, so a deployment in between is not lost and
        need not make the call stale. An undo, which is computed from the state before, could not know the id anyway.
        """
        if _mode(state) == "Active":
            return Compliant()
        if function.is_replica(context):
            return NotApplicable(function.REPLICA)
        if state["State"] in _LEAVE_ALONE:
            return NotApplicable(_LEAVE_ALONE[state["State"]])
        if state["State"] == "Pending":
            return NotReady("the function is Pending")
        if state["LastUpdateStatus"] == "InProgress":
            return NotReady("an update of the function is InProgress")
        residue = "traces recorded meanwhile are kept until they expire"
        change = Change((_set(context, "Active"),), (_set(context, "PassThrough"),), residue)
        return NonCompliant("active tracing is off", change)

    def essence(self, state: State) -> Any:
        """Compare the tracing mode."""
        return _mode(state)


def _mode(state: State) -> str:
    return str((state["TracingConfig"] or {}).get("Mode", "PassThrough"))


def _set(context: Context, mode: str) -> Call:
    params = {"FunctionName": function.name_of(context), "TracingConfig": {"Mode": mode}}
    return Call("lambda", "update_function_configuration", params)
