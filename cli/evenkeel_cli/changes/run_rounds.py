"""What ``evenkeel run`` asks of a group's function, in rounds: each is one invocation, over within a minute."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls
from evenkeel.model import Outcome
from evenkeel_cli.aws import functions
from evenkeel_cli.ui import arns
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel_cli.aws.stacks import Stack

DONE = frozenset(each.value for each in Outcome if not each.meaning.out_of_line)
"""Outcomes that leave nothing to mend; any other is a resource that is not in line."""
_BY_PEOPLE = r"rejected by |dropped by |waits for approval until |\S+ had record \S+ (?:undone|taken back)$"
"""How the engine words the holds that people placed, or are to end: of undo.py, decisions.py and policy.py."""
_HELD = re.compile(rf"held until [\d-]+ [\d:]+ UTC: (?!{_BY_PEOPLE})")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants brought in line. ``resources`` is empty for all of the control's type."""

    control: str
    resources: tuple[str, ...] = ()
    after: str = ""
    """Where to go on: the ARN up to which an earlier run came."""
    at_most: int = 0
    """How many resources may be changed; 0 for no limit but the blast radius."""

    def check(self, *, everything: bool) -> None:
        """Refuse what cannot be meant, before AWS is asked.

        Raises:
            CommandError: an unknown control, no ARN, or not exactly one of resources and ``everything``.
        """
        arns.check_one_of("control", self.control, list(all_controls()))
        if bool(self.resources) == everything:
            message = "run: on which resources? Give --resource or --all, not both"
            raise CommandError(message, f"All it finds: evenkeel run {self.control} --all", Exit.USAGE)
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
    wish: Wish
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
        function = functions.of(self.stack, self.wish.control)
        what, next_step = f"run {self.wish.control}", f"The log group of function {function} says more."
        payload = {
            "control": self.wish.control, "resources": list(self.wish.resources) or "all", "dry_run": self.dry_run,
            **({"run": self.run} if self.run else {}),
        }  # fmt: skip
        while self.after is not None:
            asked = {**payload, "after": self.after or self.wish.after}
            said = functions.invoke(self.stack, function, asked, what, next_step, say=say, harmless=True)
            self.results += [_held(each) for each in said["results"]]
            if said["next"] is not None and not said["results"]:
                message = f"cannot {what}: the function's time is over before it comes to a resource"
                raise CommandError(message, "Listing takes too long: give resources by --resource.")
            self.after = said["next"]
            tick(len(self.results))


def _held(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result; what is passed over for a hold that no person placed is as ``HELD`` as when it was placed."""
    passed_over = result["outcome"] == "SKIPPED" and _HELD.match(result["reason"])
    return {**result, "outcome": "HELD"} if passed_over else result
