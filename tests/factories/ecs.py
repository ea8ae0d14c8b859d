"""Makes container clusters for tests."""

from __future__ import annotations

from tests.world import client


def cluster(name: str = "orders") -> str:
    """Make an ECS cluster; return its ARN."""
    return client("ecs").create_cluster(clusterName=name)["cluster"]["clusterArn"]


MAKERS = {"AWS::ECS::Cluster": (cluster, "arn:aws:ecs:eu-west-1:123456789012:cluster/1")}
