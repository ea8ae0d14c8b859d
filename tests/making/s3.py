"""Makes buckets for tests."""

from __future__ import annotations

from tests.world import client


def bucket(name: str = "orders") -> str:
    """Make a bucket; return its ARN."""
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return f"arn:aws:s3:::{name}"


def open_bucket(name: str = "orders-open") -> str:
    """Make a bucket and take its block of public access off; return its ARN."""
    arn = bucket(name)
    client("s3").delete_public_access_block(Bucket=name)
    return arn


MAKERS = {"AWS::S3::Bucket": (bucket, "arn:aws:s3:::1")}
