"""The decisions, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evenkeel.audit.state_item import HoldKind
from evenkeel.control.registry import all_controls
from evenkeel.model import Actor, Call, Cause, Change, Mode, NonCompliant
from evenkeel.remediation import decide
from evenkeel.remediation.decide import Announce, Apply, AwaitApproval, Circumstances, Hold, Skip
from tests.world import request

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ARN = "arn:aws:kms:eu-west-1:123456789012:key/1"
CHANGE = Change((Call("kms", "enable_key_rotation"),), (Call("kms", "disable_key_rotation"),))
PLAIN, HOPELESS = NonCompliant("off", CHANGE), NonCompliant("off")
CAREFUL = NonCompliant("off", CHANGE, caution="it costs")
ALL = ("*",)
LATER = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
FROZEN = Hold("frozen until 2026-11-21 06:30 UTC", LATER, HoldKind.FREEZE)
WAITS = AwaitApproval("awaits approval until 2026-11-23 09:00 UTC", NOW + timedelta(hours=72))


@pytest.mark.parametrize(
    ("finding", "mode", "scope", "decision"),
    [
        (PLAIN, Mode.APPROVE, ALL, WAITS),
        (PLAIN, Mode.APPROVE, (), Skip("out of the stack's scope")),
        (HOPELESS, Mode.APPROVE, ALL, Announce("only people can fix it")),
        (CAREFUL, Mode.APPROVE, ALL, Announce("it costs")),
        (PLAIN, Mode.ENFORCE, ALL, Apply()),
        (PLAIN, Mode.NOTIFY, ALL, Announce("the control's mode is notify")),
        (PLAIN, Mode.OFF, ALL, Skip("the control is off")),
        (PLAIN, Mode.ENFORCE, (), Skip("out of the stack's scope")),
        (PLAIN, Mode.NOTIFY, (), Skip("out of the stack's scope")),
        (PLAIN, Mode.OFF, (), Skip("the control is off")),
        (HOPELESS, Mode.ENFORCE, ALL, Announce("only people can fix it")),
        (HOPELESS, Mode.NOTIFY, ALL, Announce("only people can fix it")),
        (HOPELESS, Mode.OFF, ALL, Skip("the control is off")),
        (CAREFUL, Mode.ENFORCE, ALL, Announce("it costs")),
        (CAREFUL, Mode.NOTIFY, ALL, Announce("the control's mode is notify")),
    ],
)
def test_decision(finding: NonCompliant, mode: Mode, scope: tuple[str, ...], decision: Any) -> None:
    """If this fails, Evenkeel acts where it may only tell, tells where it must be silent, or does nothing."""
    assert decide.decide(finding, ARN, Circumstances(mode, scope, NOW)) == decision


@pytest.mark.parametrize(
    ("finding", "given", "decision"),
    [
        (PLAIN, {"mode": Mode.ENFORCE, "frozen_until": LATER}, FROZEN),
        (PLAIN, {"mode": Mode.APPROVE, "frozen_until": LATER}, FROZEN),
        (PLAIN, {"mode": Mode.ENFORCE, "frozen_until": LATER, "critical": True}, replace(FROZEN, critical=True)),
        (PLAIN, {"mode": Mode.ENFORCE, "critical": True}, Apply()),
        (PLAIN, {"mode": Mode.NOTIFY, "frozen_until": LATER}, Announce("the control's mode is notify")),
        (PLAIN, {"mode": Mode.OFF, "frozen_until": LATER}, Skip("the control is off")),
        (HOPELESS, {"mode": Mode.ENFORCE, "frozen_until": LATER}, Announce("only people can fix it")),
        (CAREFUL, {"mode": Mode.ENFORCE, "frozen_until": LATER}, Announce("it costs")),
        *((finding, {"mode": mode, "exempt": "exempt: x", "frozen_until": LATER}, Skip("exempt: x"))
          for finding in (PLAIN, HOPELESS, CAREFUL) for mode in (Mode.NOTIFY, Mode.APPROVE, Mode.ENFORCE)),
        (PLAIN, {"mode": Mode.OFF, "exempt": "exempt: x"}, Skip("the control is off")),
        (PLAIN, {"mode": Mode.ENFORCE, "scope": (), "exempt": "exempt: x"}, Skip("out of the stack's scope")),
    ],
)  # fmt: skip
def test_decision_under_exemptions_and_freezes(finding: NonCompliant, given: dict[str, Any], decision: Any) -> None:
    """If this fails, what people exempted or froze is changed, or a freeze silences what only people can mend."""
    assert decide.decide(finding, ARN, Circumstances(**{"scope": ALL, "now": NOW, **given})) == decision


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (["*"], True),
        ([], False),
        ([""], False),
        ([ARN], True),
        ([ARN[:-1]], False),
        (["arn:aws:kms:*:*:key/*"], True),
        (["arn:aws:sqs:*", "arn:aws:kms:*"], True),
        (["arn:aws:kms:eu-west-?:123456789012:key/?"], True),
        (["arn:aws:kms:us-*"], False),
        (["ARN:AWS:KMS:*"], False),
        (["arn:aws:kms:*:key/[0-9]"], False),
    ],
)
def test_scope(scope: list[str], inside: bool) -> None:
    """If this fails, a resource outside the stack's scope is changed, or one inside is not."""
    assert decide.in_scope(ARN, scope) is inside


def test_bracket_in_a_scope_means_itself() -> None:
    """If this fails, a bracket in a scope opens a set of characters that nobody asked for."""
    assert decide.in_scope("arn:aws:x:::a[1]", ["arn:aws:x:::a[1]"])


TERRAFORM = Actor(user_agent="APN/1.0 HashiCorp/1.0 Terraform/1.9.5")
FORMATION = Actor(invoked_by="cloudformation.amazonaws.com")
PERSON = Actor(user_agent="aws-cli/2")


@pytest.mark.parametrize(
    ("control", "fields", "age", "delay"),
    [
        ("kms-key-rotation", {"creates": True, "actor": TERRAFORM}, 0, 60),
        ("kms-key-rotation", {"creates": True, "actor": FORMATION}, 0, 60),
        ("kms-key-rotation", {"creates": True, "actor": TERRAFORM}, 59.5, 1),
        ("kms-key-rotation", {"creates": True, "actor": TERRAFORM}, 60, 0),
        ("kms-key-rotation", {"creates": True, "actor": TERRAFORM}, 3600, 0),
        ("kms-key-rotation", {"creates": True, "actor": TERRAFORM}, -3600, 60),
        ("kms-key-rotation", {"creates": True, "actor": PERSON}, 0, 0),
        ("kms-key-rotation", {"actor": TERRAFORM}, 0, 60),
        ("kms-key-rotation", {"actor": FORMATION}, 20.2, 40),
        ("kms-key-rotation", {"actor": TERRAFORM}, 60, 0),
        ("kms-key-rotation", {"actor": PERSON}, 0, 0),
        ("rds-public-access", {"actor": TERRAFORM}, 0, 60),
        ("cloudtrail-logging", {"actor": TERRAFORM}, 0, 0),
        ("ec2-security-group-open-ingress", {"actor": FORMATION}, 0, 0),
        ("s3-bucket-public-access-block", {"actor": TERRAFORM}, 0, 0),
        ("s3-bucket-public-access-block", {"actor": TERRAFORM, "settles": True}, 0, 60),
        ("tagging-required-tags", {"creates": True, "actor": PERSON}, 0, 60),
        ("tagging-required-tags", {"creates": True, "actor": PERSON}, 20.2, 40),
        ("tagging-required-tags", {"creates": False, "actor": PERSON}, 0, 0),
        ("tagging-required-tags", {"settles": True}, 0, 60),
        ("tagging-required-tags", {"settles": True}, 61, 0),
        ("kms-key-rotation", {"settles": True, "actor": TERRAFORM}, 0, 60),
        ("kms-key-rotation", {"settles": True, "actor": FORMATION}, 20.2, 40),
        ("kms-key-rotation", {"settles": True, "actor": PERSON}, 0, 0),
    ],
)
def test_settling(control: str, fields: dict[str, Any], age: float, delay: int) -> None:
    """If this fails, a tool is raced while it still sets properties, or a person's weakening is waited out."""
    cause = Cause("cloudtrail", event_time=(NOW - timedelta(seconds=age)).isoformat())
    wish = request(control, ARN, cause=cause, **fields)
    assert decide.settle_delay(all_controls()[control], wish, 60, NOW) == delay


def test_settling_is_cut_to_what_a_queue_can_wait() -> None:
    """If this fails, SQS refuses the delay and the event is lost."""
    wish = request("tagging-required-tags", ARN, cause=Cause("cloudtrail", event_time=NOW.isoformat()), creates=True)
    assert decide.settle_delay(all_controls()["tagging-required-tags"], wish, 5000, NOW) == 900


@pytest.mark.parametrize(
    ("fields", "most"),
    [({}, 90), ({"settles": True}, 90), ({"creates": True}, 900)],
    ids=["change", "step", "creation"],
)
def test_a_change_waits_ninety_seconds_at_most(fields: dict[str, Any], most: int) -> None:
    """If this fails, whoever calls their client Terraform keeps a weakening for as long as creations may settle."""
    cause = Cause("cloudtrail", event_time=NOW.isoformat())
    wish = request("kms-key-rotation", ARN, cause=cause, actor=TERRAFORM, **fields)
    assert decide.settle_delay(all_controls()["kms-key-rotation"], wish, 5000, NOW) == most


def test_wait_ends_even_where_an_event_claims_a_later_time() -> None:
    """If this fails, a forged time keeps a weakening from being repaired until the request is given up."""
    cause = Cause("cloudtrail", event_time=(NOW + timedelta(days=1)).isoformat())
    wish = request("kms-key-rotation", ARN, cause=cause, actor=TERRAFORM)
    control = all_controls()["kms-key-rotation"]
    assert decide.settle_delay(control, wish, 60, NOW) == 60
    assert decide.settle_delay(control, wish.again(NOW), 60, NOW + timedelta(seconds=60)) == 0


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-11-20T09:00:00"])
def test_settling_without_a_usable_time_counts_from_now(moment: str) -> None:
    """If this fails, an event with an odd time crashes, or is not waited for."""
    wish = request("tagging-required-tags", ARN, cause=Cause("cloudtrail", event_time=moment), creates=True)
    assert decide.settle_delay(all_controls()["tagging-required-tags"], wish, 60, NOW) == 60


def test_people_do_not_wait_for_settling() -> None:
    """If this fails, a person who asks gets no answer but a delay."""
    wish = request("tagging-required-tags", ARN, cause=Cause("manual", event_time=NOW.isoformat()), creates=True)
    assert decide.settle_delay(all_controls()["tagging-required-tags"], wish, 60, NOW) == 0


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(0, 2), (1, 4), (2, 8), (7, 256), (8, 512), (9, 900), (10, 900), (1_000_000, 900)],
)
def test_pauses_between_returns_double_up_to_a_quarter_of_an_hour(attempt: int, seconds: int) -> None:
    """If this fails, returns hammer AWS, or wait longer than SQS allows."""
    assert decide.return_delay(attempt) == seconds


@pytest.mark.parametrize(
    ("first", "over"),
    [
        ((NOW - timedelta(hours=6)).isoformat(), False),
        ((NOW - timedelta(hours=6, seconds=1)).isoformat(), True),
        (NOW.isoformat(), False),
        ("", False),
    ],
)
def test_giving_up(first: str, over: bool) -> None:
    """If this fails, a request goes round for ever, or is given up before six hours."""
    assert decide.returned_too_long(request("kms-key-rotation", ARN, first_seen=first), NOW) is over


@pytest.mark.parametrize(
    ("creates", "age", "maybe"), [(True, 0, True), (True, 119.9, True), (True, 120, False), (False, 0, False)]
)
def test_what_is_not_found_may_only_be_new(creates: bool, age: float, maybe: bool) -> None:
    """If this fails, a new resource is taken for a deleted one, or a deleted one is waited for."""
    cause = Cause("cloudtrail", event_time=(NOW - timedelta(seconds=age)).isoformat())
    wish = request("kms-key-rotation", ARN, cause=cause, creates=creates)
    assert decide.may_still_appear(all_controls()["kms-key-rotation"], wish, NOW) is maybe
