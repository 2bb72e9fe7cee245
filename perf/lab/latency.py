# SPDX-License-Identifier: BSD-3-Clause
"""Latency curves: the load generator's histograms, as so much of the traffic within so long."""

import json
import os
import re

# Enough points for a smooth line on a scale of nines, few enough to keep in a report.
REMAINDERS = [10 ** (-i / 12) for i in range(61)]
ROUNDING = 1e-6  # of a count


def add_curves(rows, folder):
    """Puts `curve_us` into rows e2e/LINK/latency-WHAT/LOAD/NODES whose histogram is kept below
    `folder` as e2e-LINK-WHAT-LOAD.json."""
    for row in rows:
        name = re.fullmatch(r"e2e/([^/]+)/latency-([^/]+)/([^/]+)/[^/]+", row["name"])
        if not name:
            continue
        link, what, load = name.groups()
        found = buckets(os.path.join(folder, f"e2e-{link}-{what}-{load}.json"))
        if found:
            row["extra"]["curve_us"] = curve(found)


def buckets(path):
    """[[greatest value in us, count], ...] of a histogram of the generator, or []."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["buckets"]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def curve(found):
    """[[percent, us], ...]: within how long so much of all was there, up to the last point that
    the count can tell from the greatest value."""
    total = sum(count for _, count in found)
    points, seen, at = [], 0, iter(found)
    value = 0.0
    for remainder in REMAINDERS:
        if total * remainder < 1 - ROUNDING:
            break
        while seen < total * (1 - remainder) - ROUNDING or seen == 0:
            value, count = next(at)
            seen += count
        points.append([round(100 * (1 - remainder), 4), value])
    return points
