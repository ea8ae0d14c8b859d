"""Verifies a stack's audit: its digests, then its chains resource by resource, so that it can be resumed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.audit import digests
from evenkeel.audit.digests import Part
from evenkeel.control.registry import all_controls
from evenkeel.errors import code
from evenkeel.runtime.dynamodb import unwire
from evenkeel_cli.audit import digest_chain
from evenkeel_cli.audit.chains import Chain, Judged, link
from evenkeel_cli.audit.digest_chain import Digests
from evenkeel_cli.audit.reader import WORKERS, Reader
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from evenkeel_cli.audit.chains import Finding, Link
    from evenkeel_cli.aws.stacks import Stack

    Key = tuple[str, str]
    """Control and resource."""

LOOKS = 3
"""Times that a chain with faults is read again: one that is being written to has faults for a moment."""


@dataclass(slots=True)
class Progress:
    """Progress of a verification; saved to a file, it can be resumed."""

    records: int = 0
    chains: int = 0
    begin_late: int = 0
    oldest: float = 0.0
    """When the oldest record was written, in seconds since 1970; 0 without records."""
    findings: list[Finding] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Short hashes of the verified chains."""
    position: dict[str, Any] | None = None
    """Key (wire form) of the last record of the last verified resource."""


class Verifier:
    """Verifies the audit of one stack."""

    def __init__(self, stack: Stack, now: datetime) -> None:
        """Read the table's size and the digests; the records are read later, so that they are newer."""
        self._stack = stack
        self._reader = Reader(stack)
        self._now = now
        with reaching(f"describe the audit table of stack {stack.name}"):
            described = stack.cloud("dynamodb").describe_table(TableName=self._reader.table)["Table"]
        self.about = int(described.get("ItemCount", 0))
        """Number of records, as DynamoDB counted them within the last six hours."""
        self.table = str(described["TableArn"])
        self.digests = self._digests()

    def whole(self, progress: Progress, tick: Callable[[Progress], None]) -> None:
        """Verify all chains from where ``progress`` ends; ``tick`` is called after each resource."""
        with reaching(f"verify the audit table of stack {self._stack.name}"):
            heads = self._scan(self._reader.state_table, FilterExpression="attribute_exists(head)")
            states = {self._key(item): unwire(item) for item in heads}
            start = {"ExclusiveStartKey": progress.position} if progress.position else {}
            items = self._scan(self._reader.table, **start)
            for resource, group in groupby(items, lambda item: str(item["resource"]["S"])):
                self._resource(resource, list(group), states, progress)
                tick(progress)
            left = {key for key in {*states, *self.digests.anchors} if _short(key) not in progress.seen}
            for key in sorted(left):
                self._chain(key, [], states.get(key), progress)
        if not self.digests.begun:
            self.digests.findings = digest_chain.none_at_all(progress.oldest, self._now)

    def of(self, resource: str, progress: Progress) -> None:
        """Verify the chains of one resource.

        Raises:
            CommandError: it has no records and no state item, and is in no digest.
        """
        found: dict[Key, list[Link]] = defaultdict(list)
        for record in self._reader.all_of(resource):
            found[str(record.get("control", "")), resource].append(link(record))
        states = self._reader.heads(resource, {*all_controls(), *(control for control, _ in found)})
        keys = {*found, *states, *(key for key in self.digests.anchors if key[1] == resource)}
        if not keys:
            message = f"the audit table has no record of {resource}"
            raise CommandError(message, f"List the records: {self._stack.line('audit', 'list')}")
        for key in sorted(keys):
            self._chain(key, found.get(key, []), states.get(key), progress)
        progress.records = sum(map(len, found.values()))

    def _resource(
        self, resource: str, items: Sequence[dict[str, Any]], states: dict[Key, dict[str, Any]], progress: Progress
    ) -> None:
        """Verify the chains whose records a scan returned together.

        A scan returns the records of one resource together, as DynamoDB stores them (developer guide, "Partitions and
        data distribution"); if it should not, the chain has faults, and is read again by itself.
        """
        found: dict[Key, list[Link]] = defaultdict(list)
        for item in items:
            record = unwire(item)
            found[str(record.get("control", "")), resource].append(link(record))
        if resource == digests.RESOURCE:
            found.clear()  # verified already
        for key, links in found.items():
            self._chain(key, links, states.get(key), progress)
            made = [progress.oldest, *(each.at for each in links)]
            progress.oldest = min((moment for moment in made if moment), default=0.0)
            progress.records += len(links)
        progress.position = {name: items[-1][name] for name in ("resource", "record_id")}

    def _chain(self, key: Key, links: Sequence[Link], state: dict[str, Any] | None, progress: Progress) -> None:
        judged = self._judge(key, links, state)
        for _ in range(LOOKS - 1):
            if not judged.findings:
                break
            judged = self._read_again(key)
        if _short(key) not in progress.seen:
            progress.chains += 1
            progress.begin_late += judged.begins_late
            progress.seen.add(_short(key))
        progress.findings += [each for each in judged.findings if each not in progress.findings]

    def _judge(self, key: Key, links: Sequence[Link], state: dict[str, Any] | None) -> Judged:
        """Verify a chain by itself and, if that finds nothing, against its anchors in the digests."""
        judged = Chain(*key, links, state, self._now).judge()
        if judged.findings:
            return judged
        lost = digest_chain.against(*key, links, self.digests.anchors.get(key, []))
        return Judged(tuple(lost), judged.begins_late)

    def _read_again(self, key: Key) -> Judged:
        """Read and verify one chain again: the head first, so that a record written since is newer than the head.

        The head is read once more afterwards; if it has changed, the chain is being written to and the read is void.
        """
        control, resource = key
        for _ in range(LOOKS):
            state = self._reader.heads(resource, [control]).get(key)
            links = [link(each) for each in self._reader.all_of(resource) if str(each.get("control", "")) == control]
            again = self._reader.heads(resource, [control]).get(key)
            if (state or {}).get("head") == (again or {}).get("head"):
                break
        return self._judge(key, links, state)

    def _digests(self) -> Digests:
        """Read the digests and verify their MACs."""
        found = self._reader.digests()
        parts = [part for part in map(Part.read, found) if part]
        kms, key = self._stack.cloud("kms"), self._stack.output("DigestKeyArn")
        what = f"verify the digests of stack {self._stack.name}"
        try:
            with reaching(what), ThreadPoolExecutor(WORKERS) as pool:
                good = list(pool.map(lambda part: _is_ours(kms, part, key), parts))
        except CommandError as error:
            return Digests(begun=bool(found), unchecked=error.message)
        ours = {part.record_id for part, is_ours in zip(parts, good, strict=True) if is_ours}
        return digest_chain.digests(found, ours, self._now)

    def _scan(self, table: str, **given: Any) -> Iterator[dict[str, Any]]:
        pages = self._stack.cloud("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=table, ConsistentRead=True, **given):
            yield from page["Items"]

    @staticmethod
    def _key(item: dict[str, Any]) -> Key:
        control, _, arn = item["pk"]["S"].partition("#")
        return control, arn


def _is_ours(kms: Any, part: Part, key: str) -> bool:
    try:
        kms.verify_mac(**digests.to_verify(part, key))
    except ClientError as error:
        if code(error) != digests.WRONG_MAC:
            raise
        return False
    return True


def _short(key: Key) -> str:
    """Return a short hash that identifies a chain."""
    return hashlib.sha256("#".join(key).encode()).hexdigest()[:16]
