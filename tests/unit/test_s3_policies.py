"""Whatever a bucket policy holds: our statement joins it, nothing else changes, and "refuses plain HTTP" is true."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from evenkeel.control import Context
from evenkeel.control.registry import all_controls
from evenkeel.model import Compliant, NonCompliant, Resource
from s3 import policy
from tests.cases.case import NOW
from tests.examples import examples
from tests.world import ACCOUNT, REGION

ARN = "arn:aws:s3:::orders"
TLS = all_controls()["s3-tls-only-policy"]
CONTEXT = Context(Resource(ARN, ACCOUNT, REGION), {}, NOW)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
QUICK = examples(60)


def one_or_many(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Write one value as itself or as a list of it, and several as a list, as policies may."""
    return values | st.lists(values, min_size=1, max_size=3)


ACTIONS = st.sampled_from(["s3:*", "S3:*", "*", "s3:GetObject", "s3:Get*", "s3:PutBucketPolicy"])
RESOURCES = st.sampled_from(
    [ARN, f"{ARN}/*", f"{ARN}*", "*", f"{ARN}/?", f"{ARN}/?*", f"{ARN}/a*", f"{ARN}-old/*", "arn:aws:s3:::*"]
)
PRINCIPALS = st.one_of(
    st.just("*"),
    st.builds(lambda who: {"AWS": who}, one_or_many(st.sampled_from(["*", ROLE]))),
    st.just({"Service": "*"}),
)
VALUES = one_or_many(st.sampled_from(["false", "true", False, True]))
CONDITIONS = st.dictionaries(
    st.sampled_from(["Bool", "BoolIfExists", "StringNotEquals", "NumericLessThan"]),
    st.dictionaries(
        st.sampled_from(["aws:SecureTransport", "AWS:securetransport", "aws:SourceVpce", "s3:TlsVersion"]),
        VALUES | st.just("vpce-1") | st.just(1.2),
        min_size=1,
        max_size=2,
    ),
    max_size=2,
)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    """Return one statement, its parts in any order."""
    whom = "NotPrincipal" if draw(st.integers(0, 5)) == 0 else "Principal"
    what = "NotAction" if draw(st.integers(0, 5)) == 0 else "Action"
    parts: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Deny", "Deny"])),
        whom: draw(PRINCIPALS),
        what: draw(one_or_many(ACTIONS)),
        "Resource": draw(one_or_many(RESOURCES)),
    }
    if draw(st.booleans()):
        parts["Sid"] = draw(st.sampled_from([policy.SID, f"{policy.SID}2"]) | st.text(max_size=8))
    if draw(st.integers(0, 3)):
        parts["Condition"] = draw(CONDITIONS | st.just({"Bool": {"aws:SecureTransport": "false"}}))
    return {name: parts[name] for name in draw(st.permutations(sorted(parts)))}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Return a policy of other people's."""
    rest = draw(
        st.fixed_dictionaries({}, optional={"Version": st.sampled_from(["2008-10-17", "2012-10-17"]), "Id": st.text()})
    )
    return rest | {"Statement": draw(statements() | st.lists(statements(), max_size=4))}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@given(document=documents(), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
@QUICK
def test_other_peoples_statements_survive_apply_and_undo(
    document: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    """If this fails, a repair or its undo changes, drops or reorders what somebody else wrote."""
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    found = TLS.judge({"Policy": text, "ObeysAcls": False}, CONTEXT)
    if isinstance(found, Compliant):
        return
    assert isinstance(found, NonCompliant)
    assert found.change
    (put,), (back,) = found.change.calls, found.change.undo
    changed = json.loads(put.params["Policy"])
    theirs, ours = changed["Statement"][:-1], changed["Statement"][-1]
    assert json.dumps(theirs) == json.dumps(_listed(document["Statement"]))
    assert {**changed, "Statement": document["Statement"]} == document
    assert [name for name in changed if name in document] == list(document)
    assert ours["Sid"] not in {each.get("Sid") for each in theirs}
    assert back.params["Policy"] == text
    assert TLS.essence({"Policy": back.params["Policy"]}) == document


@given(document=documents())
@QUICK
def test_one_statement_is_enough_and_a_second_time_changes_nothing(document: dict[str, Any]) -> None:
    """If this fails, each look adds another statement to the policy."""
    once = policy.merged(json.dumps(document), ARN)
    assert policy.refuses_http(once, ARN)
    assert isinstance(TLS.judge({"Policy": once}, CONTEXT), Compliant)


def _like(pattern: Any, text: str) -> bool:
    return bool(re.fullmatch(re.escape(str(pattern)).replace(r"\*", ".*").replace(r"\?", "."), text))


def _holds(operator: str, key: str, values: Any, asked: dict[str, str]) -> bool:
    """Evaluate one condition of the few operators that are drawn here, as the IAM user guide describes them."""
    given_value = asked.get(key.lower())
    wanted = {str(value).lower() for value in _listed(values)}
    if operator == "StringNotEquals":
        return given_value not in wanted
    if given_value is None:
        return operator == "BoolIfExists"
    return operator != "NumericLessThan" and given_value in wanted


def _denied(document: dict[str, Any], who: str, action: str, resource: str, asked: dict[str, str]) -> bool:
    """Say whether a statement of the policy denies a call, as AWS would evaluate it."""
    for each in _listed(document["Statement"]):
        named = each.get("Principal", each.get("NotPrincipal"))
        names = ["*"] if named == "*" else _listed(named.get("AWS", []))
        whom = ("*" in names or who in names) is ("Principal" in each)
        matching = any(
            _like(str(one).lower(), action.lower()) for one in _listed(each.get("Action", each.get("NotAction")))
        )
        conditions = each.get("Condition", {}).items()
        if (
            each["Effect"] == "Deny"
            and whom
            and matching is ("Action" in each)
            and any(_like(pattern, resource) for pattern in _listed(each["Resource"]))
            and all(
                _holds(operator, key, values, asked) for operator, keys in conditions for key, values in keys.items()
            )
        ):
            return True
    return False


CALLS = tuple(
    product(
        ("anonymous", ROLE),
        (
            ("s3:ListBucket", ARN),
            ("s3:GetObject", f"{ARN}/a"),
            ("s3:PutObject", f"{ARN}/b/c"),
            ("s3:GetObject", f"{ARN}/?"),
        ),
        ({}, {"aws:sourcevpce": "vpce-1"}),
    )
)


@given(document=documents())
@example(document={"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [ARN, f"{ARN}/?"],
                                 "Condition": {"Bool": {"aws:SecureTransport": "false"}}}})  # fmt: skip
@QUICK
def test_what_counts_as_refusing_plain_http_really_does(document: dict[str, Any]) -> None:
    """If this fails, a bucket that answers some caller over plain HTTP is called compliant."""
    if policy.refuses_http(json.dumps(document), ARN):
        for who, (action, resource), place in CALLS:
            assert _denied(document, who, action, resource, {"aws:securetransport": "false", **place})


@given(document=documents())
@QUICK
def test_statement_denies_nothing_over_tls(document: dict[str, Any]) -> None:
    """If this fails, the statement cuts off callers who use TLS."""
    after = json.loads(policy.merged(json.dumps(document), ARN))
    for who, (action, resource), place in CALLS:
        asked = {"aws:securetransport": "true", "s3:tlsversion": "1.3", **place}
        assert _denied(after, who, action, resource, asked) is _denied(document, who, action, resource, asked)
