# SPDX-License-Identifier: BSD-3-Clause
"""What a run leaves behind: report.json for programs, report.md for people, tables for the docs."""

import json
import os
import re
import shutil

from lab import bars, machine
from lab.rows import spread
from lab.table import figure, markdown, times

VERSION = 1  # of report.json; a reader refuses what it does not know
FIGURE_SIZE_MAX = 100_000  # bytes, of a plot that goes into the repository

# Groups of rows, as headings: (heading, pattern of names).
GROUPS = [
    ("Whole path in memory", r"path/.*"),
    ("End to end", r"e2e/.*"),
    ("Against what people use", r"peers?/.*"),
    ("Base rates", r"base/.*"),
    ("Parts of the path", r"parts?/.*"),
    ("Tag kernels: verify", r"verify/.*"),
    ("Tag kernels: seal", r"seal/.*"),
    ("Tag kernels: one block of 16 bytes more", r"line/.*"),
]
# Of hundreds of rows of the tag kernels, those that the docs show.
DOCS_TAG_ROWS = re.compile(r"(verify|seal)/[^/]+/(cmac128|sealed128|sealed256)/[^/]+/4096")
ROW_HEAD = ["row", "peer", "ours", "ratio", "spread"]
ROW_RIGHT = (1, 2, 3, 4)


class ReportError(ValueError):
    """A report that cannot be read; the message names the file."""


def read(path):
    """A report.json, given itself or its folder."""
    if os.path.isdir(path):
        path = os.path.join(path, "report.json")
    try:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    except OSError as why:
        raise ReportError(f"{path}: {why.strerror}") from None
    except ValueError as why:
        raise ReportError(f"{path}: not JSON ({why})") from None
    if not isinstance(report, dict) or not isinstance(report.get("rows"), list):
        raise ReportError(f"{path}: not a report of perf/lab.py")
    if report.get("version") != VERSION:
        raise ReportError(f"{path}: version {report.get('version')}, this program reads {VERSION}")
    return report


def write(report, folder):
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
        file.write("\n")
    with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as file:
        file.write(report_markdown(report))


def spread_cell(row):
    found = spread(row["runs"])
    if not found or len(row["runs"]) < 2:
        return ""
    return f"{times(found[0])[:-2]} … {times(found[2])[:-2]}"


def row_cells(row):
    return [row["name"], bars.peer_text(row), figure(row["ours"], row["unit"]),
            times(row["ratio"]), spread_cell(row)]


def grouped(rows):
    """(heading, rows) for every group that has some; what fits nowhere comes last."""
    left = list(rows)
    groups = []
    for heading, pattern in GROUPS:
        groups.append((heading, [row for row in left if re.fullmatch(pattern, row["name"])]))
        left = [row for row in left if not re.fullmatch(pattern, row["name"])]
    return [(heading, some) for heading, some in [*groups, ("Other", left)] if some]


def rows_markdown(rows, level):
    return "\n\n".join(
        f"{level} {heading}\n\n" + markdown(ROW_HEAD, [row_cells(row) for row in some], ROW_RIGHT)
        for heading, some in grouped(rows))


def machine_markdown(report):
    return markdown(["", ""], [[name, text] for name, text in machine.facts(report)])


def bars_markdown(report):
    table = markdown(bars.HEAD, bars.lines(report["bars"]), bars.RIGHT)
    missing = [f"- {line}" for line in bars.reasons(report["bars"])]
    return "\n".join([table, "", "Not measured:", "", *missing]) if missing else table


def plots_markdown(report, folder):
    return "\n\n".join(f"![{plot['title']}]({os.path.join(folder, plot['file'])})"
                       for plot in report["plots"])


def notes_markdown(report):
    return "\n".join(f"- {note}" for note in report["notes"])


def report_markdown(report):
    parts = ["# credgate: measured on one machine, in one run", machine_markdown(report),
             "Ratios are how many times as good as the peer of the same run (over 1 is better); a "
             "spread is the least and the most of all runs, a figure their median.",
             "## Bars", bars_markdown(report)]
    if report["notes"]:
        parts += ["## What was not measured, or went wrong", notes_markdown(report)]
    if report["plots"]:
        parts += ["## Plots", plots_markdown(report, "")]
    parts += ["## All figures", rows_markdown(report["rows"], "###")]
    return "\n\n".join(parts) + "\n"


def docs_rows(report):
    return [row for row in report["rows"]
            if not row["name"].startswith(("verify/", "seal/"))
            or DOCS_TAG_ROWS.fullmatch(row["name"])]


def docs_blocks(report):
    """The generated parts of docs/performance.md, by the name in their markers."""
    return {
        "machine": machine_markdown(report),
        "bars": bars_markdown(report),
        "notes": notes_markdown(report) or "Everything was measured.",
        "plots": plots_markdown(report, "figures") or "This run drew no plots.",
        "rows": rows_markdown(docs_rows(report), "###"),
    }


def replace_blocks(text, blocks):
    """`text` with what stands between <!-- NAME:begin --> and <!-- NAME:end --> made anew."""
    for name, block in blocks.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
            raise ReportError(f"needs one pair of markers {begin} and {end}")
        head, rest = text.split(begin)
        tail = rest.split(end)[1]
        text = f"{head}{begin}\n{block}\n{end}{tail}"
    return text


def write_docs(folder, page, figures):
    """Takes a run's tables and plots into the docs; returns what was written."""
    report = read(folder)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    try:
        text = replace_blocks(text, docs_blocks(report))
    except ReportError as why:
        raise ReportError(f"{page}: {why}") from None
    written = copy_plots(report, folder, figures)
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
    return [page, *written]


def copy_plots(report, folder, figures):
    os.makedirs(figures, exist_ok=True)
    written = []
    for plot in report["plots"]:
        source = os.path.join(folder, plot["file"])
        size = os.path.getsize(source)
        if size > FIGURE_SIZE_MAX:
            raise ReportError(f"{source}: {size} bytes, over {FIGURE_SIZE_MAX}")
        written.append(shutil.copy(source, figures))
    return written
