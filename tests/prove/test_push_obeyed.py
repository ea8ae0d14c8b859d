"""Settings that are pushed while the functions run: they are obeyed within a real minute."""

from __future__ import annotations

import time

from evenkeel.settings.store import CACHE_SECONDS
from sandbox.deploy.settings import push
from tests.sandbox.cli_stack import CONTROL
from tests.sandbox.trust_stack import standing

NOTIFY = {"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}


def test_a_push_is_obeyed_within_a_minute() -> None:
    """People would tell Evenkeel to leave something alone, and it would go on."""
    with standing() as place:
        kms = place.sandbox.client("kms", place.alice)
        first = str(kms.create_key()["KeyMetadata"]["Arn"])
        place.awaited(first, "REMEDIATED")
        push(place.sandbox, place.stack, NOTIFY, place.alice)
        time.sleep(CACHE_SECONDS + 1)
        second = str(kms.create_key()["KeyMetadata"]["Arn"])
        place.awaited(second, "ANNOUNCED")
        assert place.outcomes(second) == ["ANNOUNCED"]
        assert not place.rotates(second)
