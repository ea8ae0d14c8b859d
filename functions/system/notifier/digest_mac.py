"""Distinguishes a digest that the clerk wrote from a planted one by its MAC, for any version."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel.audit import digests
from evenkeel.audit.digests import Part
from evenkeel.errors import code
from evenkeel.versions import DIGEST

if TYPE_CHECKING:
    from evenkeel.audit.record_types import Item
    from evenkeel.runtime.aws import Aws


def is_ours(aws: Aws, record: Item) -> bool:
    """Return whether an item of the audit table is a part of a digest that the clerk wrote.

    Raises:
        ClientError: KMS refused the check; the item is delivered again.
    """
    part = Part.read(record)
    return part is not None and _is_signed(aws, part.hash, part.mac)


def is_ours_of_a_later_release(aws: Aws, record: Item) -> bool:
    """Return whether an item is a part that the clerk of a later release wrote, which this release cannot read.

    Raises:
        ClientError: as above.
    """
    content, mac = record.get("hash"), str(record.get("mac"))
    of_form = DIGEST.is_newer(record.get("schema_version")) and record.get("resource") == digests.RESOURCE
    if not of_form or content != digests.content_hash(record) or not digests.MAC.fullmatch(mac):
        return False
    return _is_signed(aws, content, mac)


def _is_signed(aws: Aws, content: str, mac: str) -> bool:
    given = digests.to_sign(content, os.environ["EVENKEEL_DIGEST_KEY_ARN"])
    try:
        aws("kms", "verify_mac", **given, Mac=bytes.fromhex(mac))
    except ClientError as error:
        if code(error) != digests.WRONG_MAC:
            raise
        return False
    return True
