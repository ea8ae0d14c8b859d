"""Two findings on one new database go out in one call, and remain two acts: two plans, two proofs, two ways back."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.parsers import ResponseParserError

from evenkeel.control.registry import all_controls
from evenkeel.model import Result
from evenkeel.remediation import calls
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from evenkeel.settings import parser
from tests.factories.rds import instance
from tests.moto_gaps.rds import slow
from tests.unit.databases import (
    BOTH,
    ENFORCE,
    PROTECTION,
    PUBLIC,
    READ,
    SETTING,
    UNION,
    WRITE,
    ended,
    outcomes,
    rds_calls,
    switches,
)
from tests.wire import refusal
from tests.world import client, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.model import Request
    from tests.world import World

LEASE = timedelta(seconds=91)
DENY = "User: role is not authorized to perform: rds:ModifyDBInstance with an explicit deny in a service control policy"


class Death(BaseException):
    """The worker dies: nothing after this of any request happens."""


def _serve(
    world: World,
    requests: Sequence[Request],
    document: dict[str, Any] = ENFORCE,
    *,
    owner: str = "worker-1",
    redelivered: bool = False,
    crashes: bool = False,
) -> list[Result]:
    """Serve requests in one visit, with the calls counted from here; ``crashes`` are left out."""
    world.wire.calls.clear()
    asked = [(all_controls()[each.control], each) for each in requests]
    found = world.visits(owner).visit(asked, parser.parse(json.dumps(document)), redelivered=redelivered)
    crashed = [each for each in found if isinstance(each, Exception)]
    if crashed and not crashes:
        raise crashed[0]
    return [each for each in found if isinstance(each, Result)]


def _wishes(arn: str) -> list[Request]:
    return [request(control, arn, creates=True) for control in BOTH]


def _again(world: World, results: Sequence[Result], **options: Any) -> list[Result]:
    """Bring those that were returned back from the queue, when their delay is over."""
    waiting = [each for each in results if each.outcome == "RETURNED"]
    world.sleep(max(each.delay_seconds for each in waiting))
    return _serve(world, [each.request.again(world.now) for each in waiting], **options)


def test_two_findings_are_one_call_and_two_acts(world: World) -> None:
    """If this fails, the second finding of a new database waits for the first, or the records do not say who sent."""
    results = _serve(world, _wishes(instance()))
    assert [each.outcome for each in results] == ["REMEDIATED", "REMEDIATED"]
    assert rds_calls(world) == [READ, WRITE, READ]
    assert world.wire.params("ModifyDBInstance") == [UNION]
    assert switches() == (True, False)
    plans = {plan["control"]: plan for plan in world.records() if plan["step"] == "PLANNED"}
    for control, other in (BOTH, BOTH[::-1]):
        record = ended(world)[control]
        assert record["sent_with"] == {other: plans[other]["record_id"]}
        assert record["plan_id"] == plans[control]["record_id"]
        assert [len(call["params"]) for call in record["calls"]] == [2]  # its own finding's, as it was planned
    assert sum(record["aws_calls"] for record in ended(world).values()) == 3
    assert world.chains() == 2


def test_each_act_is_taken_back_by_itself(world: World) -> None:
    """If this fails, undoing one finding takes back the other's change as well, or cannot be done."""
    arn = instance()
    _serve(world, _wishes(arn))
    undoer = Undoer(Aws(client), world.ledger("undo"), "arn:aws:iam::123456789012:user/bob", 400, world.clock)
    done = undoer.run(all_controls()[PUBLIC], arn, ended(world)[PUBLIC]["record_id"])
    assert (done.outcome, switches()) == ("UNDONE", (True, True))
    assert "sent_with" not in ended(world)[PUBLIC]
    done = undoer.run(all_controls()[PROTECTION], arn, ended(world)[PROTECTION]["record_id"])
    assert (done.outcome, switches()) == ("UNDONE", (False, True))
    assert world.chains() == 2


@pytest.mark.parametrize("alone", BOTH)
@pytest.mark.parametrize("other", [{"mode": "notify"}, {"mode": "approve"}, {"mode": "off"}, "exempt", "radius"])
def test_only_what_was_decided_is_sent(world: World, alone: str, other: Any) -> None:
    """If this fails, a change goes out under another control's decision."""
    left = BOTH[1 - BOTH.index(alone)]
    document = json.loads(json.dumps(ENFORCE))
    if other == "exempt":
        exemption = {"controls": [left], "resources": ["*"], "reason": "r", "approver": "a", "expires": "2099-01-01"}
        document["exemptions"] = [exemption]
    elif other == "radius":
        document["controls"][left]["blast_radius"] = {"limit": 1, "window_seconds": 3600}
        _serve(world, [request(left, instance("first"), creates=True)], document)
    else:
        document["controls"][left] = other
    _serve(world, _wishes(instance()), document)
    [sent] = world.wire.params("ModifyDBInstance")
    assert sent == {"DBInstanceIdentifier": "orders", SETTING[alone]: UNION[SETTING[alone]]}
    assert ended(world)[alone]["outcome"] == "REMEDIATED"
    assert "sent_with" not in ended(world)[alone]


@pytest.mark.parametrize("faulty", BOTH)
@pytest.mark.parametrize(
    ("code", "message", "ends"),
    [("InvalidParameterCombination", "not for this engine", "FAILED"), ("AccessDenied", DENY, "DENIED")],
)
def test_refusal_of_one_does_not_keep_the_other_from_being_repaired(
    world: World, faulty: str, code: str, message: str, ends: str
) -> None:
    """If this fails, a finding that can be mended stays because AWS refuses another one's change."""
    arn = instance()
    skip = 0 if faulty == PROTECTION else 1
    world.wire.fail("rds", "ModifyDBInstance", code, message)
    world.wire.fail("rds", "ModifyDBInstance", code, message, skip=skip)
    _serve(world, _wishes(arn))
    assert [len(sent) for sent in world.wire.params("ModifyDBInstance")] == [3, 2, 2]
    other = BOTH[1 - BOTH.index(faulty)]
    assert outcomes(world) == {faulty: ends, other: "REMEDIATED"}
    assert not any("sent_with" in record for record in ended(world).values())


def test_refusal_because_it_is_busy_is_tried_again_together(world: World) -> None:
    """If this fails, a busy database gets single calls that it refuses as well, or the two part for good."""
    arn = instance()
    world.wire.fail("rds", "ModifyDBInstance", "InvalidDBInstanceState", "Database instance is not in available state.")
    first = _serve(world, _wishes(arn))
    assert [(each.outcome, each.delay_seconds) for each in first] == [("RETURNED", 2), ("RETURNED", 2)]
    assert rds_calls(world).count(WRITE) == 1
    assert [each.outcome for each in _again(world, first)] == ["REMEDIATED", "REMEDIATED"]
    assert world.wire.params("ModifyDBInstance") == [UNION]
    assert world.outcomes().count("PLANNED") == 2


def test_call_whose_answer_is_lost_is_looked_at_before_it_is_made_again(world: World) -> None:
    """If this fails, a change that went through is made twice, or stays without an outcome."""
    arn = instance()

    def lose(params: dict[str, Any]) -> None:
        client("rds").modify_db_instance(**params)
        raise ReadTimeoutError(endpoint_url="https://rds.eu-west-1.amazonaws.com")

    world.wire.when("rds", "ModifyDBInstance", lose)
    first = _serve(world, _wishes(arn))
    assert [each.outcome for each in _again(world, first)] == ["COMPLIANT", "COMPLIANT"]
    assert WRITE not in rds_calls(world)
    assert outcomes(world) == dict.fromkeys(BOTH, "REMEDIATED")


def test_late_proofs_are_waited_for_at_the_same_time(world: World) -> None:
    """If this fails, several slow changes of one database outlast the function's minute."""
    arn = instance()
    with slow(shown=False) as changes:
        before = world.now
        applied = _serve(world, _wishes(arn))
        assert timedelta(seconds=9) < world.now - before < timedelta(seconds=11)
        changes.settle()
    assert outcomes(world) == dict.fromkeys(BOTH, "APPLIED")
    assert [each.outcome for each in _again(world, applied)] == ["COMPLIANT", "COMPLIANT"]
    assert outcomes(world) == dict.fromkeys(BOTH, "REMEDIATED")
    assert [list(ended(world)[control]["sent_with"]) for control in BOTH] == [[PUBLIC], [PROTECTION]]


def test_death_between_any_two_calls_leaves_nothing_open_and_nothing_twice(world: World) -> None:
    """If this fails, a worker that dies over a shared call leaves a plan without an outcome, or a chain broken."""
    _serve(world, _wishes(instance("clean")))
    made = world.wire.names()
    for number, name in enumerate(made):
        arn = instance(f"orders-{number}")
        world.wire.clear()
        service, _, operation = name.partition(":")
        world.wire.when(service, operation, _die, skip=made[:number].count(name))
        with pytest.raises(Death):
            _serve(world, _wishes(arn))
        writes = rds_calls(world).count(WRITE)
        world.now += LEASE
        results = _serve(world, _wishes(arn), owner="worker-2", redelivered=True)
        writes += rds_calls(world).count(WRITE)
        while any(each.outcome == "RETURNED" for each in results):
            results = _again(world, results, owner="worker-2")
            writes += rds_calls(world).count(WRITE)
        assert switches(f"orders-{number}") == (True, False), f"died at {name}"
        assert 1 <= writes <= 2, f"died at {name}"
        for control in BOTH:
            assert world.state(control, arn).plan == "", f"died at {name}"
            records = [each for each in world.records() if (each["resource"], each["control"]) == (arn, control)]
            assert [each.get("outcome", each["step"]) for each in records] == ["PLANNED", "REMEDIATED"], name
    assert world.chains() == 2 * (len(made) + 1)


def _die(_: dict[str, Any]) -> None:
    raise Death


@pytest.mark.parametrize(
    "error",
    [
        (400, "InvalidDBInstanceState", "the engine's own words"),
        (500, "InternalFailure", ""),
        ResponseParserError("an answer that is no XML"),
    ],
    ids=["busy", "fault", "odd answer"],
)
@pytest.mark.parametrize("faulty", BOTH)
def test_fault_of_one_that_looks_like_a_passing_one_does_not_hold_up_the_other(
    world: World, faulty: str, error: Any
) -> None:
    """If this fails, one finding that AWS never lets us mend keeps another one of the same database open."""
    arn = instance()
    setting = SETTING[faulty]

    def refuse(params: dict[str, Any]) -> Any:
        if setting not in params:
            return None
        if isinstance(error, Exception):
            raise error
        status, code, message = error
        return refusal(code, message, status=status)

    world.wire.when("rds", "ModifyDBInstance", refuse, times=99)
    results = _serve(world, _wishes(arn), crashes=isinstance(error, Exception))
    for _ in range(calls.BUSY_ATTEMPTS):
        if results and all(each.outcome == "RETURNED" for each in results):
            results = _again(world, results)
    other = BOTH[1 - BOTH.index(faulty)]
    assert outcomes(world) == {other: "REMEDIATED"}
    assert world.state(faulty, arn).plan


def test_database_that_is_not_found_by_the_call_is_not_asked_three_times(world: World) -> None:
    """If this fails, a new database that RDS does not let be changed yet gets three calls each time."""
    arn = instance()
    world.wire.fail("rds", "ModifyDBInstance", "DBInstanceNotFound", status=404)
    first = _serve(world, _wishes(arn))
    assert [each.outcome for each in first] == ["RETURNED", "RETURNED"]
    assert rds_calls(world).count(WRITE) == 1
    assert [each.outcome for each in _again(world, first)] == ["REMEDIATED", "REMEDIATED"]
