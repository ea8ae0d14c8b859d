"""Several controls in one visit: races with other workers, and requests that come again, end as with each alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls
from evenkeel.settings import parser
from tests.factories.logs import group
from tests.factories.rds import instance
from tests.unit.databases import BOTH, ENFORCE, PROTECTION, PUBLIC, READ, UNION, WRITE, ended, outcomes, rds_calls
from tests.world import ACCOUNT, LOG_KEY, REGION, client, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.model import Request, Result
    from tests.world import World

GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/app/orders"
ENCRYPTION, RETENTION = LOGS = ("logs-group-encryption", "logs-group-retention")
DENIED = "User: role is not authorized to perform: tag:GetResources with an explicit deny in a service control policy"


def _visit(world: World, requests: Sequence[Request], document: dict[str, Any]) -> list[Result | Exception]:
    world.wire.calls.clear()
    asked = [(all_controls()[each.control], each) for each in requests]
    return world.visits().visit(asked, parser.parse(json.dumps(document)))


def _by_resource_id(arn: str) -> str:
    """Return a database's ARN as AWS Config's rules give it."""
    [found] = client("rds").describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
    return arn.removesuffix("orders") + str(found["DbiResourceId"])


def test_repair_after_a_shared_read_is_seen_by_every_control(world: World) -> None:
    """If this fails, a control judges another's older answer, and repairs again what a worker has just repaired."""
    group(kmsKeyId=LOG_KEY)
    document = {"schema_version": 1, "controls": {ENCRYPTION: {"mode": "notify"}, RETENTION: {"mode": "enforce"}}}

    def other(_: object) -> None:
        """Repair the retention between the shared read and the second control's judgement."""
        world.run(RETENTION, request(RETENTION, GROUP), document=document, owner="worker-2")

    world.wire.when("dynamodb", "GetItem", other)  # the first control asks what it has announced
    results = _visit(world, [request(control, GROUP) for control in LOGS], document)
    assert [each.outcome for each in results if not isinstance(each, Exception)] == ["COMPLIANT", "COMPLIANT"]
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_control_whose_state_item_is_stale_still_shares_the_call(world: World) -> None:
    """If this fails, a database made again under an old name is changed twice, and the second change has to wait."""
    arn = instance()
    world.run(PUBLIC, request(PUBLIC, arn), document=ENFORCE)
    client("rds").modify_db_instance(DBInstanceIdentifier="orders", PubliclyAccessible=True)
    _visit(world, [request(control, arn, creates=True) for control in BOTH], ENFORCE)
    assert rds_calls(world) == [READ, READ, WRITE, READ]
    assert world.wire.params("ModifyDBInstance") == [UNION]
    assert outcomes(world) == dict.fromkeys(BOTH, "REMEDIATED")
    assert set(ended(world)[PUBLIC]["sent_with"]) == {PROTECTION}


def test_returned_requests_name_the_database_by_its_own_arn(world: World) -> None:
    """If this fails, of two requests that come again one has another name, and they are no visit any more."""
    arn = instance()
    world.wire.cancel("None", "TransactionConflict", times=5)
    world.wire.fail("rds", "ModifyDBInstance", "ThrottlingException", times=9)
    results = _visit(world, [request(control, _by_resource_id(arn)) for control in BOTH], ENFORCE)
    assert [(each.outcome, each.request.resource.arn) for each in results if not isinstance(each, Exception)] == [
        ("RETURNED", arn),
        ("RETURNED", arn),
    ]


def test_unreadable_tags_are_recorded_under_the_databases_own_arn(world: World) -> None:
    """If this fails, the audit and the exemptions know a database by an id that nobody gave it."""
    arn = instance()
    by_tag = {"mode": "enforce", "overrides": [{"tags": {"env": "dev"}, "mode": "notify"}]}
    world.wire.fail("resourcegroupstaggingapi", "GetResources", "AccessDeniedException", DENIED)
    asked = request(PUBLIC, _by_resource_id(arn))
    result = world.run(PUBLIC, asked, document={"schema_version": 1, "controls": {PUBLIC: by_tag}})
    assert result.outcome == "DENIED"
    assert [record["resource"] for record in world.records()] == [arn]
