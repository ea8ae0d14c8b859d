"""An update of the last release to this code: all that was in flight is found again, and nobody is called for it.

The tests are steps of one story and run in their order.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from sandbox.client import REPOSITORY
from sandbox.deploy.settings import push
from tests.prove.releases import NoHistoryError
from tests.prove.upgrading import (
    BEFORE,
    FREEZE,
    GROUPS,
    OTHER_GROUPS,
    PROTECTION,
    RECOVERY,
    RETENTION,
    Updated,
    settings,
    updated,
)
from tests.sandbox import inbox
from tests.sandbox.cli_stack import CONTROL, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updated]:
    """The stack after the update."""
    try:
        with updated(tmp_path_factory.mktemp("release")) as found:
            yield found
    except NoHistoryError as error:
        pytest.skip(str(error))


def test_the_update_changes_rules_queues_and_code_in_place(there: Updated) -> None:
    """If this fails, the update did not reach the nested stacks, and this file proves nothing."""
    assert there.place.stack.outputs["Groups"] == GROUPS
    pattern = json.loads(there.client("events").describe_rule(Name="evenkeel-kms-ApiCall")["EventPattern"])
    assert "DisableKeyRotation" in pattern["detail"]["eventName"]
    wanted = {"QueueUrl": there.queue("logs"), "AttributeNames": ["VisibilityTimeout"]}
    assert there.client("sqs").get_queue_attributes(**wanted)["Attributes"] == {"VisibilityTimeout": "360"}
    reasons = [record["reason"] for record in there.records("repaired", CONTROL)]
    assert set(reasons) == {BEFORE["functions/controls/kms/key_rotation.py"][1].strip('"')}


def test_the_update_resumes_nothing_and_loses_no_message(there: Updated) -> None:
    """If this fails, an update acts although people paused Evenkeel, or drops what waits in a queue."""
    assert there.waiting("kms") == 1
    assert not there.place.rotates(there.arns["waiting"])
    assert there.place.ask("settings", "show")["settings"] == settings(freezes=[FREEZE])
    assert there.place.run("resume", "--yes").exit_code == 0
    served = there.awaited("waiting", "REMEDIATED", CONTROL)
    assert served["reason"] == BEFORE["functions/controls/kms/key_rotation.py"][0].strip('"')


def test_nothing_is_switched_off_by_the_update(there: Updated) -> None:
    """If this fails, each update rings the alarm that Evenkeel is blind, until nobody believes it."""
    whole = [each for each in there.rounds if "errorType" not in each]
    assert whole  # the sandbox ends the workers of a function that is updated, also busy ones; Lambda lets them finish
    assert there.invoke("clerk", {}) == {"due": 0, "stuck": 0}
    assert there.switched_off() == []


def test_the_clerk_finishes_the_plan_that_a_dead_worker_left(there: Updated) -> None:
    """If this fails, a worker that the update ends leaves a resource weakened for good, or changed twice."""
    there.comes_due("planned", CONTROL)
    assert there.invoke("clerk", {})["due"] == 1
    ended = there.awaited("planned", "REMEDIATED", CONTROL)
    assert ended["plan_id"] == there.kept["plan"]
    assert Counter(each["step"] for each in there.records("planned", CONTROL)) == {"PLANNED": 1, "OUTCOME": 1}


def test_dead_letter_is_sent_back(there: Updated) -> None:
    """If this fails, what could not be served before the update cannot be served after it, which was its cure."""
    (letter,) = there.place.ask("dlq", "list")
    assert (letter["reason"], letter["groups"]) == ("Crashed: by a test", ["kms"])
    there.place.ask("dlq", "redrive", letter["id"], "--yes")
    there.awaited("dead", "REMEDIATED", CONTROL)


def test_what_waited_for_people_is_approved_and_released(there: Updated) -> None:
    """If this fails, what people were to decide about when the stack was updated is decided by nobody."""
    (result,) = there.place.ask("approve", there.kept["asked"], "--yes")
    assert result["outcome"] == "REMEDIATED"
    there.place.ask("release", RETENTION, "--yes")
    there.awaited("second", "REMEDIATED", RETENTION)
    push(there.place.sandbox, there.place.stack, settings())
    there.place.sandbox.recycle()
    there.place.ask("release", PROTECTION, "--resource", there.arns["asked"], "--yes")
    there.awaited("asked", "REMEDIATED", PROTECTION)


def test_exemption_holds(there: Updated) -> None:
    """If this fails, an update changes a resource that was to be left alone."""
    looked = there.invoke("logs", {"control": RETENTION, "resources": [there.arns["exempt"]], "dry_run": True})
    assert looked["results"][0]["reason"].startswith("exempt until 2099-01-01")
    (group,) = there.client("logs").describe_log_groups(logGroupNamePrefix="/exempt")["logGroups"]
    assert "retentionInDays" not in group


def test_open_run_goes_on_and_ends(there: Updated) -> None:
    """If this fails, whoever updates the stack ends other people's runs half way."""
    payload = {"control": CONTROL, "resources": [there.arns["waiting"]], "dry_run": False, "run": there.kept["run"]}
    assert [each["outcome"] for each in there.invoke("kms", payload)["results"]] == ["COMPLIANT"]
    assert there.invoke("kms", {"end_run": there.kept["run"]}, proved=True)["ended"]


def test_repair_of_the_old_version_is_undone(there: Updated) -> None:
    """If this fails, an update takes away the way back for all that was repaired before it."""
    done = there.place.ask("undo", there.kept["repaired"], "--yes")
    assert done["outcome"] == "UNDONE"
    assert not there.place.rotates(there.arns["repaired"])


def test_group_that_is_switched_off_keeps_what_is_in_the_tables(there: Updated) -> None:
    """If this fails, docs/operations/update.md is wrong about what EnabledGroups loses, and what a group gets back."""
    there.source("dynamodb", on=False)
    there.table("lost")
    eventually(lambda: there.waiting("dynamodb") == 1, "the event in the queue of a group that is to go")
    there.deploy(REPOSITORY, OTHER_GROUPS)
    with pytest.raises(ClientError, match=r"NonExistentQueue|does not exist"):
        there.queue("dynamodb")
    there.comes_due("later", RECOVERY)
    there.invoke("clerk", {})
    told = there.logged("clerk", "due item has no queue: is its group still enabled? reported again in a day")
    assert [line["resource"] for line in told] == [there.arns["later"]]
    assert there.switched_off() == []
    there.client("lambda").get_function(FunctionName="evenkeel-lambda")


def test_group_that_is_switched_on_again_goes_on(there: Updated) -> None:
    """If this fails, what was held is lost with the group, or what its queue lost cannot be found again."""
    there.deploy(REPOSITORY, GROUPS)
    found = there.place.ask("run", RECOVERY, "--all", "--apply", "--yes")
    assert found["counts"]["AWAITING"] == 1
    there.awaited("lost", "AWAITING", RECOVERY)
    (result,) = there.place.ask("approve", there.kept["later"], "--yes")
    assert result["outcome"] == "REMEDIATED"


def test_the_audit_is_whole_and_nobody_was_told_twice(there: Updated) -> None:
    """If this fails, an update breaks a chain of records, or announces again what was announced."""
    verified = there.place.run("audit", "verify")
    assert verified.exit_code == 0, verified.stdout + verified.stderr
    came = inbox.take(there.place.sandbox, there.alerts)
    told = [each["MessageAttributes"] for each in came if "MessageAttributes" in each]
    assert {each["kind"]["StringValue"] for each in told} == {"Outcome"}
    assert set(Counter(each["record_id"]["StringValue"] for each in told).values()) == {1}
    rang = {json.loads(each["Body"])["Trigger"]["MetricName"] for each in came if "MessageAttributes" not in each}
    assert rang == {"ApproximateNumberOfMessagesVisible"}  # the dead letter that was put there
    repairs = Counter(
        name for name in there.arns for each in there.records(name, CONTROL) if each.get("outcome") == "REMEDIATED"
    )
    assert repairs == {"repaired": 1, "planned": 1, "dead": 1, "waiting": 1}
