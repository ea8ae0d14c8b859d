"""A stand-in for Security Hub CSPM, which the engine lacks: findings that can be imported, got and updated.

It has only what Evenkeel needs: BatchImportFindings (a test imports in Security Hub's own name, which AWS allows no
one), GetFindings (filters for equal fields of a finding, such as Id) and BatchUpdateFindings (Note and Workflow).
Each import and each update emits "Security Hub Findings - Imported", and no update changes ``UpdatedAt``. IAM checks
the hub's ARN and has the condition keys of the updated fields.

Source: the Security Hub user guide, "BatchUpdateFindings"; its API reference; its service authorization reference.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.events import bus
from sandbox.patches.hooks import Answer, module, ok, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "securityhub"
OPERATIONS = {
    ("POST", "/findings/import"): "BatchImportFindings",
    ("POST", "/findings"): "GetFindings",
    ("PATCH", "/findings/batchupdate"): "BatchUpdateFindings",
}
_findings: dict[tuple[str, str], dict[str, Any]] = {}


def apply() -> None:
    """Add the service to the engine."""
    app, router, actions = module("app"), module("core.router"), module("core.iam_actions")
    router.SERVICE_PATTERNS[SERVICE] = {"credential_scope": SERVICE}
    actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    app.SERVICE_HANDLERS[SERVICE] = _handle
    wrap(actions, "extract_iam_action", _action)
    wrap(actions, "extract_resource_arn", _resource)
    wrap(actions, "request_tag_context", _context)


def _action(original: Callable[..., Any], *given: Any) -> Any:
    """Return the action; ``given`` is service, method, path, headers, body, query."""
    service, method, path, *_ = given
    return f"{SERVICE}:{OPERATIONS.get((method, path), 'Unknown')}" if service == SERVICE else original(*given)


def _resource(original: Callable[..., Any], *given: Any) -> Any:
    """Return the ARN of the account's hub; ``given`` ends with region and account."""
    *_, region, account = given
    return f"arn:aws:securityhub:{region}:{account}:hub/default" if given[0] == SERVICE else original(*given)


def _context(original: Callable[..., Any], *given: Any) -> Any:
    """Return a condition key for the path of each updated field; ``given`` is service, action, body, query."""
    service, action, body, _ = given
    if service != SERVICE or not action.endswith("BatchUpdateFindings"):
        return original(*given)
    return {f"securityhub:ASFFSyntaxPath/{path}": value for path, value in _leaves(json.loads(body or b"{}"))}


def _leaves(update: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in update.items():
        path = f"{above}{name}"
        if path != "FindingIdentifiers":
            found += _leaves(value, f"{path}.") if isinstance(value, dict) else [(path, str(value))]
    return found


async def _handle(method: str, path: str, _headers: dict[str, str], body: bytes, _query: Any) -> Answer:
    given = json.loads(body or b"{}")
    operation = OPERATIONS.get((method, path))
    if operation == "BatchImportFindings":
        for finding in given["Findings"]:
            _findings[finding["Id"], finding["ProductArn"]] = finding
            _emit(finding)
        return ok({"FailedCount": 0, "SuccessCount": len(given["Findings"]), "FailedFindings": []})
    if operation == "GetFindings":
        return ok({"Findings": [finding for finding in _findings.values() if _wanted(finding, given)]})
    if operation == "BatchUpdateFindings":
        return ok(_update(given))
    return 404, {"Content-Type": "application/json"}, b"{}"


def _wanted(finding: dict[str, Any], given: dict[str, Any]) -> bool:
    filters: dict[str, list[dict[str, str]]] = given.get("Filters", {})
    return all(finding.get(field) in [each["Value"] for each in wanted] for field, wanted in filters.items())


def _update(given: dict[str, Any]) -> dict[str, Any]:
    processed, unprocessed = [], []
    for name in given["FindingIdentifiers"]:
        finding = _findings.get((name["Id"], name["ProductArn"]))
        if finding is None:
            unprocessed.append(
                {"FindingIdentifier": name, "ErrorCode": "FindingNotFound", "ErrorMessage": "Finding Not Found"}
            )
            continue
        if "Note" in given:
            finding["Note"] = {**given["Note"], "UpdatedAt": _now()}
        if "Workflow" in given:
            finding["Workflow"] = given["Workflow"]
        processed.append(name)
        _emit(finding)
    return {"ProcessedFindings": processed, "UnprocessedFindings": unprocessed}


def _emit(finding: dict[str, Any]) -> None:
    responses = module("core.responses")
    bus.put(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Security Hub Findings - Imported",
            "source": "aws.securityhub",
            "account": responses.get_account_id(),
            "time": _now(),
            "region": responses.get_region(),
            "resources": [f"{finding['ProductArn']}/{finding['Id']}"],
            "detail": {"findings": [finding]},
        }
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
