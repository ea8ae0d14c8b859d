"""Events to verified through the whole deployed stack: one warm, one cold, and many at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3

    from sandbox.client import Sandbox

GIVE_UP_SECONDS = 180.0


def single(sandbox: Sandbox, user: boto3.Session) -> float:
    """Return the milliseconds from CreateKey's answer to a key that rotates."""
    kms = sandbox.client("kms", user)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    start = time.perf_counter()
    _wait(lambda: bool(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]), f"key {key}", 0.002)
    return (time.perf_counter() - start) * 1000


def wave(sandbox: Sandbox, user: boto3.Session, table: str, size: int) -> dict[str, float]:
    """Create ``size`` keys at once and wait until all are audited as repaired; count what is lost."""
    kms = sandbox.client("kms", user, max_pool_connections=20)
    start = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        arns = list(pool.map(lambda _: kms.create_key()["KeyMetadata"]["Arn"], range(size)))
    created = time.perf_counter() - start
    missing = set(arns)

    def all_repaired() -> bool:
        missing.difference_update(_repaired(sandbox.client("dynamodb"), table))
        return not missing

    with suppress(TimeoutError):  # what is missing is counted below
        _wait(all_repaired, "the wave", 0.25)
    rotating = sum(kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] for arn in arns)
    return {
        "events": size,
        "seconds": time.perf_counter() - start,
        "creating_seconds": created,
        "lost": len(missing),
        "not_rotating": size - rotating,
    }


def _repaired(dynamodb: Any, table: str) -> set[str]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="outcome = :done AND control = :control",
        ExpressionAttributeValues={":done": {"S": "REMEDIATED"}, ":control": {"S": "kms-key-rotation"}},
        ProjectionExpression="#resource",
        ExpressionAttributeNames={"#resource": "resource"},
    )
    return {item["resource"]["S"] for page in pages for item in page["Items"]}


def _wait(done: Any, what: str, pause: float) -> None:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not repaired within {GIVE_UP_SECONDS:.0f} s")
        time.sleep(pause)
