#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kills the dataplane with SIGKILL under traffic, again and again: it is back (in well under a second here; how long it took is printed, only not coming back fails),
accepts what is genuine, and never accepts a credential twice, nor loses a verdict it answered."""

import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, UDP_PORT, Checks, Lab, run_test  # noqa: E402

KILLS = 4
GIVEN_UP_S = 30.0  # a loaded machine may be slow; a dataplane that is gone stays gone


class Traffic:
    """Sends every credential twice from two sockets, as fast as minting allows, until stopped."""

    def __init__(self, lab, key):
        self.lab, self.key, self.sent, self.running = lab, key, 0, True
        self.sockets = [lab.socket(4), lab.socket(4)]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            lines = self.lab.credgate("mint", "--key", self.key, "--text", "--count", 200,
                                      "--origin", "10.77.0.2").stdout.split()
            for credential in map(self.decode, lines):
                for sock in self.sockets:
                    sock.sendto(credential, (GATEWAY4, UDP_PORT))
                self.sent += 1
                time.sleep(0.0005)

    @staticmethod
    def decode(text):
        import base64
        body = text[5:-1]
        return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))

    def stop(self):
        self.running = False
        self.thread.join(10)


def dataplane_pid(lab):
    return lab.json("status")["dataplane"]["pid"]


def back_after(lab, key, killed_at):
    """Seconds until a fresh credential is accepted again."""
    while time.monotonic() - killed_at < GIVEN_UP_S:
        done = lab.credgate("send", "--key", key, GATEWAY4, "--timeout", 100, ns=lab.node_ns,
                            check=False)
        if done.returncode == 0:
            return time.monotonic() - killed_at
    return float("inf")


def grows_beyond(records, count):
    end = time.monotonic() + GIVEN_UP_S
    while len(records) <= count and time.monotonic() < end:
        time.sleep(0.05)
    return len(records) > count


def test(build):
    checks = Checks()
    with Lab(build) as lab:
        traffic_key, probe_key = lab.add_node("traffic"), lab.add_node("probe")
        accepted = lab.watch("--group", "jobs")
        time.sleep(0.5)
        traffic = Traffic(lab, traffic_key)
        time.sleep(0.5)
        for number in range(1, KILLS + 1):
            pid = dataplane_pid(lab)
            before = len(accepted.records)
            killed_at = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            seconds = back_after(lab, probe_key, killed_at)
            print(f"  kill {number}: back after {seconds:.2f} s", flush=True)
            checks.check(f"kill {number}: back", True, seconds <= GIVEN_UP_S)
            checks.check(f"kill {number}: verdicts flow again", True,
                         grows_beyond(accepted.records, before))
        traffic.stop()
        time.sleep(0.5)
        seen = [(r["node"], r["serial"]) for r in accepted.records]
        print(f"  sent {traffic.sent} twice each, accepted {len(seen)}")
        checks.check("no credential accepted twice", len(seen), len(set(seen)))
        checks.check("the consumer lost nothing to a crash", 0,
                     lab.json("status")["dataplane"].get("lost", 0))
        replay_after_crash(lab, checks, probe_key, accepted)
        checks.check("restarts are counted", KILLS + 1, lab.json("status")["dataplane"]["restarts"])
    return checks


def replay_after_crash(lab, checks, key, accepted):
    """What was accepted before a crash is replayed after it."""
    credential = lab.mint(key)
    sock = lab.socket(4)
    sock.sendto(credential, (GATEWAY4, UDP_PORT))
    source, port = sock.getsockname()
    checks.check("accepted before the crash", 1, len(accepted.find(source, port)))
    killed_at = time.monotonic()
    os.kill(dataplane_pid(lab), signal.SIGKILL)
    back_after(lab, key, killed_at)
    sock.sendto(credential, (GATEWAY4, UDP_PORT))
    checks.check("not accepted again after it", 1, len(accepted.find(source, port, 2, 1.0)))


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
