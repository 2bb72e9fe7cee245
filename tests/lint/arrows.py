#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which folder may include what (docs/architecture.md, "Folders"). Exit 1 names every offence."""

import re
import subprocess
import sys

# folder: (project headers it may include, as prefixes; system headers it may not, as a pattern)
OURS = {
    "wire/": ["wire/"],
    "crypto/": ["crypto/", "wire/"],
    "replay/": ["replay/"],
    "verdict/": ["verdict/"],
    "dataplane/": ["dataplane/", "wire/", "crypto/", "replay/", "verdict/"],
    "client/": ["client/", "wire/", "crypto/", "verdict/"],
    "ctrl/": ["ctrl/", "wire/", "crypto/", "verdict/", "replay/replay.h",
              "dataplane/table.h", "dataplane/table_rules.h",
              "dataplane/meters.h", "dataplane/setup.h"],
    "ctrl/cli/": ["ctrl/", "wire/", "crypto/", "verdict/"],
}
LIBRARIES = {
    "dpdk": r"(rte_|cmdline|eth|bus_).*",
    "sodium": r"sodium.*",
    "ipsecmb": r"intel-ipsec-mb.*",
    "sqlite": r"sqlite3.*",
    "event": r"event2/.*",
    "cyaml": r"(cyaml/|yaml).*",
    "jansson": r"jansson.*",
    "seccomp": r"seccomp.*",
    "capng": r"cap-ng.*",
    "credgate": r"credgate/.*",
}
MAY = {
    "wire/": set(),
    "crypto/": {"sodium", "ipsecmb"},
    "replay/": set(),
    "verdict/": set(),
    "dataplane/": {"dpdk", "seccomp", "capng", "sodium"},
    "client/": {"sodium", "credgate"},
    "ctrl/": {"sodium", "sqlite", "event", "cyaml", "jansson", "seccomp", "capng"},
    "ctrl/cli/": {"sodium", "jansson", "credgate"},
}


def folder_of(path):
    return max((f for f in OURS if path.startswith(f)), key=len, default=None)


def library_of(header):
    return next((n for n, p in LIBRARIES.items() if re.fullmatch(p, header)), None)


def offences(path):
    folder = folder_of(path)
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        found = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not found:
            continue
        kind, header = found.groups()
        if kind == '"':
            if not any(header.startswith(p) for p in OURS[folder]):
                yield f"{path}:{number}: {folder} must not include \"{header}\""
            if header.endswith("_priv.h") and not header.startswith(folder):
                yield f"{path}:{number}: {header} is private to its folder"
        else:
            library = library_of(header)
            if library and library not in MAY[folder]:
                yield f"{path}:{number}: {folder} must not include <{header}>"


def main():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"],
        check=True, capture_output=True, text=True).stdout.split()
    bad = [o for path in listed if folder_of(path) for o in offences(path)]
    print("\n".join(bad))
    return 1 if bad else 0


sys.exit(main())
