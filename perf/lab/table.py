# SPDX-License-Identifier: BSD-3-Clause
"""Tables for people: aligned for a terminal, or in Markdown."""

import math


def aligned(head, lines, right=(), indent="  "):
    """A table of strings with columns padded to their widest cell; `right` are the indices of
    columns that align right."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]

    def put(line):
        cells = [cell.rjust(width) if i in right else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        return (indent + "  ".join(cells)).rstrip()

    rule = indent + "  ".join("─" * width for width in widths)
    return "\n".join([put(head), rule, *map(put, lines)])


def markdown(head, lines, right=()):
    rule = ["---:" if i in right else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                     for line in [head, rule, *lines])


def figure(value, unit=""):
    """Three digits that matter: 0.718, 7.18, 71.8, 718, 7,180."""
    if value is None:
        return ""
    if unit == "share":
        return f"{math.floor(value * 1e5) / 1e3:g} %"  # never rounded up to 100 %
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    text = "0" if value == 0 else f"{value:,.{digits}f}"
    return f"{text} {unit}".rstrip()


def times(value):
    """A ratio: 0.72 ×, 12.3 ×, 210 ×."""
    if value is None:
        return ""
    return f"{value:,.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f} ×"


def duration(seconds):
    """0:42, 12:05, 1:02:05."""
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
