#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many processes mint on one key and every credential is accepted once; the example programs of
both sides run against a real gateway."""

import base64
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (CONSUMER_UID, GATEWAY4, NODE4, UDP_PORT, Checks, Lab, LabError,  # noqa: E402
                 run_test)

PROCESSES, EACH = 8, 250


def decode(text):
    body = text[5:-1]
    return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))


def many_processes(lab, checks, key, accepted):
    command = [lab.program("credgate"), "mint", "--key", key, "--text", "--count", str(EACH),
               "--origin", NODE4]
    mints = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
    lines = [line for mint in mints for line in mint.communicate()[0].split()]
    credentials = [decode(line) for line in lines]
    checks.check("minted by processes at once", PROCESSES * EACH, len(credentials))
    checks.check("serials are distinct", PROCESSES * EACH,
                 len({credential[24:32] for credential in credentials}))
    sock = lab.socket(4)
    for number, credential in enumerate(credentials):
        sock.sendto(credential, (GATEWAY4, UDP_PORT))
        if number % 16 == 15:
            time.sleep(0.002)
    found = accepted.find(*sock.getsockname(), PROCESSES * EACH, 5)
    checks.check("all accepted, each once", PROCESSES * EACH,
                 len({record["serial"] for record in found}))


def examples(lab, checks, key):
    folder = os.path.join(lab.build, "client", "examples")
    consume = os.path.join(lab.dir, "consume")
    subprocess.run(["cp", os.path.join(folder, "consume"), consume], check=True)
    reader = subprocess.Popen([consume, os.path.join(lab.run_dir, "consumer.sock"), "jobs", "1"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
                              user=CONSUMER_UID, group=CONSUMER_UID, extra_groups=[])
    time.sleep(0.3)
    issue = subprocess.run(["ip", "netns", "exec", lab.node_ns, os.path.join(folder, "issue"), key,
                            GATEWAY4, str(UDP_PORT), "hello from the example"],
                           capture_output=True, text=True, timeout=20)
    checks.check("example issue: exit code", 0, issue.returncode)
    checks.check("example issue: says accepted", True, "accepted" in issue.stdout)
    try:
        out, err = reader.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        reader.kill()
        out, err = reader.communicate()
    checks.check("example consume: reads the payload", True, "hello from the example" in out + err)
    checks.check("example consume: exit code", 0, reader.returncode)


def test(build):
    checks = Checks()
    with Lab(build) as lab:
        key = lab.add_node("many")
        accepted = lab.watch("--group", "jobs")
        time.sleep(0.5)
        if accepted.process.poll() is not None:
            raise LabError(accepted.process.stderr.read())
        many_processes(lab, checks, key, accepted)
        examples(lab, checks, key)
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
