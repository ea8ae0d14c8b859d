"""Run the benchmark: ``make bench``. It prints tables, writes build/bench/report.json, fails where a promise is broken.

Calls and the ratios of CPU, import and memory are promises; wall times are reported only, since machines differ.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import waves
from benchmarks.imports import import_milliseconds
from benchmarks.scenarios import SCENARIOS, Scenario
from sandbox.client import Sandbox
from sandbox.deploy import Stack, deploy
from sandbox.settings import push

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "build" / "bench" / "report.json"
CPU_RATIO, IMPORT_RATIO, RSS_MIB = 1.5, 1.5, 15.0
TURNS = 2
WARM_UP, WAVES = 100, (200, 1000)
LATENCIES = (0.0, 0.03)
ENGINE_OPERATIONS = {"get_item", "update_item", "transact_write_items"}
TABLES_IN_A_LARGE_ACCOUNT = 300
console = Console(width=110)


def own_role(sandbox: Sandbox) -> dict[str, str]:
    """Return credentials of a role under Evenkeel's path: nobody else may write to the tables."""
    account = f"arn:aws:iam::{sandbox.account}"
    trust = {"Effect": "Allow", "Principal": {"AWS": f"{account}:root"}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam, name = sandbox.client("iam"), "benchmark"
    policies = [json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, everything)]
    iam.create_role(RoleName=name, Path="/evenkeel/", AssumeRolePolicyDocument=policies[0])
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policies[1])
    assumed = sandbox.client("sts").assume_role(RoleArn=f"{account}:role/evenkeel/{name}", RoleSessionName=name)
    return dict(assumed["Credentials"])


def environment(sandbox: Sandbox, stack: Stack, keys: dict[str, str]) -> dict[str, str]:
    """Return what Lambda would give the functions."""
    outputs = stack.outputs
    return {
        "AWS_ENDPOINT_URL": sandbox.endpoint,
        "AWS_REGION": sandbox.region,
        "AWS_DEFAULT_REGION": sandbox.region,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "EVENKEEL_STACK": stack.name,
        "EVENKEEL_AUDIT_TABLE": outputs["AuditTableName"],
        "EVENKEEL_STATE_TABLE": outputs["StateTableName"],
        "EVENKEEL_SETTINGS": "/".join(
            outputs[f"Settings{part}Id"] for part in ("Application", "Environment", "Profile")
        ),
        "EVENKEEL_LOG_KEY_ARN": outputs["LogKeyArn"],
        "EVENKEEL_DLQ_URL": outputs["DeadLetterQueueUrl"],
        "EVENKEEL_QUEUE_URL": outputs["DeadLetterQueueUrl"],
        "POWERTOOLS_SERVICE_NAME": "benchmark",
        "POWERTOOLS_METRICS_NAMESPACE": "Evenkeel",
    }


def worker(side: str, scenario: Scenario, orders: dict[str, Any]) -> dict[str, Any]:
    """Run one measured process."""
    ran = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.worker", side, scenario.name],
        input=json.dumps(orders),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **orders["environment"]},
    )
    if ran.returncode:
        raise RuntimeError(f"{side} {scenario.name}: {ran.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def side_by_side(scenario: Scenario, orders: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure both sides in turn, twice, and keep each side's calmer run: other work on the machine only adds."""
    turns = []
    for _ in range(TURNS):
        ours = worker("evenkeel", scenario, orders)
        turns.append((ours, worker("bare", scenario, {**orders, "calls": ours["calls"], "name": ours["name"]})))
    ours_runs, bare_runs = zip(*turns, strict=True)
    return min(ours_runs, key=_cpu), min(bare_runs, key=_cpu)


def _cpu(run: dict[str, Any]) -> float:
    return float(run["cpu_ms"])


def is_engines(service: str, operation: str) -> bool:
    """Say whether a call is the engine's own: the two tables and the settings."""
    return (service == "dynamodb" and operation in ENGINE_OPERATIONS) or service in {"appconfigdata", "sqs"}


def per_event(orders: dict[str, Any], sandbox: Sandbox) -> list[dict[str, Any]]:
    """Measure each scenario on both sides, with and without latency."""
    rows = []
    for scenario in SCENARIOS:
        for latency in LATENCIES:
            console.print(f"measuring {scenario.name} at {latency * 1000:.0f} ms a call", style="dim")
            sandbox.faults.clear()
            if latency:
                sandbox.faults.add("*", latency=latency)
            ours, bare = side_by_side(scenario, orders)
            names = [(service, operation) for service, operation, _ in ours["calls"]]
            rows.append(
                {
                    "event": scenario.name,
                    "latency_ms": latency * 1000,
                    "calls": Counter(f"{s}:{o}" for s, o in names if not is_engines(s, o)),
                    "engine_calls": Counter(f"{s}:{o}" for s, o in names if is_engines(s, o)),
                    "calls_at_most": scenario.api_calls_at_most,
                    "compliant": Counter(f"{s}:{o}" for s, o in ours["compliant"]),
                    "ours": {k: ours[k] for k in ("cpu_ms", "wall_ms", "peak_rss_mib")},
                    "bare": {k: bare[k] for k in ("cpu_ms", "wall_ms", "peak_rss_mib")},
                }
            )
    sandbox.faults.clear()
    return rows


def broken_promises(rows: list[dict[str, Any]], imports: dict[str, float]) -> list[str]:
    """Return each promise that the figures break, in a sentence."""
    broken = []
    for row in rows:
        where = f"{row['event']} at {row['latency_ms']:.0f} ms"
        calls = sum(row["calls"].values())
        if calls > row["calls_at_most"]:
            broken.append(f"{where}: {calls} AWS calls beside the engine's own, not {row['calls_at_most']}")
        ratio = row["ours"]["cpu_ms"] / row["bare"]["cpu_ms"]
        if ratio > CPU_RATIO:
            broken.append(f"{where}: CPU is {ratio:.2f} times bare boto3's, not {CPU_RATIO}")
        more = row["ours"]["peak_rss_mib"] - row["bare"]["peak_rss_mib"]
        if more > RSS_MIB:
            broken.append(f"{where}: peak RSS is {more:.1f} MiB above bare boto3's, not {RSS_MIB:.0f}")
        if any(not name.partition(":")[2].startswith(("get_", "describe_", "list_")) for name in row["compliant"]):
            broken.append(f"{where}: a compliant resource is not read only: {dict(row['compliant'])}")
    for module, milliseconds in imports.items():
        ratio = milliseconds / imports["boto3"]
        if ratio > IMPORT_RATIO:
            broken.append(f"import of {module} is {ratio:.2f} times boto3's, not {IMPORT_RATIO}")
    return broken


def show(rows: list[dict[str, Any]], imports: dict[str, float], sizes: dict[str, int], through: dict[str, Any]) -> None:
    """Print the figures."""
    table = Table(title="One event, warm, median of five (Evenkeel / bare boto3 with the same calls)")
    for heading in (
        "event",
        "+ms a call",
        "calls + engine's",
        "when compliant",
        "CPU ms",
        "ratio",
        "wall ms",
        "peak MiB",
    ):
        table.add_column(heading, justify="left" if heading == "event" else "right")
    for row in rows:
        ours, bare = row["ours"], row["bare"]
        table.add_row(
            row["event"],
            f"{row['latency_ms']:.0f}",
            f"{sum(row['calls'].values())} + {sum(row['engine_calls'].values())}",
            f"{sum(row['compliant'].values())} reads",
            f"{ours['cpu_ms']:.1f} / {bare['cpu_ms']:.1f}",
            f"{ours['cpu_ms'] / bare['cpu_ms']:.2f}",
            f"{ours['wall_ms']:.0f} / {bare['wall_ms']:.0f}",
            f"{ours['peak_rss_mib']:.0f} / {bare['peak_rss_mib']:.0f}",
        )
    console.print(table)
    for row in rows[:: len(LATENCIES)]:
        console.print(f"  {row['event']}: {dict(row['calls'])}; engine {dict(row['engine_calls'])}", highlight=False)
    console.print("Import, CPU ms: " + ", ".join(f"{name} {ms:.0f}" for name, ms in imports.items()))
    console.print("Packages, KiB: " + ", ".join(f"{name} {size / 1024:.0f}" for name, size in sizes.items()))
    console.print(
        f"Event to repaired: cold {through['cold_ms']:.0f} ms, warm {through['warm_ms']:.0f} ms (median of 5)"
    )
    for wave in through["waves"]:
        console.print(f"{wave['events']} events at once: {wave['seconds']:.1f} s in all, {wave['lost']} lost")


def switch_sources(sandbox: Sandbox, *, on: bool) -> None:
    """Let the deployed remediators act or not, so that they do not serve what the workers measure."""
    client = sandbox.client("lambda")
    for source in client.list_event_source_mappings()["EventSourceMappings"]:
        client.update_event_source_mapping(UUID=source["UUID"], Enabled=on)


def main() -> int:
    """Measure, print, and say by the exit code whether the promises hold."""
    with Sandbox(table_seconds=0.0) as sandbox:
        stack = deploy(sandbox)
        wide = {"controls": {"kms-key-rotation": {"blast_radius": {"limit": 100_000, "window_seconds": 3600}}}}
        push(sandbox, stack, {"schema_version": 1, **wide})
        user = sandbox.create_user("alice")
        cold = waves.single(sandbox, user)
        warm = statistics.median(waves.single(sandbox, user) for _ in range(5))
        table = stack.outputs["AuditTableName"]
        console.print(f"cold {cold:.0f} ms, warm {warm:.0f} ms; now {' and '.join(map(str, WAVES))} events at once")
        waves.wave(sandbox, user, table, WARM_UP)  # each function has ten workers to start
        measured = [waves.wave(sandbox, user, table, size) for size in WAVES]
        through: dict[str, Any] = {"cold_ms": cold, "warm_ms": warm, "waves": measured}
        switch_sources(sandbox, on=False)
        for number in range(TABLES_IN_A_LARGE_ACCOUNT):
            sandbox.client("dynamodb").create_table(
                TableName=f"other-{number}",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        rows = per_event({"environment": environment(sandbox, stack, own_role(sandbox))}, sandbox)
    groups = sorted({scenario.group for scenario in SCENARIOS} | {"tagging", "notifier", "clerk"})
    imports = import_milliseconds(["boto3", *(f"{group}.handler" for group in groups)])
    newest = sorted((ROOT / "build" / "sandbox").glob("*.zip"), key=lambda path: path.stat().st_mtime)
    sizes = {path.stem.rpartition("-")[0]: path.stat().st_size for path in newest}
    show(rows, imports, sizes, through)
    broken = broken_promises(rows, imports)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(
        json.dumps({"events": rows, "imports": imports, "sizes": sizes, "stack": through, "broken": broken}, indent=2)
    )
    lost = sum(wave["lost"] + wave["not_rotating"] for wave in measured)
    for sentence in [*broken, *([f"{lost} events of the waves were lost"] if lost else [])]:
        console.print(f"BROKEN  {sentence}", style="red")
    return 1 if broken or lost else 0


if __name__ == "__main__":
    sys.exit(main())
