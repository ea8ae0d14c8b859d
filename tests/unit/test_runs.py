"""Runs: a person proves once who they are, and only what the open run covers is changed, under their name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import names
from evenkeel.audit import records
from evenkeel.lambda_handler import remediator
from evenkeel.operators.runs import LONGEST_HOURS
from evenkeel.runtime.dynamodb import wire
from evenkeel.worker import Worker
from notifier import alert
from tests import factories
from tests.runs import opened
from tests.sts import CALLER, signed
from tests.tables import AUDIT, STATE
from tests.unit.test_alert import HOME
from tests.world import ACCOUNT, QUEUE_URL, REGION, Context, client, sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

    Ask = Callable[[dict[str, Any]], dict[str, Any]]

CONTROL = "kms-key-rotation"
OTHER_STACK = "evenkeel-other"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture
def ask(world: World, sts: str) -> Ask:
    """Return what invokes the KMS function; what opens or ends a run is signed."""
    del world
    handler = remediator("kms")

    def invoke(payload: dict[str, Any]) -> dict[str, Any]:
        proved = payload if "control" in payload or "caller" in payload else signed(sts, payload)
        return handler(proved, Context())

    return invoke


@pytest.fixture
def key(world: World) -> str:
    """Return the ARN of a key that does not rotate."""
    del world
    return factories.key()


def act(ask: Ask, arn: str | None, run: str) -> dict[str, Any]:
    """Have one key, or all, brought in line in the name of a run."""
    return ask({"control": CONTROL, "resources": [arn] if arn else "all", "dry_run": False, "run": run})


def rotates(arn: str) -> bool:
    """Say whether a key rotates."""
    return bool(client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"])


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Turn the function's clock on."""
    monkeypatch.setattr(Worker, "now", lambda _: datetime.now(UTC) + by)


def test_a_repair_and_its_alert_name_who_ran_it(world: World, ask: Ask, key: str) -> None:
    """If this fails, somebody changes a hundred resources by hand and nobody can say who."""
    run = opened(ask, CONTROL)
    assert [each["outcome"] for each in act(ask, None, run)["results"]] == ["REMEDIATED"]
    repaired = [record for record in world.records() if record["resource"] == key]
    assert [(each["actor"]["principal"], each["run"]) for each in repaired] == [(CALLER, run)] * 2
    assert f"Run by: {CALLER} with Run at " in alert.outcome(repaired[-1], HOME).text


def test_its_beginning_and_end_are_audited_in_one_chain_and_wake_nobody(world: World, ask: Ask, key: str) -> None:
    """If this fails, nobody can say afterwards what somebody was allowed to have changed, or on-call hears it twice."""
    run = opened(ask, CONTROL, [key], allowance=5, hours=2)
    assert ask({"end_run": run}) == {"run": run, "ended": True}
    first, last = world.records()
    assert [first["outcome"], last["outcome"]] == ["OPENED", "ENDED"]
    assert first["before"] == {
        "controls": [CONTROL], "resources": [key], "dry_run": False, "allowance": 5, "hours": 2,
    }  # fmt: skip
    assert first["resource"] == f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STATE}/run/{run}"
    assert {first["actor"]["principal"], last["actor"]["principal"]} == {CALLER}
    assert last["detail"] == f"ended by {CALLER}"
    assert (first["announce"], last["announce"]) == (False, False)
    assert world.chains() == 1


def test_without_a_run_a_payload_can_only_look(world: World, ask: Ask, key: str) -> None:
    """If this fails, whoever may invoke a function changes resources without saying who they are."""
    answer = ask({"control": CONTROL, "resources": [key], "dry_run": False})
    assert answer["error"]["kind"] == "RunRefusedError"
    assert answer["error"]["message"].startswith("changing resources needs an open run")
    looked = ask({"control": CONTROL, "resources": [key]})
    assert [each["outcome"] for each in looked["results"]] == ["WOULD_APPLY"]
    assert (world.records(), rotates(key)) == ([], False)


@pytest.mark.parametrize("invented", ["0" * 12 + "-" + "0" * 16, "none", "../", "a#b", "x" * 1024])
def test_an_invented_run_changes_nothing(world: World, ask: Ask, key: str, invented: str) -> None:
    """If this fails, any text in place of a run's id is as good as a proof."""
    assert "there is no run" in act(ask, key, invented)["error"]["message"]
    assert (world.records(), rotates(key)) == ([], False)


@pytest.mark.parametrize("text", ["none", "\N{GREEK SMALL LETTER ALPHA}" * 1024])
def test_a_text_that_is_no_id_is_not_asked_of_the_table(world: World, ask: Ask, key: str, text: str) -> None:
    """If this fails, a long text ends in a crash: DynamoDB takes no key of more than 2,048 bytes."""
    world.wire.calls.clear()
    assert "there is no run" in act(ask, key, text)["error"]["message"]
    assert world.wire.names() == []


def test_an_ended_run_changes_nothing_and_ends_once(world: World, ask: Ask, key: str) -> None:
    """If this fails, whoever stops a run does not stop it, or its chain forks."""
    run = opened(ask, CONTROL)
    for _ in range(2):
        assert ask({"end_run": run}) == {"run": run, "ended": True}
    assert f"run {run} was ended by {CALLER}" in act(ask, key, run)["error"]["message"]
    assert (world.outcomes(), rotates(key)) == (["OPENED", "ENDED"], False)


def test_a_run_that_is_ended_meanwhile_stops_before_the_next_resource(world: World, ask: Ask, key: str) -> None:
    """If this fails, Ctrl-C leaves the function at work for as long as its minute lasts."""
    keys, run = sorted([key, factories.key()]), opened(ask, CONTROL)

    def end(_: dict[str, Any]) -> None:
        assert ask({"end_run": run})["ended"]

    world.wire.when("kms", "EnableKeyRotation", end)
    results = act(ask, None, run)["results"]
    assert [each["outcome"] for each in results] == ["REMEDIATED", "ERROR"]
    assert f"run {run} was ended" in results[1]["reason"]
    assert [rotates(arn) for arn in keys] == [True, False]


@pytest.mark.parametrize(
    ("hours", "minutes", "good"), [(1, 59, True), (1, 61, False), (12, 719, True), (12, 721, False)]
)
def test_a_run_ends_by_itself(
    world: World, ask: Ask, key: str, monkeypatch: pytest.MonkeyPatch, hours: int, minutes: int, good: bool
) -> None:
    """If this fails, a run that nobody ended lets its holder change resources for ever."""
    del world
    run = opened(ask, CONTROL, hours=hours)
    later(monkeypatch, timedelta(minutes=minutes))
    answer = act(ask, key, run)
    assert rotates(key) == good
    assert good or "it expired at" in answer["error"]["message"]


def test_another_stacks_run_changes_nothing(
    world: World, ask: Ask, key: str, sts: str, variables: pytest.MonkeyPatch
) -> None:
    """If this fails, a proof or a run that was made for a test stack changes resources in production."""
    answer = ask(signed(sts, {"open_run": GOOD}, stack=OTHER_STACK))
    assert "signed for another stack or request" in answer["error"]["message"]
    run = opened(ask, CONTROL)
    client("dynamodb").create_table(
        TableName=names.state_table(OTHER_STACK), BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )  # fmt: skip
    variables.setenv("EVENKEEL_STACK", OTHER_STACK)
    other = remediator("kms")
    answer = act(lambda payload: other(payload, Context()), key, run)
    assert f"there is no run {run} of stack {OTHER_STACK}" in answer["error"]["message"]
    assert (world.outcomes(), rotates(key)) == (["OPENED"], False)


def test_a_run_whose_record_was_changed_changes_nothing(world: World, ask: Ask, key: str) -> None:
    """If this fails, whoever can put an item into the audit table widens a run, or changes who runs it."""
    run = opened(ask, CONTROL, [factories.key()])
    (record,) = world.records()
    for change in (
        {"before": {**record["before"], "resources": "all"}},
        {"actor": {**record["actor"], "principal": "arn:aws:iam::123456789012:user/somebody"}},
    ):
        forged = {**record, **change}
        for planted in (forged, {**forged, "hash": records.record_hash(forged)}):
            client("dynamodb").put_item(TableName=AUDIT, Item=wire(planted))
            assert "was changed after it was written; verify the audit" in act(ask, key, run)["error"]["message"]
    assert not rotates(key)


def test_a_run_covers_what_it_names_and_nothing_else(world: World, ask: Ask, key: str) -> None:
    """If this fails, a person agrees to change one resource and others are changed in their name."""
    other = factories.key()
    named = opened(ask, CONTROL, [key])
    assert f"run {named} does not cover {other}" in act(ask, other, named)["error"]["message"]
    assert f"run {named} does not cover all resources" in act(ask, None, named)["error"]["message"]
    elsewhere = opened(ask, "kms-other")
    assert f"run {elsewhere} does not cover {CONTROL}" in act(ask, key, elsewhere)["error"]["message"]
    looks = opened(ask, CONTROL, dry_run=True)
    assert f"run {looks} is a dry run" in act(ask, key, looks)["error"]["message"]
    assert [rotates(key), rotates(other)] == [False, False]
    assert act(ask, key, named)["results"][0]["outcome"] == "REMEDIATED"
    assert set(world.outcomes()) == {"OPENED", "PLANNED", "REMEDIATED"}


def test_an_allowance_is_never_exceeded(world: World, ask: Ask) -> None:
    """If this fails, "at most two" changes a hundred; or a resource that is in line already uses the allowance up."""
    good, *weak = sorted(factories.key() for _ in range(4))
    client("kms").enable_key_rotation(KeyId=good)
    run = opened(ask, CONTROL, allowance=2)
    results = [*act(ask, None, run)["results"], *act(ask, None, run)["results"]]
    outcomes = [each["outcome"] for each in results]
    assert (outcomes.count("REMEDIATED"), outcomes.count("SKIPPED")) == (2, 2)
    assert {each["reason"] for each in results if each["outcome"] == "SKIPPED"} == {
        f"run {run} has reached its limit of 2 changes"
    }
    assert [rotates(arn) for arn in weak] == [True, True, False]
    assert world.chains() == 3


def test_what_a_run_gave_back_keeps_its_name_and_its_allowance(world: World, ask: Ask, key: str) -> None:
    """If this fails, a throttled resource is changed later in nobody's name, or beyond what the run may change."""
    run = opened(ask, CONTROL, [key], allowance=1)
    world.wire.fail("kms", "EnableKeyRotation", "ThrottlingException")
    assert act(ask, key, run)["results"][0]["outcome"] == "RETURNED"
    (message,) = world.messages(QUEUE_URL)
    remediator("kms")(sqs_event(message["Body"]), Context())
    record = world.records()[-1]
    assert (record["outcome"], record["run"], record["actor"]["principal"]) == ("REMEDIATED", run, CALLER)


GOOD = {"controls": [CONTROL], "resources": "all", "dry_run": False}


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        (None, "send controls, resources and dry_run"),
        ({"controls": [CONTROL]}, "send controls, resources and dry_run"),
        ({**GOOD, "who": "me"}, "known: allowance, controls, dry_run, hours, resources"),
        ({**GOOD, "controls": []}, "controls: write a list of control ids"),
        ({**GOOD, "controls": ["A B"]}, "controls: write a list of control ids"),
        ({**GOOD, "resources": []}, 'write a list of ARNs, or "all"'),
        ({**GOOD, "resources": "every"}, 'write a list of ARNs, or "all"'),
        ({**GOOD, "resources": ["x" * 1025]}, 'write a list of ARNs, or "all"'),
        ({**GOOD, "resources": [f"{number:01000}" for number in range(100)]}, "too many for one run"),
        ({**GOOD, "dry_run": "no"}, "dry_run: write true or false"),
        ({**GOOD, "allowance": -1}, "allowance: write a whole number"),
        ({**GOOD, "allowance": True}, "allowance: write a whole number"),
        ({**GOOD, "hours": 0}, "hours: write whole hours from 1 to 12"),
        ({**GOOD, "hours": LONGEST_HOURS + 1}, "hours: write whole hours from 1 to 12"),
    ],
)
def test_terms_that_cannot_be_meant_open_nothing(world: World, ask: Ask, terms: Any, told: str) -> None:
    """If this fails, a slip opens a run that is wider or longer than anybody meant."""
    answer = ask({"open_run": terms})
    assert answer["error"]["kind"] == "MalformedPayloadError"
    assert told in answer["error"]["message"]
    assert world.records() == []


@pytest.mark.parametrize("verb", ["open_run", "end_run"])
def test_who_is_not_proved_neither_opens_nor_ends(world: World, ask: Ask, sts: str, verb: str) -> None:
    """If this fails, a run is opened in anybody's name, or somebody else's is ended by who may not even be asked."""
    run = opened(ask, CONTROL)
    wish = {"open_run": GOOD} if verb == "open_run" else {"end_run": run}
    proof = signed(sts, wish)["caller"]
    assert ask({**wish, "caller": None})["error"]["kind"] == "UnprovedCallerError"
    assert ask({**wish, "caller": proof, "more": 1})["error"]["kind"] == "MalformedPayloadError"
    changed = {"open_run": {**GOOD, "hours": 3}} if verb == "open_run" else {"end_run": f"{'0' * 12}-{'0' * 16}"}
    assert "signed for another stack or request" in ask({**changed, "caller": proof})["error"]["message"]
    assert world.outcomes() == ["OPENED"]
