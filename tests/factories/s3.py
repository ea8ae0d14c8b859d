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


def obeying_bucket(name: str = "orders-acls") -> str:
    """Make a bucket without a block that obeys access control lists; return its ARN."""
    arn = open_bucket(name)
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    client("s3").put_bucket_ownership_controls(Bucket=name, OwnershipControls=rules)
    return arn


MAKERS = {"AWS::S3::Bucket": (bucket, "arn:aws:s3:::1")}
