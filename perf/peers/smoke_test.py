#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The peers at work for a moment, so that they cannot rot: each validator accepts every genuine
credential once and refuses every forged and every replayed one; peer-mint mints.

Usage: smoke_test.py FOLDER-OF-THE-PROGRAMS"""

import json
import subprocess
import sys

COUNT, NODES, RATE, ATTEMPTS = 8000, 64, 40000, 5


def objects(process, timeout=20):
    """All JSON lines of a process that is about to end."""
    out, _ = process.communicate(timeout=timeout)
    if process.returncode:
        sys.exit(f"{process.args[0]}: exit {process.returncode}")
    return [json.loads(line) for line in out.splitlines()]


def start(*command):
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)


def traffic(folder, library, scheme, *options):
    """One run over loopback: what was sent, and what was judged."""
    receiver = start(f"{folder}/peer-recvmmsg-{library}", "--seconds", 0, "--nodes", NODES)
    try:
        port = json.loads(receiver.stdout.readline())["listening"]
        sent, = objects(start(f"{folder}/peer-send", "--to", f"127.0.0.1:{port}", "--scheme",
                              scheme, "--nodes", NODES, "--count", COUNT, "--rate", RATE,
                              *options))
        receiver.terminate()
        judged, = objects(receiver)
    finally:
        receiver.kill()
    return sent, judged


def lossless(*arguments):
    """An unprivileged socket's buffer is small, and a busy machine may then lose datagrams."""
    for _ in range(ATTEMPTS):
        sent, judged = traffic(*arguments)
        if judged["dropped"] == 0:
            return sent, judged
    sys.exit(f"the socket lost datagrams in each of {ATTEMPTS} attempts")


def check(what, expected, got):
    print(f"{'ok ' if expected == got else 'BAD'} {what}: {got}", flush=True)
    return expected == got


def validator(folder, library, scheme):
    sent, judged = lossless(folder, library, scheme, "--forged", 20, "--replayed", 20)
    good = check(f"{library} accepted", sent["genuine"], judged["accepted"])
    good &= check(f"{library} refused", {"replayed": sent["replayed"], "bad-tag": sent["forged"]},
                  judged["refused"])
    good &= check("there were some of each", True,
                  min(sent["genuine"], sent["forged"], sent["replayed"]) > COUNT // 20)
    return good


def stranger(folder, library, scheme):
    """Tags of the other scheme are wrong, whoever looks."""
    _, judged = lossless(folder, library, scheme)
    return check(f"{library} refuses scheme {scheme}", (0, {"bad-tag": COUNT}),
                 (judged["accepted"], judged["refused"]))


def segmented(folder):
    sent, judged = lossless(folder, "openssl", "cmac128", "--segment", 16)
    return check("openssl accepted, segmented", sent["genuine"], judged["accepted"])


def memory(folder, library):
    report, = objects(start(f"{folder}/peer-recvmmsg-{library}", "--memory", "--seconds", 0,
                            "--nodes", NODES))
    return check(f"{library} judges in memory", True, report["ns"] > 0 and report["rounds"] >= 1)


def mint(folder):
    report, = objects(start(f"{folder}/peer-mint", "--ms", 200, "--threads", 2))
    return check("peer-mint mints", True, report["minted"] > 1000)


def main(folder):
    good = validator(folder, "openssl", "cmac128")
    good &= validator(folder, "sodium", "hmac")
    good &= stranger(folder, "openssl", "hmac")
    good &= stranger(folder, "sodium", "cmac128")
    good &= segmented(folder)
    good &= memory(folder, "openssl")
    good &= memory(folder, "sodium")
    good &= mint(folder)
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
