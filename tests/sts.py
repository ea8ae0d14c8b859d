"""An STS on this machine, which answers a signed question with the caller that a test wants."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import boto3

from evenkeel.caller import sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CALLER = "arn:aws:iam::123456789012:user/operator"


class Sts(BaseHTTPRequestHandler):
    """Answers with ``status`` and ``body``; ``seen`` are the headers of what was asked."""

    status, body = 200, f"<Arn>{CALLER}</Arn>"
    seen: list[dict[str, str]] = []

    def do_POST(self) -> None:
        """Answer a signed question."""
        type(self).seen.append(dict(self.headers))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body.encode())

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve until the block ends; yield the URL."""
    Sts.status, Sts.body, Sts.seen = 200, f"<Arn>{CALLER}</Arn>", []
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
