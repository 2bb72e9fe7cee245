#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Membership on the real programs: nodes that beacon, fall silent, leave, are revoked, replayed and
come back; both addresses; a restart of the gateway; a key that is replaced under a running sender."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (CONSUMER_UID, GATEWAY4, GATEWAY6, NODE4, NODE6, UDP_PORT, Checks,  # noqa: E402
                 Lab, LabError, now_us, run_test, with_field)

PATIENCE_S = 60  # before something that must come is given up
STRANGER_UID = 61099
AT_ISSUED = 32  # in a credential


class Sender:
    """`credgate beacon` on the node; what it says, line by line."""

    def __init__(self, lab, key, *arguments, interval="1s"):
        self.lines = []
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.node_ns, lab.program("credgate"), "beacon", *arguments,
             "--key", key, "--interval", interval],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.strip())

    def says(self, pattern):
        return wait_for(lambda: any(re.search(pattern, line) for line in list(self.lines)))

    def end(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


class Watcher:
    """`credgate members --watch --json` as a consumer may run it."""

    def __init__(self, lab):
        self.changes = []
        self.process = subprocess.Popen(
            [lab.consumer_program(), "members", "--watch", "--json", "--run-dir", lab.run_dir],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            user=CONSUMER_UID, group=CONSUMER_UID, extra_groups=[], cwd="/")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if record["event"] == "change":
                self.changes.append(record)

    def states(self, name):
        """What became of a node, one state after the other."""
        return [c["state"] for c in list(self.changes)
                if c["name"] == name and c["state"] != c["old_state"]]

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def wait_for(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def member(lab, name):
    found = [m for m in lab.json("members", "lab")["members"] if m["name"] == name]
    return found[0] if found else None


def becomes(lab, name, state):
    """The state that a node comes to, if it is that one."""
    wait_for(lambda: member(lab, name)["state"] == state)
    return member(lab, name)["state"]


def up_and_silent(lab, checks, keys):
    sender = Sender(lab, keys["n1"], GATEWAY4, f"[{GATEWAY6}]:{UDP_PORT}")
    checks.check("n1 beacons: up", "up", becomes(lab, "n1", "up"))
    wait_for(lambda: member(lab, "n1")["address4"] and member(lab, "n1")["address6"])
    checks.check("n1: IPv4 of its beacons", NODE4, member(lab, "n1")["address4"])
    checks.check("n1: IPv6 of its beacons", NODE6, member(lab, "n1")["address6"])
    checks.check("n1: interval as told", 1, member(lab, "n1")["interval_s"])
    checks.check("n1: sender says so", True, sender.says("IPv4: beacons of 10.77.0.2 are accepted"))
    checks.check("n3 was never heard", "silent", member(lab, "n3")["state"])
    return sender


def leaving(lab, checks, sender):
    checks.check("SIGTERM: exit code", 0, sender.end(signal.SIGTERM))
    checks.check("n1 said that it leaves: left", "left", becomes(lab, "n1", "left"))
    checks.check("n1: because it said so", True, member(lab, "n1")["has_said_leaving"])
    checks.check("n1: its address is kept", NODE4, member(lab, "n1")["address4"])


def late_and_left(lab, checks, keys, watcher):
    sender = Sender(lab, keys["n2"], GATEWAY4, "--source4", NODE4)
    checks.check("n2 beacons: up", "up", becomes(lab, "n2", "up"))
    checks.check("n2: no IPv6", None, member(lab, "n2")["address6"])
    sender.end()
    checks.check("n2 was killed: left in the end", "left", becomes(lab, "n2", "left"))
    checks.check("n2: it did not say so", False, member(lab, "n2")["has_said_leaving"])
    wait_for(lambda: len(watcher.states("n2")) >= 3)
    checks.check("n2: every step was an event", ["up", "late", "left"], watcher.states("n2"))


def revoked(lab, checks, keys):
    sender = Sender(lab, keys["n2"], GATEWAY4)
    checks.check("n2 is back: up", "up", becomes(lab, "n2", "up"))
    lab.credgate("node", "revoke", "lab", "n2")
    checks.check("n2 revoked: at once", "revoked", member(lab, "n2")["state"])
    checks.check("n2: sender hears no answer", True, sender.says("no answer"))
    checks.check("n2: its beacons change nothing", "revoked", member(lab, "n2")["state"])
    sender.end()


def verdict(refused, sock):
    """Of the last that was refused from a socket."""
    found = refused.find(*sock.getsockname(), timeout=PATIENCE_S)
    return found[-1]["verdict"] if found else None


def suspended(lab, checks, keys):
    sender = Sender(lab, keys["n3"], GATEWAY4)
    checks.check("n3 beacons: up", "up", becomes(lab, "n3", "up"))
    lab.credgate("node", "suspend", "lab", "n3")
    checks.check("n3 suspended: at once", "suspended", member(lab, "n3")["state"])
    checks.check("n3: sender is told", True, sender.says("refused as forbidden"))
    checks.check("n3: its beacons change nothing", "suspended", member(lab, "n3")["state"])
    lab.credgate("node", "resume", "lab", "n3")
    checks.check("n3 resumed: up", "up", becomes(lab, "n3", "up"))
    checks.check("n3: sender is told of that too", True,
                 wait_for(lambda: sum("accepted" in line for line in list(sender.lines)) >= 2))
    sender.end()


def renamed(lab, checks):
    lab.credgate("node", "set", "lab", "n4", "--rename", "n44")
    checks.check("n4 renamed: still up", "up", member(lab, "n44")["state"])
    lab.credgate("node", "set", "lab", "n44", "--rename", "n4")


def deleted(lab, checks, watcher):
    lab.credgate("node", "delete", "lab", "n3")
    checks.check("n3 deleted: not there", None, member(lab, "n3"))
    wait_for(lambda: any(c["state"] == "none" for c in list(watcher.changes)))
    checks.check("n3: an event says so", True,
                 any(c["state"] == "none" and c["node"] == 3 for c in watcher.changes))


def replayed(lab, checks, keys, refused):
    beacon = lab.mint(keys["n3"], beacon=True)
    sock = lab.socket(4)
    sock.sendto(beacon, (GATEWAY4, UDP_PORT))
    checks.check("n3: one beacon without a payload is up", "up", becomes(lab, "n3", "up"))
    before = member(lab, "n3")
    other = lab.socket(4)
    other.sendto(beacon, (GATEWAY4, UDP_PORT))
    checks.check("n3: the same bytes from another port", "replayed", verdict(refused, other))
    time.sleep(1)
    after = member(lab, "n3")
    checks.check("n3: a replay changes nothing", before["last_seen_us"], after["last_seen_us"])
    forged = with_field(lab.mint(keys["n3"], beacon=True), AT_ISSUED, ">Q", now_us())
    other.sendto(forged, (GATEWAY4, UDP_PORT))
    wait_for(lambda: len(refused.find(*other.getsockname())) >= 2)
    checks.check("n3: a forged beacon", "bad-tag", verdict(refused, other))
    other.sendto(lab.mint(keys["n3"], beacon=True, origin=NODE6), (GATEWAY4, UDP_PORT))
    wait_for(lambda: len(refused.find(*other.getsockname())) >= 3)
    checks.check("n3: an origin that is not the source", "wrong-origin", verdict(refused, other))
    time.sleep(1)
    checks.check("n3: neither changes anything", before["last_seen_us"],
                 member(lab, "n3")["last_seen_us"])
    checks.check("n3: it is no address of the node", None,
                 member(lab, "n3")["address6"])


def rotated(lab, checks, keys):
    sender = Sender(lab, keys["n1"], GATEWAY4)
    checks.check("n1 is back: up", "up", becomes(lab, "n1", "up"))
    lab.credgate("node", "rotate", "lab", "n1")
    new = keys["n1"] + ".new"
    lab.credgate("node", "key", "lab", "n1", "-o", new)
    os.replace(new, keys["n1"])
    checks.check("a replaced key is taken up", True, sender.says("took up the key of epoch 2"))
    with open(keys["n1"], "r+", encoding="ascii") as file:
        good = file.read()
        file.seek(0)
        file.write("CGK1:nonsense")
        file.truncate()
    sender.process.send_signal(signal.SIGHUP)
    checks.check("a bad key file: the old key stays", True, sender.says("stays in use"))
    with open(keys["n1"], "w", encoding="ascii") as file:
        file.write(good)
    checks.check("n1 is up all the time", "up", member(lab, "n1")["state"])
    sender.end(signal.SIGTERM)


def restarted(lab, checks, keys):
    sender = Sender(lab, keys["n4"], GATEWAY4, interval="60s")
    checks.check("n4 beacons: up", "up", becomes(lab, "n4", "up"))
    sender.end()
    before = member(lab, "n4")
    lab.stop_daemon()
    lab.start_daemon()
    after = member(lab, "n4")
    checks.check("restart: n4 has not left, it is unknown", "unknown", after["state"])
    checks.check("restart: its address is kept", before["address4"], after["address4"])
    checks.check("restart: so is when it was seen", before["last_seen_us"], after["last_seen_us"])
    checks.check("restart: who had left has left", "left", member(lab, "n1")["state"])
    checks.check("restart: revoked is revoked", "revoked", member(lab, "n2")["state"])
    sender = Sender(lab, keys["n4"], GATEWAY4, interval="60s")
    checks.check("restart: n4 is heard: up", "up", becomes(lab, "n4", "up"))
    sender.end()


def asked(lab, checks):
    checks.check("--names", "n[3-4]\n",
                 lab.credgate("members", "lab", "--state", "up", "--names").stdout.decode())
    checks.check("--names with ranges", "n[1-4]\n",
                 lab.credgate("members", "--names").stdout.decode())
    checks.check("--counts", 1, lab.json("members", "--counts")["revoked"])
    wrong = lab.credgate("members", "nowhere", check=False)
    checks.check("no such realm: exit code", 1, wrong.returncode)
    stranger = subprocess.run(
        [lab.consumer_program(), "members", "--run-dir", lab.run_dir], capture_output=True,
        text=True, user=STRANGER_UID, group=STRANGER_UID, extra_groups=[], cwd="/", check=False)
    checks.check("a stranger: exit code", 1, stranger.returncode)
    # In one of two ways, by whether credgated saw the request already.
    checks.check("a stranger is told why", True, "observer" in stranger.stderr)


def example(lab, checks, keys):
    """The example program follows a node that comes."""
    program = os.path.join(lab.dir, "members")
    subprocess.run(["cp", os.path.join(lab.build, "client", "examples", "members"), program],
                   check=True)
    reader = subprocess.Popen([program, os.path.join(lab.run_dir, "consumer.sock"), "1"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
                              user=CONSUMER_UID, group=CONSUMER_UID, extra_groups=[])
    first = reader.stdout.readline()
    sender = Sender(lab, keys["n1"], GATEWAY4)
    try:
        out, err = reader.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        reader.kill()
        out, err = reader.communicate()
    sender.end()
    checks.check("example members: lists", True, "n1" in first)
    checks.check("example members: tells the change", True, "n1: left -> up" in out + err)
    checks.check("example members: exit code", 0, reader.returncode)


def test(build):
    checks = Checks()
    with Lab(build) as lab:
        keys = {name: lab.add_node(name, suite)
                for name, suite in (("n1", None), ("n2", "cmac128"), ("n3", "cmac256"),
                                    ("n4", "sealed256"))}
        watcher, refused = Watcher(lab), lab.watch("--refused")
        time.sleep(0.5)
        if watcher.process.poll() is not None:
            raise LabError("credgate members --watch ended")
        sender = up_and_silent(lab, checks, keys)
        late_and_left(lab, checks, keys, watcher)
        leaving(lab, checks, sender)
        revoked(lab, checks, keys)
        replayed(lab, checks, keys, refused)
        rotated(lab, checks, keys)
        restarted(lab, checks, keys)
        suspended(lab, checks, keys)
        asked(lab, checks)
        renamed(lab, checks)
        deleted(lab, checks, watcher)
        example(lab, checks, keys)
        watcher.end()
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
