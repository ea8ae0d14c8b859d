"""The Lambda handler of every group: a batch of queue messages, or one person's request.

A group's ``handler.py`` is ``handler = remediator(__package__)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.errors import EvenkeelError, SettingsError, refusal
from evenkeel.queue_messages import QueueMessages
from evenkeel.runtime import batch
from evenkeel.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext


def remediator(package: str) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler of a group's package."""
    worker = Worker(package)
    messages = QueueMessages(worker)

    @worker.logger.inject_lambda_context
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        if isinstance(event, dict) and "Records" in event:
            return batch.serve(
                event["Records"],
                lambda record: messages.serve(record, context),
                lambda record: str(record["messageId"]),
                worker.logger,
            )
        from evenkeel.operator_requests import OperatorRequests  # noqa: PLC0415 - messages do not pay for its import

        try:
            return OperatorRequests(worker).serve(event, context)
        except EvenkeelError as error:
            if isinstance(error, SettingsError):
                worker.settings.count(error)
            worker.logger.warning("refused", error=str(error), kind=type(error).__name__)
            return refusal(error)

    return handler
