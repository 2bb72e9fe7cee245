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
    """Why this run has no figure for a bar; the peer may have one."""

    def __init__(self, why, peer=""):
        super().__init__(why)
        self.peer = peer


@dataclass(frozen=True)
class Figure:
    """What a run has to say about a bar; ours and peer are text, with their units."""

    runs: list
    ours: str
    peer: str
    rows: list  # names of the rows it was taken from
    is_row: bool = False  # the ratio of one row, and no more


@dataclass(frozen=True)
class Bar:
    key: str
    what: str
    limit: float
    at_least: bool
    measure: Callable  # rows by name -> Figure, or raises NotMeasured
    unit: str = "×"
    full_only: bool = False  # takes longer than a quick run has

    def text(self):
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"

    def is_reached(self, value):
        return value >= self.limit if self.at_least else value <= self.limit

    def judge(self, rows, quick=False):
        """The bar as a dict for report.json."""
        line = {"key": self.key, "what": self.what, "bar": self.text(), "limit": self.limit,
                "at_least": self.at_least, "unit": self.unit}
        try:
            found = self.measure(by_name(rows))
        except NotMeasured as missing:
            why = "left to the full run, make perf" if quick and self.full_only else str(missing)
            return {**line, "peer": missing.peer, "ours": "", "ratio": None, "runs": [], "rows": [],
                    "is_row": False, "result": NOT_MEASURED, "why": why}
        value = median(found.runs)
        return {**line, "peer": found.peer, "ours": found.ours, "ratio": value,
                "runs": found.runs, "rows": found.rows, "is_row": found.is_row,
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


def peer_text(row):
    """Its figure and what it is, without the details after a comma."""
    return f"{figure(row['peer'], row['unit'])} {(row['peer_name'] or '').split(',')[0]}".strip()


def beside_peer(row):
    """A row's own ratio."""
    if not row["runs"]:
        raise NotMeasured(f"{row['name']} has no peer's figure")
    return Figure(row["runs"], figure(row["ours"], row["unit"]), peer_text(row), [row["name"]],
                  is_row=True)


def ratio_of(name):
    return lambda rows: beside_peer(need(rows, name))


def ratio_of_worst(pattern, what):
    return lambda rows: beside_peer(worst(rows, pattern, what))


def cost_of(above, below, label):
    """The cost of one row by that of another, run by run. Both have the same peer do the same work
    beside them: by its time each is rid of what the machine did meanwhile."""
    def measure(rows):
        a, b = need(rows, above), need(rows, below)
        runs = [y / x for x, y in zip(a["runs"], b["runs"])]
        if not runs:
            raise NotMeasured(f"{above} and {below} have no peer's figure")
        return Figure(runs, figure(a["ours"], a["unit"]),
                      f"{figure(b['ours'], b['unit'])} {label}", [above, below])
    return measure


def beside_own(row, key, label):
    """A counter of a row that compares it with another row of ours, taken in turn with it."""
    if key not in row["extra"]:
        raise NotMeasured(f"{row['name']} says nothing of {key}")
    base = figure(row["extra"].get("base_ns"), row["unit"])
    return Figure(numbers(row["extra"].get(f"{key}_runs")) or [row["extra"][key]],
                  figure(row["ours"], row["unit"]), f"{base} {label}".strip(), [row["name"]])


def own_of(name, key, label):
    return lambda rows: beside_own(need(rows, name), key, label)


def own_of_worst(pattern, what, key, label):
    """Of several rows, the one with the least of such a counter."""
    def measure(rows):
        found = [row for row in matching(rows, pattern, what) if key in row["extra"]]
        if not found:
            raise NotMeasured(f"{what} says nothing of {key}")
        return beside_own(min(found, key=lambda row: row["extra"][key]), key, label)
    return measure


def added(name, key, ours, peer):
    """What a row says that ours takes more than the peer, in ns; `ours` and `peer` are the keys of
    what each takes."""
    def measure(rows):
        row = need(rows, name)
        found = beside_own(row, key, "")
        return Figure(found.runs, figure(row["extra"].get(ours), "ns"),
                      f"{figure(row['extra'].get(peer), 'ns')} {row['peer_name']}", found.rows)
    return measure


def best_kernel(rows):
    """The tag kernel of ours that does best here; IPsec-MB's own, the reference, is none."""
    found = matching(rows, r"verify/(?!ipsecmb)[^/]+/sealed128/80/4096",
                     "verify/*/sealed128/80/4096")
    return min(found, key=lambda row: row["ours"])["name"].split("/")[1]


def of_best_kernel(measure_for):
    """`measure_for` takes a kernel's name and returns a measure."""
    return lambda rows: measure_for(best_kernel(rows))(rows)


def later(why, peer_row):
    """What this release cannot do yet; what the peer does, if that was measured."""
    def measure(rows):
        raise NotMeasured(why, peer_text(rows[peer_row]) if peer_row in rows else "")
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
    Bar("refuse", "accepting beside refusing, the dearest refusal", 1.0, True,
        own_of_worst(r"path/(forged\d*|replayed|unknown|malformed)/96/4096",
                     "path/forged*/96/4096", "x_accept", "accepting")),
    Bar("growth-64k", "growth from 64 to 65,536 nodes", 1.75, False,
        own_of("path/accepted/96/65536", "x_growth", "at 64")),
    Bar("growth-1m", "growth from 64 to 1,048,576 nodes", 2.5, False,
        own_of("path/accepted/96/1048576", "x_growth", "at 64"), full_only=True),
    Bar("trust", "100 rules, rate limits and two epochs, 65,536 nodes", 1.15, False,
        own_of("path/trust/96/65536", "x_plain", "without")),
    Bar("cores", "two workers beside one", 1.9, True, ratio_of("path/workers2/96/4096")),
    Bar("memif", "generator, memif, accepted", 0.9, True, ratio_of("e2e/memif/4096")),
    Bar("memif-added", "the same, busy time added to bare receive", 16, False,
        added("e2e/memif/4096", "added_ns", "gateway_ns", "peer_ns"), "ns"),
    Bar("flood", "10 % genuine in a flood, share accepted", 1.0, True,
        ratio_of("e2e/flood/4096")),
    Bar("munge", "MUNGE credentials, one core", 200, True,
        later("this release does not validate MUNGE credentials",
              "peers/munge/encode+decode")),
]


def judge_all(rows, quick=False):
    return [bar.judge(rows, quick) for bar in BARS]


def spread_text(bar):
    if len(bar["runs"]) < 2:
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
