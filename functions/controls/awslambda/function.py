"""Shared by the controls of Lambda functions: triggers, reading and listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.control import Aws, CloudTrail, Config, Context, Control, Grant, Place, Stage, State

if TYPE_CHECKING:
    from collections.abc import Iterator

# requestParameters may hold part of an ARN instead of a name, so only the answer identifies the function.
_AT = "responseElements.functionArn"
READ_GRANT = Grant(Stage.READ, ("lambda:GetFunctionConfiguration",))
DISCOVER_GRANT = Grant(
    Stage.DISCOVER, ("lambda:ListFunctions",), on=("*",), why="lambda:ListFunctions has no resource-level permission"
)
REPLICA = "a Lambda@Edge replica of a function in us-east-1; it changes only with that function"


class FunctionControl(Control):
    """A control of Lambda functions."""

    resource_type = "AWS::Lambda::Function"
    arn = "arn:{partition}:lambda:{region}:{account}:function:{id}"
    triggers = (
        # CloudTrail's names carry the API's version (Lambda guide, "Logging Lambda API calls using CloudTrail")
        CloudTrail("lambda.amazonaws.com", ("CreateFunction20150331",), at=_AT, creates=True),
        CloudTrail("lambda.amazonaws.com", ("UpdateFunctionConfiguration20150331v2",), at=_AT),
        Config(resource_type),
    )

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all functions."""
        for page in aws.pages("lambda", "list_functions"):
            yield from (place.arn(self.arn, function["FunctionName"]) for function in page["Functions"])


def name_of(context: Context) -> str:
    """Return the function's name, as requested: calls never name the resource of a recorded state."""
    return context.resource.name.removeprefix("function:")


def is_replica(context: Context) -> bool:
    """Return whether it is a Lambda@Edge replica, e.g. ``us-east-1.orders``: no name given by people has a dot."""
    return "." in name_of(context)


def read(aws: Aws, context: Context, *fields: str) -> State:
    """Read only the given fields of a function's configuration: its environment variables may hold secrets.

    Raises:
        ClientError: Lambda refused.
    """
    answer = aws("lambda", "get_function_configuration", FunctionName=name_of(context))
    return {field: answer.get(field) for field in fields}
