#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Words a folder must not contain: no DPDK outside dataplane/, no allocation, logs or system calls
on the packet path, no functions that are never right. Comments and strings do not count."""

import re
import subprocess
import sys

NEVER = (r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|alloca|strtok|rand|srand|system|popen)"
         r"\s*\(")
ALLOCATE = r"\b(malloc|calloc|realloc|strdup|free|mmap|aligned_alloc|posix_memalign)\s*\("
PRINT = r"\b(printf|fprintf|puts|syslog|perror|RTE_LOG)\s*\("
RTE = r"\brte_\w+"
LIBC_MEMCMP_ON_TAGS = r"\bmemcmp\s*\([^;]*\b(tag|key|k1)\b"
UNFINISHED = r"\b(TODO|FIXME|XXX|HACK)\b"

# (paths, pattern, why); paths are regular expressions on the file name
RULES = [
    (r"(?!tests/).*", NEVER, "not in what is installed"),
    (r"(wire|crypto|replay|verdict|client|ctrl)/.*", RTE, "DPDK belongs to dataplane/"),
    (r"(wire|replay|verdict)/.*", ALLOCATE, "no allocation here: memory is handed in"),
    (r"(wire|crypto|replay|verdict)/(?!.*_gen\.c).*", PRINT, "no logging here"),
    (r"(wire|crypto|replay|verdict|client|dataplane)/.*", LIBC_MEMCMP_ON_TAGS,
     "compare secrets with crypto/ct.h"),
    (r"dataplane/(parse|admit|verify|handoff|own|deliver|answer)\.[ch]",
     ALLOCATE + "|" + PRINT + r"|\b(pthread_mutex\w*|usleep|nanosleep|read|write|ioctl)\s*\(",
     "the packet path neither allocates, logs, locks nor calls the kernel"),
]
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', re.S)


def strip(text):
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def offences(path):
    raw = open(path, encoding="utf-8").read()
    code = strip(raw)
    for number, line in enumerate(raw.splitlines(), 1):
        if re.search(UNFINISHED, line):
            yield f"{path}:{number}: unfinished mark"
    for where, pattern, why in RULES:
        if not re.fullmatch(where, path):
            continue
        for number, line in enumerate(code.splitlines(), 1):
            found = re.search(pattern, line)
            if found:
                yield f"{path}:{number}: '{found.group().strip()}': {why}"


def main():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h", "*.cc"],
        check=True, capture_output=True, text=True).stdout.split()
    bad = [o for path in listed for o in offences(path)]
    print("\n".join(bad))
    return 1 if bad else 0


sys.exit(main())
