"""An STS on this machine: it answers a signed question with the caller that a test wants, and lets roles be assumed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import boto3

from evenkeel.operators.caller_proof import sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>ASIATESTING</AccessKeyId><SecretAccessKey>testing</SecretAccessKey>
<SessionToken>testing</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>A:evenkeel</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>
</AssumeRoleResult></AssumeRoleResponse>"""
_DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"""
CALLER = "arn:aws:iam::123456789012:user/operator"


class Sts(BaseHTTPRequestHandler):
    """Answers with ``status`` and ``body``; ``seen`` are the headers of what was asked, ``assumed`` the roles' ARNs.

    Unless ``assumable``, it refuses as AWS does where there is no such role.
    """

    status, body = 200, f"<Arn>{CALLER}</Arn>"
    seen: list[dict[str, str]] = []
    assumed: list[str] = []
    assumable = True

    def do_POST(self) -> None:
        """Answer a signed question."""
        asked = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()))
        if asked.get("Action") == "AssumeRole":
            type(self).assumed.append(asked["RoleArn"])
            self._say(*((200, _ASSUMED.format(arn=asked["RoleArn"])) if self.assumable else (403, _DENIED)))
        else:
            type(self).seen.append(dict(self.headers))
            self._say(self.status, self.body)

    def _say(self, status: int, body: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve until the block ends; yield the URL."""
    Sts.status, Sts.body, Sts.seen, Sts.assumed = 200, f"<Arn>{CALLER}</Arn>", [], []
    Sts.assumable = True
    server = HTTPServer(("127.0.0.1", 0), Sts)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def signed(url: str, payload: Mapping[str, Any], stack: str = "evenkeel-test") -> dict[str, Any]:
    """Return a payload with the proof of its caller."""
    return {**payload, "caller": sign(boto3.session.Session(region_name="eu-west-1"), url, stack, payload)}
