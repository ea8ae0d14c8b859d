"""Makes file systems for tests."""

from __future__ import annotations

from tests.world import client


def file_system(name: str = "orders") -> str:
    """Make an EFS file system; return its ARN."""
    return client("efs").create_file_system(CreationToken=name)["FileSystemArn"]


MAKERS = {"AWS::EFS::FileSystem": (file_system, "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-1")}
