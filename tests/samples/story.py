"""A small story on moto in which Evenkeel writes each of its documents: to be stored by a release, or looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from clerk.digest import Digests
from evenkeel.audit import digests
from evenkeel.audit.ledger import Ledger
from evenkeel.control.registry import all_controls
from evenkeel.events.message import encode
from evenkeel.model import Actor, Cause, Request, Resource
from evenkeel.operators import runs
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import unwire
from evenkeel.runtime.environment import Environment
from evenkeel_cli.audit.chains import Fault, Finding
from evenkeel_cli.audit.checkpoint import Checkpoint
from evenkeel_cli.audit.verifier import Progress
from notifier import event
from tests import factories
from tests.sts import serving, signed
from tests.tables import AUDIT, STATE
from tests.unit.deciding import ALICE, BOB, CAROL
from tests.wire import Crash
from tests.world import ACCOUNT, PLACE, REGION, VARIABLES, client, request

if TYPE_CHECKING:
    from evenkeel.model import Result
    from tests.world import World

CONTROL = "dynamodb-deletion-protection"
TABLES = ("repaired", "undone", "awaiting", "approved", "announced", "frozen", "planned", "held")
"""The resources of the story, named after what became of each."""
AUDIT_TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{AUDIT}"


def arn(name: str) -> str:
    """Return the ARN of one of the story's tables."""
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def under(mode: str, **more: Any) -> dict[str, Any]:
    """Return settings in which the control has a mode, and ``more``."""
    return {"schema_version": 1, "controls": {CONTROL: {"mode": mode, **more}}}


FREEZE = {"name": "release", "cron": "* * * * *", "hours": 1, "timezone": "UTC", "controls": [CONTROL]}
SELECTOR = {"resources": [arn("special")], "accounts": [ACCOUNT], "tags": {"team": "shop"}}
EXEMPTION = {
    **SELECTOR,
    "controls": [CONTROL],
    "reason": "comes and goes",
    "approver": "alice@example.com",
    "expires": "2099-01-01",
}
RADIUS = {"limit": 5, "window_seconds": 600}
OVERRIDE = {**SELECTOR, "regions": [REGION], "mode": "off", "parameters": {}, "blast_radius": RADIUS}
SETTINGS = {
    **under("enforce", blast_radius=RADIUS, parameters={}, overrides=[OVERRIDE]),
    "settle_seconds": 30,
    "exemptions": [EXEMPTION],
    "freezes": [FREEZE],
}
"""What people may write, with every key that there is."""
FULL_REQUEST = Request(
    CONTROL,
    Resource(arn("orders"), ACCOUNT, REGION),
    Cause("securityhub", "event-1", "Findings", "2026-11-21T12:00:00+00:00", "finding-1", "product-1"),
    Actor(ALICE, "IAMUser", "alice", "aws-cli/2", "config.amazonaws.com", "192.0.2.1"),
    creates=True,
    settles=True,
    weakens=True,
    attempt=2,
    first_seen="2026-11-21T12:00:01+00:00",
    plan="019ab6a9f7d0-0123456789abcdef",
    run="019ab6a9f7d1-0123456789abcdef",
    allowance=7,
    waited="60 s for terraform to finish",
)
PROGRESS = Progress(
    records=3,
    chains=2,
    begin_late=1,
    oldest=1795000000.5,
    findings=[Finding(Fault.MISSING, "019ab6a9f7d0-0123456789abcdef", arn("orders"), CONTROL, "no record")],
    seen={"0123456789abcdef"},
    position={"resource": {"S": arn("orders")}, "record_id": {"S": "019ab6a9f7d0-0123456789abcdef"}},
)


def documents(world: World) -> dict[str, Any]:
    """Play the story in an empty world; return each file's content by its name."""
    for name in TABLES:
        factories.table(name)
    happens = [_repaired, _undone, _waits, _announced, _planned, _held, _run, _digest]
    for each in happens:
        each(world)
    audit, state = (_items(table) for table in (AUDIT, STATE))
    repaired = next(each for each in audit if each["resource"] == arn("repaired") and each["step"] == "OUTCOME")
    other = replace(FULL_REQUEST, resource=Resource(arn("other"), ACCOUNT, REGION))
    return {
        "tables": {"at": world.now.isoformat(), "audit": audit, "state": state},
        "request": encode(FULL_REQUEST),
        "requests": encode(FULL_REQUEST, other),
        "settings": SETTINGS,
        "event": json.loads(event.detail(repaired)),
        "checkpoint": _checkpoint(world),
    }


def _items(table: str) -> list[dict[str, Any]]:
    found = [unwire(item) for item in client("dynamodb").scan(TableName=table)["Items"]]
    return sorted(found, key=lambda item: str(item.get("record_id") or item["pk"]))


def look(world: World, name: str, mode: str, **more: Any) -> Result:
    """Let the control look at a table because of alice."""
    return world.run(
        CONTROL, request(CONTROL, arn(name), actor=Actor(ALICE, owner="alice")), document=under(mode, **more)
    )


def decide(world: World, who: str, document: dict[str, Any], **payload: Any) -> str:
    """Serve a person's decision; how a caller is proved is tried elsewhere."""
    with patch("evenkeel.operators.approvals.prove", lambda payload, *_: payload["caller"]["arn"]):
        [result] = world.decide(payload, who, document=document)
    return str(result.outcome)


def undoer(world: World, caller: str) -> Undoer:
    """Return what takes changes back in a person's name."""
    ledger = Ledger(Aws(client), AUDIT, STATE, "undo-1", world.clock, world.sleep)
    return Undoer(Aws(client), ledger, caller, 400, world.clock, world.sleep)


def opened(world: World, url: str = "") -> runs.Runs:
    """Return the runs of the world's stack; ``url`` is where callers prove who they are."""
    return runs.Runs(world.ledger(), Environment.read(VARIABLES), PLACE, lambda: url, world.clock)


def _repaired(world: World) -> None:
    assert look(world, "repaired", "enforce").outcome == "REMEDIATED"


def _undone(world: World) -> None:
    record = look(world, "undone", "enforce").record_id
    assert undoer(world, CAROL).run(all_controls()[CONTROL], arn("undone"), record).outcome == "UNDONE"


def _waits(world: World) -> None:
    for name in ("awaiting", "approved"):
        waits = look(world, name, "approve")
        assert waits.outcome == "AWAITING"
    assert decide(world, BOB, under("approve"), approve=waits.record_id, resource=arn("approved")) == "REMEDIATED"


def _announced(world: World) -> None:
    assert look(world, "announced", "notify").outcome == "ANNOUNCED"


def _planned(world: World) -> None:
    world.wire.crash("dynamodb", "UpdateTable")
    with pytest.raises(Crash):
        look(world, "planned", "enforce")


def _held(world: World) -> None:
    frozen = {**under("enforce"), "freezes": [FREEZE]}
    kept = world.run(CONTROL, request(CONTROL, arn("frozen")), document=frozen)
    assert kept.outcome == "HELD"
    radius = {"limit": 1, "window_seconds": 3600}
    assert look(world, "held", "enforce", blast_radius=radius).outcome == "HELD"


def _run(world: World) -> None:
    terms = {"controls": [CONTROL], "resources": [arn("orders")], "dry_run": False, "allowance": 5, "hours": 2}
    with serving() as url:
        assert "run" in opened(world, url).serve(signed(url, {"open_run": terms}))


def _digest(world: World) -> None:
    key = client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    Digests(Aws(client), Environment.read(VARIABLES), key, lambda: 60_000, world.clock).make_due()
    assert any(each["resource"] == digests.RESOURCE for each in _items(AUDIT))


def _checkpoint(world: World) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        file = Checkpoint(AUDIT_TABLE, world.start)
        file.path = Path(folder) / "checkpoint.json"
        file.keep(PROGRESS)
        kept: dict[str, Any] = json.loads(file.path.read_text(encoding="utf-8"))
        return kept
