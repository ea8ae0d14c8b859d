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
    Severity,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_EARLIEST = 3650  # ten years of warning


class DeprecatedRuntime(function.FunctionControl):
    """Lambda functions run on a runtime that AWS supports, today and for the settings' days to come.

    Why: a deprecated runtime gets no security fixes, and later neither new functions nor updates are taken.
    Blast radius: none. It is told when a function is made or its configuration changes, on Config's and Security Hub's
        findings, and by runs over all.
    Cost: none.
    Undo: nothing is changed.
    Mode: notify, since another runtime may break the code: it is announced whatever the mode, and never changed.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    announces = True
    frameworks = Frameworks(
        security_hub=("Lambda.2",),
        nist_800_53=("CA-9(1)", "CM-2", "SI-2", "SI-2(2)", "SI-2(4)", "SI-2(5)"),
        config_rule="lambda-function-settings-check",
    )
    permissions = (function.READ_GRANT, function.DISCOVER_GRANT)
    parameters = {"warn_days": 180}  # as early as AWS itself writes to the account (Lambda guide, "Lambda runtimes")

    def check_parameters(self, parameters: Mapping[str, Any]) -> str:
        """Refuse a warning that comes after the day it warns of, or longer before it than any runtime lasts."""
        days = parameters["warn_days"]
        return "" if 0 <= days <= _EARLIEST else f"warn_days: {days}; write 0 (on the day itself) to {_EARLIEST}"

    def read(self, aws: Aws, context: Context) -> State:
        """Read the runtime, and whether there is one."""
        return function.read(aws, context, "Runtime", "PackageType")

    def judge(self, state: State, context: Context) -> Judgement:
        """Find runtimes whose days are over or counted; one that is not on the list is never called deprecated."""
        if function.is_replica(context):
            return NotApplicable(function.REPLICA)
        if state["PackageType"] == "Image":
            return NotApplicable("a container image brings its own runtime")
        runtime = RUNTIMES.get(state["Runtime"] or "")
        if runtime is None:
            return NotApplicable(f"{state['Runtime']} is not on the list of runtimes, which is of {READ_ON}")
        if context.now.date() < runtime.deprecated - timedelta(days=context.parameters["warn_days"]):
            return Compliant()
        successor = runtime.successor or "a newer one as soon as there is one"
        return NonCompliant(
            f"{runtime.name} is deprecated from {runtime.deprecated}; Lambda takes no new functions with it from "
            f"{runtime.no_creation} and no updates from {runtime.no_update}: move to {successor}"
        )
