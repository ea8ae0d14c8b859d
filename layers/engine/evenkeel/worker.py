"""The parts that a Lambda worker keeps between invocations: its controls, AWS clients, settings and queue."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from evenkeel import clock, system_parts
from evenkeel.audit.ledger import Ledger
from evenkeel.control.registry import controls_of
from evenkeel.events.message import encode
from evenkeel.events.queue import Queue
from evenkeel.model import Outcome, Place
from evenkeel.remediation import decide
from evenkeel.remediation.visit import Visits
from evenkeel.runtime.aws import Aws, connect
from evenkeel.runtime.environment import Environment
from evenkeel.runtime.telemetry import telemetry
from evenkeel.settings.store import SettingsStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from evenkeel.model import Result


class Worker:
    """The parts of one Lambda worker."""

    def __init__(self, package: str) -> None:
        """Find the group's controls; AWS clients are made at the first message."""
        self.controls = controls_of(package)
        self.logger, _ = telemetry()

    @cached_property
    def environment(self) -> Environment:
        """The stack's variables."""
        return Environment.read()

    @cached_property
    def _clients(self) -> tuple[Aws, Aws]:
        return connect(self.environment.region)

    @property
    def engine_aws(self) -> Aws:
        """The clients for the engine's own calls."""
        return self._clients[0]

    @property
    def control_aws(self) -> Aws:
        """The clients for the controls' calls."""
        return self._clients[1]

    @cached_property
    def settings(self) -> SettingsStore:
        """The settings in force."""
        return SettingsStore(self.engine_aws, self.environment, self.now, self.controls)

    @cached_property
    def queue(self) -> Queue:
        """The group's queue and the dead-letter queue."""
        return Queue(self.engine_aws, self.environment.queue_url, self.environment.dlq_url)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return clock.now()

    def place(self, context: LambdaContext) -> Place:
        """Return the place in which this function may act, from its ARN."""
        return Place.of_function(context.invoked_function_arn)

    def ledger(self, owner: str) -> Ledger:
        """Return the ledger for one invocation; ``owner`` is the lease's."""
        environment = self.environment
        return Ledger(self.engine_aws, environment.audit_table, environment.state_table, owner, self.now)

    def visits(self, owner: str, context: LambdaContext) -> Visits:
        """Return the visits of one invocation; ``owner`` is the lease's."""
        environment = self.environment
        return Visits(
            self.control_aws,
            self.ledger(owner),
            scope=environment.scope,
            retention_days=environment.retention_days,
            clock=self.now,
            stack=environment.stack,
            own_parts=system_parts.arns(environment.stack, self.place(context), environment.keys),
        )

    def sts_endpoint(self) -> str:
        """Return the URL of STS, which checks people's proofs."""
        return str(self.engine_aws.client("sts").meta.endpoint_url)

    def finish(self, results: Sequence[Result]) -> None:
        """Log results, and put returned requests back on the queue: in one message if they have the same delay."""
        now, by_delay = self.now(), defaultdict(list)
        for result in results:
            self.log(result)
            if result.outcome is Outcome.RETURNED and decide.returned_too_long(result.request, now):
                reason = f"for six hours: {result.reason}"
                self.give_up(json.dumps(encode(result.request)), "GaveUp", reason)
            elif result.outcome is Outcome.RETURNED:
                by_delay[result.delay_seconds].append(result)
        for delay_seconds, together in by_delay.items():
            reasons = "; ".join(dict.fromkeys(result.reason for result in together))
            self.queue.put_back([result.request.again(now) for result in together], delay_seconds, reasons)

    def give_up(self, body: str, kind: str, reason: str) -> None:
        """Log a message that cannot be served, and send it to the dead-letter queue."""
        self.logger.error("dead letter", kind=kind, reason=reason, body_start=body[:500])
        self.queue.give_up(body, f"{kind}: {reason}")

    def log(self, result: Result) -> None:
        """Log the result of a request."""
        request = result.request
        self.logger.info(
            str(result.outcome),
            control=request.control,
            resource=request.resource.arn,
            reason=result.reason,
            event_id=request.cause.event_id,
            event_name=request.cause.event_name,
            attempt=request.attempt,
            record_id=result.record_id,
        )
