#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns the offset tables of a page into static assertions, so that page and headers agree.

A table belongs to the last heading of the form

    ### `struct NAME`, SIZE bytes (`folder/file.h`)

and its rows begin with | offset | size | `field` |. Rows whose field is in no backticks (padding)
are passed over, but rows must follow each other without gap or overlap. Writes C to standard
output; exit 1 with the line if the page itself is wrong.
"""

import re
import sys

HEADING = re.compile(r"^#+ `struct (\w+)`, ([\d,]+) bytes \(`([\w/.]+)`\)")
ROW = re.compile(r"^\| *([\d,]+) *\| *([\d,]+) *\| *(`?)([^|`]+)")


def number(text):
    return int(text.replace(",", ""))


def fail(path, line, text):
    sys.exit(f"{path}:{line}: {text}")


def main(path):
    headers, checks = [], []
    name, size, end, rows, line = None, 0, 0, 0, 0

    def close():
        if name is not None and (rows == 0 or end != size):
            fail(path, line, f"struct {name} has {size} bytes, its table ends at {end}")

    for line, text in enumerate(open(path, encoding="utf-8"), 1):
        heading = HEADING.match(text)
        if heading:
            close()
            name, size, end, rows = heading[1], number(heading[2]), 0, 0
            if heading[3] not in headers:
                headers.append(heading[3])
            checks.append(f"sizeof(struct {name}) == {size}")
        elif text.startswith("#"):
            close()
            name = None
        row = ROW.match(text)
        if row is None or name is None:
            continue
        rows += 1
        if number(row[1]) != end:
            fail(path, line, f"struct {name}: offset {row[1]}, but the row before ends at {end}")
        end += number(row[2])
        if row[3]:
            field = f"struct {name}, {row[4]}"
            checks.append(f"offsetof({field}) == {number(row[1])}")
            checks.append(f"sizeof(((struct {name} *)0)->{row[4]}) == {number(row[2])}")
    close()
    if not checks:
        fail(path, line, "no table found")
    for header in headers:
        print(f'#include "{header}"')
    for check in checks:
        print(f'static_assert({check}, "{path.split("/")[-1]}");')
    print("int main(void) { return 0; }")


main(sys.argv[1])
