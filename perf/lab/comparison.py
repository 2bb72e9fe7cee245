# SPDX-License-Identifier: BSD-3-Clause
"""Two reports beside each other.

Only ratios are compared: each was taken beside a peer in its own run, so that a faster or busier
machine is not mistaken for a change of ours. A row is a regression if its median fell by more than
the threshold *and* its best new run is worse than the worst run of the base: beyond both spreads.
"""

from dataclasses import asdict, dataclass

from lab.table import aligned, times

REGRESSION, BETTER, SPREAD, SAME = "REGRESSION", "better", "within spread", "same"
HEAD = ["row", "base", "new", "change", "base spread", "new spread", ""]
RIGHT = (1, 2, 3)


@dataclass(frozen=True)
class Change:
    name: str
    base: float
    new: float
    change: float  # part of the base; over 0 is better, whichever way the figure counts
    base_spread: list
    new_spread: list
    result: str

    def cells(self):
        return [self.name, times(self.base), times(self.new), f"{self.change:+.1%}",
                spread_text(self.base_spread), spread_text(self.new_spread),
                "" if self.result == SAME else self.result]


def spread_text(spread):
    return f"{times(spread[0])[:-2]} … {times(spread[1])[:-2]}"


def ratios(report):
    """{name: (median, runs, more is better)}: rows with a peer, and bars that are not just one."""
    found = {row["name"]: (row["ratio"], row["runs"], True) for row in report["rows"]
             if row["ratio"] is not None and row["runs"]}
    for bar in report.get("bars", []):
        if bar["runs"] and not bar["is_row"]:
            found[f"bar/{bar['key']}"] = (bar["ratio"], bar["runs"], bar["at_least"])
    return found


def compare_one(name, base, new, threshold):
    (was, was_runs, more_is_better), (now, now_runs, _) = base, new
    gain = (now - was) / abs(was) if was else 0.0
    gain = gain if more_is_better else -gain
    apart_below = max(now_runs) < min(was_runs)
    apart_above = min(now_runs) > max(was_runs)
    worse, better = (apart_below, apart_above) if more_is_better else (apart_above, apart_below)
    if abs(gain) <= threshold:
        result = SAME
    elif gain < 0:
        result = REGRESSION if worse else SPREAD
    else:
        result = BETTER if better else SPREAD
    return Change(name, was, now, gain, [min(was_runs), max(was_runs)],
                  [min(now_runs), max(now_runs)], result)


@dataclass(frozen=True)
class Comparison:
    changes: list
    only_base: list
    only_new: list
    threshold: float

    def having(self, *results):
        return [change for change in self.changes if change.result in results]

    def table(self, every_row):
        shown = self.changes if every_row else self.having(REGRESSION, BETTER, SPREAD)
        return aligned(HEAD, [change.cells() for change in shown], RIGHT) if shown else ""

    def summary(self):
        return (f"{len(self.changes)} rows compared: {len(self.having(REGRESSION))} worse by more "
                f"than {self.threshold:.0%} and beyond the spreads, {len(self.having(BETTER))} "
                f"better likewise, {len(self.having(SPREAD))} moved within their spreads")

    def as_dict(self):
        return {"threshold": self.threshold, "regressions": len(self.having(REGRESSION)),
                "rows": [asdict(change) for change in self.changes],
                "only_base": self.only_base, "only_new": self.only_new}


def compare(base, new, threshold):
    was, now = ratios(base), ratios(new)
    return Comparison(
        [compare_one(name, was[name], now[name], threshold) for name in was if name in now],
        [name for name in was if name not in now], [name for name in now if name not in was],
        threshold)
