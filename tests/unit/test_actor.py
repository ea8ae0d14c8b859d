"""Who is behind a call (CloudTrail user guide, "userIdentity element")."""

from __future__ import annotations

from typing import Any

import pytest

from evenkeel.events import actor
from evenkeel.model import IDENTITY_CENTER, Actor

ROLES = "arn:aws:iam::123456789012:role/"
SSO_PATH = f"{ROLES}aws-reserved/sso.amazonaws.com/eu-west-1/"


def _role(name: str, session: str = "", path: str = ROLES, **context: Any) -> dict[str, Any]:
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{session}" if session else "AROAEXAMPLE",
        "arn": f"arn:aws:sts::123456789012:assumed-role/{name}/{session or 'from-arn'}",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": name, "arn": path + name}, **context},
    }


def _federated(principal: str, **context: Any) -> dict[str, Any]:
    """Return the identity of a session that GetFederationToken gave; its issuer is the IAM user who asked for it."""
    return {
        "type": "FederatedUser",
        "principalId": principal,
        "arn": "arn:aws:sts::123456789012:federated-user/from-arn",
        "accountId": "123456789012",
        "sessionContext": {"sessionIssuer": {"type": "IAMUser", "userName": "broker"}, **context},
    }


SSO = "AWSReservedSSO_Admin_0123456789abcdef"


@pytest.mark.parametrize(
    ("who", "owner"),
    [
        ({"type": "Root", "userName": "123456789012"}, "root"),
        ({"type": "IAMUser", "userName": "alice"}, "alice"),
        (_role("deployer", "build-7"), "deployer/build-7"),
        (_role("deployer"), "deployer/from-arn"),
        ({**_role("deployer"), "arn": None}, "deployer"),
        ({**_role("", "build-7")}, "build-7"),
        (_role(SSO, "bob@example.com", SSO_PATH), "bob@example.com"),
        (_role(SSO, "bob@example.com", SSO_PATH.replace("aws", "aws-cn", 1)), "bob@example.com"),
        (_role(SSO, "bob@example.com"), f"{SSO}/bob@example.com"),  # anybody can name a role so
        (_role(SSO, "bob@example.com", f"{ROLES}team/aws-reserved/sso.amazonaws.com/"), f"{SSO}/bob@example.com"),
        (_role("deployer", "build-7", sourceIdentity="carol"), "carol"),
        (_role(SSO, "bob@example.com", SSO_PATH, sourceIdentity="carol"), "carol"),
        ({"type": "Root", "sessionContext": {"sourceIdentity": "carol"}}, "carol"),
        ({"type": "WebIdentityUser", "userName": "dave"}, "dave"),
        (_federated("123456789012:erin"), "erin"),
        (_federated("123456789012:erin@example.com"), "erin@example.com"),
        (_federated("123456789012"), "from-arn"),
        ({**_federated(""), "arn": None}, ""),
        (_federated("123456789012:erin", sourceIdentity="carol"), "carol"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1", "identityStoreArn": "x"}}, "u-1"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {}}, ""),
        ({"type": "IdentityCenterUser", "onBehalfOf": "x", "invokedBy": "s"}, "aws:s"),
        ({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}, "aws:lambda.amazonaws.com"),
        ({"type": "IAMUser", "userName": "alice", "invokedBy": "cloudformation.amazonaws.com"}, "alice"),
        ({"type": "AWSAccount", "accountId": "210987654321"}, ""),
        ({}, ""),
        ({"type": 5, "userName": ["x"], "sessionContext": "x"}, ""),
        ({"type": "AssumedRole", "sessionContext": {"sessionIssuer": "x"}}, ""),
    ],
)
def test_owner(who: dict[str, Any], owner: str) -> None:
    """If this fails, a resource is tagged with the wrong owner, or with none where one is known."""
    assert actor.owner(who) == owner


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({}, Actor()),
        ({"userIdentity": None}, Actor()),
        ({"userIdentity": "x", "userAgent": 5, "sourceIPAddress": None}, Actor()),
        (
            {
                "userIdentity": {"type": "IAMUser", "arn": "a", "userName": "alice", "invokedBy": "b"},
                "userAgent": "u" * 300,
                "sourceIPAddress": "203.0.113.10",
            },
            Actor("a", "IAMUser", "alice", "u" * 256, "b", "203.0.113.10"),
        ),
        (
            {"userIdentity": _role(SSO, "bob", SSO_PATH)},
            Actor(f"arn:aws:sts::123456789012:assumed-role/{SSO}/bob", IDENTITY_CENTER, "bob"),
        ),
    ],
)
def test_actor(detail: dict[str, Any], expected: Actor) -> None:
    """If this fails, the audit names the wrong caller, or an oversized user agent is kept whole."""
    assert actor.actor(detail) == expected


@pytest.mark.parametrize(
    ("arn", "own"),
    [
        ("arn:aws:iam::123456789012:role/evenkeel/prod-kms", True),
        ("arn:aws-cn:iam::123456789012:role/evenkeel/prod-kms", True),
        ("arn:aws:iam::123456789012:role/evenkeel", False),
        ("arn:aws:iam::123456789012:role/evenkeel-admin", False),
        ("arn:aws:iam::123456789012:role/team/role/evenkeel/x", False),
        ("arn:aws:iam::666666666666:role/evenkeel/prod-kms", False),
        # A path may hold colons (IAM API reference, CreateRole, Path).
        ("arn:aws:iam::123456789012:role/team:iam::123456789012:role/evenkeel/x", False),
        ("arn:aws:iam::123456789012:user/:iam::123456789012:role/evenkeel/x", False),
        ("", False),
        (None, False),
        (5, False),
    ],
)
def test_own_roles(arn: Any, own: bool) -> None:
    """If this fails, Evenkeel wakes itself for ever, or is deaf to somebody else's role."""
    assert actor.is_own_role({"sessionContext": {"sessionIssuer": {"arn": arn}}}, "123456789012") is own


@pytest.mark.parametrize("who", [{}, {"sessionContext": None}, {"sessionContext": {"sessionIssuer": []}}])
def test_those_without_an_issuer_are_not_ours(who: dict[str, Any]) -> None:
    """If this fails, root's and IAM users' events crash or are dropped."""
    assert not actor.is_own_role(who, "123456789012")


@pytest.mark.parametrize(
    ("who", "tool"),
    [
        (Actor(user_agent="APN/1.0 HashiCorp/1.0 Terraform/1.9.5"), True),
        (Actor(user_agent="pulumi-aws/6"), True),
        (Actor(user_agent="OpenTofu/1.8"), True),
        (Actor(user_agent="aws-cdk/2"), True),
        (Actor(user_agent="cloudformation.amazonaws.com"), True),
        (Actor(invoked_by="cloudformation.amazonaws.com"), True),
        (Actor(user_agent="aws-cli/2.31.0"), False),
        (Actor(), False),
        (Actor(owner="terraform", principal="terraform"), False),
    ],
)
def test_infrastructure_as_code(who: Actor, tool: bool) -> None:
    """If this fails, a tool that sets properties in a second call is raced, or a person is kept waiting."""
    assert actor.is_infrastructure_as_code(who) is tool


def test_session_is_named_by_the_principal_before_the_arn() -> None:
    """If this fails, the owner is taken from the less exact of two fields."""
    who = {**_role("deployer", "build-7"), "arn": "arn:aws:sts::123456789012:assumed-role/deployer/other"}
    assert actor.owner(who) == "deployer/build-7"
