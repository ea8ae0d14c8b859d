"""Lambda functions run on a runtime that AWS supports."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from awslambda import function
from awslambda.runtimes import READ_ON, RUNTIMES
from evenkeel.control import (
    Aws,
    Compliant,
    Context,
    Frameworks,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    ParameterProblem,
    Severity,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_EARLIEST = 3650  # ten years of warning


class DeprecatedRuntime(function.FunctionControl):
    """Lambda functions use a runtime that AWS supports, now and for the next warn_days days.

    Why: a deprecated runtime gets no security fixes, and later AWS blocks creating and then updating functions on it.
    Blast radius: none. Findings are announced when a function is created or its configuration changes, when AWS Config
        or Security Hub reports it, and by runs over all functions.
    Cost: none.
    Undo: nothing is changed.
    Mode: notify, since another runtime may break the code: findings are announced in any mode, and nothing is ever
        changed.
    Runbook: ask the function's owner to move to the runtime that the alert names, before the date from which AWS blocks
        updates: after it, the code cannot be fixed either. `aws lambda get-function-configuration --function-name
        FUNCTION --query Runtime` shows the current runtime. Exempt a function that will be deleted before that date.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    reference = "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"
    announces = True
    frameworks = Frameworks(
        security_hub=("Lambda.2",),
        nist_800_53=("CA-9(1)", "CM-2", "SI-2", "SI-2(2)", "SI-2(4)", "SI-2(5)"),
        config_rule="lambda-function-settings-check",
    )
    permissions = (function.READ_GRANT, function.DISCOVER_GRANT)
    parameters = {"warn_days": 180}  # as early as AWS itself writes to the account (Lambda guide, "Lambda runtimes")

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Require a warning on or before the day of deprecation, and not longer ahead than any runtime lasts."""
        days = parameters["warn_days"]
        if 0 <= days <= _EARLIEST:
            return None
        return ParameterProblem("warn_days", f"{days} is not accepted", f"write 0 (on the day itself) to {_EARLIEST}")

    def read(self, aws: Aws, context: Context) -> State:
        """Read the runtime and the package type."""
        return function.read(aws, context, "Runtime", "PackageType")

    def judge(self, state: State, context: Context) -> Judgement:
        """Find runtimes that are deprecated or soon will be; an unlisted runtime is never called deprecated."""
        if function.is_replica(context):
            return NotApplicable(function.REPLICA)
        if state["PackageType"] == "Image":
            return NotApplicable("a container image brings its own runtime")
        runtime = RUNTIMES.get(state["Runtime"] or "")
        if runtime is None:
            return NotApplicable(f"{state['Runtime']} is not in Evenkeel's list of runtimes of {READ_ON}")
        if context.now.date() < runtime.deprecated - timedelta(days=context.parameters["warn_days"]):
            return Compliant()
        successor = runtime.successor or "a newer one once AWS releases it"
        return NonCompliant(
            f"{runtime.name} is deprecated from {runtime.deprecated}; Lambda blocks new functions on it from "
            f"{runtime.no_creation} and updates from {runtime.no_update}: move to {successor}"
        )
