#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/threat-model.md names tests: each must be a file that `make test` runs, and each text in
quotation marks behind it a check in that file. Every threat names one."""

import glob
import os
import re
import sys

PAGE = "docs/threat-model.md"
FILES = [*glob.glob("tests/smoke/*.py"), *glob.glob("tests/soak/*.py"),
         *glob.glob("tests/unit/*/*.c")]


def is_run(path):
    """By tests/run.py or by meson."""
    name = os.path.basename(path)
    listing = "tests/run.py" if path.endswith(".py") else \
        os.path.join(os.path.dirname(path), "meson.build")
    stem = os.path.splitext(name)[0].removesuffix("_test")
    words = [stem, stem + "_test", stem.partition("_")[2]]
    with open(listing, encoding="utf-8") as file:
        text = file.read()
    return any(re.search(rf"['\"/]{word}['\".]", text) for word in words if word)


def faults(section):
    """What is wrong with one threat."""
    title, _, text = section.partition("\n")
    _, _, tests = text.partition("**Attacked in**")
    parts = re.split(r"`(\w+\.(?:py|c))`:", tests)
    if len(parts) < 3:
        yield f"{title}: names no test"
    for name, rest in zip(parts[1::2], parts[2::2]):
        path = next((p for p in FILES if os.path.basename(p) == name), None)
        if path is None or not is_run(path):
            yield f"{title}: {name} is not there, or not run"
            continue
        with open(path, encoding="utf-8") as file:
            source = file.read()
        checks = re.findall(r'"([^"]+)"', rest.replace("\n  ", " "))
        if not checks and "as above" not in rest:
            yield f"{title}: {name}: no check is named"
        for check in checks:
            if check not in source:
                yield f'{title}: {name} has no "{check}"'


def main():
    with open(PAGE, encoding="utf-8") as file:
        threats = file.read().split("\n### ")[1:]
    found = [fault for threat in threats for fault in faults(threat.split("\n## ")[0])]
    print("\n".join(found))
    return 1 if found or len(threats) < 14 else 0


if __name__ == "__main__":
    sys.exit(main())
