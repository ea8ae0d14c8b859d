"""The storm: thousands of events while AWS throttles, fails, loses answers, and workers die.

``python -m tests.chaos`` runs it against the real stack in the sandbox, IAM enforced. What it does is drawn from a
seed; how it meets the workers is not, so two runs differ.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls
from sandbox.deploy.settings import push
from tests.cases.case import enforcing
from tests.world import reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack
    from tests.chaos.acts import Act, Acts

OURS = "assumed-role/"
"""Part of the ARN of every function's session, so that people's own calls stay whole."""
VISIBILITY_SECONDS = 30
"""The queues' in the storm: a dead worker's messages come again after this time, not after six minutes."""
FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("*", "*", {"code": "ThrottlingException", "chance": 0.03}),
    ("*", "*", {"code": "InternalFailure", "status": 500, "chance": 0.02}),
    ("*", "*", {"latency": 6.0, "chance": 0.002}),  # longer than the clients wait: a time-out
    ("kms", "EnableKeyRotation", {"code": "KMSInternalException", "status": 500, "after": True, "chance": 0.03}),
    ("logs", "PutRetentionPolicy", {"code": "ServiceUnavailableException", "after": True, "chance": 0.03}),
    ("dynamodb", "TransactWriteItems", {"code": "InternalServerError", "status": 500, "after": True, "chance": 0.01}),
    ("dynamodb", "TransactWriteItems", {"code": "TransactionInProgressException", "chance": 0.03}),
    ("kms", "EnableKeyRotation", {"code": "AccessDeniedException", "chance": 0.03, "message":
     "User is not authorized to perform: kms:EnableKeyRotation with an explicit deny in a service control policy"}),
    ("logs", "PutRetentionPolicy", {"code": "OperationAbortedException", "chance": 0.03}),
    ("s3", "PutBucketPolicy", {"code": "OperationAborted", "chance": 0.05}),
    ("s3", "PutPublicAccessBlock", {"code": "InternalError", "status": 500, "after": True, "chance": 0.05}),
    ("ec2", "RevokeSecurityGroupIngress", {"code": "InternalError", "status": 500, "after": True, "chance": 0.1}),
    # Not everywhere known yet. Of tables, because they are never set back: AWS does not forget what it knew.
    ("dynamodb", "DescribeContinuousBackups", {"code": "TableNotFoundException", "chance": 0.1}),
    ("dynamodb", "UpdateTable", {"code": "ResourceInUseException", "chance": 0.1}),
    ("rds", "ModifyDBInstance", {"code": "InvalidDBInstanceState", "chance": 0.15}),  # before its status shows why
    ("rds", "ModifyDBInstance", {"code": "InternalFailure", "status": 500, "after": True, "chance": 0.1}),
    ("lambda", "UpdateFunctionConfiguration", {"code": "ResourceConflictException", "status": 409, "chance": 0.15}),
    ("lambda", "UpdateFunctionConfiguration",
     {"code": "ServiceException", "status": 500, "after": True, "chance": 0.1}),
    ("cloudtrail", "StartLogging", {"code": "ThrottlingException", "chance": 0.2}),
    ("cloudtrail", "StartLogging", {"code": "InternalFailure", "status": 500, "after": True, "chance": 0.1}),
    ("sns", "Publish", {"code": "InternalErrorException", "status": 500, "chance": 0.05}),
)  # fmt: skip
"""Service, operation, and what happens to the functions' calls of it."""
NOT_TAGGED = {
    "controls": ["tagging-required-tags"],
    "resources": ["*:log-group:/storm/short/*"],
    "reason": "to a new resource that is not found tags are tried for half an hour",
    "approver": "the storm",
    "expires": "2099-01-01",
}


@dataclass
class Storm:
    """One storm over a sandbox. ``stacks`` are the engines; with two, both act on every resource."""

    sandbox: Sandbox
    stacks: tuple[Stack, ...]
    acts: Acts
    seed: int
    _over: threading.Event = field(default_factory=threading.Event)

    def prepare(self) -> None:
        """Push settings under which everything is repaired at once, and let dead workers' messages come again soon."""
        wide = {"limit": 1_000_000, "window_seconds": 3600}
        controls = {
            control.id: {**enforcing(control.id), "blast_radius": wide}
            for control in all_controls().values()
            if not control.only_announces
        }
        sqs = self.sandbox.client("sqs")
        for stack in self.stacks:
            document = {"settle_seconds": 0, "controls": controls, "exemptions": [NOT_TAGGED]}
            push(self.sandbox, stack, {"schema_version": 1, **document})
            for name, queue in stack.resources.items():
                if name.endswith("Queue") and queue.startswith("http"):
                    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
        self.acts.prepare()

    def rage(self, events: int, *, short_lived: int = 5, seconds_between_kills: float = 3.0) -> None:
        """Cause so many acts under faults, of each kind one at least; workers die meanwhile.

        What nobody has set back by then is set back at the end, once it is repaired, so that it is repaired twice.
        No worker dies any more then: it costs no time while the leases of the dead run out.
        ``short_lived`` is how many in about a hundred are of groups that are gone at once; each is looked for during
        two minutes.
        """
        for service, operation, what in FAULTS:
            self.sandbox.faults.add(service, operation, principal=OURS, **what)
        killer = threading.Thread(target=self._kill, args=(seconds_between_kills,), daemon=True)
        killer.start()
        with reaching(self.acts.client), ThreadPoolExecutor(6) as pool:
            _play(pool, self._drawn(events, short_lived))
            self._over.set()
            _play(pool, self.acts.rest())

    def _drawn(self, events: int, short_lived: int) -> list[Act]:
        """Draw the acts, each with its dice."""
        acts, chance = self.acts, random.Random(self.seed)  # noqa: S311 - a game of chance
        weights = {
            acts.key: 36, acts.group: 20, acts.bucket: 8, acts.table: 6, acts.open_group: 6, acts.database: 6,
            acts.function: 6, acts.trail: 6, acts.set_back: 14, acts.short_lived_group: short_lived, acts.again: 20,
            acts.poisoned: 3,
        }  # fmt: skip
        each = [act for act, weight in weights.items() if weight]
        drawn = each + chance.choices(list(weights), list(weights.values()), k=events - len(each))
        chance.shuffle(drawn)
        return [(act, random.Random(chance.getrandbits(32))) for act in drawn]  # noqa: S311 - as above

    def calm(self) -> None:
        """End all faults."""
        self.sandbox.faults.clear()

    def _kill(self, pause: float) -> None:
        """Kill a worker now and then, wherever it may be between its write-ahead and its outcome."""
        while not self._over.wait(pause):
            workers = list(_children(self.sandbox.pid))
            if workers:
                with suppress(ProcessLookupError):  # it ended by itself
                    os.kill(random.choice(workers), signal.SIGKILL)  # noqa: S311 - a game of chance
                    self.acts.causes.killed += 1


def _play(pool: ThreadPoolExecutor, acts: list[Act]) -> None:
    """Play all acts, several at a time; raise what one of them raised."""
    for ended in [pool.submit(act, dice) for act, dice in acts]:
        ended.result()


def _children(pid: int) -> Iterator[int]:
    """Yield the processes that the sandbox started: its functions' workers."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone since it was listed
            fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == pid:
                yield int(folder.name)
