# SPDX-License-Identifier: BSD-3-Clause
"""Plots of a report, drawn by gnuplot as SVG: text, small, sharp at every size.

A plot is a function of the rows (by name); it returns gnuplot commands, or None when
this run has no figures for it."""

import math
import os
import re
import subprocess

from lab import bars, machine
from lab.rows import by_name

OURS, PEER, THIRD, FOURTH = "#1f6feb", "#8c959f", "#d9730d", "#2da44e"
STAGES = {"empty": "#d0d7de", "parse": "#1f6feb", "admit": "#54aeff", "verify": "#d9730d",
          "handoff": "#a475f9", "own": "#2da44e", "deliver": "#8c959f"}
LATENCY_COLOURS = (OURS, FOURTH, THIRD, "#a475f9", PEER, "#cf222e")
# Percentiles as nines: 50 % at 0.3, 90 % at 1, 99.9 % at 3.
NINES = ", ".join(f'"{percent} %%" {at}' for percent, at in [
    ("0", 0), ("50", 0.30103), ("90", 1), ("99", 2), ("99.9", 3), ("99.99", 4), ("99.999", 5)])
SETTINGS = """\
set terminal svg size 880,500 font "Helvetica,14" background rgb "white"
set output "{output}"
set encoding utf8
set title "{{/:Bold*1.2 {title}}}\\n{{/*0.85 {subtitle}}}" offset 0,0.3
set border 3 linecolor rgb "#57606a"
set tics nomirror textcolor rgb "#24292f"
set grid y linecolor rgb "#d8dee4" linetype 1
set key bmargin center horizontal Left reverse samplen 2
set bmargin 4.5
set style fill solid 0.9 noborder
"""


def escape(text):
    """For gnuplot's enhanced text inside double quotes."""
    return re.sub(r"([_^@{}&~])", r"\\\\\1", text.replace("\\", "").replace('"', "'"))


def block(name, lines):
    """A named table of data."""
    return f"${name} << EOD\n" + "\n".join(" ".join(map(str, line)) for line in lines) + "\nEOD\n"


def per_second(ns):
    return 1000 / ns


def with_spread(x, runs, convert=lambda value: value):
    """x, median's figure, least, most: a line of data with its error bar."""
    values = sorted(map(convert, runs))
    half = len(values) // 2
    middle = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
    return (x, middle, values[0], values[-1])


def line_with_bars(name, title, colour, point=7):
    """A line through medians, and the spread around each."""
    return (f'${name} using 1:2:3:4 with yerrorbars linewidth 1.5 pointtype {point} pointsize 0.9 '
            f'linecolor rgb "{colour}" notitle, '
            f'${name} using 1:2 with linespoints linewidth 2.5 pointtype {point} pointsize 0.9 '
            f'linecolor rgb "{colour}" title "{escape(title)}"')


def series(rows, pattern):
    """(number, row) of rows whose pattern captures a number, by that number."""
    found = [(int(match.group(1)), row) for name, row in rows.items()
             if (match := re.fullmatch(pattern, name))]
    return sorted(found, key=lambda pair: pair[0])


def throughput(rows):
    found = series(rows, r"path/accepted/96/(\d+)")
    if len(found) < 2:
        return None
    peers = [(n, row) for n, row in found if row["peer_runs"]]
    text = block("ours", [with_spread(n, row["ours_runs"], per_second) for n, row in found])
    text += block("peer", [with_spread(n, row["peer_runs"], per_second) for n, row in peers])
    lines = [line_with_bars("ours", "credgate, frame to verdict", OURS)]
    if peers:
        lines.append(line_with_bars("peer", f"{peers[0][1]['peer_name']}: CMAC alone", PEER, 5))
    return text + """\
set logscale x 2
set xlabel "nodes"
set ylabel "million credentials per second, one core"
set yrange [0:*]
set xrange [""" + f"{found[0][0] / 1.4}:{found[-1][0] * 1.4}" + """]
set xtics (""" + ", ".join(f'"{n:,}" {n}' for n, _ in found) + ")\nplot " + ", ".join(lines) + "\n"


def stage_rows(rows):
    """(label, row): the path by stages, first as the nodes grow, then other traffic."""
    found = [(f"{n:,}\\nnodes", row) for n, row in series(rows, r"path/stages/96/(\d+)")]
    others = [(match.group(1), row) for name, row in rows.items()
              if (match := re.fullmatch(r"path/stages_([a-z0-9]+)/96/4096", name))]
    found += [(label.replace("forged100", "forged"), row) for label, row in others]
    return [(label, row) for label, row in found if "stage_parse" in row["extra"]]


def stages(rows):
    found = stage_rows(rows)
    if not found:
        return None
    names = [name for name in STAGES if any(row["extra"].get(f"stage_{name}") for _, row in found)]
    text = block("cycles", [[i, *(row["extra"].get(f"stage_{name}", 0) for name in names)]
                            for i, (_, row) in enumerate(found)])
    ticks = ", ".join(f'"{label.replace(chr(92) + "n", " ")}" {i}' for i, (label, _) in enumerate(found))
    lines = [f'$cycles using {i + 2} title "{name}" linecolor rgb "{STAGES[name]}"'
             for i, name in enumerate(names)]
    return text + f"""\
set style data histograms
set style histogram rowstacked
set boxwidth 0.6
set xtics rotate by -35 ({ticks})
set bmargin 6.5
set ylabel "TSC cycles per credential"
set yrange [0:*]
set key outside right center vertical invert
plot {", ".join(lines)}
"""


def forged(rows):
    found = series(rows, r"path/forged(\d+)/96/4096")
    if len(found) < 2 or "path/accepted/96/4096" not in rows:
        return None
    found.insert(0, (0, rows["path/accepted/96/4096"]))
    text = block("cost", [with_spread(at, row["ours_runs"]) for at, row in found])
    return text + f"""\
set xlabel "share of forged credentials, %"
set ylabel "ns per credential, one core"
set xrange [-3:103]
set yrange [0:*]
plot {line_with_bars("cost", "credgate, 4,096 nodes, 96 bytes", OURS)}
"""


def by_length(rows):
    try:
        kernel = bars.best_kernel(rows)
    except bars.NotMeasured:
        return None
    shown = [("cmac128", "AES-128-CMAC", OURS, 7), ("sealed128", "sealed AES-128", FOURTH, 9)]
    text, lines, peers = "", [], {}
    for suite, title, colour, point in shown:
        found = series(rows, rf"verify/{kernel}/{suite}/(\d+)/4096")
        if len(found) < 3:
            continue
        text += block(suite, [with_spread(n, row["ours_runs"]) for n, row in found])
        lines.append(line_with_bars(suite, f"{kernel}, {title}", colour, point))
        peers = peers or {n: row for n, row in found if row["peer_runs"]}
    if not lines:
        return None
    if peers:
        text += block("peer", [with_spread(n, row["peer_runs"]) for n, row in peers.items()])
        name = next(iter(peers.values()))["peer_name"]
        lines.append(line_with_bars("peer", f"{name}, AES-128-CMAC", PEER, 5))
    return text + """\
set xlabel "bytes under the tag"
set ylabel "ns per credential, one core"
set xrange [0:*]
set yrange [0:*]
plot """ + ", ".join(lines) + "\n"


def percentiles(row):
    """[(percent, microseconds), ...] in order: the row's curve, or else of what it has of p50,
    p99, p999 (99.9) and the like."""
    found = [tuple(point) for point in row["extra"].get("curve_us", [])]
    if found:
        return found
    for key, value in row["extra"].items():
        match = re.fullmatch(r"p(\d\d)\.?(\d*)", key)
        if match and isinstance(value, (int, float)):
            found.append((float(f"{match.group(1)}.{match.group(2) or 0}"), value))
    return sorted(found)


def latency(rows):
    found = []
    for name, row in rows.items():
        match = re.fullmatch(r"e2e/([^/]+)/latency-([^/]+)/(\d+)/\d+", name)
        if match and len(percentiles(row)) > 2:
            link, what, load = match.groups()
            found.append((f"{link}, to {what}, {load} % load", percentiles(row)))
    if not found:
        return None
    text, lines = "", []
    for i, (title, points) in enumerate(found[:len(LATENCY_COLOURS)]):
        text += block(f"l{i}", [[nines(percent), us] for percent, us in points
                                if percent < 100 and us > 0])
        lines.append(f'$l{i} using 1:2 with lines linewidth 2.5 linecolor rgb '
                     f'"{LATENCY_COLOURS[i]}" title "{escape(title)}"')
    return text + f"""\
set logscale y
set key inside right bottom vertical
set xtics ({NINES})
set xlabel "share of credentials answered within"
set ylabel "microseconds"
set xrange [0:*] noextend
plot {", ".join(lines)}
"""


def nines(percent):
    return -math.log10(1 - percent / 100)


PLOTS = [
    ("throughput", "Throughput by number of nodes", throughput),
    ("stages", "Where the cycles go", stages),
    ("forged", "Cost of a credential by share of forgeries", forged),
    ("lengths", "Tag kernels by length", by_length),
    ("latency", "Latency", latency),
]


def draw(report, folder):
    """Draws what the report has figures for; returns ([{title, file}], notes)."""
    rows, drawn, notes = by_name(report["rows"]), [], []
    for key, title, commands in PLOTS:
        text = commands(rows)
        if text is None:
            continue
        file = f"{key}.svg"
        settings = SETTINGS.format(output=os.path.join(folder, file), title=escape(title),
                                   subtitle=escape(machine.one_line(report)))
        wrong = gnuplot(settings + text)
        if wrong:
            notes.append(f"plot {key}: {wrong}")
        else:
            drawn.append({"title": title, "file": file})
    return drawn, list(dict.fromkeys(notes))


def gnuplot(commands):
    """Runs gnuplot; returns what went wrong, or ""."""
    try:
        done = subprocess.run(["gnuplot"], input=commands, capture_output=True, text=True,
                              timeout=60)
    except OSError:
        return "gnuplot is not there (dpdk-config/install.sh installs it)"
    except subprocess.TimeoutExpired:
        return "gnuplot did not end"
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
