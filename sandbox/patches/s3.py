"""S3's bucket owner condition and GetBucketPolicyStatus.

Source: the S3 user guide, "Verifying bucket ownership with bucket owner condition" (403 where the expected account is
not the owner's); the S3 API reference, GetBucketPolicyStatus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.patches.hooks import Answer, module, wrap

Handler = Callable[..., Answer]


def apply() -> None:
    """Patch the engine's S3."""
    wrap(module("services.s3"), "_dispatch", _dispatch)


def _dispatch(  # noqa: PLR0913, PLR0917 - the engine's own signature
    original: Handler,
    method: str,
    bucket: str,
    key: str,
    headers: dict[str, str],
    body: bytes,
    query: dict[str, Any],
) -> Answer:
    """Handle a request, or refuse it if it expects another owner; the current account is the bucket owner's."""
    s3, owner = module("services.s3"), module("core.responses").get_account_id()
    if bucket and headers.get("x-amz-expected-bucket-owner", owner) != owner:
        refused: Answer = s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}")
        return refused
    if method == "GET" and bucket and not key and "policyStatus" in query:
        return _policy_status(bucket)
    return original(method, bucket, key, headers, body, query)


def _policy_status(bucket: str) -> Answer:
    s3 = module("services.s3")
    answer: Answer = s3._get_bucket_policy(bucket)
    if answer[0] != 200:  # noqa: PLR2004 - the status code reads best
        return answer
    public = str(s3._policy_is_public(answer[2].decode())).lower()
    body = f'<PolicyStatus xmlns="{s3.S3_NS}"><IsPublic>{public}</IsPublic></PolicyStatus>'
    return 200, {"Content-Type": "application/xml"}, body.encode()
