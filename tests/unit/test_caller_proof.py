"""How people prove who they are: what STS says counts, once, for one request, for five minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.ledger import Ledger
from evenkeel.operators.caller_proof import UnprovedCallerError, prove
from evenkeel.runtime.aws import Aws
from tests.sts import CALLER, Sts, signed
from tests.tables import AUDIT, STATE
from tests.world import ACCOUNT, client

if TYPE_CHECKING:
    from tests.world import World

WISH = {"resource": "r", "record": "r-1"}


def _prove(world: World, proof: Any, url: str, later: timedelta = timedelta()) -> str:
    ledger, wish = Ledger(Aws(client), AUDIT, STATE, "undo-1", world.clock), {**WISH, "caller": proof}
    return prove(wish, url, "evenkeel-test", ACCOUNT, ledger, lambda: datetime.now(UTC) + later)


def test_caller_is_who_sts_says(world: World, sts: str) -> None:
    """If this fails, an undo is audited under a name that anybody could claim, or the signature is not passed on."""
    proof = signed(sts, WISH)["caller"]
    assert _prove(world, proof, sts) == CALLER
    [headers] = Sts.seen
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == proof["authorization"]
    assert "testing" not in str(proof).replace("Credential=testing", "")


def test_proof_serves_once(world: World, sts: str) -> None:
    """If this fails, a proof that was overheard can be used again."""
    proof = signed(sts, WISH)["caller"]
    _prove(world, proof, sts)
    with pytest.raises(UnprovedCallerError, match="used before"):
        _prove(world, proof, sts)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda _: None, "send the headers"),
        (lambda _: {"authorization": 5}, "send the headers"),
        (lambda _: {}, "must be among the signed headers"),
        (lambda signed: {**signed, "authorization": signed["authorization"].replace("x-evenkeel-nonce;", "")},
         "must be among the signed headers"),
        (lambda signed: {**signed, "x-evenkeel-stack": "other"}, "another stack or request"),
        (lambda signed: {**signed, "x-evenkeel-request": "r-2"}, "another stack or request"),
        (lambda signed: {**signed, "x-amz-date": "yesterday"}, "x-amz-date"),
    ],
)  # fmt: skip
def test_proof_for_anything_else_is_refused(world: World, sts: str, spoil: Any, told: str) -> None:
    """If this fails, a signature that was made for something else opens undo."""
    with pytest.raises(UnprovedCallerError, match=told):
        _prove(world, spoil(signed(sts, WISH)["caller"]), sts)
    assert Sts.seen == []


@pytest.mark.parametrize("minutes", [-6, 6])
def test_old_and_future_proofs_are_refused(world: World, sts: str, minutes: int) -> None:
    """If this fails, a proof is good for ever."""
    with pytest.raises(UnprovedCallerError, match="more than five minutes"):
        _prove(world, signed(sts, WISH)["caller"], sts, timedelta(minutes=minutes))


@pytest.mark.parametrize(("status", "body"), [(403, f"<Arn>{CALLER}</Arn>"), (200, "<nothing/>")])
def test_caller_whom_sts_does_not_know_is_refused(world: World, sts: str, status: int, body: str) -> None:
    """If this fails, a forged signature is taken for a caller."""
    Sts.status, Sts.body = status, body
    with pytest.raises(UnprovedCallerError, match=f"HTTP {status}"):
        _prove(world, signed(sts, WISH)["caller"], sts)


def test_caller_of_another_account_is_refused(world: World, sts: str) -> None:
    """If this fails, whoever has any AWS account decides about ours."""
    Sts.body = "<Arn>arn:aws:iam::210987654321:user/operator</Arn>"
    with pytest.raises(UnprovedCallerError, match="is not in account 123456789012"):
        _prove(world, signed(sts, WISH)["caller"], sts)
