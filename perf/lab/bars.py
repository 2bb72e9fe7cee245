# SPDX-License-Identifier: BSD-3-Clause
"""The speed contract: what credgate must reach, each as a ratio measured in one run.

A bar is judged by the median of its runs: `pass`, or `short` of it. What could not be measured in
this run says why; that is neither.
"""

import re
from dataclasses import dataclass
from statistics import median
from typing import Callable

from lab.rows import by_name, numbers
from lab.table import figure, times

PASS, SHORT, NOT_MEASURED = "pass", "short", "not measured"


class NotMeasured(Exception):
    """Why this run has no figure for a bar."""


@dataclass(frozen=True)
class Figure:
    """What a run has to say about a bar; ours and peer are text, with their units."""

    runs: list
    ours: str
    peer: str
    rows: list  # names of the rows it was taken from


@dataclass(frozen=True)
class Bar:
    key: str
    what: str
    limit: float
    at_least: bool
    measure: Callable  # rows by name -> Figure, or raises NotMeasured
    unit: str = "×"

    def text(self):
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"

    def is_reached(self, value):
        return value >= self.limit if self.at_least else value <= self.limit

    def judge(self, rows):
        """The bar as a dict for report.json."""
        line = {"key": self.key, "what": self.what, "bar": self.text(), "limit": self.limit,
                "at_least": self.at_least, "unit": self.unit}
        try:
            found = self.measure(by_name(rows))
        except NotMeasured as why:
            return {**line, "peer": "", "ours": "", "ratio": None, "runs": [], "rows": [],
                    "result": NOT_MEASURED, "why": str(why)}
        value = median(found.runs)
        return {**line, "peer": found.peer, "ours": found.ours, "ratio": value,
                "runs": found.runs, "rows": found.rows,
                "result": PASS if self.is_reached(value) else SHORT, "why": ""}


def need(rows, name):
    if name not in rows:
        raise NotMeasured(f"no row {name}")
    return rows[name]


def matching(rows, pattern, what):
    """All rows whose names match, at least one; `what` they are, for people."""
    found = [row for name, row in rows.items() if re.fullmatch(pattern, name)]
    if not found:
        raise NotMeasured(f"no row {what}")
    return found


def worst(rows, pattern, what):
    """Of several rows, the one that does worst beside its peer."""
    found = [row for row in matching(rows, pattern, what) if row["ratio"] is not None]
    if not found:
        raise NotMeasured(f"{what} has no peer's figure")
    return min(found, key=lambda row: row["ratio"])


def beside_peer(row):
    """A row's own ratio."""
    if not row["runs"]:
        raise NotMeasured(f"{row['name']} has no peer's figure")
    peer = " ".join(filter(None, [figure(row["peer"], row["unit"]), row["peer_name"]]))
    return Figure(row["runs"], figure(row["ours"], row["unit"]), peer, [row["name"]])


def ratio_of(name):
    return lambda rows: beside_peer(need(rows, name))


def ratio_of_worst(pattern, what):
    return lambda rows: beside_peer(worst(rows, pattern, what))


def quotient(above, below, label):
    """ours of one row by ours of another, run by run; the second plays the peer."""
    runs = [a / b for a, b in zip(above["ours_runs"], below["ours_runs"])]
    return Figure(runs, figure(above["ours"], above["unit"]),
                  f"{figure(below['ours'], below['unit'])} {label}", [above["name"], below["name"]])


def cost_of(above, below, label):
    return lambda rows: quotient(need(rows, above), need(rows, below), label)


def cheapest_against_dearest(cheap, dear_pattern, label, what):
    """The cost of `cheap` by that of the dearest row that matches: over 1, none is dearer."""
    def measure(rows):
        dearest = max(matching(rows, dear_pattern, what), key=lambda row: row["ours"])
        found = quotient(need(rows, cheap), dearest, "")
        return Figure(found.runs, figure(dearest["ours"], dearest["unit"]),
                      f"{figure(rows[cheap]['ours'], rows[cheap]['unit'])} {label}", found.rows)
    return measure


def extra_of(name, key, unit):
    """A figure a row carries beside its ratio."""
    def measure(rows):
        row = need(rows, name)
        value = row["extra"].get(key)
        if value is None:
            raise NotMeasured(f"{name} says nothing of {key}")
        runs = numbers(row["extra"].get(f"{key}_runs")) or [value]
        return Figure(runs, figure(median(runs), unit), "", [name])
    return measure


def best_kernel(rows):
    """The tag kernel of ours that does best here; IPsec-MB's own, the reference, is none."""
    found = matching(rows, r"verify/(?!ipsecmb)[^/]+/sealed128/80/4096",
                     "verify/*/sealed128/80/4096")
    return min(found, key=lambda row: row["ours"])["name"].split("/")[1]


def of_best_kernel(measure_for):
    """`measure_for` takes a kernel's name and returns a measure."""
    return lambda rows: measure_for(best_kernel(rows))(rows)


def later(why):
    def measure(_):
        raise NotMeasured(why)
    return measure


BARS = [
    Bar("path", "whole path in memory, 4,096 nodes, 96 bytes", 1.25, True,
        ratio_of("path/accepted/96/4096")),
    Bar("tag", "tag kernel alone, 80 or 96 bytes, the worst suite", 2.5, True,
        of_best_kernel(lambda k: ratio_of_worst(rf"verify/{k}/(cmac128|sealed128)/(80|96)/4096",
                                                f"verify/{k}/*/80/4096"))),
    Bar("tag-mixed", "tag kernel, 90 % of 96 and 10 % of 300 bytes", 2.5, True,
        of_best_kernel(lambda k: ratio_of_worst(rf"verify/{k}/(cmac128|sealed128)/mixed/4096",
                                                f"verify/{k}/*/mixed/4096"))),
    Bar("sealed", "sealed suite beside the unsealed one", 1.25, False,
        of_best_kernel(lambda k: cost_of(f"verify/{k}/sealed128/80/4096",
                                         f"verify/{k}/cmac128/80/4096", "unsealed"))),
    Bar("refuse", "forged flood: accepting beside refusing", 1.0, True,
        cheapest_against_dearest("path/accepted/96/4096", r"path/forged\d*/96/4096", "accepting",
                                 "path/forged*/96/4096")),
    Bar("growth-64k", "growth from 64 to 65,536 nodes", 1.75, False,
        cost_of("path/accepted/96/65536", "path/accepted/96/64", "at 64")),
    Bar("growth-1m", "growth from 64 to 1,048,576 nodes", 2.5, False,
        cost_of("path/accepted/96/1048576", "path/accepted/96/64", "at 64")),
    Bar("cores", "two workers beside one", 1.9, True, ratio_of("path/workers2/96/4096")),
    Bar("memif", "generator, memif, accepted", 0.9, True, ratio_of("e2e/memif/4096")),
    Bar("memif-added", "the same, busy time added to bare receive", 16, False,
        extra_of("e2e/memif/4096", "added_ns", "ns"), "ns"),
    Bar("flood", "10 % genuine in a flood, share accepted", 1.0, True,
        ratio_of("e2e/flood/4096")),
    Bar("munge", "MUNGE credentials, one core", 200, True,
        later("this release does not validate MUNGE credentials")),
]


def judge_all(rows):
    return [bar.judge(rows) for bar in BARS]


def spread_text(bar):
    if not bar["runs"]:
        return ""
    low, high = min(bar["runs"]), max(bar["runs"])
    if bar["unit"] == "×":
        return f"{times(low)[:-2]} … {times(high)[:-2]}"
    return f"{figure(low)} … {figure(high)}"


def ratio_text(bar):
    if bar["ratio"] is None:
        return ""
    return times(bar["ratio"]) if bar["unit"] == "×" else figure(bar["ratio"], bar["unit"])


HEAD = ["what", "bar", "peer", "ours", "ratio", "spread", "result"]
RIGHT = (1, 3, 4)


def lines(bars):
    """The table's cells."""
    return [[bar["what"], bar["bar"], bar["peer"], bar["ours"], ratio_text(bar), spread_text(bar),
             bar["result"]] for bar in bars]


def reasons(bars):
    """A line for each reason why bars were not measured, with what it concerns."""
    concerned = {}
    for bar in bars:
        if bar["why"]:
            concerned.setdefault(bar["why"], []).append(bar["what"])
    return [f"{'; '.join(what)}: {why}" for why, what in concerned.items()]
