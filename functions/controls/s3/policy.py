"""Bucket policies: whether one denies plain HTTP, and the statement that makes it do so; pure.

A policy is the text that S3 stores. It is changed only by adding one statement at its end.
"""

from __future__ import annotations

import json
import re
from typing import Any

from evenkeel.control import like

MAX_BYTES = 20 * 1024
"""S3 user guide, "Bucket policies for Amazon S3": a bucket policy is limited to 20 KB."""
SID = "EvenkeelDenyInsecureTransport"
_KEY = "aws:securetransport"  # condition keys are not case-sensitive (IAM user guide, "Condition")
_OPERATORS = frozenset({"bool", "boolifexists"})
_EVERYTHING = frozenset({"*", "s3:*"})
# Operators that fail if the key is not in the request: no negation, no IfExists, no ForAllValues (IAM user guide,
# "IAM JSON policy elements: Condition operators").
_POSITIVE = re.compile(r"(foranyvalue:)?(stringequals|stringequalsignorecase|stringlike|arnequals|arnlike|ipaddress)")
# Keys that only signed requests have (IAM user guide, "AWS global condition context keys"): those of the caller, or of
# a service that calls on somebody's behalf.
_SIGNED_KEYS = frozenset(
    f"aws:{key}"
    for key in (
        *("principalaccount", "principalarn", "principalorgid", "principalorgpaths", "userid", "username"),
        *("sourceaccount", "sourcearn", "sourceorgid", "sourceorgpaths"),
    )
) | {"kms:calleraccount"}
_NETWORK_KEYS = frozenset({"aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"})
# A short and a long object key that only wildcards match: a pattern that matches both matches every key.
_ANY_KEYS = ("/\x00", "/\x00\x01\x02\x03")


def refuses_http(policy: str, bucket_arn: str) -> bool:
    """Return whether the policy denies everybody every request without TLS, for the bucket and all its objects."""
    whole = [each for each in _statements(policy) if _denies_http_to_all(each)]
    patterns = [str(pattern) for each in whole for pattern in _list(each.get("Resource"))]
    wanted = (bucket_arn, *(f"{bucket_arn}{key}" for key in _ANY_KEYS))
    return all(any(like(pattern, arn) for pattern in patterns) for arn in wanted)


def partial_denial(policy: str) -> str:
    """Return the name of a statement that denies plain HTTP to some callers only; an empty string if none does."""
    for number, each in enumerate(_statements(policy), start=1):
        tests = _tests(each)
        if each.get("Effect") == "Deny" and _http(tests) and ("NotPrincipal" in each or len(tests) > 1):
            return str(each.get("Sid") or f"statement {number}")
    return ""


def unsigned_callers(policy: str) -> str:
    """Return which unsigned callers some statement allows: "everybody" or those of a network; empty if none.

    Limiting a statement to a network does not make its callers sign.
    """
    allowing = [each for each in _statements(policy) if each.get("Effect") == "Allow"]
    allowing = [each for each in allowing if "NotPrincipal" in each or _everybody(each.get("Principal"), any_kind=True)]
    anonymous = [each for each in allowing if not _binds(each, _SIGNED_KEYS)]
    if not anonymous:
        return ""
    networks_only = all(_binds(each, _NETWORK_KEYS) for each in anonymous)
    return "callers of a network" if networks_only else "everybody"


def merged(policy: str | None, bucket_arn: str) -> str:
    """Return the policy with one more statement that denies everybody every request without TLS."""
    document = json.loads(policy) if policy else {"Version": "2012-10-17"}
    theirs = _list(document.get("Statement"))
    taken = {each.get("Sid") for each in theirs}
    sids = (SID, *(f"{SID}{number}" for number in range(2, len(theirs) + 2)))
    ours = {
        "Sid": next(sid for sid in sids if sid not in taken),
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({**document, "Statement": [*theirs, ours]}, separators=(",", ":"), ensure_ascii=False)


def _statements(policy: str) -> list[dict[str, Any]]:
    return _list(json.loads(policy).get("Statement"))


def _list(value: Any) -> list[Any]:
    """Return a list of what a policy may write as one value or as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _denies_http_to_all(statement: dict[str, Any]) -> bool:
    tests = _tests(statement)
    return (
        statement.get("Effect") == "Deny"
        and _everybody(statement.get("Principal"))
        and any(str(action).lower() in _EVERYTHING for action in _list(statement.get("Action")))
        and len(tests) == 1
        and _http(tests)
    )


def _everybody(principal: Any, *, any_kind: bool = False) -> bool:
    """Return whether a principal is everybody; with ``any_kind``, whether it is for any one kind of principal."""
    if isinstance(principal, dict):
        kinds = principal.values() if any_kind else [principal.get("AWS")]
        return any("*" in _list(names) for names in kinds)
    return bool(principal == "*")


def _tests(statement: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return a statement's conditions, which must all hold: operator, key, and values of which one must match."""
    return [
        (operator.lower(), key.lower(), [str(value).lower() for value in _list(values)])
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    ]


def _binds(statement: dict[str, Any], keys: frozenset[str]) -> bool:
    """Return whether a condition of the statement holds only for requests that have one of these keys."""
    return any(
        key in keys and _POSITIVE.fullmatch(operator) and not any(set(value) <= {"*", "?"} for value in values)
        for operator, key, values in _tests(statement)
    )


def _http(tests: list[tuple[str, str, list[str]]]) -> bool:
    """Return whether one of the conditions is that the request came without TLS."""
    return any(operator in _OPERATORS and key == _KEY and "false" in values for operator, key, values in tests)
