"""KMS's rotation for eligible keys only, pages of keys, and the account in a key's metadata.

Source: the KMS API reference of EnableKeyRotation, GetKeyRotationStatus, ListKeys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.patches.hooks import Answer, body_of, error, module, ok, succeeded, wrap

SHORTEST_PERIOD, LONGEST_PERIOD, DEFAULT_PERIOD = 90, 2560, 365
LARGEST_PAGE, DEFAULT_PAGE = 1000, 100

Handler = Callable[[dict[str, Any]], Answer]


def apply() -> None:
    """Patch the engine's KMS."""
    kms = module("services.kms")
    wrap(kms, "_enable_key_rotation", _enable)
    wrap(kms, "_disable_key_rotation", _disable)
    wrap(kms, "_get_key_rotation_status", _status)
    wrap(kms, "_list_keys", _list)
    wrap(kms, "_key_metadata", _metadata)


def _ineligible(record: dict[str, Any]) -> Answer | None:
    """Return the refusal for a key whose type cannot rotate; None if it can."""
    if record["KeySpec"] != "SYMMETRIC_DEFAULT" or record["Origin"] != "AWS_KMS":
        return error("UnsupportedOperationException", f"{record['Arn']} does not support automatic rotation")
    return None


def _wrong_state(record: dict[str, Any]) -> Answer | None:
    state = record["KeyState"]
    if state == "Disabled":
        return error("DisabledException", f"{record['Arn']} is disabled.")
    if state != "Enabled":
        return error("KMSInvalidStateException", f"{record['Arn']} is in state {state}, which forbids this.")
    return None


def _record(data: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = module("services.kms")._resolve_key(data.get("KeyId", ""))
    return found


def _enable(original: Handler, data: dict[str, Any]) -> Answer:
    record = _record(data)
    if record is None:
        return original(data)
    period = data.get("RotationPeriodInDays", DEFAULT_PERIOD)
    if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
        return error("ValidationException", f"RotationPeriodInDays {period} is not within 90 and 2560")
    refusal = _ineligible(record) or _replica(record) or _wrong_state(record)
    return refusal or original({**data, "RotationPeriodInDays": period})


def _replica(record: dict[str, Any]) -> Answer | None:
    if record.get("_mrk_type") == "REPLICA":
        return error("UnsupportedOperationException", f"{record['Arn']} is a replica; rotate its primary key")
    return None


def _disable(original: Handler, data: dict[str, Any]) -> Answer:
    record = _record(data)
    if record is None:
        return original(data)
    return _ineligible(record) or _replica(record) or _wrong_state(record) or original(data)


def _status(original: Handler, data: dict[str, Any]) -> Answer:
    record = _record(data)
    if record is None:
        return original(data)
    if record["KeySpec"] != "SYMMETRIC_DEFAULT":
        return error("UnsupportedOperationException", f"{record['Arn']} does not support automatic rotation")
    enabled = bool(record.get("KeyRotationEnabled")) and record["KeyState"] != "PendingDeletion"
    found: dict[str, Any] = {"KeyId": record["Arn"], "KeyRotationEnabled": enabled}
    if enabled:
        found["RotationPeriodInDays"] = record.get("RotationPeriodInDays", DEFAULT_PERIOD)
    return ok(found)


def _list(original: Handler, data: dict[str, Any]) -> Answer:
    answer = original({"Limit": 10**9})
    if not succeeded(answer):
        return answer
    size = min(int(data.get("Limit", DEFAULT_PAGE)), LARGEST_PAGE)
    keys = sorted(body_of(answer)["Keys"], key=lambda each: str(each["KeyId"]))
    marker = data.get("Marker", "")
    rest = [each for each in keys if each["KeyId"] > marker]
    found: dict[str, Any] = {"Keys": rest[:size], "Truncated": len(rest) > size}
    if len(rest) > size:
        found["NextMarker"] = rest[size - 1]["KeyId"]
    return ok(found)


def _metadata(original: Callable[[dict[str, Any]], dict[str, Any]], record: dict[str, Any]) -> dict[str, Any]:
    metadata = original(record)
    metadata["AWSAccountId"] = record["Arn"].split(":")[4]
    for empty in ("SigningAlgorithms", "EncryptionAlgorithms"):
        if not metadata.get(empty, True):
            del metadata[empty]
    return metadata
