"""What one Lambda worker keeps between invocations: its controls, the AWS clients, settings and queue."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from evenkeel import system_parts
from evenkeel.audit.ledger import Ledger
from evenkeel.control.registry import controls_of
from evenkeel.events.queue import Queue
from evenkeel.model import Place
from evenkeel.remediation.visit import Visits
from evenkeel.runtime.aws import Aws, connect
from evenkeel.runtime.environment import Environment
from evenkeel.runtime.telemetry import telemetry
from evenkeel.settings.store import SettingsStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Worker:
    """The parts of one Lambda worker."""

    def __init__(self, package: str) -> None:
        """Find the group's controls; AWS is reached at the first message."""
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
        return datetime.now(UTC)

    def place(self, context: LambdaContext) -> Place:
        """Return where this function may act, from its own ARN."""
        return Place.of_function(context.invoked_function_arn)

    def ledger(self, owner: str) -> Ledger:
        """Return the ledger for one invocation; ``owner`` is the lease's."""
        environment = self.environment
        return Ledger(self.engine_aws, environment.audit_table, environment.state_table, owner, self.now)

    def visits(self, owner: str, context: LambdaContext) -> Visits:
        """Return what serves the requests of one invocation; ``owner`` is the lease's."""
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
        """Return the URL of STS, for which people sign their proofs."""
        return str(self.engine_aws.client("sts").meta.endpoint_url)
