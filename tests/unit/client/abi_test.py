#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""abi_test.py SHARED STATIC HEADERS COMPILER...: what the libraries show is what the headers
declare, no more and no less, and the headers stand alone in C99 and C++."""

import os
import re
import subprocess
import sys
import tempfile

# For ever: a symbol may join this list, never leave it.
RELEASED = """
cg_answer_verify cg_claim_init cg_connect cg_error cg_exchange cg_key_close cg_key_epoch
cg_key_floor cg_key_node cg_key_open cg_key_realm cg_key_suite cg_member_find cg_member_find_address
cg_member_find_name cg_member_state_text cg_members_close cg_members_event cg_members_next
cg_members_open cg_members_realm cg_members_realm_name cg_members_rewind cg_members_wait cg_mint
cg_mint_batch cg_reader_close
cg_reader_lost cg_reader_next cg_reader_open cg_reader_wait cg_text_decode cg_text_encode
cg_verdict_text
""".split()


def symbols(*command):
    out = subprocess.run(["nm", *command], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return {row[2] for row in rows if len(row) == 3 and row[1] in "TDBRWV"}


def declared(headers):
    text = ""
    for name in sorted(os.listdir(os.path.join(headers, "credgate"))):
        with open(os.path.join(headers, "credgate", name), encoding="utf-8") as file:
            text += re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return set(re.findall(r"\b(cg_\w+)\(", text))


def difference(what, found, wanted):
    for name in sorted(found - wanted):
        yield f"{what}: {name} must not be there"
    for name in sorted(wanted - found):
        yield f"{what}: {name} is missing"


def header_faults(headers, compiler):
    for name in sorted(os.listdir(os.path.join(headers, "credgate"))):
        for suffix, standard in ((".c", "c99"), (".c", "c11"), (".cc", "c++11")):
            with tempfile.NamedTemporaryFile("w", suffix=suffix) as file:
                file.write(f"#include <credgate/{name}>\n#include <credgate/{name}>\n")
                file.flush()
                run = subprocess.run(
                    [*compiler, f"-std={standard}", "-Wall", "-Wextra", "-pedantic-errors",
                     "-Werror", "-I", headers, "-fsyntax-only", file.name],
                    capture_output=True, text=True)
            if run.returncode != 0:
                yield f"{name} as {standard}: {run.stderr}"


def main():
    shared, static, headers, *compiler = sys.argv[1:]
    wanted = declared(headers)
    exported = {name.split("@")[0] for name in symbols("-D", "--defined-only", shared)}
    versioned = symbols("-D", "--defined-only", "--with-symbol-versions", shared)
    faults = [
        *difference("headers against the released list", wanted, set(RELEASED)),
        *difference(shared, exported, wanted),
        *difference(static, symbols("-g", "--defined-only", static), wanted),
        *(f"{name}: has not version CREDGATE_0" for name in versioned
          if not name.endswith("@@CREDGATE_0")),
        *header_faults(headers, compiler),
    ]
    dynamic = subprocess.run(["readelf", "-d", shared], check=True, capture_output=True,
                             text=True).stdout
    if "[libcredgate.so.0]" not in dynamic:
        faults.append(f"{shared}: soname is not libcredgate.so.0")
    print("\n".join(faults) or f"{len(wanted)} symbols, as declared")
    return 1 if faults else 0


sys.exit(main())
