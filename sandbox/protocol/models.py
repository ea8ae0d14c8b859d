"""Botocore's service models, found by the name a request is signed with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDED = (
    "kms",
    "cloudtrail",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "efs",
    "logs",
    "rds",
    "s3",
    "lambda",
    "secretsmanager",
    "sns",
    "sqs",
    "stepfunctions",
    "resourcegroupstaggingapi",
    "s3control",
    "appconfig",
)
"""The boto3 names of the services whose mutating management calls become events: controls or the clerk hear them."""

SIGNING_NAMES = {
    "s3": ("s3control", "s3"),
    "tagging": ("resourcegroupstaggingapi",),
    "monitoring": ("cloudwatch",),
    "states": ("stepfunctions",),
    "events": ("events",),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elb", "elbv2"),
    "es": ("es", "opensearch"),
    "apigateway": ("apigatewayv2", "apigateway"),
    "email": ("ses",),
    "elasticmapreduce": ("emr",),
    "airflow": ("mwaa",),
}
"""Signing name to boto3 names, where the two differ; several services may share one, the likeliest last."""

LABEL = re.compile(r"\{([^}]+)\}")
_LOADER = Loader()


@dataclass(frozen=True)
class Route:
    """How a REST operation is recognised."""

    operation: str
    method: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    literals: tuple[tuple[str, str | None], ...]
    headers: tuple[str, ...]
    deprecated: bool


@cache
def service(name: str) -> ServiceModel:
    """Load the model of a service by its boto3 name."""
    return ServiceModel(_LOADER.load_service_model(name, "service-2"), service_name=name)


def candidates(signing_name: str) -> tuple[str, ...]:
    """Return the boto3 names that a signing name may stand for."""
    return SIGNING_NAMES.get(signing_name, (signing_name,))


@cache
def operation(name: str, operation_name: str) -> OperationModel | None:
    """Return the model of an operation, or None when the service has none of that name."""
    model = service(name)
    return model.operation_model(operation_name) if operation_name in model.operation_names else None


@cache
def routes(name: str) -> tuple[Route, ...]:
    """Return a REST service's routes, the most specific ones first."""
    model = service(name)
    found = [_route(model.operation_model(each)) for each in model.operation_names]
    return tuple(sorted(found, key=_specificity))


def _route(model: OperationModel) -> Route:
    uri = str(model.http["requestUri"])
    path, _, query = uri.partition("?")
    labels = LABEL.findall(path)
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path.rstrip("/") or "/"):
        if not part.startswith("{"):
            pattern += re.escape(part)
        else:
            pattern += "(.+)" if part.endswith("+}") else "([^/]+)"
    literals = tuple(_literal(each) for each in query.split("&") if each)
    return Route(
        operation=model.name,
        method=str(model.http["method"]),
        path=re.compile(f"{pattern}/?"),
        labels=tuple(label.rstrip("+") for label in labels),
        literals=literals,
        headers=_required_headers(model.input_shape),
        deprecated=bool(model.deprecated),
    )


def _required_headers(shape: Any) -> tuple[str, ...]:
    """Return the headers without which it is another operation: CopyObject has PutObject's route and one more."""
    required = shape.required_members if shape is not None else ()
    found = (shape.members[name].serialization for name in required)
    return tuple(str(each["name"]).lower() for each in found if each.get("location") == "header")


def _literal(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None


def _specificity(route: Route) -> tuple[int, bool, int, int]:
    greedy = route.path.pattern.count("(.+)")
    return (-len(route.literals), route.deprecated, len(route.labels) + greedy, -len(route.headers))


def members(shape: Any) -> Iterable[tuple[str, Any]]:
    """Return the members of a structure; nothing for any other shape."""
    return () if shape is None or shape.type_name != "structure" else shape.members.items()
