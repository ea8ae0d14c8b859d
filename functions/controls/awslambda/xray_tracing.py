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
    "Failed": "its creation failed; it can only be deleted and created again",
    "Deleting": "it is being deleted",
}


class XrayTracing(function.FunctionControl):
    """Lambda functions have active X-Ray tracing.

    Why: a slow or failing request can be followed through every service that it passes.
    Blast radius: all execution environments start again, as after any configuration change. Published versions keep
        their setting; only versions published later are traced. Lambda refuses the change if the function's role may
        not write traces, which is reported as a failure: give the role AWSXRayDaemonWriteAccess. A Lambda@Edge function
        must not be traced: exempt it.
    Cost: 5 dollars per million traces. By default one request a second and 5 % of the rest are traced, about 13 dollars
        a month for a function that is called every second.
    Undo: tracing is turned off again; traces recorded meanwhile are kept until they expire.
    Mode: notify, since traces are billed by traffic and every execution environment starts again.
    Runbook: `aws lambda get-function-configuration --function-name FUNCTION --query TracingConfig` shows the mode. If
        the change failed, attach AWSXRayDaemonWriteAccess to the function's role, then run the command in the alert.
        Exempt functions that run at the edge, and busy functions whose traces would cost more than they are worth.
    """

    severity = Severity.LOW
    default_mode = Mode.NOTIFY
    reference = "https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html"
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
        """Read the tracing mode, and whether another change is in progress."""
        return function.read(aws, context, "TracingConfig", "State", "LastUpdateStatus")

    def judge(self, state: State, context: Context) -> Judgement:
        """Find functions that do not trace.

        The call names no RevisionId: it changes only tracing, so a deployment in between is not lost and need not make
        the call stale. An undo, which is computed from the earlier state, could not know the id anyway.
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
