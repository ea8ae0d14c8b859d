"""Makes RDS instances and DB clusters for tests."""

from __future__ import annotations

from tests.world import client


def instance(name: str = "orders", **params: object) -> str:
    """Make an instance; return its ARN."""
    wanted = {"Engine": "postgres", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": 20,
              "MasterUsername": "owner", "MasterUserPassword": "not-a-secret"}  # fmt: skip
    made = client("rds").create_db_instance(DBInstanceIdentifier=name, **{**wanted, **params})
    arn: str = made["DBInstance"]["DBInstanceArn"]
    return arn


def cluster(name: str = "orders", **params: object) -> str:
    """Make a DB cluster, of Aurora unless the engine says otherwise; return its ARN."""
    wanted = {"Engine": "aurora-postgresql", "MasterUsername": "owner", "MasterUserPassword": "not-a-secret"}
    made = client("rds").create_db_cluster(DBClusterIdentifier=name, **{**wanted, **params})
    arn: str = made["DBCluster"]["DBClusterArn"]
    return arn


def multi_az_cluster(name: str = "orders", **params: object) -> str:
    """Make a Multi-AZ DB cluster; return its ARN."""
    wanted = {"Engine": "postgres", "DBClusterInstanceClass": "db.m6gd.large", "AllocatedStorage": 100,
              "StorageType": "io1", "Iops": 1000}  # fmt: skip
    return cluster(name, **{**wanted, **params})


def member(of: str = "orders", name: str = "orders-1", **params: object) -> str:
    """Make an instance of an Aurora cluster; return its ARN."""
    made = client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        DBClusterIdentifier=of,
        **{"Engine": "aurora-postgresql", "DBInstanceClass": "db.t4g.medium", **params},
    )
    arn: str = made["DBInstance"]["DBInstanceArn"]
    return arn


MAKERS = {
    "AWS::RDS::DBInstance": (instance, "arn:aws:rds:eu-west-1:123456789012:db:1"),
    "AWS::RDS::DBCluster": (cluster, "arn:aws:rds:eu-west-1:123456789012:cluster:1"),
}
