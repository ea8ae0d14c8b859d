"""Makes buckets for tests."""

from __future__ import annotations

from tests.world import client


def bucket() -> str:
    """Make a bucket; return its ARN."""
    client("s3").create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return "arn:aws:s3:::orders"


MAKERS = {"AWS::S3::Bucket": (bucket, "arn:aws:s3:::1")}
