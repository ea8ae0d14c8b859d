"""What on-call reads."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.model import Actor, Cause
from evenkeel.remediation import own_parts
from evenkeel.settings import parser
from evenkeel.settings.rules import Subject
from evenkeel_cli.settings import source_file
from notifier import alert, event
from notifier.next_steps import Home
from tests import factories
from tests.world import request

if TYPE_CHECKING:
    from pathlib import Path

    from notifier.alert import Alert
    from tests.world import World

RECORD: dict[str, Any] = {
    "schema_version": 1,
    "record_id": "r-1",
    "step": "OUTCOME",
    "mode": "enforce",
    "at": "2026-11-20T09:00:01.000+00:00",
    "previous": "",
    "title": "Keys rotate",
    "resource": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "control": "kms-key-rotation",
    "severity": "MEDIUM",
    "account": "123456789012",
    "region": "eu-west-1",
    "outcome": "REMEDIATED",
    "reason": "rotation is off",
    "detail": "",
    "remains": "",
    "residue": "rotated material is kept",
    "calls": [{"service": "kms", "operation": "enable_key_rotation", "params": {"KeyId": "1"}}],
    "undo": [{"service": "kms", "operation": "disable_key_rotation", "params": {"KeyId": "1"}}],
    "before": {"KeyId": "1", "KeyRotationEnabled": False},
    "after": {"KeyRotationEnabled": True, "RotationPeriodInDays": 365},
    "actor": {
        "principal": "arn:aws:iam::123456789012:user/alice",
        "owner": "alice",
        "user_agent": "aws-cli/2",
        "source_ip": "192.0.2.1",
    },
    "cause": {"event_name": "CreateKey", "event_time": "2026-11-20T09:00:00Z"},
    "settings_version": "abc",
}
ENABLE = "aws kms enable-key-rotation --key-id 1 --region eu-west-1"
DISABLE = "aws kms disable-key-rotation --key-id 1 --region eu-west-1"


HOME = Home("evenkeel-prod", "eu-west-1", undo=True)
HERE = "--stack evenkeel-prod --region eu-west-1"
ARN = RECORD["resource"]


def told(record: dict[str, Any], tags: dict[str, str] | None = None, unread: str = "", home: Home = HOME) -> Alert:
    """Return the alert of a record."""
    return alert.outcome(record, home, tags, unread)


def test_call_that_was_made_for_several_findings_names_them() -> None:
    """If this fails, who finds one call in CloudTrail for two records cannot tell that it is right."""
    lines = told({**RECORD, "sent_with": {"kms-other": "r-2", "kms-third": "r-3"}}).text.splitlines()
    assert "The same call was made for: kms-other (plan r-2), kms-third (plan r-3)" in lines


def test_alert_names_who_let_a_kept_change_through() -> None:
    """If this fails, a change that somebody approved or released reads like one that nobody decided about."""
    bob = "arn:aws:iam::123456789012:user/bob"
    assert f"Decided by: {bob}" in told({**RECORD, "approver": bob}).text


@pytest.mark.parametrize(
    ("origin", "said"), [("manual", "a person by hand"), ("verify", "nobody: Evenkeel read the resource again")]
)
def test_what_no_event_tells_of_is_not_laid_to_an_event(origin: str, said: str) -> None:
    """If this fails, on-call looks for an event where a person ran a control, or a hold ended."""
    nobody = {"principal": "", "owner": "", "user_agent": ""}
    text = told({**RECORD, "actor": nobody, "cause": {**RECORD["cause"], "origin": origin}}).text
    assert f"Caused by: {said}" in text


def test_whole_alert_of_a_repair() -> None:
    """If this fails, on-call does not read what was wrong, what was done, who caused it, and what to copy first."""
    found = told(RECORD)
    assert found.subject == "[MEDIUM] REMEDIATED kms-key-rotation key/1 123456789012 eu-west-1"
    assert found.text.splitlines() == [
        "Keys rotate.",
        "",
        "Wrong: rotation is off",
        f"Resource: {ARN}",
        "Done: REMEDIATED, changed, and proved by another read",
        "Change: KeyRotationEnabled: false -> true",
        "Caused by: arn:aws:iam::123456789012:user/alice with CreateKey at 2026-11-20T09:00:00Z",
        "Client: aws-cli/2 from 192.0.2.1",
        "Severity: MEDIUM",
        "Record: r-1 (settings abc)",
        "",
        "To do: nothing, if this is right.",
        "To undo it, and keep it so for 30 days:",
        f"evenkeel undo r-1 {HERE}",
        "Undo cannot restore: rotated material is kept",
        "",
        "Changed:",
        ENABLE,
        "Undo by hand (Evenkeel sets this back unless exempt):",
        DISABLE,
    ]
    assert found.attributes == {
        "control": "kms-key-rotation",
        "outcome": "REMEDIATED",
        "severity": "MEDIUM",
        "account": "123456789012",
        "region": "eu-west-1",
        "record_id": "r-1",
        "kind": "Outcome",
    }


def test_without_the_undo_function_the_exemption_is_what_to_copy_first() -> None:
    """If this fails, the first thing that on-call copies is a call that Evenkeel sets back a second later."""
    lines = told(RECORD, home=replace(HOME, undo=False)).text.splitlines()
    assert "undo r-1" not in "".join(lines)
    first = lines.index("exemptions:")
    assert first < lines.index(DISABLE)
    assert lines[first + 1 : first + 7] == [
        "  - controls: [kms-key-rotation]",
        f'    resources: ["{ARN}"]',
        '    reason: "say why"',
        '    approver: "say who approved it"',
        "    expires: 2027-02-18",
        f"evenkeel settings push settings.yaml {HERE}",
    ]


@pytest.mark.parametrize(
    ("control", "arn"),
    [
        ("kms-key-rotation", ARN),
        ("logs-group-retention", "arn:aws:logs:eu-west-1:123456789012:log-group:/a/#b"),
        ("s3-versioning", "arn:aws:s3:::bills"),
    ],
)
def test_suggested_exemption_is_one_that_the_settings_take(control: str, arn: str, tmp_path: Path) -> None:
    """If this fails, the exemption that an alert suggests is refused by push, or exempts something else."""
    text = told({**RECORD, "control": control, "resource": arn}, home=replace(HOME, undo=False)).text
    snippet = "\n".join(text.partition("\nexemptions:")[2].splitlines()[:6])
    file = tmp_path / "settings.yaml"
    file.write_text(f"schema_version: 1\nexemptions:{snippet}\n", encoding="utf-8")
    source_file.check(source_file.read(file))
    [found] = parser.parse(json.dumps(source_file.read(file).document)).exemptions
    assert (found.controls, found.selector.resources) == ((control,), (arn,))
    assert found.selector.matches(Subject(arn, "123456789012", "eu-west-1"))


@pytest.mark.parametrize(
    ("changes", "there", "missing"),
    [
        ({"outcome": "PARTIAL", "remains": "tag it", "detail": "tag it"},
         ["Done: PARTIAL, changed as far as Evenkeel can", "Remains: tag it", ENABLE, DISABLE,
          "To do: fix what remains.",
          f"evenkeel undo r-1 {HERE}"], []),
        ({"outcome": "ANNOUNCED", "detail": "mode is notify", "mode": "notify"},
         ["Done: ANNOUNCED, nothing was changed: mode is notify", "Would call:", ENABLE,
          "To do: make the calls below, or set the control's mode to enforce."],
         ["Undo", "Change:", "evenkeel"]),
        ({"outcome": "ANNOUNCED", "detail": "the table is large"},
         [f"evenkeel run kms-key-rotation {HERE} --resource {ARN}"], ["Change:"]),
        ({"outcome": "AWAITING"},
         [f"evenkeel approve r-1 {HERE}", f"evenkeel reject r-1 {HERE} --because 'say why'", "Would call:"], ["Undo"]),
        ({"outcome": "HELD", "detail": "freeze"},
         [f"evenkeel release kms-key-rotation {HERE} --resource {ARN}", f"evenkeel release kms-key-rotation {HERE}"],
         ["Undo", "Change:"]),
        ({"outcome": "DENIED", "detail": "explicit deny"},
         ["Done: DENIED, nothing was changed; AWS forbids it: explicit deny", "Was refused:", ENABLE,
          "To do: ask the owner of the policy that forbids the change to allow it.", "exemptions:"], ["Undo"]),
        ({"outcome": "FAILED", "detail": "no"},
         ["Done: FAILED, the calls failed, or the change did not hold: no", "Tried:", ENABLE,
          f"evenkeel audit show r-1 {HERE}"],
         ["Undo", "evenkeel release"]),
        ({"outcome": "FAILED", "undoes": "r-0", "calls": RECORD["undo"]},
         [f"evenkeel undo r-0 {HERE} --force", f"evenkeel release kms-key-rotation {HERE} --resource {ARN}"],
         ["Wrong"]),
        ({"outcome": "UNDONE", "undoes": "r-0", "reason": "bob asked", "calls": RECORD["undo"]},
         ["Why: bob asked", "Called:", DISABLE,
          f"evenkeel release kms-key-rotation {HERE} --resource {ARN}"], ["Wrong", "Undo"]),
        ({"outcome": "ANNOUNCED", "calls": [], "undo": []}, ["To do: fix it by hand."], ["Would call", "aws "]),
        ({"residue": ""}, [], ["Undo cannot"]),
        ({"calls": [], "undo": []}, ["To do: nothing, if this is right."], ["Changed", "Undo", "aws ", "evenkeel"]),
        ({"actor": {"principal": "", "owner": "alice", "user_agent": ""}}, ["Caused by: alice with CreateKey"],
         ["Client"]),
        ({"actor": {"principal": "", "owner": "", "user_agent": ""}}, ["Caused by: unknown (the event names"], []),
        ({"outcome": "AWAITING", "detail": "awaits approval until 2026-11-24 17:31 UTC"},
         ["Done: AWAITING, nothing was changed: awaits approval until 2026-11-24 17:31 UTC"], []),
        ({"outcome": "HELD", "detail": "frozen until 2026-11-21 23:00 UTC"},
         ["To do: nothing. It is read again when the freeze ends.", f"evenkeel settings show {HERE}"],
         ["evenkeel release"]),
        ({"outcome": "HELD", "detail": "many changes"}, [f"evenkeel release kms-key-rotation {HERE} --resource"], []),
        ({"outcome": "REDRIVEN"}, ["What happened: rotation is off"], ["Wrong"]),
        ({"outcome": "PUSHED"}, [f"evenkeel settings show {HERE}"], ["Wrong"]),
        ({"after": None}, [], ["Change:"]),
        ({"before": {"a": 1}, "after": {"b": 1}}, [], ["Change:"]),
    ],
)  # fmt: skip
def test_lines_that_depend_on_the_outcome(changes: dict[str, Any], there: list[str], missing: list[str]) -> None:
    """If this fails, an alert promises an undo that there is not, or leaves out what people must do."""
    lines = told({**RECORD, **changes}).text.splitlines()
    assert [line for line in there if not any(found.startswith(line) for found in lines)] == []
    assert [word for word in missing if any(found.startswith(word) for found in lines)] == []


def test_only_what_changed_is_shown_and_long_values_are_cut() -> None:
    """If this fails, on-call reads a whole security group or policy to find the one rule that went."""
    one, two = {"port": 22, "from": "0.0.0.0/0"}, {"port": 443, "from": "10.0.0.0/8"}
    before = {"rules": [one, two], "policy": "a" * 9000, "same": 1, "nested": {"x": 1, "y": 2}}
    after = {"rules": [two], "policy": "b", "same": 1, "nested": {"x": 1}}
    lines = [line for line in told({**RECORD, "before": before, "after": after}).text.splitlines() if "Change:" in line]
    assert lines == [
        "Change: nested.y: 2 -> none",
        f'Change: policy: "{"a" * 159}… (cut) -> "b"',
        'Change: rules: removed {"from": "0.0.0.0/0", "port": 22}',
    ]
    many = told({**RECORD, "before": {f"k{n:02}": 1 for n in range(14)}, "after": {f"k{n:02}": 2 for n in range(14)}})
    assert many.text.count("Change:") == 10
    assert "… and 4 more changes, in the record" in many.text


AGAIN = "fix it there, too, or the next deployment sets it back."
TERRAFORM = {**RECORD["actor"], "user_agent": "HashiCorp Terraform/1.9"}


@pytest.mark.parametrize(
    ("tags", "actor", "said"),
    [
        ({"aws:cloudformation:stack-name": "shop"}, {}, f"The CloudFormation stack shop created it: {AGAIN}"),
        ({"aws:cloudformation:stack-name": "shop"}, TERRAFORM, f"The CloudFormation stack shop created it: {AGAIN}"),
        ({"a": "b", "made-by": "Terraform"}, {}, f"The tag made-by=Terraform says that a template created it: {AGAIN}"),
        ({"terraform": "true"}, {}, f"The tag terraform=true says that a template created it: {AGAIN}"),
        ({"aws-cdk:cr-owned": "x"}, {}, f"The tag aws-cdk:cr-owned=x says that a template created it: {AGAIN}"),
        ({"terraform": "t" * 256}, {}, f"The tag terraform={'t' * 70} says that a template created it: {AGAIN}"),
        ({"Owner": "a"}, TERRAFORM, f"A template created it: {AGAIN}"),
        ({"terraform": "false", "Pulumi": "No"}, {}, ""),
        ({"Owner": "a"}, {}, ""),
        ({}, {}, ""),
    ],
)  # fmt: skip
def test_template_that_made_it_is_named(tags: dict[str, str], actor: dict[str, str], said: str) -> None:
    """If this fails, people learn from the next deployment only that their template was to be mended, too."""
    lines = told({**RECORD, "actor": actor or RECORD["actor"]}, tags).text.splitlines()
    assert [line for line in lines if line.startswith("Template")] == ([f"Template: {said}"] if said else [])


def test_tags_that_cannot_be_read_are_told_as_such() -> None:
    """If this fails, an alert says by its silence that no template made the resource, though nobody looked."""
    lines = told({**RECORD, "actor": TERRAFORM}, {}, "AccessDeniedException").text.splitlines()
    assert "Tags: cannot be read (AccessDeniedException); they could show whether a template created it." in lines
    assert f"Template: A template created it: {AGAIN}" in lines


def test_many_calls_are_cut_and_it_says_so() -> None:
    """If this fails, an alert is too long for SNS, or hides that there is more."""
    lines = told({**RECORD, "calls": RECORD["calls"] * 27}).text.splitlines()
    assert sum(ENABLE in line for line in lines) == 25
    assert "… and 2 more, in the record" in lines
    whole = told({**RECORD, "calls": RECORD["calls"] * 25}).text
    assert "more, in the record" not in whole


@pytest.mark.parametrize("letter", ["a", "é", "€", "😀"])
def test_alert_is_never_too_long_for_sns(letter: str) -> None:
    """If this fails, SNS refuses an alert for its length in bytes, and no other comes through either."""
    large = [{"service": "s3", "operation": "put_bucket_policy", "params": {"Policy": letter * 20_000}}] * 40
    words = dict.fromkeys(("title", "reason", "detail", "remains", "residue"), letter * 100_000)
    found = told({**RECORD, **words, "calls": large, "undo": large}, {"terraform": letter * 256})
    assert 100_000 < len(found.text.encode()) < 250_000
    assert "… (cut; the record has the full text)" in found.text
    assert "Record: r-1 (settings abc)" in found.text.splitlines()
    assert len(alert.tampering("MODIFY", {"record_id": "r"}, {letter * 100_000: 1}, HOME).text.encode()) < 10_000


def test_attributes_are_what_sns_takes() -> None:
    """If this fails, a planted record is refused by SNS for an attribute, and no other alert comes through."""
    found = told({**RECORD, "control": "x" * 300_000, "severity": ""}).attributes
    assert (len(found["control"]), found["severity"]) == (256, "-")


@pytest.mark.parametrize(
    ("letter", "left_out"),
    [("a", ["undo"]), ("é", ["undo", "calls"]), ("€", ["undo", "calls"]), ("\n", ["undo", "calls"])],
)
def test_event_is_what_the_bus_takes(letter: str, left_out: list[str]) -> None:
    """If this fails, the bus refuses a large record's event, or machines do not learn that something was left out."""
    large = [{"service": "s3", "operation": "put_bucket_policy", "params": {"Policy": letter * 45_000}}]
    whole = json.loads(event.detail({**RECORD, "calls": large}))
    assert (whole["calls"], "left_out" in whole) == (large, False)
    cut = json.loads(text := event.detail({**RECORD, "calls": large * 3, "undo": large * 5, "reason": letter * 9}))
    assert len(text.encode()) <= 200_000
    assert (cut["left_out"], cut.keys() & {"calls", "undo"}) == (left_out, {"calls", "undo"} - set(left_out))
    assert (cut["record_id"], cut["reason"]) == ("r-1", letter * 9)


def test_event_of_what_was_planted_is_what_the_bus_takes() -> None:
    """If this fails, a planted record of any shape blocks the stream by its event's size."""
    cut = json.loads(event.detail(dict.fromkeys(event.FIELDS, "é" * 50_000) | {"record_id": "r-1"}))
    assert (cut["record_id"], len(cut["left_out"])) == ("r-1", len(event.FIELDS) - 4)


def test_subject_is_what_sns_takes() -> None:
    """If this fails, SNS refuses the message and nobody is told."""
    found = told({**RECORD, "control": "é" + "x" * 200})
    assert found.subject.isascii()
    assert len(found.subject) == 99
    assert found.subject.startswith("[MEDIUM] REMEDIATED ?xxx")
    assert told({**RECORD, "control": "a\nb"}).subject.startswith("[MEDIUM] REMEDIATED a b key/1 ")


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ("arn:aws:dynamodb:ap-southeast-2:123456789012:table/orders", "table/orders"),
        ("arn:aws:sqs:ap-southeast-2:123456789012:mail", "mail"),
        ("arn:aws:s3:::bills", "bills"),
        ("arn:aws:logs:ap-southeast-2:123456789012:log-group:/aws/lambda/shop", "log-group:/aws/lambda/shop"),
        ("arn:aws:kms:ap-southeast-2:123456789012:key/11061d05-ea95-4770-ae5e-a5afc0867f2a",
         "11061d05-ea95-4..5e-a5afc0867f2a"),
        (f"arn:aws:logs:ap-southeast-2:123456789012:log-group:/aws/{'x' * 90}/end", "/aws/xxxxxxxxxx..xxxxxxxxxxx/end"),
    ],
)  # fmt: skip
def test_subject_names_the_resource_before_the_place(resource: str, named: str) -> None:
    """If this fails, a list of alerts on a phone does not say which resource each is about."""
    record = {**RECORD, "resource": resource, "severity": "CRITICAL", "region": "ap-southeast-2"}
    assert told(record).subject == f"[CRITICAL] REMEDIATED kms-key-rotation {named} 123456789012 ap-southeast-2"


@pytest.mark.parametrize("control", sorted(all_controls()))
def test_subject_of_every_control_has_room_for_resource_and_place(control: str) -> None:
    """If this fails, the longest subject of a control names no resource, or half an account or region."""
    record = {**RECORD, "control": control, "severity": "CRITICAL", "region": "ap-southeast-2"}
    subject = told({**record, "resource": f"arn:aws:x:ap-southeast-2:123456789012:a/{'0123456789' * 5}"}).subject
    assert re.fullmatch(rf"\[CRITICAL\] REMEDIATED {control} 012\w+\.\.\w+789 123456789012 ap-southeast-2", subject)


@pytest.mark.parametrize(
    ("change", "new", "line"),
    [
        ("MODIFY", {**RECORD, "reason": "x", "more": 1}, "Change: MODIFY of more, reason"),
        ("REMOVE", {}, "Change: REMOVE of the whole record"),
    ],
)
def test_tampering(change: str, new: dict[str, Any], line: str) -> None:
    """If this fails, a changed or removed record is not told, or not what of it."""
    found = alert.tampering(change, RECORD, new, HOME)
    assert found.subject == "[CRITICAL] an audit record of Evenkeel was tampered with"
    assert found.text.splitlines() == [
        "An audit record was changed, removed or planted. Nobody may do that; treat it as an incident.",
        "",
        "Resource: arn:aws:kms:eu-west-1:123456789012:key/1",
        "Record: r-1",
        line,
        "Severity: CRITICAL",
        "",
        "To do: find the caller in CloudTrail's data events of the table; restore the record from its backup.",
        "What else was altered:",
        f"evenkeel audit verify {HERE}",
    ]
    assert found.attributes == {"kind": "Tampering", "severity": "CRITICAL", "record_id": "r-1"}


def test_words_of_others_are_no_lines_of_ours() -> None:
    """If this fails, a client's name or a tag can write a line into an alert, such as a command to be pasted."""
    forged = "aws-cli/2\nUndo by hand: aws iam delete-user\x1b[2K"
    actor, tags = {**RECORD["actor"], "user_agent": forged}, {"made-by": "terraform\r\u2028Next  x"}
    text = told({**RECORD, "reason": forged, "actor": actor}, tags).text
    assert len(text.splitlines()) == len(told(RECORD, {"made-by": "terraform"}).text.splitlines())
    assert all(line.isprintable() for line in text.split("\n"))


def test_event_has_the_fields_that_the_docs_promise(world: World) -> None:
    """If this fails, a rule on the bus waits for a field that no event has, or for another type."""
    world.run("kms-key-rotation", request("kms-key-rotation", factories.key(), creates=True))
    found = json.loads(event.detail(world.records()[-1]))
    for name, field in event.FIELDS.items():
        assert (name in found) or not field.always
        assert type(found.get(name, field.kind())) is field.kind
    assert found.keys() <= event.FIELDS.keys()
    assert found["actor"].keys() == {each.name for each in fields(Actor)}
    for part, kind in (("actor", Actor), ("cause", Cause)):
        assert all(f"`{each.name}`" in event.FIELDS[part].meaning for each in fields(kind))


OWN_PART = {**RECORD, "outcome": "ANNOUNCED", "undo": [], "detail": own_parts.FOUND}


@pytest.mark.parametrize("calls", [RECORD["calls"], []], ids=["calls", "no calls"])
def test_alert_of_a_weakened_part_names_the_actor_and_what_to_do(calls: list[dict[str, Any]]) -> None:
    """If this fails, on-call reads that somebody weakened Evenkeel and not who, or waits for Evenkeel to act."""
    weakened = {**OWN_PART, "calls": calls, "severity": "CRITICAL", "detail": own_parts.WEAKENED}
    lines = told(weakened, {"aws:cloudformation:stack-name": "evenkeel-prod"}).text.splitlines()
    assert not any(line.startswith("Template:") for line in lines)
    assert f"Done: ANNOUNCED, nothing was changed: {own_parts.WEAKENED}" in lines
    assert any(line.startswith("Caused by: arn:aws:iam::123456789012:user/alice with CreateKey") for line in lines)
    [to_do] = [line for line in lines if line.startswith("To do:")]
    assert to_do.startswith("To do: find out who changed it and why.")
    assert ("Not called:" in lines, ENABLE in lines) == (bool(calls), bool(calls))
    assert any("The AWS calls below" in line for line in lines) == bool(calls)
    assert "Would call:" not in lines


def test_alert_of_a_part_that_the_template_has_wrong_asks_for_a_deployment() -> None:
    """If this fails, people are asked to change by hand what the next deployment sets."""
    lines = told(OWN_PART).text.splitlines()
    assert "To do: correct the template or the parameters of this Evenkeel stack, and deploy it." in lines
    assert ENABLE in lines[lines.index("Not called:") :]
