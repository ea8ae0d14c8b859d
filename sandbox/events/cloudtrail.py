"""CloudTrail's event of a call and its answer, as AWS puts it on the default bus."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.parsers import ResponseParserError, create_parser

from sandbox.events import cloudtrail_fields, resources

if TYPE_CHECKING:
    from sandbox.protocol.asgi import Response
    from sandbox.protocol.calls import Call

EVENT_VERSION = "1.11"
DETAIL_TYPE = "AWS API Call via CloudTrail"
FAILED_STATUS = 400
CONSOLES = ("Mozilla/", "console.amazonaws.com", "[S3Console")
"""Prefixes of the user agents of people in the console."""
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True)
class Outcome:
    """A parsed answer: its members (empty on failure) or its error."""

    members: dict[str, Any]
    error: str = ""
    message: str = ""
    request_id: str = ""


def outcome_of(call: Call, response: Response) -> Outcome:
    """Return an answer, parsed with the service's model; reads and calls without a model have no members."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    request_id = headers.get("x-amzn-requestid", "")
    if response.status < FAILED_STATUS and not response.kept:
        return Outcome({}, request_id=request_id)
    if call.model is None:
        error = headers.get("x-amzn-errortype", "").partition(":")[0] or f"HTTP {response.status}"
        return Outcome({}, error if response.status >= FAILED_STATUS else "", request_id=request_id)
    parser = create_parser(call.protocol)
    answer = {"headers": headers, "status_code": response.status, "body": response.body}
    try:
        members = parser.parse(answer, call.model.output_shape)  # type: ignore[arg-type]  # None is allowed
    except ResponseParserError:
        # The engine answered in another form than the model's, such as an HTML error page: the status suffices.
        return Outcome({}, f"HTTP {response.status}" if response.status >= FAILED_STATUS else "", request_id=request_id)
    if response.status < FAILED_STATUS:
        members.pop("ResponseMetadata", None)
        return Outcome(members, request_id=request_id)
    error = members.get("Error", {})
    code = str(error.get("Code", "")).rpartition("#")[2]
    return Outcome({}, code or f"HTTP {response.status}", str(error.get("Message", "")), request_id)


@dataclass(frozen=True)
class Caller:
    """The caller as the event shows them."""

    account: str
    identity: dict[str, Any]
    user_agent: str
    source_ip: str


def envelope(call: Call, outcome: Outcome, caller: Caller) -> dict[str, Any]:
    """Return the EventBridge event of a call."""
    source = cloudtrail_fields.source_of(call)
    failed = bool(outcome.error)
    detail: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": caller.identity,
        "eventTime": now(),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": cloudtrail_fields.event_name(call),
        "awsRegion": call.region,
        "sourceIPAddress": caller.source_ip,
        "userAgent": caller.user_agent,
    }
    if failed:
        detail["errorCode"] = error_code(call, outcome.error)
        detail["errorMessage"] = outcome.message
    denied = outcome.error in DENIED and call.service != "ec2"
    detail["requestParameters"] = None if denied else cloudtrail_fields.request_parameters(call)
    detail["responseElements"] = None if failed else cloudtrail_fields.response_elements(call, dict(outcome.members))
    detail |= {
        "requestID": outcome.request_id or str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        **_resources(call, caller.account, outcome),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
        "eventCategory": "Management",
        **_connection(call, source, caller),
    }
    return wrap(f"aws.{source}", DETAIL_TYPE, detail, account=caller.account, region=call.region)


def now() -> str:
    """Return the current time in UTC to the second, as in events."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wrap(source: str, kind: str, detail: dict[str, Any], *, account: str, region: str) -> dict[str, Any]:
    """Return an EventBridge envelope with the current time and without resources, like those of CloudTrail's events."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": account,
        "time": now(),
        "region": region,
        "resources": [],
        "detail": detail,
    }


def error_code(call: Call, code: str) -> str:
    """Return an error's code as CloudTrail spells it."""
    if call.service == "ec2":
        return f"Client.{code}"
    return "AccessDenied" if code in DENIED else code


def _resources(call: Call, account: str, outcome: Outcome) -> dict[str, list[dict[str, str]]]:
    kind = resources.TYPES.get(call.service)
    if kind is None or outcome.error:
        return {}
    arns = resources.touched(call, account, call.parameters(), outcome.members)
    typed = {"type": kind} if kind else {}
    return {"resources": [{"accountId": account, **typed, "ARN": arn} for arn in arns]} if arns else {}


def _connection(call: Call, source: str, caller: Caller) -> dict[str, Any]:
    """Return the fields about a caller's connection; none if an AWS service called.

    Source: CloudTrail user guide, "CloudTrail record contents" (``tlsDetails``, ``sessionCredentialFromConsole``).
    """
    if caller.source_ip.endswith(".amazonaws.com"):
        return {}
    host = f"{source}.{call.region}.amazonaws.com"
    details = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": host}
    console = {"sessionCredentialFromConsole": "true"} if caller.user_agent.startswith(CONSOLES) else {}
    return {"tlsDetails": details, **console}
