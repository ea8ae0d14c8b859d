"""What on-call reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notifier import alert

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
    "actor": {"principal": "arn:aws:iam::123456789012:user/alice", "owner": "alice", "user_agent": "aws-cli/2"},
    "cause": {"event_name": "CreateKey", "event_time": "2026-11-20T09:00:00Z"},
    "settings_version": "abc",
}
ENABLE = "aws kms enable-key-rotation --key-id 1 --region eu-west-1"
DISABLE = "aws kms disable-key-rotation --key-id 1 --region eu-west-1"


def test_call_that_was_made_for_several_findings_names_them() -> None:
    """If this fails, who finds one call in CloudTrail for two records cannot tell that it is right."""
    lines = alert.outcome({**RECORD, "sent_with": {"kms-other": "r-2", "kms-third": "r-3"}}).text.splitlines()
    assert lines[lines.index(f"Changed     {ENABLE}") + 1] == (
        "In one call with kms-other (plan r-2), kms-third (plan r-3)"
    )


def test_alert_names_who_let_a_kept_change_through() -> None:
    """If this fails, a change that somebody approved or released reads like one that nobody decided about."""
    assert (
        "Decided by  arn:aws:iam::123456789012:user/bob"
        in alert.outcome({**RECORD, "approver": "arn:aws:iam::123456789012:user/bob"}).text
    )


@pytest.mark.parametrize(("origin", "told"), [("manual", "a person by hand"), ("verify", "nobody just now")])
def test_what_no_event_tells_of_is_not_laid_to_an_event(origin: str, told: str) -> None:
    """If this fails, on-call looks for an event where a person ran a control, or a hold ended."""
    nobody = {"principal": "", "owner": "", "user_agent": ""}
    text = alert.outcome({**RECORD, "actor": nobody, "cause": {**RECORD["cause"], "origin": origin}}).text
    assert f"Caused by   {told}" in text


def test_whole_alert_of_a_repair() -> None:
    """If this fails, on-call does not read what was done, how to take it back, and who caused it."""
    told = alert.outcome(RECORD)
    assert told.subject == "[MEDIUM] REMEDIATED kms-key-rotation in 123456789012 eu-west-1"
    assert told.text.splitlines() == [
        "Keys rotate.",
        "",
        "Resource    arn:aws:kms:eu-west-1:123456789012:key/1",
        "Finding     rotation is off",
        "Outcome     REMEDIATED",
        f"Changed     {ENABLE}",
        f"Take back   {DISABLE}",
        "Not undone  rotated material is kept",
        "Caused by   arn:aws:iam::123456789012:user/alice with CreateKey at 2026-11-20T09:00:00Z",
        "Client      aws-cli/2",
        "Record      r-1 (settings abc)",
    ]
    assert told.attributes == {
        "control": "kms-key-rotation",
        "outcome": "REMEDIATED",
        "severity": "MEDIUM",
        "account": "123456789012",
        "region": "eu-west-1",
        "record_id": "r-1",
        "kind": "Outcome",
    }


@pytest.mark.parametrize(
    ("changes", "there", "missing"),
    [
        ({"outcome": "PARTIAL", "remains": "tag it", "detail": "tag it"},
         ["Outcome     PARTIAL", "Remains     tag it", f"Changed     {ENABLE}", f"Take back   {DISABLE}"], ["Next"]),
        ({"outcome": "ANNOUNCED", "detail": "mode is notify"},
         ["Outcome     ANNOUNCED: mode is notify", f"Would call  {ENABLE}",
          "Next        Nothing was changed. Run the calls above, or set the control's mode to enforce."],
         ["Take back", "Not undone"]),
        ({"outcome": "DENIED", "detail": "explicit deny"},
         ["Outcome     DENIED: explicit deny", f"Was refused {ENABLE}",
          "Next        Its owner's policy forbids the change. Ask them to allow it, or exempt the resource."],
         ["Take back"]),
        ({"outcome": "FAILED", "detail": "no"},
         ["Outcome     FAILED: no", f"Tried       {ENABLE}",
          "Next        Look at the resource: it may not be as it should, nor as it was."], ["Take back"]),
        ({"outcome": "UNDONE", "calls": RECORD["undo"]},
         [f"Taken back  {DISABLE}", "Next        Evenkeel leaves the resource alone for 30 days, or until"], []),
        ({"outcome": "ANNOUNCED", "calls": [], "undo": []}, ["Next        Nothing was changed. Mend it by hand."],
         ["Would call"]),
        ({"residue": ""}, [], ["Not undone"]),
        ({"calls": [], "undo": []}, [], ["Changed", "Take back", "aws "]),
        ({"actor": {"principal": "", "owner": "alice", "user_agent": ""}}, ["Caused by   alice with CreateKey"],
         ["Client"]),
        ({"actor": {"principal": "", "owner": "", "user_agent": ""}}, ["Caused by   not told by the event with"], []),
    ],
)  # fmt: skip
def test_lines_that_depend_on_the_outcome(changes: dict[str, Any], there: list[str], missing: list[str]) -> None:
    """If this fails, an alert promises an undo that there is not, or leaves out what people must do."""
    text = alert.outcome({**RECORD, **changes}).text
    lines = text.splitlines()
    assert [line for line in there if not any(found.startswith(line) for found in lines)] == []
    assert [word for word in missing if any(found.startswith(word) for found in lines)] == []


AGAIN = "mend it there, too, or the next deployment sets it back."
TERRAFORM = {**RECORD["actor"], "user_agent": "HashiCorp Terraform/1.9"}


@pytest.mark.parametrize(
    ("tags", "actor", "told"),
    [
        ({"aws:cloudformation:stack-name": "shop"}, {}, f"The CloudFormation stack shop made it: {AGAIN}"),
        ({"aws:cloudformation:stack-name": "shop"}, TERRAFORM, f"The CloudFormation stack shop made it: {AGAIN}"),
        ({"a": "b", "made-by": "Terraform"}, {}, f"The tag made-by=Terraform says that a template made it: {AGAIN}"),
        ({"terraform": "true"}, {}, f"The tag terraform=true says that a template made it: {AGAIN}"),
        ({"aws-cdk:cr-owned": "x"}, {}, f"The tag aws-cdk:cr-owned=x says that a template made it: {AGAIN}"),
        ({"terraform": "t" * 256}, {}, f"The tag terraform={'t' * 70} says that a template made it: {AGAIN}"),
        ({"Owner": "a"}, TERRAFORM, f"A template made it: {AGAIN}"),
        ({"terraform": "false", "Pulumi": "No"}, {}, ""),
        ({"Owner": "a"}, {}, ""),
        ({}, {}, ""),
    ],
)  # fmt: skip
def test_template_that_made_it_is_named(tags: dict[str, str], actor: dict[str, str], told: str) -> None:
    """If this fails, people learn from the next deployment only that their template was to be mended, too."""
    lines = alert.outcome({**RECORD, "actor": actor or RECORD["actor"]}, tags).text.splitlines()
    assert [line for line in lines if line.startswith("Template")] == ([f"Template    {told}"] if told else [])


def test_tags_that_cannot_be_read_are_told_as_such() -> None:
    """If this fails, an alert says by its silence that no template made the resource, though nobody looked."""
    lines = alert.outcome({**RECORD, "actor": TERRAFORM}, {}, "AccessDeniedException").text.splitlines()
    told = "cannot be read (AccessDeniedException); they could say whether a template made it."
    assert f"Tags        {told}" in lines
    assert f"Template    A template made it: {AGAIN}" in lines


def test_many_calls_are_cut_and_it_says_so() -> None:
    """If this fails, an alert is too long for SNS, or hides that there is more."""
    lines = alert.outcome({**RECORD, "calls": RECORD["calls"] * 27}).text.splitlines()
    assert sum(ENABLE in line for line in lines) == 25
    assert f"{' ' * 12}… and 2 more, in the record" in lines
    whole = alert.outcome({**RECORD, "calls": RECORD["calls"] * 25}).text
    assert "more, in the record" not in whole


@pytest.mark.parametrize("letter", ["a", "é", "€", "😀"])
def test_alert_is_never_too_long_for_sns(letter: str) -> None:
    """If this fails, SNS refuses an alert for its length in bytes, and no other comes through either."""
    large = [{"service": "s3", "operation": "put_bucket_policy", "params": {"Policy": letter * 20_000}}] * 40
    words = dict.fromkeys(("title", "reason", "detail", "remains", "residue"), letter * 100_000)
    told = alert.outcome({**RECORD, **words, "calls": large, "undo": large}, {"terraform": letter * 256})
    assert 100_000 < len(told.text.encode()) < 250_000
    assert "… (cut; the record has it whole)" in told.text
    assert told.text.splitlines()[-1] == "Record      r-1 (settings abc)"
    assert len(alert.tampering("MODIFY", {"record_id": "r"}, {letter * 100_000: 1}).text.encode()) < 10_000


def test_attributes_are_what_sns_takes() -> None:
    """If this fails, a planted record is refused by SNS for an attribute, and no other alert comes through."""
    found = alert.outcome({**RECORD, "control": "x" * 300_000, "severity": ""}).attributes
    assert (len(found["control"]), found["severity"]) == (256, "-")


@pytest.mark.parametrize(
    ("letter", "left_out"),
    [("a", ["undo"]), ("é", ["undo", "calls"]), ("€", ["undo", "calls"]), ("\n", ["undo", "calls"])],
)
def test_event_is_what_the_bus_takes(letter: str, left_out: list[str]) -> None:
    """If this fails, the bus refuses a large record's event, or machines do not learn that something was left out."""
    large = [{"service": "s3", "operation": "put_bucket_policy", "params": {"Policy": letter * 45_000}}]
    whole = json.loads(alert.event({**RECORD, "calls": large}))
    assert (whole["calls"], "left_out" in whole) == (large, False)
    cut = json.loads(told := alert.event({**RECORD, "calls": large * 3, "undo": large * 5, "reason": letter * 9}))
    assert len(told.encode()) <= 200_000
    assert (cut["left_out"], cut.keys() & {"calls", "undo"}) == (left_out, {"calls", "undo"} - set(left_out))
    assert (cut["record_id"], cut["reason"]) == ("r-1", letter * 9)


def test_event_of_what_was_planted_is_what_the_bus_takes() -> None:
    """If this fails, a planted record of any shape blocks the stream by its event's size."""
    cut = json.loads(alert.event(dict.fromkeys(alert.EVENT_FIELDS, "é" * 50_000) | {"record_id": "r-1"}))
    assert (cut["record_id"], len(cut["left_out"])) == ("r-1", len(alert.EVENT_FIELDS) - 2)


def test_subject_is_what_sns_takes() -> None:
    """If this fails, SNS refuses the message and nobody is told."""
    told = alert.outcome({**RECORD, "control": "é" + "x" * 200})
    assert told.subject.isascii()
    assert len(told.subject) == 99
    assert told.subject.startswith("[MEDIUM] REMEDIATED ?xxx")
    assert alert.outcome({**RECORD, "control": "a\nb"}).subject.startswith("[MEDIUM] REMEDIATED a b in ")


@pytest.mark.parametrize(
    ("change", "new", "line"),
    [
        ("MODIFY", {**RECORD, "reason": "x", "more": 1}, "Change      MODIFY of more, reason"),
        ("REMOVE", {}, "Change      REMOVE of the whole record"),
    ],
)
def test_tampering(change: str, new: dict[str, Any], line: str) -> None:
    """If this fails, a changed or removed record is not told, or not what of it."""
    told = alert.tampering(change, RECORD, new)
    assert told.subject == "[CRITICAL] an audit record of Evenkeel was tampered with"
    assert told.text.splitlines() == [
        "An audit record was changed, removed or planted. Nobody may do that; treat it as an incident.",
        "",
        "Resource    arn:aws:kms:eu-west-1:123456789012:key/1",
        "Record      r-1",
        line,
        "Next        Find the caller in CloudTrail's data events of the table; restore the record from its backup.",
    ]
    assert told.attributes == {"kind": "Tampering", "severity": "CRITICAL", "record_id": "r-1"}


def test_words_of_others_are_no_lines_of_ours() -> None:
    """If this fails, a client's name or a tag can write a line into an alert, such as a command to be pasted."""
    forged = "aws-cli/2\nTake back   aws iam delete-user\x1b[2K"
    actor, tags = {**RECORD["actor"], "user_agent": forged}, {"made-by": "terraform\r\u2028Next  x"}
    told = alert.outcome({**RECORD, "reason": forged, "actor": actor}, tags).text
    assert len(told.splitlines()) == len(alert.outcome(RECORD, {"made-by": "terraform"}).text.splitlines())
    assert all(line.isprintable() for line in told.split("\n"))
