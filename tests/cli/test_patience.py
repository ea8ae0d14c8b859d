"""Waves where Lambda throttles, or an answer is lost: they wait and go on, and claim nothing that is not known."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore import exceptions as raised
from botocore.exceptions import ClientError

from evenkeel import clock
from evenkeel.runtime.dynamodb import wire
from evenkeel_cli.aws import functions, proved, stacks
from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.changes import undo_command
from tests.cli.running import evenkeel, refuses
from tests.tables import AUDIT, STATE

if TYPE_CHECKING:
    from click.testing import Result

ME, OTHER = (f"arn:aws:iam::123456789012:user/{name}" for name in ("me", "other"))
KEYS = "arn:aws:kms:eu-west-1:123456789012:key/"
KEY = f"{KEYS}1"
OUTPUTS = {
    "UndoFunctionName": "evenkeel-undo", "Groups": "kms", "DeadLetterQueueUrl": "https://sqs/dead",
    "AuditTableName": AUDIT, "StateTableName": STATE,
}  # fmt: skip
LOST = raised.ReadTimeoutError(endpoint_url="https://lambda")
CUT = raised.ConnectionClosedError(endpoint_url="https://lambda")
AWAY = raised.EndpointConnectionError(endpoint_url="https://lambda")
TAKEN = refuses("UndoRefusedError", f"{KEY}: record was undone already")


def lambda_says(name: str, status: int) -> ClientError:
    """Return an error of Lambda's own."""
    error: Any = {"Error": {"Code": name, "Message": name}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "Invoke")


THROTTLED, BROKEN = lambda_says("TooManyRequestsException", 429), lambda_says("ServiceException", 500)
DENIED = lambda_says("AccessDeniedException", 403)


def name_of(number: int) -> str:
    """Return the id of a record."""
    return f"01a1f8a02e04-{number:016x}"


def repair(number: int, resource: str = "") -> dict[str, Any]:
    """Return the record of a repair, of a key of its own unless it is given."""
    call = {"service": "kms", "operation": "disable_key_rotation", "params": {"KeyId": "1"}}
    return {
        "record_id": name_of(number), "resource": resource or f"{KEYS}{number}", "control": "kms-key-rotation",
        "outcome": "REMEDIATED",
        "region": "eu-west-1", "undo": [call], "calls": [], "residue": "", "actor": {"principal": OTHER},
    }  # fmt: skip


def undone(number: int, principal: str) -> dict[str, Any]:
    """Return the record of its undo."""
    return {
        **repair(number), "record_id": name_of(number + 100), "outcome": "UNDONE", "undoes": name_of(number),
        "actor": {"principal": principal}, "calls": repair(number)["undo"],
    }  # fmt: skip


class Account:
    """A cloud of one stack: these records, and functions that answer so in turn, or raise what is an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand where the command looks for its stack; nothing is signed, and pauses are noted in place of waited."""
        self.records = [repair(1), repair(2)]
        self.answers: list[dict[str, Any] | BaseException] = []
        self.asked: list[dict[str, Any]] = []
        self.waited: list[float] = []
        self.proofs = 0
        self.shard = ""
        self.session = None
        self.meta = SimpleNamespace(region_name="eu-west-1", endpoint_url="https://sts")
        monkeypatch.setattr(stacks, "find", lambda name, *_: Stack(name, cast("Any", self), OUTPUTS, {}))
        monkeypatch.setattr(undo_command, "sign", self.sign)
        monkeypatch.setattr(proved, "sign", self.sign)
        monkeypatch.setattr(functions.time, "sleep", self.waited.append)

    def __call__(self, _: str) -> Any:
        """Return itself as any client."""
        return self

    def client(self, *_: str, **__: int) -> Any:
        """Return itself as the client of the functions."""
        return self

    def sign(self, *_: Any) -> dict[str, str]:
        """Return a proof that is like no other."""
        self.proofs += 1
        return {"proof": f"{self.proofs}"}

    def get_caller_identity(self) -> dict[str, str]:
        """Say who runs the command."""
        return {"Arn": ME}

    def get_paginator(self, _: str) -> Any:
        """Return what pages all records: of the key, or of the one shard that has any."""
        return SimpleNamespace(paginate=self.query)

    def query(self, **question: Any) -> list[dict[str, Any]]:
        """Return the records in one page: all are of today's first shard, also where a question begins yesterday."""
        today = f"{clock.now():%Y-%m-%d}#00"
        shard = question["ExpressionAttributeValues"].get(":shard", {"S": today})["S"]
        return [{"Items": [wire(each) for each in self.records[::-1]] if shard == today else []}]

    def batch_get_item(self, **_: Any) -> dict[str, Any]:
        """Return all records, whole."""
        return {"Responses": {AUDIT: [wire(each) for each in self.records]}}

    def invoke(self, *, Payload: bytes, **_: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Answer; what is undone by now is in the audit."""
        self.asked.append(json.loads(Payload))
        said = self.answers.pop(0)
        if isinstance(said, BaseException):
            raise said
        return {"Payload": io.BytesIO(json.dumps(said).encode())}

    def wave(self, *answers: dict[str, Any] | BaseException, output: str = "table", force: bool = False) -> Result:
        """Take back all of today."""
        self.answers = list(answers)
        by_force = ["--force"] if force else []
        return evenkeel("undo", "--since", "1h", "--stack", "prod", "--yes", "-o", output, *by_force)

    def run(self, *answers: dict[str, Any] | BaseException, output: str = "table") -> Result:
        """Bring all keys in line."""
        self.answers = list(answers)
        return evenkeel("run", "kms-key-rotation", "--all", "--apply", "--yes", "--stack", "prod", "-o", output)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return the account."""
    return Account(monkeypatch)


def done(number: int) -> dict[str, Any]:
    """Return what the undo function answers when it has taken a record back."""
    return {"outcome": "UNDONE", "record_id": name_of(number + 100)}


ALL_DONE = {
    "dry_run": False, "next": None,
    "results": [{"resource": KEY, "outcome": "REMEDIATED", "reason": "", "calls": [], "record_id": name_of(1),
                 "held_by": None}],
}  # fmt: skip
OPENED = {"run": name_of(7), "expires_at": "2026-11-20T21:00:00.000+00:00"}
ENDED = {"run": name_of(7), "ended": True}


@pytest.mark.parametrize("trouble", [THROTTLED, AWAY, LOST, CUT, BROKEN], ids=lambda each: type(each).__name__)
def test_a_run_waits_and_goes_on(account: Account, trouble: Any) -> None:
    """If this fails, one throttled invocation ends a run over ten thousand resources."""
    result = account.run(trouble, OPENED, trouble, trouble, ALL_DONE, ENDED)
    assert (result.exit_code, account.waited) == (0, [functions.PAUSES[0], *functions.PAUSES[:2]])
    opening = [each["caller"]["proof"] for each in account.asked if "open_run" in each]
    taken = trouble in {THROTTLED, AWAY}
    assert opening == (["1", "1"] if taken else ["1", "2"])  # what Lambda took has used its proof up
    assert "1 REMEDIATED" in result.stdout
    assert "cannot run kms-key-rotation: " in result.stderr
    assert "trying again in 1 s\n" in result.stderr
    assert "trying again in 3 s\n" in result.stderr


@pytest.mark.parametrize(
    ("trouble", "told"),
    [(THROTTLED, "Lambda throttles function prod-kms"), (LOST, "answer of function prod-kms was lost (Read")],
)
def test_a_run_does_not_wait_for_ever(account: Account, trouble: Any, told: str) -> None:
    """If this fails, a run hangs for as long as Lambda throttles, or a function times out."""
    result = account.run(*[trouble] * 99)
    assert (result.exit_code, account.waited) == (1, list(functions.PAUSES))
    assert told in result.stderr.splitlines()[-2]


def test_a_run_for_machines_waits_without_a_word(account: Account) -> None:
    """If this fails, stderr is neither empty nor the one JSON document that scripts expect there."""
    result = account.run(THROTTLED, OPENED, THROTTLED, ALL_DONE, ENDED, output="json")
    assert (result.exit_code, result.stderr, json.loads(result.stdout)["ok"]) == (0, "", True)


def test_what_aws_refuses_is_not_tried_again(account: Account) -> None:
    """If this fails, somebody without the permission waits for half a minute to learn so."""
    result = account.run(DENIED)
    assert (result.exit_code, account.waited) == (1, [])
    assert "access denied by AWS at Invoke" in result.stderr


def test_a_throttled_undo_is_asked_for_again(account: Account) -> None:
    """If this fails, one throttled invocation leaves a change of a wave behind."""
    result = account.wave(THROTTLED, done(2), THROTTLED, done(1))
    assert (result.exit_code, account.waited) == (0, [1.0, 1.0])
    assert "2 undone, 0 refused, 0 skipped." in result.stdout
    assert "Lambda throttles function evenkeel-undo (TooManyRequestsException); trying again in 1 s" in result.stderr


def test_a_wave_that_lambda_never_takes_stops_and_says_how_to_go_on(account: Account) -> None:
    """If this fails, a wave waits half a minute for each of a thousand changes, and calls them all refused."""
    result = account.wave(done(2), *[THROTTLED] * 99)
    assert (result.exit_code, account.waited) == (1, list(functions.PAUSES))
    assert "1 undone, 0 refused" in result.stdout
    assert "stopped after 1 of 2; what was undone stays undone: cannot undo record" in result.stderr
    assert "To continue: evenkeel undo --stack prod --region eu-west-1 --since 20" in result.stderr


def test_a_wave_that_nobody_may_begin_ends_with_aws_own_words(account: Account) -> None:
    """If this fails, a missing permission is told once for each change, as if each were refused."""
    result = account.wave(DENIED)
    assert (result.exit_code, len(account.asked)) == (1, 1)
    assert "error: cannot undo record" in result.stderr
    assert "access denied by AWS at Invoke" in result.stderr


@pytest.mark.parametrize("trouble", [LOST, CUT, BROKEN], ids=lambda each: type(each).__name__)
def test_an_undo_whose_answer_was_lost_is_asked_for_with_a_new_proof(account: Account, trouble: Any) -> None:
    """If this fails, a cut connection leaves a change behind, or the repeat is refused since its proof was used."""
    result = account.wave(trouble, done(2), done(1))
    assert (result.exit_code, "2 undone, 0 refused" in result.stdout) == (0, True)
    assert [payload["caller"]["proof"] for payload in account.asked] == ["1", "2", "3"]


def test_what_the_first_try_did_is_told_as_done(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a change that was taken back is told as refused, for its answer was lost."""
    monkeypatch.setattr(undo_command.Reader, "all_of", lambda *_: [repair(2), undone(2, ME)])
    account.records = [repair(2)]  # those that the wave finds before
    result = account.wave(LOST, TAKEN, output="json")
    (told,) = json.loads(result.stdout)["results"]
    assert (result.exit_code, told["outcome"], told["record_id"]) == (0, "UNDONE", name_of(102))


@pytest.mark.parametrize("somebody", [(), (undone(2, OTHER),)])
def test_what_nobody_knows_is_told_as_unknown(
    account: Account, somebody: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, a change is told as taken back, or as refused, though only its own answer could have said so."""
    monkeypatch.setattr(undo_command.Reader, "all_of", lambda *_: [repair(2), *somebody])
    account.records = [repair(2)]
    result = account.wave(LOST, refuses("UndoRefusedError", f"{KEY}: it changed since"), output="json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["done"], report["refused"], report["unknown"]) == (1, 0, 0, 1)
    assert report["results"][0]["outcome"] == "UNKNOWN"
    assert "it changed since; this was a retry: the first answer was lost" in result.stdout
    told = json.loads(result.stderr)["error"]["message"]
    assert told == "1 of 1 changes were not undone (some are unknown)"


def test_an_answer_that_is_always_lost_is_unknown_and_the_wave_goes_on(account: Account) -> None:
    """If this fails, one resource that AWS is slow with ends a wave."""
    result = account.wave(*[LOST] * (len(functions.PAUSES) + 1), done(1))
    assert (result.exit_code, "1 undone, 0 refused, 1 unknown, 0 skipped." in result.stdout) == (1, True)


def test_a_first_try_that_is_still_at_it_is_waited_for(account: Account) -> None:
    """If this fails, an undo whose answer was lost is given up while it is being done."""
    busy = refuses("LeaseHeldError", f"{KEY}: another worker is busy with it")
    account.records = [repair(2)]
    result = account.wave(LOST, busy, busy, done(2))
    assert (result.exit_code, account.waited) == (0, [1.0, 3.0, 9.0])


def test_a_look_whose_answer_was_lost_is_taken_again(account: Account) -> None:
    """If this fails, a dry run of a wave shows changes as refused that nobody has asked for yet."""
    plan = {"drifted": False, "calls": []}
    account.answers = [LOST, plan, THROTTLED, plan]
    result = evenkeel("undo", "--since", "1h", "--stack", "prod", "--dry-run")
    assert (result.exit_code, "2 would be undone, 0 would be refused" in result.stdout, account.proofs) == (0, True, 0)
