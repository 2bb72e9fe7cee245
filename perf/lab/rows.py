# SPDX-License-Identifier: BSD-3-Clause
"""Rows: the one form in which every measuring program's figures are kept.

A row is a dict:
  name       "path/accepted/96/4096"
  unit       of ours and peer: "ns" (less is better), "M/s" (more is better), ...
  ours       median of ours_runs
  peer       likewise of the peer, measured in the same runs; None if there is no peer
  peer_name  what the peer is
  ratio      median of runs: how many times as good as the peer, over 1 is better; None without one
  runs       one ratio per run
  ours_runs, peer_runs   one figure per run
  extra      whatever else the program reports, medians of numbers; x_THING: a ratio to something
             other than the peer, with x_THING_runs
"""

import math
import re
from statistics import median

# Counters of ours with a place of their own in a row, and what Google Benchmark adds by itself.
BENCHMARK_COUNTERS = {"ns", "peer_ns", "x_peer"}
BENCHMARK_FIELDS = {
    "name", "run_name", "run_type", "aggregate_name", "aggregate_unit", "family_index",
    "per_family_instance_index", "repetitions", "repetition_index", "threads", "iterations",
    "real_time", "cpu_time", "time_unit", "label", "error_occurred", "error_message",
    "items_per_second",
}
NAME_OPTION = re.compile(r"/(iterations|repeats|min_time|threads|real_time|manual_time)(:[^/]*)?")


class RowError(ValueError):
    """A program's output is not what the lab understands, or says that it went wrong."""


def number(value):
    """The value as a finite float, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def numbers(values):
    return [n for n in map(number, values or []) if n is not None]


def middle(values):
    return median(values) if values else None


def from_benchmark(document, peer_name):
    """Rows of a Google Benchmark report, one per benchmark: a run for each repetition. A row's
    label, if it has one, names its peer. Returns (rows, errors): a benchmark that found its own
    results wrong is an error line instead of a row."""
    rows, errors = [], []
    entries = document.get("benchmarks")
    if not isinstance(entries, list):
        raise RowError("no list 'benchmarks' in the report")
    for entry in entries:
        name = NAME_OPTION.sub("", entry.get("run_name") or entry["name"])
        if entry.get("error_occurred"):
            errors.append(f"{name}: {entry.get('error_message', 'failed')}")
        elif entry.get("aggregate_name", "median") == "median":
            rows.append(benchmark_row(
                name, entry, peer_name(name) if callable(peer_name) else peer_name))
    return merge(rows), errors


def benchmark_row(name, entry, peer_name):
    ours, peer, ratio = (number(entry.get(key)) for key in ("ns", "peer_ns", "x_peer"))
    if ours is None:
        raise RowError(f"{name}: no counter 'ns'")
    if ratio is None and peer is not None:
        ratio = peer / ours
    extra = {key: value for key, value in entry.items()
             if key not in BENCHMARK_FIELDS | BENCHMARK_COUNTERS}
    extra |= {f"{key}_runs": [value] for key, value in extra.items() if key.startswith("x_")}
    return {
        "name": name, "unit": "ns", "ours": ours, "peer": peer,
        "peer_name": (entry.get("label") or peer_name) if peer is not None else None,
        "ratio": ratio, "runs": numbers([ratio]),
        "ours_runs": [ours], "peer_runs": numbers([peer]), "extra": extra,
    }


def from_script(document):
    """Rows as our own scripts print them, completed."""
    if not isinstance(document, list):
        raise RowError("expected a list of rows")
    return merge([script_row(row) for row in document])


def script_row(row):
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise RowError(f"a row without a name: {str(row)[:80]}")
    ours, peer, ratio = (number(row.get(key)) for key in ("ours", "peer", "ratio"))
    if ours is None:
        raise RowError(f"{row['name']}: 'ours' is not a number")
    runs = numbers(row.get("runs")) if ratio is not None else []
    return {
        "name": row["name"], "unit": str(row.get("unit", "")), "ours": ours, "peer": peer,
        "peer_name": row.get("peer_name"), "ratio": ratio,
        "runs": runs or numbers([ratio]),
        "ours_runs": numbers(row.get("ours_runs")) or [ours],
        "peer_runs": numbers(row.get("peer_runs")) or numbers([peer]),
        "extra": dict(row.get("extra") or {}),
    }


def merge(rows):
    """One row per name, in order of first appearance; runs one after another."""
    by_name = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    return [same[0] if len(same) == 1 else merged(same) for same in by_name.values()]


def merged(same):
    row = dict(same[0])
    for runs, figure in (("runs", "ratio"), ("ours_runs", "ours"), ("peer_runs", "peer")):
        row[runs] = [value for one in same for value in one[runs]]
        row[figure] = middle(row[runs])
    row["extra"] = {key: merged_extra(key, [one["extra"].get(key) for one in same])
                    for key in dict.fromkeys(key for one in same for key in one["extra"])}
    return row


def merged_extra(key, values):
    """The median of numbers, all figures of runs; of anything else (a word, a curve) the latest."""
    values = [value for value in values if value is not None]
    if key.endswith("_runs"):
        return [figure for runs in values for figure in runs]
    figures = numbers(values)
    if figures and len(figures) == len(values):
        return median(figures)
    return values[-1] if values else None


def by_name(rows):
    return {row["name"]: row for row in rows}


def spread(runs):
    """(least, median, most), or None."""
    return (min(runs), median(runs), max(runs)) if runs else None
