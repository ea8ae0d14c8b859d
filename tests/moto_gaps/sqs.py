"""Queues: moto's tagging API cannot tag them, and their delays go by the machine's clock, which tests cannot turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.sqs.models import SQSBackend, sqs_backends

if TYPE_CHECKING:
    import pytest


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gap until ``patch`` is undone."""
    patch.setattr(SQSBackend, "tag_resource", _tag_queue, raising=False)
    patch.setattr(SQSBackend, "untag_resource", _untag_queue, raising=False)


def undelay(account: str, region: str, queue: str) -> None:
    """Let all delays of a queue's messages be over."""
    for message in sqs_backends[account][region].queues[queue]._messages:
        message.delayed_until = 0


def _tag_queue(self: SQSBackend, arn: str, tags: dict[str, str]) -> None:
    self.tag_queue(arn.rpartition(":")[2], tags)


def _untag_queue(self: SQSBackend, arn: str, tag_keys: list[str]) -> None:
    self.untag_queue(arn.rpartition(":")[2], tag_keys)
