"""Whatever people send to the functions, they get an answer: never a stack trace, and nothing is done by mistake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerk import handler as clerk
from evenkeel import errors
from evenkeel.errors import EvenkeelError
from evenkeel.lambda_handler import remediator
from evenkeel.model import Actor
from evenkeel.operators import approvals
from evenkeel.operators.caller_proof import UnprovedCallerError
from evenkeel.settings.problems import InvalidSettingsError
from tests import factories
from tests.examples import examples
from tests.fuzzing import JSON, TEXT, spoiled
from tests.sts import CALLER, signed
from tests.world import Context, client, request
from undo import handler as undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.world import World

CONTROL = "kms-key-rotation"
APPROVE = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}
OURS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.EvenkeelError)
}
OURS |= {UnprovedCallerError.__name__, InvalidSettingsError.__name__, "NotGrantedError"}
pytestmark = [pytest.mark.hypothesis, pytest.mark.filterwarnings("ignore:No application metrics")]


@pytest.fixture(autouse=True)
def _fresh(variables: pytest.MonkeyPatch) -> Iterator[None]:
    variables.setenv("EVENKEEL_GROUPS", "")
    caches = (clerk._aws, clerk._settings, undo._own, undo._as_group)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


def _answered(handler: Callable[[Any, Any], Any], payload: Any) -> str:
    """Send a payload; return the kind of error that the answer tells, or nothing."""
    answer = handler(payload, Context())
    assert json.dumps(answer)
    assert isinstance(answer, dict)
    kind = str(answer.get("error", {}).get("kind", ""))
    assert kind in {"", *OURS}
    return kind


def _wishes(*good: dict[str, Any]) -> st.SearchStrategy[Any]:
    odd = st.dictionaries(st.sampled_from(sorted({key for each in good for key in each})) | TEXT, JSON, max_size=5)
    return JSON | odd | spoiled(st.sampled_from(good))


def test_any_manual_payload_is_answered_and_without_a_run_changes_nothing(world: World) -> None:
    """If this fails, a slip in a payload is a stack trace, or changes resources in nobody's name."""
    arn = factories.key()
    handler = remediator("kms")
    good = {"control": CONTROL, "resources": [arn], "dry_run": True, "after": ""}
    assert _answered(handler, good) == ""

    @examples(30)
    @given(_wishes(good, {**good, "resources": "all"}, {**good, "dry_run": False, "run": "0" * 12 + "-" + "0" * 16}))
    def ask(payload: Any) -> None:
        world.wire.clear()
        _answered(handler, payload)
        assert world.wire.changes() == []
        assert not client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]

    ask()


def _decides(payload: Any, verbs: Iterable[dict[str, Any]]) -> bool:
    """Say whether a payload is a good decision about the same thing, in whatever words."""
    try:
        wish = approvals.parse(payload)
    except (EvenkeelError, TypeError, ValueError):
        return False
    return any(verb.get(wish.verb) == wish.name and verb["resource"] == wish.resource for verb in verbs)


@pytest.mark.usefixtures("people")
def test_any_decision_is_answered(world: World) -> None:
    """If this fails, a slip in a decision is a stack trace, or decides what nobody decided."""
    world.settings(APPROVE)
    arn = factories.key()
    wish = request(CONTROL, arn, actor=Actor("arn:aws:iam::123456789012:user/alice"))
    record_id = world.run(CONTROL, wish, document=APPROVE).record_id
    handler = remediator("kms")
    caller = {"arn": CALLER}
    about = {"resource": arn, "caller": caller}
    verbs: tuple[dict[str, Any], ...] = (
        {"approve": record_id, **about},
        {"reject": record_id, "because": "no", **about},
        {"release": CONTROL, **about},
        {"drop": CONTROL, "because": "no", **about},
    )

    @examples(30)
    @given(_wishes(*verbs).map(lambda wish: {**wish, "caller": caller} if isinstance(wish, dict) else wish))
    def decide(payload: Any) -> None:
        if _decides(payload, verbs):
            return
        _answered(handler, payload)
        assert not client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]

    decide()
    assert _answered(handler, verbs[0]) == ""
    assert client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def test_any_undo_payload_is_answered_and_without_proof_takes_nothing_back(world: World, sts: str) -> None:
    """If this fails, a slip in an undo is a stack trace, or takes a change back without saying who asked."""
    arn = factories.key()
    record_id = world.run(CONTROL, request(CONTROL, arn, creates=True)).record_id
    good = signed(sts, {"resource": arn, "record": record_id, "dry_run": True, "force": False})
    assert _answered(undo.handler, good) == ""

    @examples(30)
    @given(_wishes(good, {**good, "dry_run": False, "caller": {**good["caller"], "x-evenkeel-request": "another"}}))
    def ask(payload: Any) -> None:
        _answered(undo.handler, payload)
        assert client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]

    ask()


@pytest.mark.usefixtures("digest_key")
def test_any_clerk_payload_is_answered_and_without_proof_drops_nothing(world: World, sts: str) -> None:
    """If this fails, a slip in a wish to drop letters is a stack trace, or makes an event vanish."""
    del world
    good = {"drop": ["message-1"], "because": "done", "caller": signed(sts, {})["caller"]}

    @examples(20)
    @given(_wishes(good))
    def ask(payload: Any) -> None:
        kind = _answered(clerk.handler, payload)
        assert bool(kind) == (not isinstance(payload, dict) or "drop" in payload)

    ask()
