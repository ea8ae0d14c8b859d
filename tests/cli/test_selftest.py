"""The decisions of ``evenkeel selftest``: what it expects, what it may remove, and when it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from evenkeel.control.registry import all_controls
from evenkeel.model import Compliant, NonCompliant
from evenkeel.remediation.decide import Announce, Apply, AwaitApproval, Hold, Skip
from evenkeel.settings import parser
from evenkeel.settings.rules import Subject
from evenkeel_cli.audit import reader
from evenkeel_cli.aws.functions import RefusedError
from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.changes.undo_command import Undoing
from evenkeel_cli.selftest import kinds, leftovers, marks, planning, provisioner, trial_run
from evenkeel_cli.selftest.makers import MAKERS, near_its_end
from evenkeel_cli.selftest.report import StepName, Verdict
from evenkeel_cli.selftest.trial_run import Shared, TrialRun
from evenkeel_cli.ui.failure import CommandError
from tests.cli.fake_cloud import refusal
from tests.cli.running import evenkeel

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SITE = kinds.Site("aws", "eu-west-1", "123456789012", "https://queues")
ROTATION = all_controls()["kms-key-rotation"]
KEY = Subject("arn:aws:kms:eu-west-1:123456789012:key/1", "123456789012", "eu-west-1", {"Name": "evenkeel-selftest-1"})

EXEMPT = """{"schema_version": 1, "exemptions": [
    {"controls": ["*"], "accounts": ["123456789012"], "reason": "r", "approver": "a", "expires": "2026-12-01"}]}"""


def _decisions(document: str = '{"schema_version": 1}', scope: str = "*") -> planning.Decisions:
    stack = Stack("evenkeel", cast("Any", None), {"LogKeyArn": "arn:aws:kms:eu-west-1:1:key/1"}, {"Scope": scope})
    return planning.Decisions(stack, parser.parse(document))


def _with_mode(mode: str) -> str:
    return f'{{"schema_version": 1, "controls": {{"kms-key-rotation": {{"mode": "{mode}"}}}}}}'


@pytest.mark.parametrize(
    ("document", "scope", "expected"),
    [
        (_with_mode("enforce"), "*", Apply),
        (_with_mode("notify"), "*", Announce),
        (_with_mode("approve"), "*", AwaitApproval),
        (_with_mode("off"), "*", Skip),
        (_with_mode("enforce"), "arn:aws:s3:::*", Skip),
        (EXEMPT, "*", Skip),
        ('{"schema_version": 1, "freezes": [{"name": "f", "cron": "0 12 * * *", "hours": 1}]}', "*", Hold),
    ],
)
def test_what_is_expected_follows_the_settings(document: str, scope: str, expected: type) -> None:
    """A control that only announces would be called broken, or a broken one would be called well."""
    assert isinstance(_decisions(document, scope).decision(ROTATION, KEY, None, NOW), expected)


def test_what_only_people_can_fix_is_expected_to_be_announced() -> None:
    """Of a resource for which no tag's value is known, a repair would be waited for in vain."""
    assert isinstance(_decisions().decision(ROTATION, KEY, NonCompliant("no value is known"), NOW), Announce)
    assert isinstance(_decisions().decision(ROTATION, KEY, Compliant(), NOW), Apply)


def test_a_run_names_its_time() -> None:
    """A concurrent self-test of somebody else would be torn down, or an old one's leftovers would stay for ever."""
    run = marks.new_run(NOW)
    assert marks.is_run(run)
    assert marks.started(run) == NOW
    young, old = (
        leftovers.Leftover(kinds.TABLE, kinds.Target(SITE, marks.new_run(NOW - ago), "name"))
        for ago in (timedelta(minutes=59), timedelta(minutes=61))
    )
    assert not young.is_due(NOW)
    assert old.is_due(NOW)


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("evenkeel-selftest-6b01f0e6270e-x", {}),
        ("evenkeel-selftest-6b01f0e6270e-x", {"evenkeel-selftest": "mine, please leave it"}),
        ("evenkeel-selftest-6b01f0e6270e-x", {"evenkeel-selftest": "6b01f0e6270f"}),
        ("orders", {"evenkeel-selftest": "6b01f0e6270e"}),
        ("evenkeel-selftest-", {"evenkeel-selftest": ""}),
        ("", {"evenkeel-selftest": "6b01f0e6270e"}),
    ],
)
def test_what_lacks_the_tag_or_the_name_is_nobodys(name: str, tags: dict[str, str]) -> None:
    """Somebody else's resource would be deleted because it has a similar name or tag."""
    assert not marks.owner(name, tags)


def test_only_what_carries_both_marks_of_one_run_is_found_and_removed(variables: pytest.MonkeyPatch) -> None:
    """A foreign resource would be deleted; or what a killed run left would be billed for ever."""
    del variables
    with mock_aws():
        clients: dict[str, Any] = {}

        def cloud(service: str) -> Any:
            make: Any = boto3.client
            return clients.setdefault(service, make(service, region_name="eu-west-1"))

        run = marks.new_run(NOW - timedelta(hours=2))
        ours = kinds.Target(SITE, run, marks.name(run, "x"), marks.name(run, "x"))
        worker = provisioner.Provisioner(cloud, provisioner.Stop(), 0)
        for kind in (kinds.TABLE, kinds.ROLE, kinds.KEY):
            worker.make(kind, ours, lambda _: None)
        _table(cloud, f"{ours.name}-foreign", {})
        _table(cloud, "orders", {marks.TAG: run})
        found = leftovers.find(cloud, SITE)
        assert [each.kind for each in found.resources] == [kinds.KEY, kinds.TABLE, kinds.ROLE]
        assert found.troubles == []
        assert [leftovers.remove(worker, each) for each in found.resources] == ["deleted"] * 3
        assert leftovers.find(cloud, SITE).resources == []
        assert cloud("dynamodb").list_tables()["TableNames"] == [f"{ours.name}-foreign", "orders"]


def _table(cloud: Any, name: str, tags: dict[str, str]) -> None:
    cloud("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


class Dynamo:
    """A table that AWS deletes only after these answers."""

    def __init__(self, *refusals: ClientError) -> None:
        """Keep what to answer first."""
        self.refusals = list(refusals)
        self.called: list[str] = []

    def __call__(self, _: str) -> Any:
        """Return itself as any client."""
        return self

    def delete_table(self, **_: Any) -> dict[str, Any]:
        """Answer as told, then delete."""
        self.called.append("delete")
        if self.refusals:
            raise self.refusals.pop(0)
        return {}

    def update_table(self, **_: Any) -> dict[str, Any]:
        """Take the protection off."""
        self.called.append("unprotect")
        return {}


def _protected() -> ClientError:
    said = "Resource cannot be deleted as it is currently protected against deletion."
    return ClientError({"Error": {"Code": "ValidationException", "Message": said}}, "DeleteTable")


@pytest.mark.parametrize(
    ("refusals", "called", "removed"),
    [
        ([], ["delete"], True),
        ([refusal("ResourceNotFoundException")], ["delete"], False),
        ([refusal("ResourceInUseException")] * 2, ["delete", "delete", "delete"], True),
        ([_protected(), _protected()], ["delete", "unprotect"] * 2 + ["delete"], True),
    ],
)
def test_a_table_is_removed_whatever_evenkeel_does_to_it(
    refusals: list[ClientError], called: list[str], removed: bool
) -> None:
    """A table that is being made, or that Evenkeel protects, would be left in the account."""
    table = Dynamo(*refusals)
    target = kinds.Target(SITE, "6b01f0e6270e", "t", "t")
    assert provisioner.Provisioner(table, provisioner.Stop(), 0).remove(kinds.TABLE, target) is removed
    assert table.called == called


def test_a_denied_removal_is_said_at_once() -> None:
    """A person without the permission would wait a minute and a half for each resource."""
    table = Dynamo(refusal("AccessDeniedException", "DeleteTable"))
    with pytest.raises(CommandError, match="access denied by AWS at DeleteTable"):
        provisioner.Provisioner(table, provisioner.Stop(), 0).remove(
            kinds.TABLE, kinds.Target(SITE, "6b01f0e6270e", "t", "t")
        )


def test_a_function_waits_until_its_role_is_known() -> None:
    """Each self-test of a Lambda control would fail, since IAM shows a new role some seconds late."""
    answers = [refusal("InvalidParameterValueException"), {"FunctionArn": "arn"}]

    def create_function(**_: Any) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        return answer

    client = SimpleNamespace(create_function=create_function)
    kept: list[kinds.Target] = []
    target = kinds.Target(SITE, "6b01f0e6270e", "f")
    made = provisioner.Provisioner(lambda _: client, provisioner.Stop(), 0).make(kinds.FUNCTION, target, kept.append)
    assert (made.id, kept, answers) == ("f", [made], [])


def test_what_aws_does_not_show_yet_is_broken_a_little_later() -> None:
    """A self-test would fail now and then, since EC2 and IAM show what was made some seconds late."""
    answers: list[ClientError | dict[str, Any]] = [refusal("InvalidGroup.NotFound"), {}]

    def authorize_security_group_ingress(**_: Any) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        return answer

    client = SimpleNamespace(authorize_security_group_ingress=authorize_security_group_ingress)
    target = kinds.Target(SITE, "6b01f0e6270e", "g", "sg-1")
    maker = MAKERS["ec2-security-group-open-ingress"]
    provisioner.Provisioner(lambda _: client, provisioner.Stop(), 0).run(maker.breaks(target))
    assert answers == []


@pytest.mark.parametrize(("minutes", "detail"), [(31, "not started: the run has taken"), (29, "access denied")])
def test_a_run_begins_nothing_that_it_might_not_end_within_the_hour(minutes: int, detail: str) -> None:
    """A slow run's resources would be taken for leftovers by the next self-test, and deleted while it uses them."""

    def create_key(**_: Any) -> None:
        raise refusal("AccessDeniedException", "CreateKey")

    run = marks.new_run(datetime.now(UTC) - timedelta(minutes=minutes))
    maker = MAKERS[ROTATION.id]
    trial = planning.Trial(ROTATION, maker, maker.target(SITE, run, ROTATION.id, NOW.date()), "enforce", "repaired")
    worker = provisioner.Provisioner(lambda _: SimpleNamespace(create_key=create_key), provisioner.Stop(), 0)
    plan = planning.Plan(cast("Any", None), SITE, run, _decisions(), (trial,))
    row = TrialRun(trial, Shared(plan, worker, None, "", 1, lambda _: None)).run()
    assert [(step.name, step.verdict) for step in row.steps] == [(StepName.MAKE, Verdict.FAILED)]
    assert detail in row.steps[0].detail


def test_the_longest_run_ends_within_the_hour() -> None:
    """A run at the longest --timeout could outlast the hour in which nobody else removes what it made."""
    waits = 4  # audit, state, alert and undo
    found = evenkeel("selftest", "--stack", "evenkeel", "--timeout", f"{marks.MOST_SECONDS + 1}")
    assert found.exit_code == 2
    longest = marks.BEGUN_WITHIN + timedelta(seconds=waits * marks.MOST_SECONDS) + marks.NEWER_WITHIN
    assert longest < marks.KEPT_FOR


@pytest.mark.parametrize("shown_at", [0, 2], ids=["before the undo", "after the undo was refused"])
def test_the_newest_of_two_changes_is_undone(monkeypatch: pytest.MonkeyPatch, shown_at: int) -> None:
    """A tagged resource that two events repaired would fail: undo refuses a change that a newer one came after."""
    first = {"record_id": "01-first", "control": ROTATION.id, "outcome": "PARTIAL"}
    second = {"record_id": "02-second", "control": ROTATION.id, "outcome": "REMEDIATED"}
    other = {"record_id": "03-other", "control": "tagging-required-tags", "outcome": "REMEDIATED"}
    reads: list[str] = []

    def all_of(_: reader.Reader, resource: str) -> list[dict[str, Any]]:
        reads.append(resource)
        return [first, second, other] if len(reads) > shown_at else [first, other]

    def run(undoing: Undoing, resource: str, record: str, *, force: bool) -> dict[str, Any]:
        del undoing, resource, force
        if record != "02-second":
            raise RefusedError("DriftError", "it changed since", "")
        return {"outcome": "UNDONE", "record_id": "04-undone"}

    def judged(_: TrialRun) -> NonCompliant:
        return NonCompliant("rotation is off")

    monkeypatch.setattr(reader.Reader, "__init__", lambda *_: None)
    monkeypatch.setattr(reader.Reader, "all_of", all_of)
    monkeypatch.setattr(Undoing, "run", run)
    monkeypatch.setattr(TrialRun, "_judged", judged)
    monkeypatch.setattr(trial_run, "EVERY_SECONDS", 0.01)
    stack = Stack("evenkeel", cast("Any", None), {"UndoFunctionName": "evenkeel-undo"}, {})
    maker = MAKERS[ROTATION.id]
    target = maker.target(SITE, "6b01f0e6270e", ROTATION.id, NOW.date())
    trial = planning.Trial(ROTATION, maker, target, "enforce", "repaired")
    worker = provisioner.Provisioner(cast("Any", None), provisioner.Stop(), 0)
    row = TrialRun(
        trial, Shared(planning.Plan(stack, SITE, target.run, _decisions(), (trial,)), worker, None, "", 1, print)
    )
    row._undo(first)
    assert [(step.name, step.verdict, step.detail) for step in row.row.steps] == [(StepName.UNDO, Verdict.OK, "")]


def test_who_stops_is_not_kept_waiting() -> None:
    """Ctrl-C would wait for minutes until it cleans up."""
    stop = provisioner.Stop()
    stop.asked.set()
    with pytest.raises(provisioner.StoppedError):
        stop.poll(lambda: None, 60, 1)


def test_a_runtime_is_chosen_that_lambda_still_takes() -> None:
    """The self-test of deprecated runtimes would fail at its first call, or test a runtime with nothing wrong."""
    maker = MAKERS["lambda-deprecated-runtime"]
    found = near_its_end(NOW.date())
    assert found
    assert found[1] <= NOW.date()
    assert maker.obstacle({"warn_days": 180}, NOW.date()) == ""
    assert maker.target(SITE, "6b01f0e6270e", "c", NOW.date()).runtime == found[0]
    assert "no new function" in maker.obstacle({"warn_days": 0}, datetime(2050, 1, 1, tzinfo=UTC).date())


@pytest.mark.parametrize(
    ("name", "said"), [("kms-rotation", "Did you mean kms-key"), ("rds-public-access", "groups are kms")]
)
def test_a_control_that_the_stack_has_not_is_refused(name: str, said: str) -> None:
    """A misspelt control would be tried by nobody, and the command would say that all is well."""
    stack = Stack("evenkeel", cast("Any", None), {"Groups": "kms"}, {})
    with pytest.raises(CommandError) as refused:
        planning.plan(stack, [name], marks.new_run(NOW), NOW)
    assert refused.value.code == 2
    assert said in f"{refused.value.message} {refused.value.next_step}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--apply",), "nothing was created: the command asks for confirmation"),
        (("--clean", "6b01f0e6270e", "--apply"), "nothing was deleted: the command asks for confirmation"),
        (("--clean", "orders"), "--clean orders: not a run id"),
    ],
)
def test_it_refuses_before_it_asks_aws_anything(arguments: tuple[str, ...], said: str) -> None:
    """A script without a terminal would make or remove things that nobody agreed to."""
    found = evenkeel("selftest", "--stack", "evenkeel", *arguments)
    assert found.exit_code == 2
    assert said in found.stderr
