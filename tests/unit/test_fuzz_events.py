"""Spoiled events through each group's handler on an AWS: all are accounted for, and nothing is done on garbage."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.control.registry import all_controls, groups
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing
from evenkeel.events.message import encode
from evenkeel.lambda_handler import remediator
from evenkeel.model import Call
from evenkeel.queue_messages import MAX_RECEIVES
from evenkeel.runtime.aws import Aws
from tests.cases.case import changes_type, enforcing, maker
from tests.contract.permissions import pascal
from tests.contract.registry import MATCHES
from tests.examples import examples
from tests.factories import ARNS
from tests.fuzzing import CONTROLS, spoiled
from tests.tables import AUDIT, STATE
from tests.world import ACCOUNT, DLQ_URL, PLACE, QUEUE_URL, Context, client, sqs_event

if TYPE_CHECKING:
    from evenkeel.audit.records import Record
    from evenkeel.control import Control
    from tests.wire import Made
    from tests.world import World

pytestmark = pytest.mark.hypothesis
SETTINGS = {"schema_version": 1, "controls": {control.id: enforcing(control.id) for control in CONTROLS}}
OURS = {AUDIT, STATE, QUEUE_URL, DLQ_URL}
EACH = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)


def _kind(arn: str) -> tuple[str, str]:
    """Return an ARN's service and the word before its first separator, which tells types apart."""
    service, name = arn.split(":")[2], arn.split(":", 5)[5]
    parts = re.split("[:/]", name, maxsplit=1)
    return service, parts[0] if len(parts) > 1 else ""


def _aimed(event: dict[str, Any], named: str, made: str) -> dict[str, Any]:
    """Return an event that names another resource in all its parts."""
    start = 0
    while named[start:] and named[: start + 1] == made[: start + 1]:
        start += 1
    start = max(named.rfind(sign, 0, start) for sign in ":/") + 1
    text = json.dumps(event).replace(named, made)
    aimed: dict[str, Any] = json.loads(text.replace(named[start:], made[start:]) if named[start:] else text)
    return aimed


def _sources(control: Control) -> list[dict[str, Any]]:
    """Make one weak resource of each of a control's types, and return the example events, each about one of them."""
    made = {
        kind: maker(control.id, kind)()
        for kind, arn in ARNS.items()
        if control.applies_to(arn) and (control.only_announces or changes_type(control, kind))
    }
    found = []
    for example in (each for each in MATCHES if each.control == control):
        for arn in made.values():
            if _kind(arn) == _kind(example.resources[0]):
                event = _aimed(example.event, example.resources[0], arn)
                parsed = parsing.parse(event, (control,), PLACE)
                found += [event, *(encode(request) for request in parsed.requests)]
    assert found
    return found


def _name(control: Control, arn: str) -> str:
    """Return what an event about a resource must hold: its name, or the account of what there is one of."""
    return ACCOUNT if control.of_the_account else re.split("[:/]", arn)[-1]


def _outside(world: World) -> list[Made]:
    """Return the changes that were called for outside of the stack's own tables and queues."""
    return [
        made
        for made in world.wire.calls
        if f"{made.service}:{made.operation}" in world.wire.changes()
        and not OURS & {made.params.get("TableName"), made.params.get("QueueUrl")}
        and made.operation != "TransactWriteItems"
    ]


def _asked(payload: Any, control: Control) -> tuple[set[str], bool]:
    """Return the resources that a payload asks a group to look at, and whether it is malformed."""
    try:
        parsed = parsing.parse(payload, groups()[control.group], PLACE)
    except MalformedPayloadError:
        return set(), True
    return {request.resource.arn for request in parsed.requests}, False


def _known(planned: list[Record]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the calls that plans are about, and the one call of several controls that may stand for them."""
    known, together = [], defaultdict[Any, dict[str, Any]](dict)
    for record in planned:
        for call in record["calls"]:
            known.append((call["service"], pascal(call["service"], call["operation"]), call["params"]))
            if call["operation"] in all_controls()[record["control"]].merges:
                together[record["resource"], *known[-1][:2]] |= call["params"]
    return known + [(service, operation, params) for (_, service, operation), params in together.items()]


def _start_again(world: World) -> None:
    """Take all changes back and forget them, so that the next example finds what the first one found."""
    for record in world.records():
        if record["step"] == "PLANNED":
            for call in record["undo"]:
                Aws(client).run(Call(**call))
    for table, keys in ((AUDIT, ("resource", "record_id")), (STATE, ("pk",))):
        for item in client("dynamodb").scan(TableName=table)["Items"]:
            client("dynamodb").delete_item(TableName=table, Key={key: item[key] for key in keys})
    world.wire.clear()


@EACH
def test_spoiled_event_is_accounted_for_and_changes_only_what_it_names(world: World, control: Control) -> None:
    """If this fails, some event crashes the worker for want of a check, vanishes, or has another resource changed."""
    sources = _sources(control)
    world.settings(SETTINGS)
    handler = remediator(type(control).__module__.partition(".")[0])

    handler(sqs_event(sources[0]), Context())
    assert control.only_announces or "PLANNED" in [record["step"] for record in world.records()]

    @examples(2)
    @given(spoiled(st.sampled_from(sources), least=0))
    def deliver(payload: Any) -> None:
        _start_again(world)
        asked, malformed = _asked(payload, control)
        assert handler(sqs_event(payload, receives=MAX_RECEIVES), Context()) == {"batchItemFailures": []}
        planned = [record for record in world.records() if record["step"] == "PLANNED"]
        known = _known(planned)
        assert all((made.service, made.operation, made.params) in known for made in _outside(world))
        assert {record["resource"] for record in planned} <= asked
        named = json.dumps(payload).lower()  # RDS keeps in lower case what a caller spelled otherwise
        assert all(_name(control, arn).lower() in named for arn in asked)
        letters = [sent for sent in world.wire.params("SendMessage") if sent["QueueUrl"] == DLQ_URL]
        reasons = [sent["MessageAttributes"]["reason"]["StringValue"] for sent in letters]
        assert malformed == any(reason.startswith("Malformed: ") for reason in reasons)
        assert all(re.match("Malformed: |Crashed: (ClientError|ParamValidationError): |GaveUp: ", it) for it in reasons)

    deliver()
