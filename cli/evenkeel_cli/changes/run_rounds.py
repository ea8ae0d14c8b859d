"""The requests of ``evenkeel run`` to a group's function, in rounds: each is one invocation of at most a minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel.audit.state_item import HoldKind
from evenkeel.control.registry import all_controls
from evenkeel.model import Outcome
from evenkeel_cli.aws import functions
from evenkeel_cli.ui import arns
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel_cli.aws.stacks import Stack

DONE = frozenset(each.value for each in Outcome if not each.meaning.out_of_line)
"""Outcomes that leave nothing to fix; any other means a noncompliant resource."""
_DECIDED = frozenset({HoldKind.PERSON, HoldKind.APPROVAL})
"""Holds that people placed or must end; the hold of an undo that failed partway is not among them."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A person's request to repair resources. ``resources`` is empty for all of the control's type."""

    control: str
    resources: tuple[str, ...] = ()
    after: str = ""
    """The ARN to continue after: the last one that an earlier run finished."""
    at_most: int = 0
    """Number of resources that may be changed; 0 for no limit but the blast radius."""

    def check(self, *, everything: bool) -> None:
        """Check the request, before any call to AWS.

        Raises:
            CommandError: an unknown control, an invalid ARN, or not exactly one of resources and ``everything``.
        """
        arns.check_one_of("control", self.control, list(all_controls()))
        if bool(self.resources) == everything:
            message = (
                "run: --resource and --all are given; only one can be" if everything else "run: no resource is given"
            )
            raise CommandError(message, "Give --resource ARN, or --all for all resources of its type.", Exit.USAGE)
        for arn in self.resources:
            arns.check(arn)
        if not self.after:
            return
        arns.check(self.after, "--after")
        if self.resources and self.after not in self.resources:
            message = f"--after {self.after}: not one of the given resources"
            raise CommandError(message, "Give the same resources as before.", Exit.USAGE)

    def command(self, stack: Stack, *, apply: bool, after: str = "") -> str:
        """Return the command line of this request, to copy."""
        return stack.line(
            "run",
            self.control,
            resource=self.resources,
            all=not self.resources,
            apply=apply,
            at_most=f"{self.at_most or ''}",
            after=after,
        )


@dataclass(slots=True)
class Rounds:
    """One run and its progress."""

    stack: Stack
    wanted: RunRequest
    dry_run: bool
    ahead: bool = False
    """True for the dry run before a real one: held resources count as they will then."""
    results: list[dict[str, Any]] = field(default_factory=list)
    """The function's answers about single resources, in its order (``evenkeel.operators.on_demand.described``)."""
    after: str | None = ""
    """The last ARN that the function finished; empty before the first answer, None when all is done."""
    run: str = ""
    """Id of the run record that lets the function change resources; a dry run needs none."""

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of resources by outcome, the most frequent first."""
        return dict(Counter(str(each["outcome"]) for each in self.results).most_common())

    @property
    def bad(self) -> dict[str, int]:
        """Return the counts of outcomes that leave a resource noncompliant; a dry run by itself ignores held ones."""
        done = DONE | {"HELD"} if self.dry_run and not self.ahead else DONE
        return {outcome: count for outcome, count in self.counts.items() if outcome not in done}

    def go(self, tick: Callable[[int], None], say: Callable[[str], None]) -> None:
        """Run rounds until all is done; ``tick`` is called with the number of resources, ``say`` with each wait.

        A round whose answer was lost is repeated: what it changed is compliant by then.

        Raises:
            CommandError: AWS or the function refused; what was done until then stays.
        """
        function = functions.of(self.stack, self.wanted.control)
        what, next_step = f"run {self.wanted.control}", f"See the log group of function {function}."
        payload = {
            "control": self.wanted.control, "resources": list(self.wanted.resources) or "all", "dry_run": self.dry_run,
            **({"run": self.run} if self.run else {}),
        }  # fmt: skip
        while self.after is not None:
            asked = {**payload, "after": self.after or self.wanted.after}
            said = functions.invoke(self.stack, function, asked, what, next_step, say=say, harmless=True)
            self.results += [_held(each) for each in said["results"]]
            if said["next"] is not None and not said["results"]:
                message = f"cannot {what}: the function timed out before it reached a resource"
                raise CommandError(message, "Listing the resources takes too long: name them with --resource.")
            self.after = said["next"]
            tick(len(self.results))
            if any("held_by" not in each for each in said["results"]):  # it is not known whether they are held
                raise CommandError(f"function {function} does not report holds", functions.OLDER)


def _held(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result; one that was skipped for a hold is ``HELD``, unless a person decided so."""
    held_by = result.get("held_by")
    if result["outcome"] != "SKIPPED" or held_by is None:
        return result
    return result if held_by["kind"] in _DECIDED else {**result, "outcome": "HELD"}
