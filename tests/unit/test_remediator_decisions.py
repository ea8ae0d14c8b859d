"""A person's decision as it comes to a group's function: proved, carried out, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.model import Actor
from evenkeel.remediator import remediator
from tests.sts import CALLER, Sts, signed
from tests.world import QUEUE_URL, Context, client, metrics, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
APPROVE = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture
def awaiting(world: World) -> tuple[str, str]:
    """Return a key and the record of its repair that waits for approval."""
    world.settings(APPROVE)
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    wish = request(CONTROL, arn, actor=Actor("arn:aws:iam::123456789012:user/alice"))
    return arn, world.run(CONTROL, wish, document=APPROVE).record_id


def _ask(**payload: Any) -> dict[str, Any]:
    answer: dict[str, Any] = remediator("kms")(payload, Context())
    return answer


def test_approval_comes_through_with_the_callers_name(
    world: World, sts: str, awaiting: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, nobody can approve anything on the deployed stack."""
    arn, record_id = awaiting
    answer = _ask(**signed(sts, {"approve": record_id, "resource": arn}))
    [result] = answer["results"]
    assert (result["outcome"], result["resource"], result["control"]) == ("REMEDIATED", arn, CONTROL)
    assert result["calls"][0].startswith("aws kms enable-key-rotation ")
    assert world.records()[-1]["approver"] == CALLER
    assert metrics(capsys.readouterr().out) == {"Remediated": 1}


def test_decision_of_whoever_caused_it_is_answered_with_the_reason(
    world: World, sts: str, awaiting: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, a refusal is a stack trace, or the causer's own yes counts."""
    Sts.body = "<Arn>arn:aws:iam::123456789012:user/alice</Arn>"
    arn, record_id = awaiting
    answer = _ask(**signed(sts, {"approve": record_id, "resource": arn}))
    assert answer["error"].startswith(f"ApprovalRefusedError: {arn}: ")
    assert metrics(capsys.readouterr().out) == {"Refused": 1}
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
        assert _ask(**payload, caller=caller)["error"].startswith("UnprovedCallerError: ")
    assert world.outcomes() == ["AWAITING"]


def test_proof_for_one_record_does_not_serve_for_another(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, an approval that was overheard approves something else."""
    arn, record_id = awaiting
    proof = signed(sts, {"approve": "another", "resource": arn})["caller"]
    assert "another stack or request" in _ask(approve=record_id, resource=arn, caller=proof)["error"]


def test_proof_of_one_decision_does_not_serve_for_another(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, whoever overhears a rejection approves with it, or gives it another reason."""
    arn, record_id = awaiting
    proof = signed(sts, {"reject": record_id, "resource": arn, "because": "no"})["caller"]
    for other in ({"approve": record_id}, {"reject": record_id, "because": "yes"}):
        assert "another stack or request" in _ask(**other, resource=arn, caller=proof)["error"]
    assert world.outcomes() == ["AWAITING"]


def test_decision_under_settings_that_cannot_be_read_changes_nothing(
    world: World, sts: str, awaiting: tuple[str, str]
) -> None:
    """If this fails, an approval is carried out by settings that nobody can have meant."""
    arn, record_id = awaiting
    world.settings("{}")
    assert "schema_version" in _ask(**signed(sts, {"approve": record_id, "resource": arn}))["error"]
    assert world.outcomes() == ["AWAITING"]


def test_release_of_all_comes_back_through_the_queue(world: World, sts: str, awaiting: tuple[str, str]) -> None:
    """If this fails, what was held is not looked at again after release."""
    frozen = {"schema_version": 1, "freezes": [{"cron": "* * * * *", "hours": 1}]}
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.run(CONTROL, request(CONTROL, arn), document=frozen)
    answer = _ask(**signed(sts, {"release": CONTROL, "resource": "all"}))
    assert [(result["resource"], result["outcome"]) for result in answer["results"]] == [(arn, "RETURNED")]
    assert len(world.messages(QUEUE_URL)) == 1


def test_malformed_decision_is_told(world: World, sts: str) -> None:
    """If this fails, a typo in a decision is a stack trace or is taken for a manual run."""
    assert _ask(approve="r", control=CONTROL)["error"].startswith("MalformedPayloadError: approve: send exactly")
