"""A batch of records, served one by one: those that fail come again, those that do not are done.

Powertools has this, too; importing it costs a quarter of importing boto3, because it brings the data classes of every
event source (docs/decisions/002). This is all that is needed of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_lambda_powertools import Logger

Record = dict[str, Any]


def serve(
    records: Iterable[Record],
    one: Callable[[Record], None],
    identify: Callable[[Record], str],
    logger: Logger,
    *,
    ordered: bool = False,
) -> dict[str, Any]:
    """Serve each record and return Lambda's partial batch response (``{"batchItemFailures": […]}``).

    ``ordered`` is for streams: Lambda begins again at the first failure, so what comes after it is left for then.
    """
    failures = []
    for record in records:
        try:
            one(record)
        except Exception:  # nothing is lost: Lambda delivers a record that is named here again
            logger.exception("record failed", record_id=identify(record))
            failures.append({"itemIdentifier": identify(record)})
            if ordered:
                break
    return {"batchItemFailures": failures}
