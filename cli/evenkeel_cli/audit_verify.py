"""``evenkeel audit verify``: walks every chain of the audit table and says which record is not what was written."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.registry import all_controls
from evenkeel.state import unwire
from evenkeel_cli import arns, console, stacks
from evenkeel_cli.audit_reader import Reader
from evenkeel_cli.chains import Chain, link
from evenkeel_cli.cloud import reaching
from evenkeel_cli.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel_cli.chains import Finding, Judged, Link
    from evenkeel_cli.stacks import Stack

LOOKS = 3
"""How often a chain that looks wrong is read again: one that is being written to looks wrong for a moment."""
_SHOWN_AT_ONCE = 500  # records between two updates of the progress line


@dataclass(slots=True)
class Report:
    """What came of a verification."""

    records: int
    chains: int
    begin_late: int
    findings: list[Finding]


class Verifier:
    """Verifies the chains of one stack."""

    def __init__(self, stack: Stack, now: datetime) -> None:
        """Ask the table for its size."""
        self._stack = stack
        self._reader = Reader(stack)
        self._now = now
        with reaching(f"look at the audit table of stack {stack.name}"):
            described = stack.cloud("dynamodb").describe_table(TableName=self._reader.table)["Table"]
        self.about = int(described.get("ItemCount", 0))
        """How many records there are, as DynamoDB counted them within the last six hours."""

    def whole(self, tick: Callable[[int], None]) -> Report:
        """Verify all chains; ``tick`` hears how many records have been read."""
        found: dict[tuple[str, str], list[Link]] = defaultdict(list)
        count = 0
        with reaching(f"verify the audit table of stack {self._stack.name}"):
            for item in self._scan(self._reader.table):
                record = unwire(item)
                found[str(record.get("control", "")), str(record["resource"])].append(link(record))
                count += 1
                if count % _SHOWN_AT_ONCE == 0:
                    tick(count)
            states = {self._key(item): unwire(item) for item in self._scan(self._reader.state_table, "head")}
        return self._report(found, states, count)

    def of(self, resource: str) -> Report:
        """Verify the chains of one resource.

        Raises:
            CommandError: it has neither records nor a state.
        """
        found: dict[tuple[str, str], list[Link]] = defaultdict(list)
        for record in self._reader.all_of(resource):
            found[str(record.get("control", "")), resource].append(link(record))
        states = self._reader.heads(resource, {*all_controls(), *(control for control, _ in found)})
        if not found and not states:
            message = f"{resource}: the audit table has no record of it"
            raise CommandError(message, f"See what there is: evenkeel audit list --stack {self._stack.name}.")
        return self._report(found, states, sum(map(len, found.values())))

    def _scan(self, table: str, attribute: str = "") -> Iterator[dict[str, Any]]:
        given: dict[str, Any] = {"FilterExpression": f"attribute_exists({attribute})"} if attribute else {}
        pages = self._stack.cloud("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=table, ConsistentRead=True, **given):
            yield from page["Items"]

    @staticmethod
    def _key(item: dict[str, Any]) -> tuple[str, str]:
        control, _, arn = item["pk"]["S"].partition("#")
        return control, arn

    def _report(
        self, found: dict[tuple[str, str], list[Link]], states: dict[tuple[str, str], dict[str, Any]], count: int
    ) -> Report:
        report = Report(count, len({*found, *states}), 0, [])
        for key in sorted({*found, *states}):
            judged = self._judge(key, found.get(key, []), states.get(key))
            for _ in range(LOOKS - 1):
                if not judged.findings:
                    break
                judged = self._look_again(key)
            report.begin_late += judged.begins_late
            report.findings += judged.findings
        return report

    def _judge(self, key: tuple[str, str], links: list[Link], state: dict[str, Any] | None) -> Judged:
        return Chain(*key, links, state, self._now).judge()

    def _look_again(self, key: tuple[str, str]) -> Judged:
        """Read one chain afresh: the head first, so that a record written meanwhile is seen as newer than the head.

        The head is read once more afterwards; while it moves, the chain is being written to and the look is void.
        """
        control, resource = key
        for _ in range(LOOKS):
            state = self._reader.heads(resource, [control]).get(key)
            links = [link(each) for each in self._reader.all_of(resource) if str(each.get("control", "")) == control]
            again = self._reader.heads(resource, [control]).get(key)
            if (state or {}).get("head") == (again or {}).get("head"):
                break
        return self._judge(key, links, state)


def verify(stack: str, region: str | None, resource: str, *, as_json: bool) -> None:
    """Verify all chains of a stack, or those of one resource.

    Raises:
        CommandError: something is not what was written; the report on stdout names each record.
    """
    if resource:
        arns.check(resource)
    verifier = Verifier(stacks.find(stack, region, f"verify the audit of stack {stack}"), datetime.now(UTC))
    if resource:
        report = verifier.of(resource)
    else:
        with _progress(verifier.about, show=not as_json) as tick:
            report = verifier.whole(tick)
    _tell(report, stack, as_json=as_json)
    if report.findings:
        raise CommandError(
            f"the audit of {stack} is not what was written: {_count(len(report.findings), 'finding')}",
            "Treat it as an incident: CloudTrail's data events of the audit table name the caller, and its"
            " point-in-time recovery holds what it was (docs/operations.md).",
        )


@contextmanager
def _progress(about: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    if not show or not console.errors().is_terminal:
        yield lambda _: None
        return
    of = f" of about {about:,}" if about else ""
    with console.errors().status(f"reading{of} records") as status:
        yield lambda count: status.update(f"{count:,}{of} records read")


def _tell(report: Report, stack: str, *, as_json: bool) -> None:
    if as_json:
        body = {
            "stack": stack, "ok": not report.findings, "records": report.records, "chains": report.chains,
            "begin_late": report.begin_late, "findings": [each.described() for each in report.findings],
        }  # fmt: skip
        sys.stdout.write(json.dumps(body) + "\n")
        return
    out = console.results()
    for each in report.findings:
        at = ""
        if each.record_id:
            at = f"record {each.record_id}"
        out.print(Text.assemble((str(each.fault).upper(), "bold red"), f"  {at}".rstrip()), soft_wrap=True)
        out.print(f"  {each.control or 'no control'} on {each.resource}", soft_wrap=True)
        out.print(f"  {each.message}", soft_wrap=True)
    said = f"{_count(report.records, 'record')} in {_count(report.chains, 'chain')} read"
    good = "" if report.findings else "; every one is what was written"
    out.print(Text(f"{said}{good}.", style="bold"))
    if report.begin_late:
        out.print(f"{_count(report.begin_late, 'chain')} begin late: their oldest records outlived the retention time.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
