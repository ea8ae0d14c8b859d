"""A batch of records, served one by one: only those that fail are delivered again.

Powertools has this, too, but importing it takes a quarter of the time of importing boto3, because it imports the data
classes of every event source (docs/decisions/002).
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

    ``ordered`` is for streams: Lambda starts again at the first failure, so the records after it are not served now.
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
