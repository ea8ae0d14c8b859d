"""Tells a digest that the clerk wrote from one that somebody planted: by its MAC."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel import digests
from evenkeel.digests import Part
from evenkeel.errors import code

if TYPE_CHECKING:
    from evenkeel.aws import Aws
    from evenkeel.records import Record


def is_ours(aws: Aws, record: Record) -> bool:
    """Say whether an item of the audit table is a part of a digest, and the clerk's.

    Raises:
        ClientError: KMS refused to say; the item comes again.
    """
    part = Part.read(record)
    if part is None:
        return False
    try:
        aws("kms", "verify_mac", **digests.to_verify(part, os.environ["EVENKEEL_DIGEST_KEY_ARN"]))
    except ClientError as error:
        if code(error) != digests.WRONG_MAC:
            raise
        return False
    return True
