"""``evenkeel run`` on a function that needs several rounds, refuses, crashes or holds."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from evenkeel_cli.aws import proved, stacks
from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.ui import prompts
from evenkeel_cli.ui.failure import CommandError
from tests.cli.running import evenkeel, refuses
from tests.tables import AUDIT

if TYPE_CHECKING:
    from click.testing import Result

RUN = "01a1f8a02e04-ff902f20115493f0"
LAMBDA_CONTROL = "lambda-xray-tracing"
OUTPUTS = {
    "Groups": "lambda,kms", "DeadLetterQueueUrl": "https://sqs/dead",
    "NotifierFunctionName": "evenkeel-notifier", "AuditTableName": AUDIT,
}  # fmt: skip


def arn(number: int) -> str:
    """Return the ARN of one of the account's keys."""
    return f"arn:aws:kms:eu-west-1:123456789012:key/{number}"


def one(number: int, outcome: str, reason: str = "it does not rotate") -> dict[str, Any]:
    """Return what the function answers about one key."""
    calls = [f"aws kms enable-key-rotation --key-id {number}"]
    return {"resource": arn(number), "control": "kms-key-rotation", "outcome": outcome, "reason": reason,
            "calls": calls, "record_id": "", "held_by": None}  # fmt: skip


def answer(*results: dict[str, Any], next_: str | None = None, dry_run: bool = True) -> dict[str, Any]:
    """Return a round's answer."""
    return {"dry_run": dry_run, "results": list(results), "next": next_}


class Account:
    """A cloud with one stack, whose functions give these answers in turn, and raise what is an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand where the command looks for its stack."""
        self.answers: list[dict[str, Any] | BaseException] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.runs: list[dict[str, Any]] = []
        self.session = None
        self.meta = SimpleNamespace(region_name="eu-west-1", endpoint_url="https://sts")
        monkeypatch.setattr(proved, "sign", lambda *_: {"proof": "a person's"})
        monkeypatch.setattr(stacks, "find", lambda name, *_: Stack(name, cast("Any", self), OUTPUTS, {}))

    def __call__(self, _: str) -> Any:
        """Return itself as any client."""
        return self

    def client(self, *_: str, **__: int) -> Any:
        """Return itself as the client of the functions."""
        return self

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Answer; a run is opened and ended as it is asked for."""
        payload = json.loads(Payload)
        if {"open_run", "end_run"} & set(payload):
            self.runs.append(payload)
            return _body({"run": RUN, "expires_at": "2026-11-20T21:00:00.000+00:00"})
        self.asked.append((FunctionName, payload))
        said = self.answers.pop(0)
        if isinstance(said, BaseException):
            raise said
        error = {"FunctionError": "Unhandled"} if "errorType" in said else {}
        return _body(said) | error

    def run(self, *arguments: str, answers: list[dict[str, Any] | BaseException] | None = None) -> Result:
        """Run the command on the key rotation of this stack."""
        self.answers = answers or []
        return evenkeel("run", "kms-key-rotation", "--stack", "prod", *arguments)


def _body(said: dict[str, Any]) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(said).encode())}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return the account."""
    return Account(monkeypatch)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a person at the terminal who says no; return the questions."""
    asked: list[str] = []
    monkeypatch.setattr(prompts, "at_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, **_: asked.append(question))
    return asked


def test_rounds_are_followed_to_the_end_and_nothing_is_changed(account: Account) -> None:
    """If this fails, a run ends after the function's first minute, or a dry run changes something."""
    rounds: list[Any] = [
        answer(one(1, "WOULD_APPLY"), one(2, "COMPLIANT", ""), next_=arn(2)),
        answer(one(3, "WOULD_ANNOUNCE")),
    ]
    result = account.run("--all", answers=rounds)
    assert result.exit_code == 0
    assert [function for function, _ in account.asked] == ["prod-kms"] * 2
    asked = {"control": "kms-key-rotation", "resources": "all", "dry_run": True}
    assert [payload for _, payload in account.asked] == [{**asked, "after": ""}, {**asked, "after": arn(2)}]
    assert "3 resources checked: 1 WOULD_APPLY, 1 COMPLIANT, 1 WOULD_ANNOUNCE." in result.stdout
    assert "kms key/1" in result.stdout
    assert "kms key/2" not in result.stdout
    assert result.stdout.count("enable-key-rotation") == 1
    assert "evenkeel run kms-key-rotation --stack prod --region eu-west-1 --all --apply\n" in result.stdout


def test_what_is_in_line_is_listed_on_request(account: Account) -> None:
    """If this fails, nobody can see by whose word a resource was found good."""
    result = account.run("--resource", arn(2), "--all-outcomes", answers=[answer(one(2, "COMPLIANT", ""))])
    assert account.asked[0][1]["resources"] == [arn(2)]
    assert "kms key/2" in result.stdout


def test_machines_get_one_document(account: Account) -> None:
    """If this fails, scripts cannot read what was found, or miss what is in line."""
    found = [one(1, "REMEDIATED"), one(2, "FAILED", "it does not hold")]
    result = account.run("--all", "--apply", "--yes", "-o", "json", answers=[answer(*found, dry_run=False)])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "stack": "prod", "control": "kms-key-rotation", "dry_run": False, "ok": False,
        "counts": {"REMEDIATED": 1, "FAILED": 1}, "results": found, "next": None,
        "run": RUN,
    }  # fmt: skip
    assert "1 resource not repaired: 1 FAILED" in json.loads(result.stderr)["error"]["message"]
    assert [payload["dry_run"] for _, payload in account.asked] == [False]


def test_a_run_is_opened_in_the_persons_name_named_in_each_round_and_ended(account: Account) -> None:
    """If this fails, a page of changes has no name to it, or a run stays open when the command is over."""
    rounds: list[Any] = [answer(one(1, "REMEDIATED"), next_=arn(1)), answer(one(2, "REMEDIATED"))]
    named = ("--resource", arn(1), "--resource", arn(2), "--apply", "--yes", "--at-most", "5")
    assert account.run(*named, answers=rounds).exit_code == 0
    terms = {"controls": ["kms-key-rotation"], "resources": [arn(1), arn(2)], "dry_run": False, "allowance": 5}
    proof = {"caller": {"proof": "a person's"}}
    assert account.runs == [{"open_run": terms, **proof}, {"end_run": RUN, **proof}]
    assert [payload["run"] for _, payload in account.asked] == [RUN, RUN]


def test_a_dry_run_needs_no_run(account: Account) -> None:
    """If this fails, whoever may only look has to prove who they are, and leaves records that say nothing."""
    account.run("--all", answers=[answer(one(1, "WOULD_APPLY"))])
    assert (account.runs, "run" in account.asked[0][1]) == ([], False)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), {"errorType": "OutOfMemory", "errorMessage": "killed"}])
def test_an_interrupted_run_is_ended(account: Account, stop: Any) -> None:
    """If this fails, what somebody stopped can go on in their name for hours."""
    account.run("--all", "--apply", "--yes", answers=[stop])
    assert [next(iter(each)) for each in account.runs] == ["open_run", "end_run"]


def test_a_run_that_cannot_be_ended_is_told_and_the_result_is_kept(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, an error at the very end hides what a run of hours has done."""
    asks = proved.ask

    def ask(*given: Any, **more: Any) -> dict[str, Any]:
        if "end_run" in given[2]:
            raise CommandError("cannot end it", "")
        return asks(*given, **more)

    monkeypatch.setattr(proved, "ask", ask)
    result = account.run("--all", "--apply", "--yes", answers=[answer(one(1, "REMEDIATED"))])
    assert (result.exit_code, "1 REMEDIATED" in result.stdout) == (0, True)
    assert f"run {RUN} stays open until 2026-11-20T21:00:00.000+00:00" in result.stderr
    assert "cannot end it" in result.stderr


def test_a_no_changes_nothing(account: Account, person: list[str]) -> None:
    """If this fails, resources are changed before anybody agreed, or without seeing what would be called."""
    found = [one(1, "WOULD_APPLY"), one(2, "WOULD_APPLY"), one(3, "WOULD_ANNOUNCE")]
    result = account.run("--all", "--apply", answers=[answer(*found)])
    assert (result.exit_code, "nothing was changed" in result.stderr) == (1, True)
    assert person == [
        "Have kms-key-rotation change 2 resources in prod, and announce 1 finding that it does not change?"
    ]
    assert "2 WOULD_APPLY, 1 WOULD_ANNOUNCE" in result.stderr
    assert "aws kms enable-key-rotation --key-id 2" in result.stderr
    assert [payload["dry_run"] for _, payload in account.asked] == [True]


def test_nothing_to_do_is_not_asked_about(account: Account, person: list[str]) -> None:
    """If this fails, people are asked to agree to nothing, or what could not be read is called done."""
    result = account.run("--all", "--apply", answers=[answer(one(1, "COMPLIANT", ""), one(2, "ERROR", "no grant"))])
    assert not person
    assert result.exit_code == 1
    assert "1 resource could not be judged: 1 ERROR" in result.stderr


def test_a_question_about_nothing_but_words_says_so(account: Account, person: list[str]) -> None:
    """If this fails, somebody agrees to what sounds like changes, and nothing is changed."""
    account.run("--all", "--apply", answers=[answer(one(1, "WOULD_ANNOUNCE"), one(2, "WOULD_ANNOUNCE"))])
    assert person == ["Announce 2 findings in prod? Nothing is changed."]


def held(number: int, kind: str) -> dict[str, Any]:
    """Return what the function answers about a key that is on hold."""
    by = {"kind": kind, "until": "2026-11-20T18:00:00.000+00:00", "record": RUN}
    return {**one(number, "SKIPPED", "in any words"), "calls": [], "held_by": by}


@pytest.mark.parametrize("kind", ["blast radius", "freeze", "tug of war", "undo"])
def test_what_is_still_held_is_not_green(account: Account, kind: str) -> None:
    """If this fails, a script that repeats a run gets green the second time while resources stay weak."""
    found = answer(one(1, "REMEDIATED"), held(2, kind), dry_run=False)
    result = account.run("--all", "--apply", "--yes", "-o", "json", answers=[found])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"], report["counts"]) == (1, False, {"REMEDIATED": 1, "HELD": 1})
    assert [each["outcome"] for each in report["results"]] == ["REMEDIATED", "HELD"]
    assert "evenkeel release kms-key-rotation --stack prod" in json.loads(result.stderr)["error"]["next"]


@pytest.mark.parametrize("kind", ["person", "approval"])
def test_what_people_decided_is_left_alone_by_rule(account: Account, kind: str) -> None:
    """If this fails, a nightly run is red for a month because somebody undid or rejected one change."""
    result = account.run("--all", "--apply", "--yes", answers=[answer(held(1, kind), dry_run=False)])
    assert (result.exit_code, "1 SKIPPED" in result.stdout) == (0, True)


def test_an_answer_without_holds_is_not_taken_for_green(account: Account) -> None:
    """If this fails, a stack of release 0.1 leaves resources held, and a newer command ends with 0."""
    found = {name: value for name, value in one(1, "SKIPPED").items() if name != "held_by"}
    result = account.run("--all", answers=[answer(found)])
    assert (result.exit_code, "1 SKIPPED" in result.stdout) == (1, True)
    assert "older than this command: deploy it again" in result.stderr


def test_a_hold_is_no_trouble_of_a_dry_run_but_of_a_look_ahead(account: Account, person: list[str]) -> None:
    """If this fails, a look that could judge all ends red, or an --apply that finds all held ends green."""
    found = answer(held(1, "freeze"))
    assert account.run("--all", answers=[found]).exit_code == 0
    applied = account.run("--all", "--apply", answers=[found])
    assert (applied.exit_code, person) == (1, [])
    assert "1 resource not repaired: 1 HELD" in applied.stderr


def test_without_a_terminal_nothing_is_begun(account: Account) -> None:
    """If this fails, a script without --yes waits for minutes before it is refused."""
    result = account.run("--all", "--apply")
    assert (result.exit_code, "--yes" in result.stderr, account.asked) == (2, True, [])


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), {"errorType": "OutOfMemory", "errorMessage": "killed"}])
def test_an_interrupted_run_says_how_to_go_on(account: Account, stop: Any) -> None:
    """If this fails, a run over ten thousand resources has to begin again, or what it did is not told."""
    result = account.run("--all", "--apply", "--yes", answers=[answer(one(1, "REMEDIATED"), next_=arn(1)), stop])
    assert result.exit_code == 1
    assert "stopped after 1 resource; the function may continue for up to a minute" in result.stderr
    again = f"evenkeel run kms-key-rotation --stack prod --region eu-west-1 --all --apply --after {arn(1)}"
    assert again in result.stderr
    assert "1 REMEDIATED" in result.stdout
    assert ("prod-kms ended with OutOfMemory: killed" in result.stderr) == isinstance(stop, dict)


def test_a_run_goes_on_where_it_came_to(account: Account) -> None:
    """If this fails, --after begins at the first resource again, or ends with the first round."""
    rounds: list[Any] = [answer(one(2, "WOULD_APPLY"), next_=arn(2)), KeyboardInterrupt()]
    result = account.run("--all", "--after", arn(1), "-o", "json", answers=rounds)
    assert [payload["after"] for _, payload in account.asked] == [arn(1), arn(2)]
    assert (json.loads(result.stdout)["next"], json.loads(result.stdout)["ok"]) == (arn(2), False)


def test_ctrl_c_while_looking_says_that_nothing_was_changed(account: Account, person: list[str]) -> None:
    """If this fails, somebody who stops a look does not know whether resources were changed."""
    result = account.run("--all", "--apply", answers=[KeyboardInterrupt()])
    assert (result.exit_code, "nothing was changed" in result.stderr, person) == (1, True, [])


def test_ctrl_c_before_the_first_answer_claims_nothing(account: Account) -> None:
    """If this fails, somebody believes that nothing was changed while the function is at work."""
    result = account.run("--all", "--apply", "--yes", answers=[KeyboardInterrupt()])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "stopped before the first answer; the function may continue for up to a minute" in result.stderr


def test_a_function_that_makes_no_headway_is_not_asked_for_ever(account: Account) -> None:
    """If this fails, a run in an account with too much to list never ends."""
    result = account.run("--all", answers=[answer(next_="")])
    assert (result.exit_code, "before it reached a resource" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("HELD", "evenkeel release kms-key-rotation --stack prod"),
        ("RETURNED", "checked again within minutes"),
        ("DENIED", "Fix that and run the command again"),
        ("ERROR", "Fix that and run the command again"),
    ],
)
def test_what_is_not_in_line_fails_and_says_what_to_do(account: Account, outcome: str, told: str) -> None:
    """If this fails, a script takes a run that the blast radius stopped, or AWS refused, for done."""
    done = answer(one(1, "REMEDIATED"), one(2, outcome), dry_run=False)
    result = account.run("--all", "--apply", "--yes", answers=[done])
    assert (result.exit_code, f"1 {outcome}" in result.stderr, told in result.stderr) == (1, True, True)


def test_a_refusal_is_told_in_the_functions_words(account: Account) -> None:
    """If this fails, a wrong ARN ends in a traceback, or scripts cannot tell it from a failed change."""
    refused = refuses("MalformedPayloadError", "resources: 'x' is not an AWS::KMS::Key")
    result = account.run("--resource", "arn:aws:s3:::b", answers=[refused])
    assert result.exit_code == 2
    assert "cannot run kms-key-rotation: resources: 'x' is not an AWS::KMS::Key" in result.stderr
    assert "Fix what it names" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("kms-key-rotatoin", "--all"), "Did you mean kms-key-rotation"),
        (("kms-key-rotation",), "run: no resource is given"),
        (("kms-key-rotation", "--all", "--resource", arn(1)), "run: --resource and --all are given; only one can be"),
        (("kms-key-rotation", "--resource", "key/1"), "--resource key/1: not an ARN"),
        (("kms-key-rotation", "--all", "--after", "key/1"), "--after key/1: not an ARN"),
        (("kms-key-rotation", "--resource", arn(1), "--after", arn(2)), "not one of the given resources"),
        (("s3-tls-only-policy", "--all"), "has no function for a control 's3-tls-only-policy'; its groups are kms, la"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    account: Account, arguments: tuple[str, ...], told: str
) -> None:
    """If this fails, a typing error costs a run, or looks at other resources than were meant."""
    result = evenkeel("run", *arguments, "--stack", "prod", "--apply", "--yes")
    assert (result.exit_code, told in result.stderr, account.asked) == (2, True, [])


def test_the_lambda_groups_controls_have_their_function(account: Account) -> None:
    """If this fails, the controls whose group is called like AWS's service for functions cannot be run by hand."""
    account.answers = [answer()]
    result = evenkeel("run", LAMBDA_CONTROL, "--all", "--stack", "prod")
    assert (result.exit_code, account.asked[0][0]) == (0, "prod-lambda")
    assert "0 resources checked." in result.stdout
