"""Proof of the caller's identity, which a direct Lambda invocation does not carry: STS vouches for it.

The caller signs a ``sts:GetCallerIdentity`` request with its own credentials and sends the signed request, not the
credentials. The signed headers contain the stack, a nonce and the digest of the whole payload, so the proof is good for
this payload only, and only once. We send it to STS and take the ARN from the answer.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from evenkeel.canonical import digest
from evenkeel.errors import EvenkeelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel.audit.ledger import Ledger

_BODY = "Action=GetCallerIdentity&Version=2011-06-15"
_HEADERS = ("x-evenkeel-stack", "x-evenkeel-request", "x-evenkeel-nonce")
_GOOD_FOR = timedelta(minutes=5)
_SENT = frozenset({*_HEADERS, "authorization", "content-type", "x-amz-date", "x-amz-security-token"})
_ARN = re.compile(r"<Arn>(arn:[^<]+)</Arn>")
_HTTP_OK = 200


class UnprovedCallerError(EvenkeelError):
    """The request does not prove who sent it; nothing was changed."""


def sign(session: Any, endpoint: str, stack: str, payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the signed headers that prove the caller of ``payload`` to :func:`prove`; they go into its ``caller``.

    ``session`` is a boto3 session, ``endpoint`` the URL of the region's STS (a client's ``meta.endpoint_url``).
    """
    headers = {"content-type": "application/x-www-form-urlencoded"}
    headers |= dict(zip(_HEADERS, (stack, _digest(payload), secrets.token_hex(16)), strict=True))
    request = AWSRequest("POST", _with_slash(endpoint), data=_BODY, headers=headers)
    SigV4Auth(session.get_credentials().get_frozen_credentials(), "sts", session.region_name).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items() if name.lower() in _SENT}


def prove(  # noqa: PLR0913, PLR0917 - all that the proof must match
    payload: Mapping[str, Any], endpoint: str, stack: str, account: str, ledger: Ledger, clock: Callable[[], datetime]
) -> str:
    """Return the ARN of a payload's caller, from STS; the caller must be in the stack's account.

    Raises:
        UnprovedCallerError: not signed, signed for something else, too old, used before, or refused by STS.
    """
    signed = payload.get("caller")
    if not isinstance(signed, dict) or not all(isinstance(value, str) for value in signed.values()):
        raise UnprovedCallerError("caller: send the headers that `evenkeel undo` signs")
    covered = re.search(r"SignedHeaders=([^,\s]+)", signed.get("authorization", ""))
    if not covered or not set(_HEADERS) | {"x-amz-date"} <= set(covered[1].split(";")):
        raise UnprovedCallerError("caller: stack, request, nonce and date must be among the signed headers")
    if (signed.get("x-evenkeel-stack"), signed.get("x-evenkeel-request")) != (stack, _digest(payload)):
        raise UnprovedCallerError("caller: signed for another stack or request")
    try:
        made = datetime.strptime(signed.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise UnprovedCallerError(f"caller: x-amz-date: {error}") from error
    if abs(clock() - made) > _GOOD_FOR:
        raise UnprovedCallerError("caller: signed more than five minutes ago; sign again")
    if not ledger.counters.first_use(f"nonce#{signed.get('x-evenkeel-nonce', '')[:64]}", made + 2 * _GOOD_FOR):
        raise UnprovedCallerError("caller: this proof was used before; sign again")
    caller = _ask(signed, endpoint)
    if caller.split(":")[4] != account:
        raise UnprovedCallerError(f"caller: {caller} is not in account {account}; use a role of that account")
    return caller


def _digest(payload: Mapping[str, Any]) -> str:
    """Return the digest of what a proof covers: the payload without the proof itself."""
    return digest({name: value for name, value in payload.items() if name != "caller"})


def _ask(signed: dict[str, str], endpoint: str) -> str:
    """Send the signed request to the region's own STS, never to another host, and return the caller's ARN."""
    headers = {name: value for name, value in signed.items() if name in _SENT}
    request = AWSRequest("POST", _with_slash(endpoint), data=_BODY, headers=headers).prepare()
    answer = URLLib3Session(timeout=5).send(request)
    found = _ARN.search(answer.text)
    if answer.status_code != _HTTP_OK or not found:
        raise UnprovedCallerError(f"caller: STS does not accept the signature (HTTP {answer.status_code})")
    return str(found[1])


def _with_slash(endpoint: str) -> str:
    return endpoint.rstrip("/") + "/"
