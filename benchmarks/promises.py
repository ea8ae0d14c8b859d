"""The benchmark's limits: calls, and the ratios of CPU, import and memory. Wall times are only reported."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import is_read
from benchmarks.minimum import minimum

CPU_RATIO, IMPORT_RATIO, RSS_MIB = 1.5, 1.3, 15.0


def broken(row: dict[str, Any]) -> list[str]:
    """Return a sentence for each limit that a control's figures exceed."""
    where, least = row["control"], minimum(row["control"])
    found, allowed = row["finds"] + row["changes"], least.acts + least.more
    sentences = []
    if found > allowed:
        sentences.append(f"{where}: {found} calls to find and fix, not {allowed}: {dict(row['calls'])}")
    if row["proves"] > row["finds"]:
        sentences.append(f"{where}: the proof took {row['proves']} reads, the finding {row['finds']}")
    if row["only_announces"] and row["changes"]:
        sentences.append(f"{where}: only announces, but did {dict(row['calls'])}")
    writes = sum(count for name, count in row["compliant"].items() if not is_read(name.partition(":")[2]))
    if writes > (row["outcome"] == "ANNOUNCED"):  # one write forgets the announcement
        sentences.append(f"{where}: a compliant resource costs {writes} writes: {dict(row['compliant'])}")
    if row["cpu_ratio"] > CPU_RATIO:
        sentences.append(f"{where}: CPU is {row['cpu_ratio']:.2f} times bare boto3's, not {CPU_RATIO}")
    more = row["ours"]["peak_rss_mib"] - row["bare"]["peak_rss_mib"]
    if more > RSS_MIB:
        sentences.append(f"{where}: peak RSS is {more:.1f} MiB above bare boto3's, not {RSS_MIB:.0f}")
    return sentences


def slow_imports(rows: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each handler whose import costs too much."""
    return [
        f"import of {row['module']} and boto3 is {row['ratio']:.2f} times boto3's, not {IMPORT_RATIO}"
        for row in rows
        if row["ratio"] > IMPORT_RATIO
    ]
