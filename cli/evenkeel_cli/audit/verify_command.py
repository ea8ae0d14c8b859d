"""``evenkeel audit verify``: verifies every chain of the audit table and reports records that were changed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.text import Text

from evenkeel import clock
from evenkeel.audit.digests import RESOURCE
from evenkeel.plurals import plural
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
        CommandError: the audit was changed (the report on stdout names each record), could not be read, or the
            verification was interrupted.
    """
    if resource:
        arns.check(resource)
    if resource and resume:
        message = "--resume and --resource cannot be used together: one resource needs no resume"
        raise CommandError(message, "Leave one of them out.", Exit.USAGE)
    now = clock.now()
    there = stacks.find(stack, region, f"verify the audit of {named(stack)}")
    verifier = Verifier(there, now)
    if resource:
        progress = Progress()
        verifier.of(resource, progress)
    else:
        progress = _whole(verifier, there, Checkpoint(verifier.table, now), resume=resume, show=not as_json)
    findings = [*verifier.digests.findings, *progress.findings]
    _print_result(there.name, progress, verifier.digests, findings, as_json=as_json)
    _conclude(there.name, verifier.digests, findings)


def _whole(verifier: Verifier, stack: Stack, checkpoint: Checkpoint, *, resume: bool, show: bool) -> Progress:
    """Verify all chains; if interrupted, save the progress and say how to resume."""
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
        message = f"the verification stopped after {plural(progress.records, 'record')}{why}"
        raise CommandError(message, f"To resume: {stack.line('audit', 'verify', resume=True)}") from error
    checkpoint.forget()
    return progress


def _conclude(stack: str, digests: Digests, findings: list[Finding]) -> None:
    if findings:
        raise CommandError(
            f"the audit of {stack} was changed: {plural(len(findings), 'finding')}",
            "Treat it as an incident: CloudTrail's data events of the audit table name the caller, and its"
            " point-in-time recovery has the original records (docs/operations/verify-audit.md).",
        )
    if digests.unchecked:
        message = f"the digests were not verified, so rewritten chains would not be found: {digests.unchecked}"
        raise CommandError(
            message, "It needs kms:VerifyMac on the key in the stack's output DigestKeyArn (docs/cli.md)."
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


def _print_result(stack: str, progress: Progress, digests: Digests, findings: list[Finding], *, as_json: bool) -> None:
    body = {
        "stack": stack, "ok": not findings and not digests.unchecked, "records": progress.records,
        "chains": progress.chains, "begin_late": progress.begin_late,
        "digests": {
            "first": digests.days[0] if digests.days else None, "last": digests.days[-1] if digests.days else None,
            "days": len(digests.days), "missed": list(digests.missed), "unchecked": digests.unchecked or None,
        },
        "findings": [each.described() for each in findings],
    }  # fmt: skip
    console.show(body, lambda out: _report(out, progress, digests, findings), as_json=as_json)


def _report(out: Console, progress: Progress, digests: Digests, findings: list[Finding]) -> None:
    for each in findings:
        at = f"record {each.record_id}" if each.record_id else ""
        out.print(Text.assemble((str(each.fault).upper(), "bold red"), f"  {at}".rstrip()), soft_wrap=True)
        where = (
            "the daily digests" if each.resource == RESOURCE else f"{each.control or 'no control'} on {each.resource}"
        )
        out.print(f"  {where}", soft_wrap=True)
        out.print(f"  {each.message}", soft_wrap=True)
    said = f"{plural(progress.records, 'record')} in {plural(progress.chains, 'chain')} read"
    good = "" if findings or digests.unchecked else "; all are as they were written"
    out.print(Text(f"{said}{good}.", style="bold"))
    if progress.begin_late:
        out.print(f"Chains whose oldest records have expired: {progress.begin_late:,}.")
    _report_digests(out, digests)


def _report_digests(out: Console, digests: Digests) -> None:
    if digests.unchecked:
        out.print(Text("The digests were not verified.", style="bold red"))
    elif digests.days:
        first, last = digests.days[0], digests.days[-1]
        out.print(f"Daily digests anchor the chains: {len(digests.days):,}, from {first} to {last}.")
    else:
        out.print("There is no daily digest yet: a chain that was rewritten whole would not be found.")
    if digests.missed:
        shown = ", ".join(digests.missed[:_MISSED_SHOWN]) + (", …" if len(digests.missed) > _MISSED_SHOWN else "")
        out.print(f"No digest was made on {shown}; the next digest covers the gap.")
