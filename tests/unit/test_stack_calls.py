"""Who pauses or resumes Evenkeel, or deploys its settings, is written down and announced, whatever client they use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clerk import handler as clerk
from evenkeel import clock
from notifier import alert
from notifier.next_steps import Home
from tests.switches import FUNCTIONS, deployed, switched
from tests.wire import Crash
from tests.world import ACCOUNT, REGION, Context

if TYPE_CHECKING:
    from tests.world import World

STACK = "evenkeel-test"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
BOB = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/bob", "userName": "bob"}
RESUME = f"evenkeel resume --stack {STACK} --region {REGION}"
HOME = Home(STACK, REGION, undo=True)
GROUPS = ("kms", "logs", "s3")
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _groups(world: World, variables: pytest.MonkeyPatch) -> None:
    del world
    variables.setenv("EVENKEEL_GROUPS", ",".join(GROUPS))


def tell(*events: dict[str, Any]) -> None:
    """Bring events to the clerk."""
    for event in events:
        clerk.handler(event, Context())


def pause(*groups: str, enabled: bool = False, **detail: Any) -> None:
    """Switch the event sources of groups, as ``evenkeel pause`` or the console does."""
    tell(*(switched(f"{STACK}-{group}", enabled=enabled, **detail) for group in groups))


def told(world: World) -> list[str]:
    """Return the outcomes that are announced."""
    return [record["outcome"] for record in world.records() if record["announce"]]


def later(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Turn the clerk's clock on."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(minutes=minutes))


def test_a_pause_names_who_with_which_client_and_what_it_means(world: World) -> None:
    """If this fails, somebody switches all repair off in the console, and on-call believes it is a quiet day."""
    pause("kms", userAgent="signin.amazonaws.com")
    (record,) = world.records()
    assert (record["outcome"], record["severity"], record["announce"]) == ("PAUSED", "HIGH", True)
    assert (record["actor"]["principal"], record["actor"]["user_agent"]) == (ALICE, "signin.amazonaws.com")
    assert record["resource"].startswith(f"{FUNCTIONS}{STACK}-kms/event/")
    message = alert.outcome(record, HOME)
    assert message.subject.startswith("[HIGH] PAUSED evenkeel-pause")
    for words in (
        "What happened: the event source of the kms controls was switched off: they repair nothing until",
        f"Caused by: {ALICE} with UpdateEventSourceMapping20150331 at ",
        "Client: signin.amazonaws.com",
        f"\n{RESUME}",
    ):
        assert words in message.text


def test_a_resume_is_told_too(world: World) -> None:
    """If this fails, on-call does not know that Evenkeel acts again, on all that waited."""
    pause("kms")
    pause("kms", enabled=True)
    assert told(world) == ["PAUSED", "RESUMED"]
    assert "messages that waited are served now" in world.records()[-1]["reason"]


def test_pausing_all_groups_is_one_alert_and_a_record_each(world: World) -> None:
    """If this fails, one command floods on-call with thirty alerts, or the audit lacks what was paused."""
    pause(*GROUPS)
    assert (world.outcomes(), told(world)) == (["PAUSED"] * 3, ["PAUSED"])
    assert "their other switches within 10 minutes are recorded without an alert" in world.records()[0]["detail"]
    assert world.chains() == 3


def test_what_is_news_is_never_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a second pause, another person's, or a later one of another group passes for the first."""
    pause("kms")
    pause("kms", enabled=True)
    pause("kms")
    assert told(world) == ["PAUSED", "RESUMED", "PAUSED"]
    pause("logs", userIdentity=BOB)
    assert len(told(world)) == 4
    later(monkeypatch, 11)
    pause("s3", userIdentity=BOB)
    assert len(told(world)) == 5


def test_alerts_that_are_switched_off_are_told_for_themselves(world: World) -> None:
    """If this fails, whoever pauses Evenkeel and then the notifier hides the second in the first."""
    pause("kms", "notifier")
    assert told(world) == ["PAUSED", "PAUSED"]
    assert "the event source of the alerts was switched off: no alert is sent" in world.records()[-1]["reason"]
    message = alert.outcome(world.records()[-1], HOME)
    assert "enable the notifier's event source" in message.text
    assert RESUME not in message.text


def test_an_event_that_comes_again_is_written_once(world: World) -> None:
    """If this fails, EventBridge's repeats look like somebody pausing again and again."""
    event = switched(f"{STACK}-kms", enabled=False)
    tell(event, event)
    assert (world.outcomes(), told(world)) == (["PAUSED"], ["PAUSED"])


def test_a_crash_on_the_way_loses_neither_record_nor_alert(world: World) -> None:
    """If this fails, a pause is silent because the clerk died in the wrong moment."""
    event = switched(f"{STACK}-kms", enabled=False)
    world.wire.crash("dynamodb", "TransactWriteItems")
    with pytest.raises(Crash):
        tell(event)
    tell(event)
    assert told(world) == ["PAUSED"]


def test_a_push_names_who_and_the_version(world: World) -> None:
    """If this fails, somebody switches a control off by its settings, and nobody is told."""
    tell(deployed("app-1"))
    (record,) = world.records()
    assert (record["outcome"], record["severity"], record["announce"]) == ("PUSHED", "MEDIUM", True)
    where = f"arn:aws:appconfig:{REGION}:{ACCOUNT}:application/app-1/environment/env-1/configuration/profile-1/event/"
    assert record["resource"].startswith(where)
    text = alert.outcome(record, HOME).text
    assert "version 3 of the settings is being deployed (deployment 7)" in text
    assert f"Caused by: {ALICE} with StartDeployment at " in text
    assert f"evenkeel settings show --stack {STACK} --region {REGION}" in text


def test_a_stopped_deployment_is_told(world: World) -> None:
    """If this fails, a push that everybody was told of is not in force, and nobody knows."""
    tell(deployed("app-1", "StopDeployment"))
    (record,) = world.records()
    assert (record["outcome"], record["announce"]) == ("STOPPED", True)
    assert record["reason"] == "deployment 7 of the settings was stopped; the previous settings stay in force"


@pytest.mark.parametrize(
    "event",
    [
        switched(f"{STACK}-2-kms", enabled=False),
        switched(f"{STACK}-ec2", enabled=False),
        switched("shop", enabled=False),
        switched(f"{STACK}-kms", enabled=None),
        switched(f"{STACK}-kms", enabled=False, responseElements=None),
        switched(f"{STACK}-kms", enabled=False, recipientAccountId="210987654321"),
        deployed("app-2"),
        deployed("app-1", requestParameters=None),
    ],
)
def test_what_is_not_this_stacks_is_left_to_its_owner(world: World, event: dict[str, Any]) -> None:
    """If this fails, a pause of another stack, or of somebody's own function, rings here."""
    tell(event)
    assert world.records() == []


def test_an_event_without_a_form_is_not_lost_in_silence() -> None:
    """If this fails, an event that cannot be read is dropped, in place of becoming a dead letter."""
    for detail in (None, {}, {"eventID": 5}):
        with pytest.raises(Exception, match="an event without an id"):
            tell({**deployed("app-1"), "detail": detail})


def test_a_tool_that_pauses_is_not_told_to_mend_the_template(world: World) -> None:
    """If this fails, the alert of a pause by Terraform says that a template made the pause."""
    pause("kms", userAgent="APN/1.0 HashiCorp/1.0 Terraform/1.11")
    assert "Template" not in alert.outcome(world.records()[0], HOME).text
