"""The server process: the engine behind the shim, on a loopback port."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.server import environment

if TYPE_CHECKING:
    from sandbox.options import Options
    from sandbox.protocol.asgi import App

KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 1.0


def run(options: Options) -> int:
    """Serve until SIGINT, SIGTERM or (with ``exit_with_parent``) the end of stdin; return the exit code."""
    listener = _listen(options.port)
    folder = Path(tempfile.mkdtemp(prefix="evenkeel-sandbox-"))
    place = environment.Place(
        port=listener.getsockname()[1],
        region=options.region,
        account=options.account,
        folder=folder,
        log_level=options.log_level,
    )
    try:
        environment.clean(place)
        _raise_file_limit()
        asyncio.run(_serve(listener, options, place))
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _listen(port: int) -> socket.socket:
    """Listen on the port before the engine is imported, because the import reads the port from the environment."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((environment.LOOPBACK, port))
        listener.listen()  # connections queue from here on: the ready line is printed just before the server listens
    except OSError as error:
        listener.close()
        message = f"port {port} of {environment.LOOPBACK} cannot be used ({error.strerror}); choose another, or 0"
        raise SystemExit(message) from error
    return listener


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(listener: socket.socket, options: Options, place: environment.Place) -> None:
    # Imported here: both read the environment that run() has just cleaned.
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    from sandbox.server import admin, shim  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.exit_with_parent:
        threading.Thread(target=_watch_parent, args=(loop, stop), name="parent-watch", daemon=True).start()
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = SHUTDOWN_SECONDS
    config.loglevel = options.log_level
    app = _announcing(admin.with_admin_paths(shim.build(options, place)), place)
    await serve(app, config, shutdown_trigger=stop.wait, mode="asgi")  # type: ignore[arg-type]


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop the server at the end of stdin, which comes when the parent process ends."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


def _announcing(app: App, place: environment.Place) -> App:
    """Return the app, wrapped to print the ready line when the engine has started."""
    line = json.dumps(
        {"endpoint": place.endpoint, "region": place.region, "account": place.account, "pid": os.getpid()}
    )

    async def wrapped(scope, receive, send):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return

        async def announce(message):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

        await app(scope, receive, announce)

    return wrapped
