"""What a function's state means for its tracing (Lambda developer guide, "Lambda function states")."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case

SHOP = "arn:aws:lambda:eu-west-1:123456789012:function:shop"
EDGE = "arn:aws:lambda:eu-west-1:123456789012:function:us-east-1.orders"


def function(mode: str | None = "PassThrough", state: str | None = "Active", update: str | None = "Successful") -> Any:
    """Return the state of a function as it is read."""
    return {"TracingConfig": {"Mode": mode} if mode else None, "State": state, "LastUpdateStatus": update}


def tracing(mode: str, name: str = "orders") -> tuple[Call, ...]:
    """Return the call that sets the tracing mode, and nothing else."""
    return (Call("lambda", "update_function_configuration", {"FunctionName": name, "TracingConfig": {"Mode": mode}}),)


ON, OFF = tracing("Active"), tracing("PassThrough")
WEAK = ("NonCompliant", "active tracing is off", ON, OFF, True)

CASES = (
    Case("active tracing is what is wanted", function("Active"), "Compliant"),
    Case("a function that traces may be changed meanwhile", function("Active", update="InProgress"), "Compliant"),
    Case("a function that will trace may be made meanwhile", function("Active", "Pending"), "Compliant"),
    Case("a copy at the edge that traces is as wanted", function("Active"), "Compliant", arn=EDGE),
    Case("the default does not trace", function(), *WEAK),
    Case("no setting is the default", function(None), *WEAK),
    Case("an idle function can be changed", function(state="Inactive"), *WEAK),
    Case("an update that failed is over", function(update="Failed"), *WEAK),
    Case("an answer without states is of a function that stands", function(state=None, update=None), *WEAK),
    Case("the function that was asked about is changed", function(), "NonCompliant", "tracing is off",
         tracing("Active", "shop"), tracing("PassThrough", "shop"), residue=True, arn=SHOP),
    Case("a function that is being made is waited for", function(state="Pending"), "NotReady", "Pending"),
    Case("a function that is being changed is waited for", function(update="InProgress"), "NotReady", "InProgress"),
    Case("a copy at the edge is CloudFront's", function(), "NotApplicable", "Lambda@Edge", arn=EDGE),
    Case("a copy at the edge is not waited for", function(state="Pending"), "NotApplicable", "Lambda@Edge", arn=EDGE),
    Case("a function that was not made takes no changes", function(state="Failed"), "NotApplicable", "creation failed"),
    Case("a function on its way out is left", function(state="Deleting"), "NotApplicable", "being deleted"),
)  # fmt: skip
