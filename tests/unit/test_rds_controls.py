"""The controls of databases on moto: slow states, late changes, and two findings on one new instance."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.control.registry import all_controls, groups
from evenkeel.events import parsing
from evenkeel.remediation import decide
from tests.factories.rds import cluster, instance, member, multi_az_cluster
from tests.moto_gaps.rds import held, slow
from tests.unit.databases import BOTH, ENFORCE, PROTECTION, PUBLIC, READ, SETTING, WRITE, rds_calls, switches
from tests.world import ACCOUNT, PLACE, REGION, client, cloudtrail, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.model import Result
    from tests.world import World

    Maker = Callable[[str], str]

SOURCE = "rds.amazonaws.com"


def _run(world: World, control: str, arn: str, **fields: Any) -> Result:
    return world.run(control, request(control, arn, **fields), document=ENFORCE)


def _again(world: World, control: str, result: Result, **options: Any) -> Result:
    """Bring a request back from the queue when its delay is over."""
    assert result.outcome == "RETURNED"
    world.sleep(result.delay_seconds)
    return world.run(control, result.request.again(world.now), document=ENFORCE, **options)


@pytest.mark.parametrize("control", BOTH)
def test_by_default_databases_are_only_told_of(world: World, control: str) -> None:
    """If this fails, whoever installs Evenkeel loses clients or teardowns that nobody asked it to stop."""
    arn = instance()
    assert world.run(control, request(control, arn, creates=True)).outcome == "ANNOUNCED"
    assert switches() == (False, True)


@pytest.mark.parametrize("control", BOTH)
def test_repair_is_one_read_one_write_and_one_proof(world: World, control: str) -> None:
    """If this fails, a repair costs needless calls, or says ApplyImmediately, and others' pending changes go live."""
    arn = instance()
    assert _run(world, control, arn, creates=True).outcome == "REMEDIATED"
    assert rds_calls(world) == [READ, WRITE, READ]
    [sent] = world.wire.params("ModifyDBInstance")
    assert sent == {"DBInstanceIdentifier": "orders", SETTING[control]: control == PROTECTION}
    assert _run(world, control, arn).outcome == "COMPLIANT"
    assert rds_calls(world) == [READ]


@pytest.mark.parametrize("control", BOTH)
def test_database_that_is_made_for_hours_is_waited_for(world: World, control: str) -> None:
    """If this fails, a database that is long in the making is changed too early, lost, or given up without a trace."""
    arn = instance()
    with held(arn, "creating"):
        result, looks = _run(world, control, arn, creates=True), 0
        while not decide.returned_too_long(result.request.again(world.now), world.now) and looks < 60:
            assert rds_calls(world) == [READ]
            result = _again(world, control, result)
            assert result.reason == "not ready: the database is creating"
            looks += 1
    assert 30 <= looks <= 40
    assert _again(world, control, result).outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


@pytest.mark.parametrize("control", BOTH)
def test_refusal_by_a_busy_instance_keeps_the_plan(world: World, control: str) -> None:
    """If this fails, an instance that got busy after the read is reported as a failure, or planned twice."""
    arn = instance()
    world.wire.fail("rds", "ModifyDBInstance", "InvalidDBInstanceState", "Database instance is not in available state.")
    first = _run(world, control, arn)
    assert "InvalidDBInstanceState" in first.reason
    assert _again(world, control, first).outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_refusal_by_a_busy_cluster_keeps_the_plan(world: World) -> None:
    """If this fails, a cluster that got busy after the read is reported as a failure."""
    arn = cluster()
    world.wire.fail("rds", "ModifyDBCluster", "InvalidDBClusterStateFault")
    assert _again(world, PROTECTION, _run(world, PROTECTION, arn)).outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


@pytest.mark.parametrize("control", BOTH)
@pytest.mark.parametrize("status", ["modifying", "available"])
def test_change_that_shows_late_is_never_called_a_failure(world: World, control: str, status: str) -> None:
    """If this fails, RDS's slowness is reported as a change that did not hold, or the change is made twice."""
    arn = instance()
    with slow(shown=False) as changes:
        applied = _run(world, control, arn)
        assert world.outcomes()[-1] == "APPLIED"
        with held(arn, status):  # RDS may go on saying "available" for a moment
            late = _again(world, control, applied)
            assert late.outcome == "RETURNED"
            assert WRITE not in rds_calls(world)
        changes.settle()
    assert _again(world, control, late).outcome == "COMPLIANT"
    assert world.outcomes() == ["PLANNED", "APPLIED", "REMEDIATED"]


def test_change_that_takes_hours_is_still_waited_for(world: World) -> None:
    """If this fails, a change that RDS is still making after the time for a proof counts as one that did not hold."""
    arn = instance()
    with slow(shown=False) as changes:
        late = _run(world, PUBLIC, arn)
        world.now += timedelta(hours=2)
        late = _again(world, PUBLIC, late)
        world.now += timedelta(hours=2)
        late = _again(world, PUBLIC, late)
        changes.settle()
    assert _again(world, PUBLIC, late).outcome == "COMPLIANT"
    assert world.outcomes()[-1] == "REMEDIATED"


@pytest.mark.parametrize("shown", [True, False], ids=["shown at once", "shown late"])
@pytest.mark.parametrize("order", [BOTH, BOTH[::-1]], ids=lambda order: order[0])
def test_both_findings_on_a_new_instance_are_repaired(world: World, order: tuple[str, str], shown: bool) -> None:
    """If this fails, the second of two controls loses its finding while the first one's change is being made."""
    arn = instance()
    with slow(shown=shown) as changes:
        one = _run(world, order[0], arn, creates=True)
        calls = rds_calls(world)
        other = _run(world, order[1], arn, creates=True)
        calls += rds_calls(world)
        assert other.reason == "not ready: the database is modifying"
        changes.settle()
        other = _again(world, order[1], other)
        calls += rds_calls(world)
        changes.settle()
    for control, result in zip(order, (one, other), strict=True):
        if result.outcome == "RETURNED":
            assert _again(world, control, result).outcome == "COMPLIANT"
            calls += rds_calls(world)
    assert switches() == (True, False)
    assert calls.count(WRITE) == 2
    # Two repairs of three calls and one look in vain; a change that shows late is looked at six times, and once later.
    assert len(calls) <= (7 if shown else 19)
    assert sorted(record["control"] for record in world.records() if record.get("outcome") == "REMEDIATED") == list(
        BOTH
    )
    assert world.chains() == 2


@pytest.mark.parametrize("order", [BOTH, BOTH[::-1]], ids=lambda order: order[0])
def test_both_are_repaired_when_rds_refuses_the_second_call(world: World, order: tuple[str, str]) -> None:
    """If this fails, the second call, refused because the first one's change had not shown in the status, is lost."""
    arn = instance()
    assert _run(world, order[0], arn, creates=True).outcome == "REMEDIATED"
    calls = rds_calls(world)
    world.wire.fail("rds", "ModifyDBInstance", "InvalidDBInstanceState", times=2)
    result = _run(world, order[1], arn, creates=True)
    calls += rds_calls(world)
    for _ in range(2):
        result = _again(world, order[1], result, owner="worker-2")
        calls += rds_calls(world)
    assert result.outcome == "REMEDIATED"
    assert switches() == (True, False)
    assert len(calls) == 3 + 2 + 2 + 3  # a read and a refused write for each time in vain
    assert world.outcomes().count("PLANNED") == 2


def test_aurora_is_protected_by_its_cluster_and_private_by_its_instances(world: World) -> None:
    """If this fails, a call is made that AWS refuses, or one half of an Aurora cluster is left as it is."""
    whole = cluster()
    part = member(PubliclyAccessible=True)
    assert _run(world, PROTECTION, part, creates=True).outcome == "NOT_APPLICABLE"
    assert _run(world, PROTECTION, whole, creates=True).outcome == "REMEDIATED"
    assert rds_calls(world) == ["rds:DescribeDBClusters", "rds:ModifyDBCluster", "rds:DescribeDBClusters"]
    assert _run(world, PUBLIC, whole, creates=True).outcome == "NOT_APPLICABLE"
    assert _run(world, PUBLIC, part, creates=True).outcome == "REMEDIATED"
    assert switches("orders-1") == (False, False)


def test_public_multi_az_cluster_is_told_of_and_left(world: World) -> None:
    """If this fails, nobody hears of a public Multi-AZ DB cluster, or a change is tried that does not exist."""
    arn = multi_az_cluster(PubliclyAccessible=True)
    result = _run(world, PUBLIC, arn, creates=True)
    assert (result.outcome, "restore it to a cluster that is not" in result.reason) == ("ANNOUNCED", True)
    assert [name for name in world.wire.changes() if name.startswith("rds:")] == []
    assert _run(world, PUBLIC, multi_az_cluster("carts", PubliclyAccessible=False)).outcome == "COMPLIANT"


def test_neptune_is_neither_judged_nor_listed(world: World) -> None:
    """If this fails, other services' databases are changed because they share RDS's API."""
    arn, mine = cluster("graph", Engine="neptune"), cluster()
    for control in BOTH:
        assert _run(world, control, arn, creates=True).outcome == "NOT_APPLICABLE"
        assert list(all_controls()[control].discover(world.visits()._aws, PLACE)) == [mine]


@pytest.mark.parametrize("control", BOTH)
def test_database_that_is_gone_is_gone_and_a_new_one_may_appear(world: World, control: str) -> None:
    """If this fails, RDS's own words for "no such database" are a crash, or a database just made is given up."""
    for kind in ("db", "cluster"):
        arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:orders"
        assert _run(world, control, arn).outcome == "GONE"
        assert _run(world, control, arn, creates=True).outcome == "RETURNED"


@pytest.mark.parametrize(
    ("operation", "members"), [("DescribeDBInstances", "DBInstances"), ("DescribeDBClusters", "DBClusters")]
)
def test_answer_without_the_database_means_that_it_is_gone(world: World, operation: str, members: str) -> None:
    """If this fails, an empty answer of RDS is a crash."""
    world.wire.answer("rds", operation, {members: []})
    kind = "cluster" if members == "DBClusters" else "db"
    assert _run(world, PROTECTION, f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:orders").outcome == "GONE"


def test_instance_deleted_during_the_change_is_no_alarm(world: World) -> None:
    """If this fails, an instance that somebody deleted meanwhile wakes people."""
    arn = instance()
    world.wire.fail("rds", "ModifyDBInstance", "DBInstanceNotFound", status=404)
    _run(world, PROTECTION, arn)
    assert world.records()[-1]["detail"].startswith("the resource was deleted")
    assert not world.records()[-1]["announce"]


@pytest.mark.parametrize("make", [instance, cluster], ids=["instance", "cluster"])
def test_database_that_config_names_by_its_resource_id_is_found_by_its_name(world: World, make: Maker) -> None:
    """If this fails, a verdict of AWS Config is lost, or the database is changed under an ARN that no exemption has."""
    others, arn = make("carts"), make("orders")
    by_id = _by_id(arn)
    assert _run(world, PROTECTION, by_id).outcome == "REMEDIATED"
    assert {record["resource"] for record in world.records()} == {arn}
    assert _run(world, PROTECTION, arn).outcome == "COMPLIANT"
    exempt = {"controls": [PROTECTION], "resources": [arn], "reason": "r", "approver": "a", "expires": "2099-01-01"}
    document = {**ENFORCE, "exemptions": [{**exempt, "resources": [others]}]}
    skipped = world.run(PROTECTION, request(PROTECTION, _by_id(others)), document=document)
    assert (skipped.outcome, skipped.request.resource.arn) == ("SKIPPED", others)


@pytest.mark.parametrize("arn", [f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}-EXAMPLEEXAMPLEEXAMPLE00001"
                                 for kind in ("db:db", "cluster:cluster")])  # fmt: skip
def test_resource_id_that_rds_does_not_know_is_left_alone(world: World, arn: str) -> None:
    """If this fails, a database that is gone crashes the worker, or another one is taken for it."""
    instance(), cluster()
    result = _run(world, PROTECTION, arn)
    assert (result.outcome, "no database with this resource id" in result.reason) == ("SKIPPED", True)
    whatever = {"DBInstances": [{"DbiResourceId": "db-ANOTHER", "DBInstanceArn": "arn:aws:rds:::db:orders"}]}
    world.wire.answer("rds", "DescribeDBInstances", whatever)
    assert _run(world, PUBLIC, arn).outcome == "SKIPPED"
    assert [name for name in world.wire.changes() if name.startswith("rds:")] == []


def test_resource_id_that_cannot_be_read_now_comes_again(world: World) -> None:
    """If this fails, a throttled look at a database's name loses the verdict of AWS Config."""
    by_id = _by_id(instance())
    world.wire.fail("rds", "DescribeDBInstances", "ThrottlingException")
    first = _run(world, PROTECTION, by_id)
    assert "its name or tags cannot be read now" in first.reason
    assert _again(world, PROTECTION, first).outcome == "REMEDIATED"


def _by_id(arn: str) -> str:
    """Return a database's ARN as an event of AWS Config's rules gives it: with the resource id for a name."""
    rds, name = client("rds"), arn.rpartition(":")[2]
    if ":cluster:" in arn:
        resource_id = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]["DbClusterResourceId"]
    else:
        resource_id = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["DbiResourceId"]
    return f"{arn.removesuffix(name)}{resource_id}"


def test_protected_again_by_its_owner_while_it_was_waited_for(world: World) -> None:
    """If this fails, a plan stays open though the owner has mended the finding, or the owner's change is repeated."""
    arn = instance()
    world.wire.fail("rds", "ModifyDBInstance", "InvalidDBInstanceState")
    waiting = _run(world, PROTECTION, arn)
    client("rds").modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=True)
    assert _again(world, PROTECTION, waiting).outcome == "COMPLIANT"
    assert WRITE not in rds_calls(world)
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def _asked(name: str, **detail: Any) -> list[tuple[str, str]]:
    """Return the (control, ARN) that the group's controls see in an event."""
    parsed = parsing.parse(cloudtrail(SOURCE, name, **detail), groups()["rds"], PLACE)
    return [(wish.control, wish.resource.arn.partition(":rds:")[2].split(":", 2)[2]) for wish in parsed.requests]


def test_name_in_other_letters_is_read_as_rds_keeps_it() -> None:
    """If this fails, a database is changed under a spelling of its ARN that no exemption has, or not read."""
    asked = _asked("CreateDBInstance", requestParameters={"dBInstanceIdentifier": "Orders"}, responseElements=None)
    assert {name for _, name in asked} == {"db:orders"}


@given(
    st.text(alphabet="abcXYZ019-_.:/*", max_size=80), st.sampled_from(["db", "cluster", "snapshot", "cluster-pg", "og"])
)
def test_only_databases_names_are_taken(name: str, kind: str) -> None:
    """If this fails, another resource of RDS, or a name that RDS cannot have, is taken for a database."""
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{name}"
    plain = 0 < len(name) <= 63 and not set(name) - set("abc019-")
    by_id = any(
        name.startswith(start) and 10 <= len(name) - len(start) <= 60 and not set(name[len(start) :]) - set("XYZ019")
        for start in ("db-", "cluster-")
    )
    expected = kind in {"db", "cluster"} and (plain or by_id)
    assert [all_controls()[control].applies_to(arn) for control in BOTH] == [expected, expected]
