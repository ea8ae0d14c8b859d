"""``evenkeel demo``: people create and weaken resources, and the real stack repairs them while you watch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.cli_lines import cli_line
from evenkeel.model import Call
from evenkeel_cli.local import demo_story, demo_watch, demo_world, local_stack
from evenkeel_cli.local.demo_screen import Screen
from evenkeel_cli.ui import console
from evenkeel_cli.ui.failure import CommandError
from sandbox.client import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evenkeel_cli.local.demo_watch import Alert, Case
    from evenkeel_cli.local.demo_world import World

SHOWN = ("DisableKeyRotation", "kms-key-rotation")
"""Event and control of the alert that is printed."""


def run(folder: Path, seconds: float, region: str, account: str) -> None:
    """Run the demo and write ``summary.json``, ``calls.txt`` and ``alerts.txt`` to ``folder``.

    Raises:
        CommandError: something was not repaired within ``seconds``; the message names it.
    """
    screen = Screen(console.results())
    screen.begin(region, account)
    try:
        with local_stack.started(0, region, account, screen.doing) as started:
            screen.doing("reading back the template's properties")
            running = local_stack.read_back(started)
            world = demo_world.settle_in(running.sandbox, running.stack)
            screen.started(running)
            perform(world, screen, folder, seconds)
    except (ClientError, BotoCoreError, SandboxError) as error:
        raise CommandError(f"the sandbox refused a call of the demo: {error}", "Report this message.") from error
    finally:
        screen.close()


def perform(world: World, screen: Screen, folder: Path, seconds: float) -> None:
    """Play the two acts in a deployed stack, then check the results.

    Raises:
        CommandError: as :func:`run`.
    """
    cases: list[Case] = []
    for number, person, acts, title in (
        (1, "alice", demo_story.CREATE, f"alice creates {len(demo_story.CREATE)} resources with plain boto3 calls"),
        (2, "bob", demo_story.WEAKEN, f"bob weakens them in {len(demo_story.WEAKEN)} ways"),
    ):
        screen.act(number, title)
        try:
            deeds = demo_story.play(world, person, acts)
        except ClientError as error:
            raise CommandError(f"a call of {person}'s failed: {error}", "Report this message.") from error
        cases += demo_watch.watch(world, demo_watch.cases(deeds), seconds, screen.ended, screen.tick)
        if any(case.trouble for case in cases):
            break  # weakening a resource that was never repaired would show nothing
    cases, alerts = conclude(world, cases)
    files = write(folder, cases, alerts)
    shown = next((each for each in cases if (each.deed.event, each.control) == SHOWN), None)
    if shown and shown.record.get("record_id") in alerts:
        screen.alert(alerts[shown.record["record_id"]], len(alerts))
    screen.end(cases, files, sum(each.outcome == "ANNOUNCED" for each in alerts.values()))
    _judge(world, cases, folder)


def conclude(world: World, cases: list[Case]) -> tuple[list[Case], dict[str, Alert]]:
    """Read every resource once more and collect the alerts; a repair without an alert is a failure."""
    wanted = {str(case.record["record_id"]) for case in cases if case.record}
    alerts = demo_watch.alerts(world, wanted)
    announced = [
        case
        if case.trouble or not case.must_repair or case.record["record_id"] in alerts
        else replace(case, trouble=f"it was repaired, but no alert came within {demo_watch.ALERT_SECONDS:.0f} s")
        for case in cases
    ]
    return demo_watch.again(world, announced), alerts


def write(folder: Path, cases: Sequence[Case], alerts: dict[str, Alert]) -> str:
    """Write the demo's files; return a text with their names and folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [cli_line(Call(**call), case.record["region"]) for case in cases for call in case.record.get("calls", [])]
    texts = [f"{alert.subject}\n\n{alert.text}\n" for _, alert in sorted(alerts.items())]
    contents = {
        "summary.json": json.dumps(summary(cases), indent=2) + "\n",
        "calls.txt": "".join(f"{line}\n" for line in lines),
        "alerts.txt": f"\n{'-' * 80}\n\n".join(texts),
    }
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    return f"{', '.join(contents)} in {folder}"


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """Return ``{"resources": [{"control", "resource", "outcome", "milliseconds", "calls"}, …]}``.

    Near misses are not in it unless they were touched. ``milliseconds`` (event to verified) and ``calls`` (AWS calls
    made) are null if there was no outcome.
    """
    return {
        "resources": [
            {
                "control": case.control,
                "resource": case.deed.arn,
                "outcome": case.outcome,
                "milliseconds": case.milliseconds,
                "calls": case.record.get("aws_calls"),
            }
            for case in cases
            if case.must_repair or case.trouble
        ]
    }


def _judge(world: World, cases: Sequence[Case], folder: Path) -> None:
    """Raise an error that names every failed case, after writing the functions' and the sandbox's logs to a file."""
    wrong = [case for case in cases if case.trouble]
    dead_letters = demo_watch.dead_letters(world)
    if not wrong and not dead_letters:
        return
    lines = [f"{case.control} on {case.deed.arn}: {case.trouble}" for case in wrong]
    lines += [f"dead letter: {reason}" for reason in dead_letters]
    evidence = folder / "evidence.txt"
    evidence.write_text(_evidence(world), encoding="utf-8")
    raise CommandError(
        "not everything ended as expected:\n" + "\n".join(f"  {line}" for line in lines),
        f"The functions' logs are in {evidence}. To try things on a running stack: evenkeel sandbox.",
    )


def _evidence(world: World) -> str:
    """Return the functions' logs, the messages in their queues, and the sandbox's stderr."""
    parts = []
    for each in world("lambda").list_functions()["Functions"]:
        parts += [f"== {each['FunctionName']}", *world.sandbox.logs(each["FunctionName"])]
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for url in world("sqs").list_queues()["QueueUrls"]:
        found = world("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        parts.append(f"== {url}: {json.dumps(found)}")
    return "\n".join([*parts, "== sandbox", world.sandbox.server_log()])
