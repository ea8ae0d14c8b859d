"""``evenkeel selftest`` on the real stack: all is well, a control is broken, a run is killed, something is foreign."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel_cli.selftest import kinds, makers, marks, provisioner
from evenkeel_cli.selftest.makers import MAKERS
from sandbox.deploy.settings import push
from tests.prove import beside
from tests.sandbox.cli_stack import Place, eventually, operator, settings, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMMAND = str(Path(sys.executable).with_name("evenkeel"))
KEYS, BUCKETS = "kms-key-rotation", "s3-versioning"
ONLY_ANNOUNCES = "lambda-deprecated-runtime"
SECONDS = 240


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack with all controls enforced that change something."""
    changing = (name for name, control in all_controls().items() if not control.only_announces)
    with standing(table_seconds=1.0, enforced=changing) as there:
        yield there


def _environment(place: Place) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **place.operator}


def _run(variables: Mapping[str, str], *arguments: str, timeout: int = 60) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "selftest", "--timeout", f"{timeout}", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=SECONDS)


def _applied(place: Place, *arguments: str, timeout: int = 60) -> tuple[int, dict[str, Any]]:
    """Run a self-test, and return its exit code and what it says for machines."""
    done = _run(_environment(place), "--apply", "--yes", "--output", "json", *arguments, timeout=timeout)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _steps(row: Mapping[str, Any]) -> dict[str, str]:
    return {step["step"]: step["result"] for step in row["steps"]}


def _row(said: Mapping[str, Any], control: str) -> dict[str, Any]:
    (row,) = (each for each in said["results"] if each["control"] == control)
    return dict(row)


def _there(place: Place) -> list[str]:
    """Return the names of all log groups, tables, buckets, queues, functions, roles, VPCs and keys of self-tests."""
    client = place.sandbox.client
    tagged = {"Name": "tag-key", "Values": [marks.TAG]}
    names = [
        *(each["logGroupName"] for each in client("logs").describe_log_groups(limit=50)["logGroups"]),
        *client("dynamodb").list_tables()["TableNames"],
        *(each["Name"] for each in client("s3").list_buckets()["Buckets"]),
        *(url.rpartition("/")[2] for url in client("sqs").list_queues().get("QueueUrls", [])),
        *(each["FunctionName"] for each in client("lambda").list_functions()["Functions"]),
        *(each["RoleName"] for each in client("iam").list_roles()["Roles"]),
    ]
    found = [name for name in names if name.startswith(marks.PREFIX)]
    found += [each["VpcId"] for each in client("ec2").describe_vpcs(Filters=[tagged])["Vpcs"]]
    found += [each["GroupId"] for each in client("ec2").describe_security_groups(Filters=[tagged])["SecurityGroups"]]
    for key in client("kms").list_keys(Limit=1000)["Keys"]:
        described = client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if described.get("Description", "").startswith(marks.PREFIX) and described["KeyState"] != "PendingDeletion":
            found.append(described["Description"])
    return found


def _subscriptions(place: Place) -> list[str]:
    topic = place.stack.outputs["AlertTopicArn"]
    listed = place.sandbox.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [each["Endpoint"] for each in listed]


def test_every_control_that_can_be_tried_is_well(place: Place) -> None:
    """In a real account the command could not say that the stack works, or would leave something behind."""
    code, said = _applied(place)
    assert (code, said["ok"]) == (0, True), said
    assert {row["control"] for row in said["results"] if row["result"] == "ok"} == MAKERS.keys()
    for control in MAKERS:
        steps = {"make": "ok", "audit": "ok", "state": "ok", "alert": "ok", "undo": "ok", "delete": "ok"}
        if control == ONLY_ANNOUNCES:
            steps["undo"] = "skipped"
        assert _steps(_row(said, control)) == steps, control
    assert _row(said, KEYS)["outcome"] == "REMEDIATED"
    assert _row(said, ONLY_ANNOUNCES)["outcome"] == "ANNOUNCED"
    assert _there(place) == []
    assert _subscriptions(place) == []


def test_a_dry_run_makes_nothing_and_says_what_it_would(place: Place) -> None:
    """A person who looks first would have resources made, or would not learn what they cost."""
    place.sandbox.forget()
    done = _run(_environment(place))
    assert done.returncode == 0, done.stderr
    assert "aws kms create-key" in done.stdout
    assert "Nothing was created." in done.stdout
    assert "not tested: it is a setting of the whole account" in done.stdout
    made = [each["operation"] for each in place.sandbox.calls()["calls"] if each["principal"].endswith("operator")]
    assert made
    assert not [name for name in made if name.startswith(("Create", "Put", "Delete", "Subscribe"))]


def test_a_control_that_cannot_repair_is_named_and_the_others_go_on(place: Place) -> None:
    """A broken permission of the stack would pass for a working control."""
    fault = place.sandbox.faults.add("kms", "EnableKeyRotation", code="AccessDeniedException", message="explicit deny")
    try:
        code, said = _applied(place, "--control", KEYS, "--control", BUCKETS)
    finally:
        place.sandbox.faults.clear(fault)
    assert (code, said["ok"]) == (1, False)
    row = _row(said, KEYS)
    assert (row["result"], row["outcome"]) == ("failed", "DENIED")
    (audit,) = (step for step in row["steps"] if step["step"] == "audit")
    assert audit["detail"].startswith("DENIED instead of PARTIAL or REMEDIATED: ")
    assert _steps(row) == {"make": "ok", "audit": "failed", "state": "ok", "alert": "ok", "undo": "skipped",
                           "delete": "ok"}  # fmt: skip
    assert _row(said, BUCKETS)["result"] == "ok"
    assert _there(place) == []


def test_silence_fails_in_time(place: Place) -> None:
    """A stack that hears nothing, as when it is paused, would keep the person waiting, or pass."""
    assert place.run("pause").exit_code == 0
    try:
        code, said = _applied(place, "--control", BUCKETS, timeout=5)
    finally:
        assert place.run("resume", "--yes").exit_code == 0
    assert code == 1
    row = _row(said, BUCKETS)
    assert _steps(row) == {"make": "ok", "audit": "failed", "delete": "ok"}
    assert "no record within 5 s: is the stack paused" in row["steps"][1]["detail"]
    assert _there(place) == []


def test_a_mode_is_respected(place: Place) -> None:
    """A control that waits for approval would be called broken, or one that is off would be waited for."""
    document = settings()
    modes = {KEYS: "approve", BUCKETS: "notify", "logs-group-retention": "off"}
    for control, mode in modes.items():
        document["controls"][control]["mode"] = mode
    push(place.sandbox, place.stack, document)
    place.sandbox.recycle()
    try:
        code, said = _applied(place, *(part for control in modes for part in ("--control", control)))
    finally:
        changing = (name for name, control in all_controls().items() if not control.only_announces)
        push(place.sandbox, place.stack, settings(changing))
        place.sandbox.recycle()
    assert code == 0, said
    rows = {control: _row(said, control) for control in modes}
    assert {name: (row["result"], row["outcome"]) for name, row in rows.items()} == {
        KEYS: ("ok", "AWAITING"), BUCKETS: ("ok", "ANNOUNCED"), "logs-group-retention": ("skipped", ""),
    }  # fmt: skip
    assert rows["logs-group-retention"]["reason"] == "the control is off"


def test_who_may_not_make_a_resource_is_told_and_the_rest_goes_on(place: Place) -> None:
    """One missing permission would end the whole self-test, or hide which permission it is."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": ["kms:CreateKey", "sns:Subscribe"], "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [everything, denied]}
    bob = operator(place.sandbox, place.stack, place.sandbox.create_user("bob", policy))
    code, said = _applied(Place(place.sandbox, place.stack, bob), "--control", KEYS, "--control", BUCKETS)
    assert code == 1
    key, bucket = _row(said, KEYS), _row(said, BUCKETS)
    assert _steps(key) == {"make": "failed"}
    assert "access denied by AWS at CreateKey" in key["steps"][0]["detail"]
    assert _steps(bucket) == {"make": "ok", "audit": "ok", "state": "ok", "alert": "failed", "undo": "ok",
                              "delete": "ok"}  # fmt: skip
    (alert,) = (step for step in bucket["steps"] if step["step"] == "alert")
    assert alert["detail"].startswith("not checked: ")
    assert _there(place) == []


def test_the_permissions_of_the_page_suffice(place: Place) -> None:
    """A person who was given what the page lists would be denied half way."""
    actions = {*makers.ALWAYS, *makers.permissions()}
    actions |= {action for control in MAKERS for action in makers.needed(all_controls()[control])}
    policy = {"Version": "2012-10-17",
              "Statement": [{"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}]}  # fmt: skip
    carol = operator(place.sandbox, place.stack, place.sandbox.create_user("carol", policy))
    code, said = _applied(Place(place.sandbox, place.stack, carol), timeout=120)
    assert (code, said["troubles"]) == (0, []), said
    assert _there(place) == []


def _interrupted(place: Place, signal_number: int) -> tuple[int, str, str]:
    """Send a signal to a self-test that waits for a repair; return exit code, stderr and the run's id."""
    fault = place.sandbox.faults.add("kms", "EnableKeyRotation", code="ThrottlingException")
    command = [COMMAND, "selftest", "--apply", "--yes", "--control", KEYS, "--timeout", "120"]
    with subprocess.Popen(
        command, env=_environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            keys = eventually(lambda: [name for name in _there(place) if name.endswith(KEYS)], "the self-test's key")
            running.send_signal(signal_number)
            _, stderr = running.communicate(timeout=60)
        finally:
            running.kill()
            place.sandbox.faults.clear(fault)
    return running.returncode, stderr, keys[0].removeprefix(marks.PREFIX)[:12]


def test_ctrl_c_cleans_up(place: Place) -> None:
    """Who stops a self-test would leave a key that is billed, and a subscription that nobody reads."""
    code, stderr, _ = _interrupted(place, signal.SIGINT)
    assert code == 1
    assert "everything it created is deleted" in stderr
    assert _there(place) == []
    assert _subscriptions(place) == []


def test_what_a_killed_run_left_is_found_and_removed_and_nothing_else(place: Place) -> None:
    """A killed self-test would leave resources for ever; or its clean-up would delete somebody else's."""
    client = place.sandbox.client
    code, _, run = _interrupted(place, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert len(_subscriptions(place)) == 1
    client("logs").create_log_group(logGroupName=f"{marks.PREFIX}{run}-{KEYS}")  # ours by its name only
    client("logs").create_log_group(logGroupName="orders", tags={marks.TAG: run})  # by its tag only
    code, said = _applied(place, "--control", BUCKETS)
    assert code == 0, said
    assert {each["detail"] for each in said["leftovers"]} == {"younger than an hour: a self-test may be using it"}
    assert {each["run"] for each in said["leftovers"]} == {run}
    code, said = _applied(place, "--clean", run)
    assert code == 0, said
    assert [each["detail"] for each in said["leftovers"]] == ["deleted", "deleted"]
    assert _there(place) == [f"{marks.PREFIX}{run}-{KEYS}"]
    assert _subscriptions(place) == []
    names = [each["logGroupName"] for each in client("logs").describe_log_groups(limit=50)["logGroups"]]
    assert {"orders", f"{marks.PREFIX}{run}-{KEYS}"} <= {*names}
    client("logs").delete_log_group(logGroupName=f"{marks.PREFIX}{run}-{KEYS}")


def test_the_next_run_removes_what_is_older_than_an_hour(place: Place) -> None:
    """Leftovers would wait for a person who knows the id of the run that made them."""
    run = marks.new_run(datetime.now(UTC) - timedelta(hours=2))
    site = kinds.Site("aws", place.sandbox.region, place.sandbox.account)
    worker = provisioner.Provisioner(place.sandbox.client, provisioner.Stop(), 0.1)
    for control, maker in MAKERS.items():
        others: dict[str, str] = {}
        for kind in maker.kinds:
            target = kinds.Target(site, run, marks.name(run, control), others=others)
            others = {**others, kind.what: worker.make(kind, target, lambda _: None).id}
    time.sleep(2)
    code, said = _applied(place, "--control", BUCKETS)
    assert code == 0, said
    assert {each["result"] for each in said["leftovers"]} == {"ok"}
    assert len(said["leftovers"]) == sum(len(maker.kinds) for maker in MAKERS.values())
    assert _there(place) == []


def test_without_the_undo_function_and_settings_it_says_so() -> None:
    """A stack as it comes, whose undo is not deployed, would fail its self-test."""
    with beside.evenkeel() as account:
        variables = {"PATH": os.environ["PATH"], **account.variables, "EVENKEEL_STACK": account.stack.name}
        done = _run(variables, "--apply", "--yes", "--output", "json", "--control", KEYS, "--control", BUCKETS)
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout)
        (undo,) = (step for step in _row(said, KEYS)["steps"] if step["step"] == "undo")
        assert (undo["result"], undo["detail"]) == (
            "skipped", "not deployed: the stack's parameter EnableUndo is false",
        )  # fmt: skip
        assert _row(said, BUCKETS)["outcome"] == "ANNOUNCED"
