"""What came while the settings were missing waits, and is served once they are pushed again."""

from __future__ import annotations

from sandbox.deploy.settings import push, revert
from tests.sandbox.cli_stack import CONTROL, eventually
from tests.sandbox.trust_stack import standing

OFF = {"schema_version": 1, "settle_seconds": 0, "controls": {CONTROL: {"mode": "off"}}}


def test_what_waited_for_missing_settings_is_served_after_the_next_push() -> None:
    """If this fails, events that come while nobody's settings are in force are lost, or served without any."""
    with standing() as place:
        kms = place.sandbox.client("kms", place.alice)
        first = str(kms.create_key()["KeyMetadata"]["Arn"])
        place.awaited(first, "REMEDIATED")  # by the empty document
        push(place.sandbox, place.stack, OFF, place.alice)
        place.sandbox.recycle()
        kms.disable_key_rotation(KeyId=first)
        eventually(lambda: _lines(place.sandbox.logs("evenkeel-kms"), "SKIPPED", first), "the settings to be obeyed")
        revert(place.sandbox, place.stack)
        place.sandbox.recycle()
        waits = str(kms.create_key()["KeyMetadata"]["Arn"])
        eventually(lambda: _lines(place.sandbox.logs("evenkeel-kms"), "RETURNED", waits), "the message's return")
        assert not place.rotates(waits)
        push(place.sandbox, place.stack, {"schema_version": 1, "settle_seconds": 0}, place.alice)
        place.awaited(waits, "REMEDIATED")
        assert place.rotates(waits)


def _lines(logs: list[str], outcome: str, arn: str) -> list[str]:
    return [line for line in logs if f'"{outcome}"' in line and arn in line]
