"""A person's decision as it comes to a group's function: proved, carried out, answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.lambda_handler import remediator
from evenkeel.model import Actor
from tests.sts import CALLER, Sts, signed
from tests.world import QUEUE_URL, Context, client, logged, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
APPROVE = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}


@pytest.fixture
def awaiting(world: World) -> tuple[str, str]:
    """Return a key and the record of its repair that waits for approval."""
    world.settings(APPROVE)
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    wish = request(CONTROL, arn, actor=Actor("arn:aws:iam::123456789012:user/alice"))
    return arn, world.run(CONTROL, wish, document=APPROVE).record_id


def _ask(milliseconds: int = 60_000, /, **payload: Any) -> dict[str, Any]:
    answer: dict[str, Any] = remediator("kms")(payload, Context(remaining=lambda: milliseconds))
    return answer


def _held(world: World) -> str:
    """Return a key whose repair a freeze has held for a minute."""
    frozen = {"schema_version": 1, "freezes": [{"cron": "* * * * *", "hours": 1}]}
    arn: str = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.now -= timedelta(minutes=1)
    assert world.run(CONTROL, request(CONTROL, arn), document=frozen).outcome == "HELD"
    world.now += timedelta(minutes=1)
    return arn


def test_approval_comes_through_with_the_callers_name(
    world: World, sts: str, awaiting: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, nobody can approve anything on the deployed stack."""
    arn, record_id = awaiting
    answer = _ask(**signed(sts, {"approve": record_id, "resource": arn}))
    [result] = answer["results"]
    assert (result["outcome"], result["resource"], result["control"]) == ("REMEDIATED", arn, CONTROL)
    assert result["calls"][0].startswith("aws kms enable-key-rotation ")
    assert world.records()[-1]["approver"] == CALLER
    assert logged(caplog) == {"REMEDIATED": 1}


def test_decision_of_whoever_caused_it_is_answered_with_the_reason(
    world: World, sts: str, awaiting: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a refusal is a stack trace, or the causer's own yes counts."""
    Sts.body = "<Arn>arn:aws:iam::123456789012:user/alice</Arn>"
    arn, record_id = awaiting
    answer = _ask(**signed(sts, {"approve": record_id, "resource": arn}))
    assert answer["error"]["kind"] == "ApprovalRefusedError"
    assert answer["error"]["message"].startswith(f"{arn}: ")
    assert logged(caplog) == {"refused": 1}
    assert world.outcomes() == ["AWAITING"]


@pytest.mark.parametrize("caller", [None, {}, "root", {"arn": CALLER}, []])
def test_decision_without_proof_is_refused(world: World, sts: str, awaiting: tuple[str, str], caller: Any) -> None:
    """If this fails, whoever may invoke the function decides under nobody's name."""
    arn, record_id = awaiting
    for payload in (
        {"approve": record_id, "resource": arn},
        {"reject": record_id, "resource": arn, "because": "x"},
        {"release": CONTROL, "resource": "all"},
        {"drop": CONTROL, "resource": arn, "because": "x"},
    ):
        assert _ask(**payload, caller=caller)["error"]["kind"] == "UnprovedCallerError"
    assert world.outcomes() == ["AWAITING"]


def test_proof_for_one_record_does_not_serve_for_another(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, an approval that was overheard approves something else."""
    arn, record_id = awaiting
    proof = signed(sts, {"approve": "another", "resource": arn})["caller"]
    assert "another stack or request" in _ask(approve=record_id, resource=arn, caller=proof)["error"]["message"]


def test_proof_of_one_decision_does_not_serve_for_another(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, whoever overhears a rejection approves with it, or gives it another reason."""
    arn, record_id = awaiting
    proof = signed(sts, {"reject": record_id, "resource": arn, "because": "no"})["caller"]
    for other in ({"approve": record_id}, {"reject": record_id, "because": "yes"}):
        assert "another stack or request" in _ask(**other, resource=arn, caller=proof)["error"]["message"]
    assert world.outcomes() == ["AWAITING"]


def test_decision_under_settings_that_cannot_be_read_changes_nothing(
    world: World, sts: str, awaiting: tuple[str, str]
) -> None:
    """If this fails, an approval is carried out by settings that nobody can have meant."""
    arn, record_id = awaiting
    world.settings("{}")
    assert "schema_version" in _ask(**signed(sts, {"approve": record_id, "resource": arn}))["error"]["message"]
    assert world.outcomes() == ["AWAITING"]


def test_release_of_all_comes_back_through_the_queue(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, what was held is not looked at again after release."""
    arn = _held(world)
    answer = _ask(**signed(sts, {"release": CONTROL, "resource": "all"}))
    assert [(result["resource"], result["outcome"]) for result in answer["results"]] == [(arn, "RETURNED")]
    assert answer["next"] is None
    assert len(world.messages(QUEUE_URL)) == 1


def test_release_of_all_goes_on_round_after_round(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, what is held by the thousand is never released whole, or each round begins the allowance anew."""
    arns = {_held(world) for _ in range(4)}
    wish = {"release": CONTROL, "resource": "all"}
    asked, rounds = wish, []
    while asked and len(rounds) < 10:
        answer = _ask(14_999, **signed(sts, asked))
        rounds.append([result["resource"] for result in answer["results"]])
        asked = {**wish, "after": answer["next"]} if answer["next"] else {}
    assert sorted(arn for found in rounds for arn in found) == sorted(arns)  # each once
    assert (asked, max(map(len, rounds))) == ({}, 1)
    assert len(world.messages(QUEUE_URL)) == 4
    assert not any(world.state(CONTROL, arn).held(world.now) for arn in arns)
    assert world.state(CONTROL, awaiting[0]).held(world.now)
    counters = [made for made in world.wire.params("UpdateItem") if made["Key"]["pk"]["S"].startswith("radius#")]
    assert len(counters) == 1


def test_what_is_held_again_is_not_released_by_a_later_round(world: World, sts: str) -> None:
    """If this fails, a release goes round for ever: what goes beyond the new allowance is released again and again."""
    arns = {_held(world) for _ in range(2)}
    wish = {"release": CONTROL, "resource": "all"}
    first = _ask(14_999, **signed(sts, wish))
    [released] = [result["resource"] for result in first["results"]]
    world.now = datetime.now(UTC) + timedelta(minutes=1, seconds=1)
    frozen = {"schema_version": 1, "freezes": [{"cron": "* * * * *", "hours": 1}]}
    assert world.run(CONTROL, request(CONTROL, released), document=frozen).outcome == "HELD"
    since, *_ = first["next"].split("/")
    answer = _ask(**signed(sts, {**wish, "after": f"{since}/00/0/{CONTROL}#"}))
    assert {result["resource"] for result in answer["results"]} == arns - {released}
    assert answer["next"] is None
    assert world.state(CONTROL, released).held(world.now)


@pytest.mark.parametrize(
    "after", ["", "x", None, 7, [], "00000000000g-0000000000000000/00/1/a", f"{'0' * 12}-{'0' * 16}/16/1/a"]
)
def test_where_a_release_goes_on_is_checked(world: World, sts: str, after: Any) -> None:
    """If this fails, a slip in what was copied is a stack trace, or begins at the wrong place."""
    wish = {"release": CONTROL, "resource": "all", "after": after}
    assert _ask(**signed(sts, wish))["error"]["message"].startswith("after: ")


def test_only_a_release_of_all_goes_on(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, what means nothing is taken for part of a decision."""
    wish = {"release": CONTROL, "resource": awaiting[0], "after": "x"}
    assert _ask(**signed(sts, wish))["error"]["message"].startswith("release: send exactly")


def test_malformed_decision_is_told(world: World, sts: str) -> None:
    """If this fails, a typo in a decision is a stack trace or is taken for a manual run."""
    assert _ask(approve="r", control=CONTROL)["error"]["message"].startswith("approve: send exactly")
