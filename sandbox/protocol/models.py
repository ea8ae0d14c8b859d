"""Botocore's service models, found by the name that a request is signed with."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader
from moto.core.model import OperationModel, ServiceModel

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
"""Services (boto3 names) whose mutating management calls become events: controls or the clerk match them."""

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

_LOADER = Loader()  # botocore's own: moto's adds default values to parameters, which no caller sent


@cache
def service(name: str) -> ServiceModel:
    """Return the model of a service by its boto3 name."""
    return ServiceModel(_LOADER.load_service_model(name, "service-2"), name)


def candidates(signing_name: str) -> tuple[str, ...]:
    """Return the boto3 names of the services that share a signing name."""
    return SIGNING_NAMES.get(signing_name, (signing_name,))


@cache
def operation(name: str, operation_name: str) -> OperationModel | None:
    """Return the model of an operation; None if the service has no such operation."""
    model = service(name)
    return model.operation_model(operation_name) if operation_name in model.operation_names else None
