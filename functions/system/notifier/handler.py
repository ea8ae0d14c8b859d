"""The Lambda entry of the notifier: sends an alert and an event for each outcome, and notes it on its finding.

Its only input is the audit table's stream, so an outcome without a record cannot be announced. A record that was
planted, changed or removed (other than by its time-to-live) is itself announced, as tampering.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.audit.records import has_ended, record_hash
from evenkeel.errors import AwsError, UnreadableVersionError, code
from evenkeel.events.message import ActorForm, CauseForm
from evenkeel.model import Outcome, Step
from evenkeel.runtime import batch
from evenkeel.runtime.aws import Aws, connect
from evenkeel.runtime.tags import read_tags
from evenkeel.runtime.telemetry import COUNT, telemetry
from notifier import alert, chain, digest_mac, finding_note
from notifier.circuit_breaker import CircuitBreaker, UnansweredError
from notifier.event import DETAIL_TYPES, SOURCE, detail
from notifier.next_steps import Home

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from evenkeel.audit.record_types import EndedRecord, Item, Record
    from notifier.alert import Alert

logger, metrics = telemetry()

# The Tagging API's error for an ARN that it does not accept, such as ours for an account's one setting.
_NOT_TAGGABLE = "InvalidParameterException"
# The errors from making an alert of a malformed record.
_MALFORMED = (AttributeError, LookupError, TypeError, ValueError)
_TEXTS = (
    *("record_id", "step", "control", "title", "resource", "account", "region", "severity", "mode", "reason"),
    *("remains", "residue", "at", "settings_version", "previous"),
)
"""The fields that every record has as text."""
_TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@lru_cache(maxsize=1)
def _aws() -> Aws:
    return connect(os.environ["AWS_REGION"])[0]


@lru_cache(maxsize=1)
def _home() -> Home:
    return Home.read(os.environ)


@lru_cache(maxsize=1)
def _tagging() -> CircuitBreaker:
    return CircuitBreaker(_aws())


@lru_cache(maxsize=1)
def _security_hub() -> CircuitBreaker:
    return CircuitBreaker(_aws())


def announce(raw: batch.Record) -> None:
    """Announce one change of the audit table from its stream."""
    keys = raw["dynamodb"]["Keys"]
    new = chain.read(raw["dynamodb"].get("NewImage", {}))
    if raw["eventName"] == "INSERT" and new is not None and _is_newer(new):
        which = f"record {new['record_id']} is of schema version {new['schema_version']}, which a later release reads"
        raise UnreadableVersionError(f"{which}; its alert waits until the notifier is updated")
    if raw["eventName"] == "INSERT" and new is not None and _is_record(new) and chain.is_chained(_aws(), new):
        if has_ended(new):
            _outcome(raw, new)
    elif raw["eventName"] == "INSERT" and new is not None and digest_mac.is_ours(_aws(), new):
        logger.info("digest", record_id=new["record_id"], hash=new["hash"])
    elif raw["eventName"] == "REMOVE" and raw.get("userIdentity") == _TIME_TO_LIVE:
        logger.debug("expired", keys=keys)
    else:
        _tampering(raw, new or {})


def _tampering(raw: batch.Record, new: Item) -> None:
    images = raw["dynamodb"]
    metrics.add_metric("Tampering", COUNT, 1)
    logger.critical("tampering", change=raw["eventName"], keys=images["Keys"])
    keys = {name: str(next(iter(value.values()))) for name, value in images["Keys"].items()}
    old = {**(chain.read(images.get("OldImage", {})) or {}), **keys}
    _send(alert.tampering(raw["eventName"], old, new, _home()), old)


def _is_newer(record: Item) -> bool:
    """Return whether a later release wrote a record: in an update the notifier may be the last function replaced."""
    aws = _aws()
    return chain.is_of_a_later_release(aws, record) or digest_mac.is_ours_of_a_later_release(aws, record)


def _is_record(record: Item) -> TypeGuard[Record]:
    """Return whether an item has the form that the engine writes, and the hash of its content."""
    kinds = {**dict.fromkeys(_TEXTS, str), "actor": dict, "cause": dict, "calls": list, "undo": list}
    known = all(isinstance(record.get(name), kind) for name, kind in kinds.items())
    if not known or not isinstance(record.get("sent_with", {}), dict) or record.get("hash") != record_hash(record):
        return False
    actor, cause = record["actor"], record["cause"]
    if actor.keys() != ActorForm.__annotations__.keys() or not cause.keys() >= CauseForm.__annotations__.keys():
        return False
    if not all(isinstance(text, str) for text in (*actor.values(), *cause.values())):
        return False
    if record["step"] == Step.PLANNED:
        return True
    ended = isinstance(record.get("announce"), bool) and isinstance(record.get("detail"), str)
    return ended and record["step"] == Step.OUTCOME and record.get("outcome") in list(Outcome)


def _outcome(raw: batch.Record, record: EndedRecord) -> None:
    outcome = Outcome(record["outcome"])
    logger.info(str(outcome), control=record["control"], resource=record["resource"], record_id=record["record_id"])
    if record["announce"] and outcome.meaning.announced:
        tags, unread = ({}, "") if outcome.meaning.about_system else _tags(record)
        try:
            message = alert.outcome(record, _home(), tags, unread)
        except _MALFORMED:  # announced as tampering, instead of blocking all alerts behind it
            logger.exception("cannot make an alert of the record", record_id=record["record_id"])
            _tampering(raw, record)
            return
        _send(message, record)
        logger.info("announced", record_id=record["record_id"])
    if finding_note.is_due(record):
        _note(record)


def _tags(record: EndedRecord) -> tuple[dict[str, str], str]:
    """Return the tags of a record's resource, or why they cannot be read; an alert never waits for them."""
    try:
        return _tagging()(lambda aws: read_tags(aws, record["resource"])), ""
    except (*AwsError, UnansweredError) as error:
        why = code(error) if isinstance(error, ClientError) else type(error).__name__
        if why == _NOT_TAGGABLE:
            return {}, ""
        logger.warning("cannot read tags", resource=record["resource"], error=str(error))
        return {}, why


def _note(record: EndedRecord) -> None:
    """Put a note on a Security Hub finding. The alert has been sent, so a note that fails is not tried again."""
    known: dict[str, Any] = {"record_id": record["record_id"], "finding": record["cause"]["finding_id"]}
    try:
        _security_hub()(lambda aws: finding_note.put(aws, record))
    except finding_note.FindingDeletedError:
        logger.info("finding deleted", **known)
    except (finding_note.NoteError, UnansweredError, ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and code(error) == finding_note.OFF:
            logger.info("security hub is off", **known)
            return
        logger.error("not noted", error=str(error), kind=type(error).__name__, **known)  # noqa: TRY400 - the error is logged
    else:
        logger.info("noted", **known)


def _send(message: Alert, record: Item) -> None:
    """Publish an alert to the topic, then an event to the bus; a repeated one has the same record id."""
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
    _aws()(
        "sns",
        "publish",
        TopicArn=os.environ["EVENKEEL_TOPIC_ARN"],
        Subject=message.subject,
        Message=message.text,
        MessageAttributes=attributes,
    )
    entry = {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPES[message.attributes["kind"]],
        "Detail": detail(record),
        "Resources": [record["resource"]],
        "EventBusName": os.environ["EVENKEEL_BUS_NAME"],
    }
    answer = _aws()("events", "put_events", Entries=[entry])
    if answer["FailedEntryCount"]:
        failed = answer["Entries"][0]
        raise RuntimeError(f"{record['record_id']}: the bus refused it: {failed.get('ErrorCode')}; sending again")


def _sequence_number(raw: batch.Record) -> str:
    return str(raw["dynamodb"]["SequenceNumber"])


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch from the stream; records that fail are delivered again."""
    logger.debug("batch", records=len(event["Records"]), request=context.aws_request_id)
    return batch.serve(event["Records"], announce, _sequence_number, logger, ordered=True)
