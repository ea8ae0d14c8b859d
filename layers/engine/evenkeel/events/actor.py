"""The actor of a call: from CloudTrail's ``userIdentity`` to a principal and an owner's name."""

from __future__ import annotations

from typing import Any

from evenkeel.model import IDENTITY_CENTER, Actor

OWN_ROLE_PATH = "role/evenkeel/"
"""IAM path of all of Evenkeel's roles, in every stack; Evenkeel never acts on events that they cause."""

_IDENTITY_CENTER_PATH = "role/aws-reserved/sso.amazonaws.com"
"""The path of IAM Identity Center's roles (IAM Identity Center user guide, "Referencing permission sets in resource
policies"). Nobody else can create a role below it; a role with such a *name* can exist under any other path."""

_INFRASTRUCTURE_AS_CODE = ("cloudformation", "terraform", "pulumi", "opentofu", "aws-cdk")

_CLOUDFORMATION = frozenset({"cloudformation.amazonaws.com", "cloudformation.amazonaws.com.cn"})


def is_own_role(identity: dict[str, Any], account: str) -> bool:
    """Return whether a ``userIdentity`` is one of Evenkeel's roles in this account; other accounts' roles are not."""
    parts = _text(_issuer(identity).get("arn")).split(":", 5)  # at most 5 times: a path can contain colons
    return parts[2:5] == ["iam", "", account] and parts[-1].startswith(OWN_ROLE_PATH)


def is_infrastructure_as_code(actor: Actor) -> bool:
    """Return whether an infrastructure-as-code tool made the call; such tools set more properties in later calls."""
    return names_a_tool(f"{actor.user_agent} {actor.invoked_by}")


def by_cloudformation(actor: Actor) -> bool:
    """Return whether CloudFormation made the call: ``invokedBy`` names it.

    AWS sets that field, and only for requests that a service makes (CloudTrail user guide, "CloudTrail userIdentity
    element"). The user agent and the names of roles and sessions can be chosen by the caller, so they do not count.
    """
    return actor.invoked_by in _CLOUDFORMATION


def names_a_tool(text: str) -> bool:
    """Return whether a text (a user agent, a tag) names an infrastructure-as-code tool."""
    return any(tool in text.lower() for tool in _INFRASTRUCTURE_AS_CODE)


def actor(detail: dict[str, Any]) -> Actor:
    """Return the actor in the ``detail`` of a CloudTrail event."""
    identity = detail.get("userIdentity")
    identity = identity if isinstance(identity, dict) else {}
    return Actor(
        principal=_text(identity.get("arn")),
        kind=IDENTITY_CENTER if _by_identity_center(identity) else _text(identity.get("type")),
        owner=owner(identity),
        user_agent=_text(detail.get("userAgent"))[:256],
        invoked_by=_text(identity.get("invokedBy")),
        source_ip=_text(detail.get("sourceIPAddress")),
    )


def owner(identity: dict[str, Any]) -> str:  # noqa: PLR0911 - a documented order reads best as one
    """Return the owner: source identity, SSO session, user, role and session, else ``aws:`` and the service.

    The order is documented in docs/owner.md. Empty if none of them is known.
    """
    kind = _text(identity.get("type"))
    source = _text(_session(identity).get("sourceIdentity"))
    if source:
        return source
    if kind == "Root":
        return "root"
    if kind == "AssumedRole":
        role = _text(_issuer(identity).get("userName"))
        session = _text(identity.get("principalId")).partition(":")[2] or _text(identity.get("arn")).rpartition("/")[2]
        if _by_identity_center(identity):
            return session
        return "/".join(part for part in (role, session) if part)
    if kind == "FederatedUser":  # GetFederationToken: "account:name"; the issuer is the IAM user who called it
        name = _text(identity.get("principalId")).partition(":")[2]
        return name or _text(identity.get("arn")).partition(":federated-user/")[2]
    named = _text(identity.get("userName"))
    if named:
        return named
    on_behalf = identity.get("onBehalfOf")
    if isinstance(on_behalf, dict) and on_behalf.get("userId"):
        return _text(on_behalf["userId"])
    service = _text(identity.get("invokedBy"))
    return f"aws:{service}" if service else ""


def _by_identity_center(identity: dict[str, Any]) -> bool:
    """Return whether the session's role belongs to IAM Identity Center, by the path in CloudTrail's event."""
    parts = _text(_issuer(identity).get("arn")).split(":", 5)
    return parts[2:4] == ["iam", ""] and parts[-1].startswith(_IDENTITY_CENTER_PATH)


def _session(identity: dict[str, Any]) -> dict[str, Any]:
    session = identity.get("sessionContext")
    return session if isinstance(session, dict) else {}


def _issuer(identity: dict[str, Any]) -> dict[str, Any]:
    issuer = _session(identity).get("sessionIssuer")
    return issuer if isinstance(issuer, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
