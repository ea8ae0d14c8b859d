"""A note is an event again: the rounds from finding to note to finding end by themselves, whatever became of it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls, groups
from evenkeel.events import parsing
from notifier import handler
from tests.contract.registry import MATCHES
from tests.unit.test_notifier import FINE, _changed
from tests.unit.test_notifier import inbox as inbox  # noqa: PLC0414 - pytest finds fixtures by their name here
from tests.world import PLACE, Context, client, request

if TYPE_CHECKING:
    from evenkeel.model import Request
    from tests.world import World

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")
CONTROL = "kms-key-rotation"
[EXAMPLE] = [each for each in MATCHES if str(each) == f"{CONTROL}/match-security-hub"]
MODE = {"schema_version": 1, "controls": {CONTROL: {"mode": "enforce"}}}
FROZEN = {
    "schema_version": 1,
    "freezes": [{"name": "always", "cron": "0 0 * * *", "hours": 25, "timezone": "UTC", "controls": ["*"]}],
}
DENY = "User: x is not authorized to perform: kms:EnableKeyRotation with an explicit deny in a service control policy"


def _mode(mode: str) -> dict[str, Any]:
    return {"schema_version": 1, "controls": {CONTROL: {"mode": mode}}}


class _Rounds:
    """Security Hub, the remediator and the notifier, one after the other."""

    def __init__(self, world: World, document: dict[str, Any]) -> None:
        self.world, self.document = world, document
        self.notes: list[dict[str, Any]] = []
        self.note: dict[str, Any] = {}
        self._told = 0
        world.wire.stand_ins["securityhub", "BatchUpdateFindings"] = self._update
        world.wire.stand_ins["securityhub", "GetFindings"] = lambda _: {"Findings": [{"Note": self.note}]}

    def _update(self, params: dict[str, Any]) -> dict[str, Any]:
        assert not {"Workflow", "Severity"} & set(params)
        self.note = params["Note"]
        self.notes.append(self.note)
        return {"ProcessedFindings": [], "UnprocessedFindings": []}

    def go(self, wish: Request) -> str:
        """Take a request through the pipeline and what was audited through the notifier; return the outcome."""
        control = all_controls()[wish.control]
        outcome = str(self.world.run(control, wish, document=self.document).outcome)
        new = self.world.records()[self._told :]
        self._told += len(new)
        batch = [_changed("INSERT", record, number=number) for number, record in enumerate(new)]
        assert handler.handler({"Records": batch}, Context()) == FINE
        return outcome


def _finding(arn: str, note: dict[str, Any] | None) -> Request:
    event = deepcopy(EXAMPLE.event)
    [finding] = event["detail"]["findings"]
    finding["Resources"][0]["Id"] = arn
    if note:
        finding["Note"] = {**note, "UpdatedAt": "2026-11-20T09:05:00.000Z"}
    [wish] = parsing.parse(event, groups()["kms"], PLACE).requests
    return wish


@pytest.mark.parametrize(
    ("document", "fault", "outcomes", "noted"),
    [
        (MODE, {}, ["REMEDIATED", "COMPLIANT"], 1),
        (_mode("notify"), {}, ["ANNOUNCED"], 0),
        (_mode("approve"), {}, ["AWAITING", "SKIPPED"], 1),
        (FROZEN, {}, ["HELD", "SKIPPED"], 1),
        (MODE, {"code": "AccessDeniedException", "message": DENY}, ["DENIED"], 0),
        (MODE, {"code": "ValidationException"}, ["FAILED"], 0),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_finding_and_note_end_after_one_round(
    world: World, inbox: str, document: dict[str, Any], fault: dict[str, str], outcomes: list[str], noted: int
) -> None:
    """If this fails, Evenkeel's own notes wake it for ever, and each time people are told."""
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    if fault:
        world.wire.fail("kms", "EnableKeyRotation", times=99, **fault)  # type: ignore[arg-type]
    rounds, found = _Rounds(world, document), []
    found.append(rounds.go(_finding(key, None)))
    while len(rounds.notes) == len(found) and len(found) < 9:
        found.append(rounds.go(_finding(key, rounds.notes[-1])))
    assert (found, len(rounds.notes)) == (outcomes, noted)
    if noted:
        assert outcomes[0] in rounds.notes[0]["Text"]


def test_partial_change_is_noted_once(world: World, inbox: str) -> None:
    """If this fails, what only people can complete is noted and told in every round."""
    table = client("dynamodb").create_table(
        TableName="t", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )["TableDescription"]["TableArn"]  # fmt: skip
    cause = _finding(EXAMPLE.resources[0], None).cause
    values = {"values": {"Environment": "prod"}}
    document = {"schema_version": 1, "controls": {"tagging-required-tags": {"parameters": values}}}
    rounds = _Rounds(world, document)
    found = [rounds.go(request("tagging-required-tags", table, cause=cause)) for _ in range(3)]
    assert found == ["PARTIAL", "SKIPPED", "SKIPPED"]
    assert ["PARTIAL" in note["Text"] for note in rounds.notes] == [True]
