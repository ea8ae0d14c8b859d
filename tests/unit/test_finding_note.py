"""The note on Security Hub's finding: what it says, when there is one, and that it never stands in an alert's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from evenkeel.audit.records import seal
from evenkeel.model import Outcome
from evenkeel.runtime.aws import Aws
from notifier import finding_note, handler
from notifier.circuit_breaker import CircuitBreaker, UnansweredError
from tests.unit.test_notifier import FINE, RECORD, written
from tests.unit.test_notifier import inbox as inbox  # noqa: PLC0414 - pytest finds fixtures by their name here
from tests.world import Context, client, logged

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")
CAUSE = {**RECORD["cause"], "origin": "securityhub", "finding_id": "f" * 512, "product_arn": "p-1"}
MENDED = {**RECORD, "announce": True, "cause": CAUSE}
TAKEN: dict[str, Any] = {"ProcessedFindings": [], "UnprocessedFindings": []}


@pytest.fixture(autouse=True)
def finding(world: World) -> dict[str, Any]:
    """Return the finding as Security Hub has it; forget what an earlier test's APIs did not answer."""
    handler._tagging.cache_clear()
    handler._security_hub.cache_clear()
    found = {"Id": "f" * 512, "ProductArn": "p-1"}
    world.wire.stand_ins["securityhub", "GetFindings"] = lambda _: {"Findings": [found]}
    return found


def _left(code: str) -> dict[str, Any]:
    failed = {"FindingIdentifier": {"Id": "f", "ProductArn": "p"}, "ErrorCode": code, "ErrorMessage": "no"}
    return {"ProcessedFindings": [], "UnprocessedFindings": [failed]}


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{line.getMessage()}: {vars(line).get('error', '')}" for line in caplog.records)


def _counted(caplog: pytest.LogCaptureFixture) -> dict[str, int]:
    """Return how many alerts and notes the log says were sent."""
    found = logged(caplog)
    return {said: found[said] for said in ("announced", "noted", "not noted") if found[said]}


def _announce(record: dict[str, Any]) -> dict[str, Any]:
    return handler.handler({"Records": [written(seal(record, ""))]}, Context())


def test_change_is_noted_on_its_finding_and_nothing_else_of_it_is_touched(
    world: World, inbox: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, whoever reads the finding does not know what was done, or Evenkeel settles findings itself."""
    world.wire.answer("securityhub", "BatchUpdateFindings", TAKEN)
    assert _announce(MENDED) == FINE
    [told] = world.wire.params("BatchUpdateFindings")
    assert told == {
        "FindingIdentifiers": [{"Id": "f" * 512, "ProductArn": "p-1"}],
        "Note": {
            "Text": "Evenkeel: REMEDIATED by kms-key-rotation: rotation is off. Audit record r-1.",
            "UpdatedBy": "evenkeel",
        },
    }
    assert world.wire.changes()[-3:] == ["sns:Publish", "events:PutEvents", "securityhub:BatchUpdateFindings"]
    equal = {"Comparison": "EQUALS"}
    assert world.wire.params("GetFindings") == [
        {"Filters": {"Id": [{"Value": "f" * 512, **equal}], "ProductArn": [{"Value": "p-1", **equal}]}}
    ]
    assert _counted(caplog) == {"announced": 1, "noted": 1}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_what_leaves_nothing_to_do_is_noted(outcome: Outcome) -> None:
    """If this fails, a note's own event has Evenkeel try, tell and note the same for ever."""
    quiet = {"REMEDIATED", "PARTIAL", "UNDONE", "AWAITING", "HELD", "REJECTED"}
    assert finding_note.is_due({**MENDED, "outcome": str(outcome)}) is (outcome in quiet)


@pytest.mark.parametrize(
    "cause",
    [
        RECORD["cause"],
        {**CAUSE, "origin": "cloudtrail"},
        {**CAUSE, "finding_id": ""},
        {**CAUSE, "product_arn": ""},
    ],
)
def test_record_without_a_finding_is_not_noted(world: World, inbox: str, cause: dict[str, str]) -> None:
    """If this fails, strangers' findings get notes, or an alert waits for a finding that was not the cause."""
    assert _announce({**MENDED, "cause": cause}) == FINE
    assert world.wire.params("BatchUpdateFindings") == []
    assert len(world.messages(inbox)) == 1


def test_hold_that_is_not_announced_is_noted_all_the_same(world: World, inbox: str) -> None:
    """If this fails, a finding that a freeze keeps waiting looks as if nobody had seen it."""
    world.wire.answer("securityhub", "BatchUpdateFindings", TAKEN)
    frozen = {**MENDED, "announce": False, "outcome": "HELD", "detail": "frozen until 2026-12-01 00:00 UTC"}
    assert _announce(frozen) == FINE
    [told] = world.wire.params("BatchUpdateFindings")
    assert "rotation is off; frozen until 2026-12-01 00:00 UTC" in told["Note"]["Text"]
    assert world.messages(inbox) == []


@pytest.mark.parametrize("note", ["", "alice: on it", "alice: " + "x" * 350])
def test_note_is_within_security_hubs_limit_and_keeps_what_others_wrote(note: str) -> None:
    """If this fails, Security Hub refuses the note, or a person's words are gone."""
    long = finding_note.text({**MENDED, "reason": "why " * 500}, note)
    assert len(long) == 512
    assert long.endswith(f"…. Audit record r-1. | before: {note}" if note else "…. Audit record r-1.")
    short = finding_note.text(MENDED, note)
    assert "rotation is off. Audit" in short
    assert "\n" not in finding_note.text({**MENDED, "reason": "one\ntwo"}, note)


def test_note_that_leaves_no_room_is_kept(
    world: World,
    inbox: str,
    finding: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If this fails, a person's long note is cut or replaced, or nobody learns why there is none of ours."""
    finding["Note"] = {"Text": "x" * 480, "UpdatedBy": "alice"}
    assert _announce(MENDED) == FINE
    assert world.wire.params("BatchUpdateFindings") == []
    assert "is kept" in _logged(caplog)
    assert _counted(caplog) == {"announced": 1, "not noted": 1}


def test_smallest_room_says_something_yet() -> None:
    """If this fails, a note of ours is left with half a word, or none is put where there is room."""
    ours = len(finding_note.text({**MENDED, "reason": ""}, "")) + len(" | before: ")
    theirs = "x" * (512 - 40 - ours)
    assert f": {'y' * 39}…. Audit" in finding_note.text({**MENDED, "reason": "y" * 99}, theirs)
    with pytest.raises(finding_note.NoteError):
        finding_note.text(MENDED, f"{theirs}x")


def test_what_people_note_while_it_waits_is_kept(world: World, inbox: str, finding: dict[str, Any]) -> None:
    """If this fails, the ticket that somebody noted on a finding is gone as soon as its change is approved."""

    def update(params: dict[str, Any]) -> dict[str, Any]:
        finding["Note"] = params["Note"]
        return TAKEN

    world.wire.stand_ins["securityhub", "BatchUpdateFindings"] = update
    assert _announce({**MENDED, "outcome": "AWAITING"}) == FINE
    assert finding["Note"]["Text"].startswith("Evenkeel: AWAITING")
    finding["Note"] = {"Text": "ticket 42", "UpdatedBy": "carol"}
    for number in range(2):
        assert _announce({**MENDED, "record_id": f"r-{number}"}) == FINE
        told = finding["Note"]["Text"]
        assert (told.startswith("Evenkeel: REMEDIATED"), told.count("ticket 42")) == (True, 1)
        assert told.endswith(" | before: carol: ticket 42")


def test_note_that_came_between_two_tries_is_kept(world: World, finding: dict[str, Any]) -> None:
    """If this fails, whoever notes something in the very moment is the one whose note is lost."""

    def somebody(_: float) -> None:
        finding["Note"] = {"Text": "mine", "UpdatedBy": "carol"}

    world.wire.answer("securityhub", "BatchUpdateFindings", _left("ConcurrentUpdateError"))
    world.wire.answer("securityhub", "BatchUpdateFindings", TAKEN)
    finding_note.put(Aws(client), MENDED, somebody)
    assert world.wire.params("BatchUpdateFindings")[-1]["Note"]["Text"].endswith(" | before: carol: mine")


def test_finding_that_cannot_be_found_is_not_noted(world: World, inbox: str, caplog: pytest.LogCaptureFixture) -> None:
    """If this fails, a finding that Security Hub has forgotten blocks the alerts behind it."""
    world.wire.answer("securityhub", "GetFindings", {"Findings": []})
    assert _announce(MENDED) == FINE
    assert world.wire.params("BatchUpdateFindings") == []
    assert "finding deleted" in _logged(caplog)
    assert _counted(caplog) == {"announced": 1}


def test_pauses_grow_between_tries(world: World) -> None:
    """If this fails, all tries fall into the same moment of Security Hub's own update."""
    world.wire.answer("securityhub", "BatchUpdateFindings", _left("ConcurrentUpdateError"), times=3)
    pauses: list[float] = []
    with pytest.raises(finding_note.NoteError):
        finding_note.put(Aws(client), MENDED, pauses.append)
    assert pauses == [0.2, 0.8]


@pytest.mark.parametrize("code", ["ConcurrentUpdateError", "InternalFailure"])
def test_update_at_the_same_time_is_tried_again(
    world: World, code: str, inbox: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a finding that Security Hub is just writing gets no note, though its answer was a success."""
    world.wire.answer("securityhub", "BatchUpdateFindings", _left(code), times=2)
    world.wire.answer("securityhub", "BatchUpdateFindings", TAKEN)
    assert _announce(MENDED) == FINE
    assert len(world.wire.params("BatchUpdateFindings")) == 3
    assert _counted(caplog) == {"announced": 1, "noted": 1}


@pytest.mark.parametrize(
    ("code", "calls", "counted", "said"),
    [
        ("ConcurrentUpdateError", 3, {"not noted": 1}, "ConcurrentUpdateError: no"),
        ("InvalidInput", 1, {"not noted": 1}, "InvalidInput: no"),
        ("FindingSizeExceeded", 1, {"not noted": 1}, "FindingSizeExceeded: no"),
        ("FindingNotFound", 1, {}, "finding deleted"),
    ],
)
def test_finding_that_is_left_out_of_a_successful_answer_is_told(
    world: World,
    inbox: str,
    caplog: pytest.LogCaptureFixture,
    code: str,
    calls: int,
    counted: Any,
    said: str,
) -> None:
    """If this fails, a note that was not taken is taken for written, or one finding blocks all alerts behind it."""
    world.wire.answer("securityhub", "BatchUpdateFindings", _left(code), times=9)
    assert _announce(MENDED) == FINE
    assert len(world.wire.params("BatchUpdateFindings")) == calls
    assert said in _logged(caplog)
    assert _counted(caplog) == {"announced": 1, **counted}
    assert len(world.messages(inbox)) == 1


@pytest.mark.parametrize("operation", ["GetFindings", "BatchUpdateFindings"])
@pytest.mark.parametrize(
    ("code", "status", "counted"),
    [
        ("AccessDeniedException", 403, {"not noted": 1}),
        ("InvalidInputException", 400, {"not noted": 1}),
        ("InvalidAccessException", 401, {}),
    ],
)
def test_call_that_is_refused_loses_no_alert(
    world: World,
    inbox: str,
    caplog: pytest.LogCaptureFixture,
    code: str,
    status: int,
    counted: dict[str, int],
    operation: str,
) -> None:
    """If this fails, alerts come twice or never where Security Hub is off or the grant is missing."""
    world.wire.fail("securityhub", operation, code, status=status)
    assert _announce(MENDED) == FINE
    assert len(world.messages(inbox)) == 1
    assert _counted(caplog) == {"announced": 1, **counted}


def _silence(params: dict[str, Any]) -> None:
    raise ConnectTimeoutError(endpoint_url="https://127.0.0.1/")


def test_apis_that_do_not_answer_are_not_waited_for_again_and_again(
    world: World, inbox: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a hanging API beside the alerts uses up the function's minute, and alerts come late and twice."""
    world.wire.when("securityhub", "BatchUpdateFindings", _silence, times=9)
    world.wire.when("resourcegroupstaggingapi", "GetResources", _silence, times=9)
    keys = [f"{RECORD['resource']}{number}" for number in range(3)]
    batch = [written(seal({**MENDED, "resource": key}, "")) for key in keys]
    assert handler.handler({"Records": batch}, Context()) == FINE
    bodies = [message["Body"] for message in world.messages(inbox)]
    assert len(bodies) == 3
    assert sum("cannot be read (ConnectTimeoutError)" in body for body in bodies) == 1
    assert sum("cannot be read (UnansweredError)" in body for body in bodies) == 2
    assert len(world.wire.params("BatchUpdateFindings")) == len(world.wire.params("GetResources")) == 1
    assert _counted(caplog) == {"announced": 3, "not noted": 3}


def test_api_that_was_silent_is_asked_again_after_a_minute() -> None:
    """If this fails, one time-out means no notes and no tags until the worker ends."""
    now = [100.0]
    breaker = CircuitBreaker(None, lambda: now[0])  # type: ignore[arg-type]
    with pytest.raises(ConnectTimeoutError):
        breaker(_silence)  # type: ignore[arg-type]
    now[0] = 159.9
    with pytest.raises(UnansweredError):
        breaker(lambda _: "answer")
    now[0] = 160.0
    assert breaker(lambda _: "answer") == "answer"
