"""What ``evenkeel run`` asks of a group's function, in rounds: each is one invocation, over within a minute."""

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
"""Outcomes that leave nothing to fix; any other is a resource that is not in line."""
_DECIDED = frozenset({HoldKind.PERSON, HoldKind.APPROVAL})
"""Holds that people placed, or are to end; an undo that failed on the way is not among them."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A person's request to bring resources in line. ``resources`` is empty for all of the control's type."""

    control: str
    resources: tuple[str, ...] = ()
    after: str = ""
    """Where to go on: the ARN up to which an earlier run came."""
    at_most: int = 0
    """How many resources may be changed; 0 for no limit but the blast radius."""

    def check(self, *, everything: bool) -> None:
        """Refuse a request that makes no sense, before AWS is asked.

        Raises:
            CommandError: an unknown control, no ARN, or not exactly one of resources and ``everything``.
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
            message = f"--after {self.after}: it is none of the resources given"
            raise CommandError(message, "Give the same resources as before.", Exit.USAGE)

    def command(self, stack: Stack, *, apply: bool, after: str = "") -> str:
        """Return the command line that asks for this, to copy."""
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
    """One run, and how far it came."""

    stack: Stack
    wanted: RunRequest
    dry_run: bool
    ahead: bool = False
    """A dry run before the resources are changed: what is held counts as it will then."""
    results: list[dict[str, Any]] = field(default_factory=list)
    """The function's answers about single resources, in its order (``evenkeel.operators.on_demand.described``)."""
    after: str | None = ""
    """ARN up to which the function came, empty before the first answer; None when all is done."""
    run: str = ""
    """Id of the run record that lets the function change resources; a dry run needs none."""

    @property
    def counts(self) -> dict[str, int]:
        """How many resources ended with each outcome, the most frequent first."""
        return dict(Counter(str(each["outcome"]) for each in self.results).most_common())

    @property
    def bad(self) -> dict[str, int]:
        """The counts of those outcomes that leave a resource out of line; a mere dry run does not mind what is held."""
        done = DONE | {"HELD"} if self.dry_run and not self.ahead else DONE
        return {outcome: count for outcome, count in self.counts.items() if outcome not in done}

    def go(self, tick: Callable[[int], None], say: Callable[[str], None]) -> None:
        """Ask until all is done; ``tick`` hears after each round how many resources were looked at, ``say`` of waiting.

        A round whose answer was lost is asked for again: what it changed is compliant by then.

        Raises:
            CommandError: AWS or the function refused; what is done until then is kept.
        """
        function = functions.of(self.stack, self.wanted.control)
        what, next_step = f"run {self.wanted.control}", f"The log group of function {function} says more."
        payload = {
            "control": self.wanted.control, "resources": list(self.wanted.resources) or "all", "dry_run": self.dry_run,
            **({"run": self.run} if self.run else {}),
        }  # fmt: skip
        while self.after is not None:
            asked = {**payload, "after": self.after or self.wanted.after}
            said = functions.invoke(self.stack, function, asked, what, next_step, say=say, harmless=True)
            self.results += [_held(each) for each in said["results"]]
            if said["next"] is not None and not said["results"]:
                message = f"cannot {what}: the function's time is over before it comes to a resource"
                raise CommandError(message, "Listing takes too long: give resources by --resource.")
            self.after = said["next"]
            tick(len(self.results))
            if any("held_by" not in each for each in said["results"]):  # whether they are held is not known
                raise CommandError(f"function {function} does not say what holds a resource", functions.OLDER)


def _held(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result; one that was skipped for a hold is ``HELD``, unless a person decided to leave it as it is."""
    held_by = result.get("held_by")
    if result["outcome"] != "SKIPPED" or held_by is None:
        return result
    return result if held_by["kind"] in _DECIDED else {**result, "outcome": "HELD"}
