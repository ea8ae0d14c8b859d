"""Makes CloudTrail trails for tests."""

from __future__ import annotations

from tests.world import client


def trail(name: str = "orders", **params: object) -> str:
    """Make a trail with a bucket of its own; return its ARN. Like every trail made by the API, it does not log yet."""
    bucket = f"log-of-{name}"
    client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client("cloudtrail").create_trail(Name=name, S3BucketName=bucket, **params)["TrailARN"]


def logging_trail(name: str = "orders", **params: object) -> str:
    """Make a trail and start it; return its ARN."""
    arn = trail(name, **params)
    client("cloudtrail").start_logging(Name=arn)
    return arn


MAKERS = {"AWS::CloudTrail::Trail": (trail, "arn:aws:cloudtrail:eu-west-1:123456789012:trail/1")}
