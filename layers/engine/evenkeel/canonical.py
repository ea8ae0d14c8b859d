"""The canonical form of data, which both JSON and DynamoDB preserve, and its digest; pure."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """Return a value in the form that both JSON and DynamoDB preserve.

    Times become ISO texts, fractions texts, tuples lists. An unpaired UTF-16 surrogate, which JSON allows and UTF-8
    cannot encode, becomes a question mark.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        return int(value) if value == int(value) else str(value)
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="replace").decode()
    return value


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON (sorted keys, no spaces), in hex."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
