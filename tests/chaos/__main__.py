"""``python -m tests.chaos [--events 3000] [--seed N] [--engines 1|2]``: a storm, then the books; exit 1 for a fault."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from sandbox.client import Sandbox
from sandbox.deploy.deployment import deploy
from tests.chaos import reconciliation
from tests.chaos.acts import Acts, wait_until
from tests.chaos.storm import Storm
from tests.sandbox import inbox

SETTLE_SECONDS = 900.0
"""How long what was returned to the queues may take to come to its end after the storm."""
SLOW_SECONDS = 1.0
"""How long a database or a table is creating, and a database then modifying."""
REPORT = Path(__file__).resolve().parents[2] / "build" / "chaos" / "report.json"


def run(events: int, seed: int, engines: int, *, short_lived: int = 5, quiet: bool = False) -> list[dict[str, Any]]:
    """Stand up the stacks, let the storm rage, wait until it is quiet, and return the figures of each stack."""

    def say(text: str) -> None:
        if not quiet:
            print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)  # noqa: T201 - progress

    with Sandbox(table_seconds=SLOW_SECONDS, quiet_stacks=True) as sandbox:
        stacks = tuple(deploy(sandbox, stack=name) for name in ("evenkeel", "other")[:engines])
        told = json.dumps({"kind": ["Outcome", "Tampering"]})
        heard = [inbox.subscribe(sandbox, each, RawMessageDelivery="true", FilterPolicy=told) for each in stacks]
        acts = Acts(sandbox, stacks, sandbox.create_user("alice"))
        queue = f"arn:aws:sqs:{sandbox.region}:{sandbox.account}:"
        acts.causes.made.update(f"{queue}{url.rpartition('/')[2]}" for url in heard)
        storm = Storm(sandbox, stacks, acts, seed)
        storm.prepare()
        say(f"{events} acts, seed {seed}, {engines} engine{'s' * (engines > 1)}")
        storm.rage(events, short_lived=short_lived)
        storm.calm()
        say(f"{len(acts.causes.made)} resources made, {acts.causes.killed} workers killed; waiting for quiet")

        def quiet_now() -> bool:
            left = sum(reconciliation.waiting(sandbox, stack) for stack in stacks)
            say(f"{left} messages wait")
            return left == 0

        in_time = wait_until(quiet_now, SETTLE_SECONDS, pause=5.0)
        counts = [0, -1]

        def all_told() -> bool:
            """Say whether no alert came for a while: on a busy machine they are minutes behind the queues."""
            counts.append(sum(reconciliation.lying(sandbox, url) for url in heard))
            say(f"{counts[-1]} alerts")
            return len(set(counts[-4:])) == 1

        in_time = wait_until(all_told, SETTLE_SECONDS, pause=5.0) and in_time
        found = [reconciliation.read(sandbox, stack, url) for stack, url in zip(stacks, heard, strict=True)]
        if not in_time:
            found[0].broken.append(f"messages still waited, or alerts still came, after {SETTLE_SECONDS:.0f} s")
        reconciliation.audit(found, acts.causes, sandbox)
        return [reconciliation.figures(each, acts.causes, sandbox) for each in found]


def main() -> int:
    """Run a storm as the command line says; print and keep its figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311 - a game of chance
    parser.add_argument("--engines", type=int, choices=(1, 2), default=2)
    given = parser.parse_args()
    found = run(given.events, given.seed, given.engines)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(reconciliation.as_json(found))
    print(reconciliation.as_json(found))  # noqa: T201 - the figures
    return 1 if any(each["broken"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
