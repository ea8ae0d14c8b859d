"""Makes image repositories for tests."""

from __future__ import annotations

from tests.world import client


def repository(name: str = "orders") -> str:
    """Make a repository; return its ARN."""
    return client("ecr").create_repository(repositoryName=name)["repository"]["repositoryArn"]


MAKERS = {"AWS::ECR::Repository": (repository, "arn:aws:ecr:eu-west-1:123456789012:repository/1")}
