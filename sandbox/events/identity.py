"""CloudTrail's ``userIdentity`` of a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

STARTED = datetime.now(UTC)


def user_identity(access_key: str, account: str) -> dict[str, Any]:
    """Return the ``userIdentity`` of an access key: Root, IAMUser, AssumedRole, or Unknown if there is no such key."""
    from ministack.core.iam_evaluator import (  # noqa: PLC0415 - the engine is imported by the shim only
        CredentialResolutionError,
        resolve_credential,
    )

    found = resolve_credential(access_key, account)
    if isinstance(found, CredentialResolutionError):
        return {"type": "Unknown", "principalId": "", "accountId": account, "accessKeyId": access_key}
    base = {"accountId": found.account_id, "accessKeyId": access_key}
    if found.principal_type == "Root":
        return {"type": "Root", "principalId": found.account_id, "arn": found.principal_arn, **base}
    if found.principal_type == "User":
        name = found.principal_name
        return {"type": "IAMUser", "principalId": found.principal_id, "arn": found.principal_arn, **base,
                "userName": name}  # fmt: skip
    return _assumed_role(access_key, found.principal_arn, base)


def of_function(role_arn: str, function_arn: str, account: str) -> dict[str, Any]:
    """Return the ``userIdentity`` of calls that Lambda makes with a function's role."""
    role, name = role_arn.rpartition("/")[2], function_arn.split(":")[6]
    base = {"accountId": account, "accessKeyId": ""}
    shown = _assumed_role("", f"arn:aws:sts::{account}:assumed-role/{role}/{name}", base)
    issued = {"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": function_arn}
    return shown | {"inScopeOf": issued}


def started() -> str:
    """Return the start time of sessions for which the engine keeps none."""
    return STARTED.strftime("%Y-%m-%dT%H:%M:%SZ")


def _assumed_role(access_key: str, arn: str, base: dict[str, Any]) -> dict[str, Any]:
    from ministack.services import iam, sts  # noqa: PLC0415 - as above

    account = base["accountId"]
    role_name, _, session_name = arn.partition(":assumed-role/")[2].partition("/")
    role = iam._roles.get_scoped(account, None, role_name) or {}
    role_id = role.get("RoleId", role_name)
    session = sts._sessions.get(access_key) or {}
    context: dict[str, Any] = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": role_id,
            "arn": role.get("Arn", f"arn:aws:iam::{account}:role/{role_name}"),
            "accountId": account,
            "userName": role_name,
        },
        "attributes": {"creationDate": _created(session), "mfaAuthenticated": "false"},
    }
    if session.get("SourceIdentity"):
        context["sourceIdentity"] = session["SourceIdentity"]
    return {"type": "AssumedRole", "principalId": f"{role_id}:{session_name}", "arn": arn, **base,
            "sessionContext": context}  # fmt: skip


def _created(session: dict[str, Any]) -> str:
    """Return the start time of a session; the engine keeps none for its Lambda workers' sessions."""
    at = session.get("IssuedAt") or session.get("CreateTime")
    moment = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else STARTED
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
