"""``evenkeel audit verify``: walks every chain of the audit table and says which record is not what was written."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

from evenkeel.audit.digests import RESOURCE
from evenkeel_cli.audit.checkpoint import Checkpoint
from evenkeel_cli.audit.verifier import Progress, Verifier
from evenkeel_cli.aws import stacks
from evenkeel_cli.aws.session import named
from evenkeel_cli.ui import arns, console
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from evenkeel_cli.audit.chains import Finding
    from evenkeel_cli.audit.digest_chain import Digests
    from evenkeel_cli.aws.stacks import Stack

_SHOWN_AT_ONCE = 500  # records between two updates of the progress line
_MISSED_SHOWN = 10


def verify(stack: str, region: str | None, resource: str, *, resume: bool, as_json: bool) -> None:
    """Verify the digests and all chains of a stack, or the chains of one resource.

    Raises:
        CommandError: something is not what was written, and the report on stdout names each record; or it could not be
            looked at, or was interrupted.
    """
    if resource:
        arns.check(resource)
    if resource and resume:
        message = "--resume and --resource are given: one resource is soon read"
        raise CommandError(message, "Leave one of them out.", Exit.USAGE)
    now = datetime.now(UTC)
    there = stacks.find(stack, region, f"verify the audit of {named(stack)}")
    verifier = Verifier(there, now)
    if resource:
        progress = Progress()
        verifier.of(resource, progress)
    else:
        progress = _whole(verifier, there, Checkpoint(verifier.table, now), resume=resume, show=not as_json)
    findings = [*verifier.digests.findings, *progress.findings]
    _tell(there.name, progress, verifier.digests, findings, as_json=as_json)
    _conclude(there.name, verifier.digests, findings)


def _whole(verifier: Verifier, stack: Stack, checkpoint: Checkpoint, *, resume: bool, show: bool) -> Progress:
    """Verify all chains; when interrupted, keep how far it came and say how to go on."""
    progress = checkpoint.load() if resume else Progress()
    try:
        with _progress(verifier.about, show=show) as shown:

            def tick(done: Progress) -> None:
                shown(done.records)
                checkpoint.keep_now_and_then(done)

            verifier.whole(progress, tick)
    except (KeyboardInterrupt, CommandError) as error:
        if not progress.position:
            raise
        checkpoint.keep(progress)
        why = f"; {error.message}" if isinstance(error, CommandError) else ""
        message = f"the verification stopped after {_count(progress.records, 'record')}{why}"
        raise CommandError(message, f"To go on: {stack.line('audit', 'verify', resume=True)}") from error
    checkpoint.forget()
    return progress


def _conclude(stack: str, digests: Digests, findings: list[Finding]) -> None:
    if findings:
        raise CommandError(
            f"the audit of {stack} is not what was written: {_count(len(findings), 'finding')}",
            "Treat it as an incident: CloudTrail's data events of the audit table name the caller, and its"
            " point-in-time recovery holds what it was (docs/operations/verify-audit.md).",
        )
    if digests.unchecked:
        message = f"the digests are not verified, so whole chains may have been rewritten unseen: {digests.unchecked}"
        raise CommandError(
            message, "It takes kms:VerifyMac on the key of the stack's output DigestKeyArn (docs/cli.md)."
        )


@contextmanager
def _progress(about: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    if not show or not console.errors().is_terminal:
        yield lambda _: None
        return
    of = f" of about {about:,}" if about else ""
    shown = 0
    with console.errors().status(f"reading{of} records") as status:

        def tick(count: int) -> None:
            nonlocal shown
            if count - shown >= _SHOWN_AT_ONCE:
                shown = count
                status.update(f"{count:,}{of} records read")

        yield tick


def _tell(stack: str, progress: Progress, digests: Digests, findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        body = {
            "stack": stack, "ok": not findings and not digests.unchecked, "records": progress.records,
            "chains": progress.chains, "begin_late": progress.begin_late,
            "digests": {
                "first": digests.days[0] if digests.days else None, "last": digests.days[-1] if digests.days else None,
                "days": len(digests.days), "missed": list(digests.missed), "unchecked": digests.unchecked or None,
            },
            "findings": [each.described() for each in findings],
        }  # fmt: skip
        sys.stdout.write(json.dumps(body) + "\n")
        return
    out = console.results()
    for each in findings:
        at = f"record {each.record_id}" if each.record_id else ""
        out.print(Text.assemble((str(each.fault).upper(), "bold red"), f"  {at}".rstrip()), soft_wrap=True)
        where = (
            "the daily digests" if each.resource == RESOURCE else f"{each.control or 'no control'} on {each.resource}"
        )
        out.print(f"  {where}", soft_wrap=True)
        out.print(f"  {each.message}", soft_wrap=True)
    said = f"{_count(progress.records, 'record')} in {_count(progress.chains, 'chain')} read"
    good = "" if findings or digests.unchecked else "; every one is what was written"
    out.print(Text(f"{said}{good}.", style="bold"))
    if progress.begin_late:
        late = _count(progress.begin_late, "chain")
        out.print(f"{late} begin late: their oldest records outlived the retention time.")
    _tell_digests(out, digests)


def _tell_digests(out: Console, digests: Digests) -> None:
    if digests.unchecked:
        out.print(Text("The digests are not verified.", style="bold red"))
    elif digests.days:
        first, last = digests.days[0], digests.days[-1]
        out.print(f"Daily digests anchor the chains: {len(digests.days):,}, from {first} to {last}.")
    else:
        out.print("There is no daily digest yet: no chain is anchored against being rewritten whole.")
    if digests.missed:
        shown = ", ".join(digests.missed[:_MISSED_SHOWN]) + (", …" if len(digests.missed) > _MISSED_SHOWN else "")
        out.print(f"No digest was made on {shown}; the one after it made up for it.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
