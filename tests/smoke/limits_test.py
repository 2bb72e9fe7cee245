#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whitelists, roll-out modes and rate limits on the real programs: who may speak, what a mode
advises and counts, and that only what is accepted takes a token."""

import base64
import collections
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (GATEWAY4, NODE4, UDP_PORT, Checks, Lab, run_test,  # noqa: E402
                 with_field)

NODES = ("n1", "n2", "n3", "n4", "guest")
WHITELIST = "lab.nodes"
TAG_BYTE = -1


class Ground:
    """A lab whose realm has a whitelist, with two workers, and every node's key."""

    def __init__(self, lab):
        self.lab = lab
        self.keys = {name: lab.add_node(name) for name in NODES}
        self.list_file = os.path.join(lab.dir, WHITELIST)
        self.attach()

    def attach(self):
        self.accepted = self.lab.watch("--group", "jobs")
        self.refused = self.lab.watch("--refused")
        time.sleep(0.5)

    def mint(self, name, count=1):
        """Fresh credentials of a node, as bytes."""
        out = self.lab.credgate("mint", "--key", self.keys[name], "--text", "--count", count,
                                "--origin", NODE4).stdout
        return [decode(line) for line in out.split()]

    def send(self, credentials, wait=True):
        """Sends them; how often which verdict came of it, with (pass) where that was advised."""
        sock = self.lab.socket(4)
        for number, credential in enumerate(credentials):
            sock.sendto(credential, (GATEWAY4, UDP_PORT))
            if number % 16 == 15:
                time.sleep(0.002)
        if not wait:
            return None
        deadline = time.monotonic() + 5
        while True:
            found = [record for stream in (self.accepted, self.refused)
                     for record in stream.find(*sock.getsockname(), 1, 0)]
            if len(found) >= len(credentials) or time.monotonic() > deadline:
                return dict(collections.Counter(map(text_of, found)))
            time.sleep(0.02)

    def once(self, name):
        """What one fresh credential of a node gets."""
        return " ".join(self.send(self.mint(name)))

    def until(self, name, wanted):
        """The same until it is the wanted one, or time is up."""
        deadline = time.monotonic() + 10
        got = self.once(name)
        while got != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
            got = self.once(name)
        return got

    def list_write(self, text):
        with open(self.list_file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.list_file, 0o644)

    def restart(self):
        self.lab.stop_daemon()
        self.lab.start_daemon()
        self.attach()

    def realm(self):
        return self.lab.json("status")["realms"][0]

    def policy(self, text):
        path = os.path.join(self.lab.dir, "policy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        self.lab.credgate("policy", "apply", "lab", path)

    def would(self, *arguments):
        """(exit code, report) of credgate realm would."""
        done = self.lab.credgate("realm", "would", "lab", *arguments, check=False)
        return done.returncode, self.lab.json("realm", "would", "lab", check=False)

    def limits_after(self, asked):
        """What credgate limits says once control has seen that often that a token was asked for."""
        deadline = time.monotonic() + 5
        while True:
            report = self.lab.json("limits", "lab")
            shared = report["limits"][0]
            if shared["taken"] + shared["refused"] >= asked or time.monotonic() > deadline:
                return report
            time.sleep(0.1)


def decode(text):
    body = text[5:-1]
    return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))


def kill_dataplane(lab):
    """Kills it; returns when another one runs."""
    pid = lab.json("status")["dataplane"]["pid"]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        dataplane = lab.json("status")["dataplane"]
        if dataplane["state"] == "running" and dataplane["pid"] != pid:
            return
        time.sleep(0.05)


def text_of(record):
    return record["verdict"] + (" (pass)" if record.get("advice") == "pass" else "")


def forged(credential, number):
    """Somebody else's attempt: other serials, and a tag that cannot be right."""
    changed = bytearray(with_field(credential, 24, ">Q", (1 << 60) + number))
    changed[TAG_BYTE] ^= 0xff
    return bytes(changed)


def whitelists(ground, checks):
    checks.check("whitelist: on it", "accepted", ground.once("n1"))
    checks.check("whitelist: not on it", "forbidden", ground.once("guest"))
    ground.list_write("n[1-4]\nguest\n")
    checks.check("whitelist: added while it runs", "accepted", ground.until("guest", "accepted"))
    ground.list_write("# nobody\n")
    checks.check("whitelist: empty is nobody", "forbidden", ground.until("n1", "forbidden"))
    ground.list_write("n[1-4]\nguest\n")
    checks.check("whitelist: back again", "accepted", ground.until("n1", "accepted"))

    ground.list_write("n[1-\n")
    deadline = time.monotonic() + 10
    while not ground.realm()["whitelist"]["fault"] and time.monotonic() < deadline:
        time.sleep(0.2)
    checks.check("whitelist: a bad one is told", True,
                 f"{WHITELIST}:1: " in (ground.realm()["whitelist"]["fault"] or ""))
    checks.check("whitelist: and the last good one stays", "accepted", ground.once("guest"))
    checks.check("whitelist: said loudly", True, "last good list" in ground.lab.log())
    os.unlink(ground.list_file)
    ground.restart()
    checks.check("whitelist: also over a restart", "accepted", ground.once("guest"))
    checks.check("whitelist: which knows who is not on it", 5,
                 ground.realm()["whitelist"]["names"])
    ground.list_write("n[1-4]\n")
    checks.check("whitelist: mended", "forbidden", ground.until("guest", "forbidden"))
    checks.check("whitelist: and no fault any more", None, ground.realm()["whitelist"]["fault"])
    ground.list_write("n[1-4]\nguest\n")
    ground.until("guest", "accepted")


RULES = """\
rules:
  - {allow: {nodes: [n1, n2]}}
  - {deny: {nodes: [n3]}}
"""


def modes(ground, checks):
    lab = ground.lab
    ground.policy(RULES)
    checks.check("enforce: a rule allows", "accepted", ground.once("n1"))
    checks.check("enforce: a rule denies", "forbidden", ground.once("n3"))
    checks.check("enforce: no rule matches", "forbidden", ground.once("n4"))

    lab.credgate("realm", "mode", "lab", "permissive", "--why", "a test")
    checks.check("permissive: nothing to report yet", 0, ground.would()[0])
    spent = ground.mint("n1")
    checks.check("permissive: a rule allows", {"accepted": 1}, ground.send(spent))
    checks.check("permissive: a rule denies, advised to pass", "forbidden (pass)",
                 ground.once("n3"))
    checks.check("permissive: no rule matches", "accepted", ground.once("n4"))
    checks.check("permissive: a replay is obeyed", {"replayed": 1}, ground.send(spent))
    checks.check("permissive: a forged one is obeyed", {"bad-tag": 1},
                 ground.send([forged(spent[0], 1)]))
    code, report = ground.would()
    checks.check("would: something", 3, code)
    checks.check("would: by verdict", {"forbidden": 2, "replayed": 1}, report["would"])
    checks.check("would: by node, to whom no replay counts", {"n3": 1, "n4": 1},
                 {node["name"]: node["count"] for node in report["nodes"]})
    checks.check("would: who switched and why", ("uid 0", "a test"),
                 (report["who"], report["why"]))
    checks.check("would: less what is ignored", 0,
                 ground.would("--ignore", "replayed", "--ignore", "forbidden")[0])

    lab.credgate("reload")
    checks.check("a reload does not undo the mode", "permissive", ground.realm()["mode"])
    ground.restart()
    checks.check("nor does a restart", "permissive", ground.realm()["mode"])
    checks.check("nor is what was counted forgotten", 3, ground.would()[1]["would_refuse"])
    checks.check("no rule matches, as before", "accepted", ground.once("n4"))
    checks.check("and it is added", 4, ground.would()[1]["would_refuse"])

    lab.credgate("realm", "mode", "lab", "observe")
    checks.check("a switch begins anew", 0, ground.would()[0])
    checks.check("observe: all is advised to pass", {"replayed (pass)": 1}, ground.send(spent))
    checks.check("observe: even what is forged", {"bad-tag (pass)": 1},
                 ground.send([forged(spent[0], 2)]))
    checks.check("observe: no rule matches", "accepted", ground.once("n4"))
    lab.credgate("realm", "would", "lab", "--reset")
    checks.check("reset", 0, ground.would()[0])
    checks.check("a word that is no mode", 1,
                 lab.credgate("realm", "mode", "lab", "lax", check=False).returncode)

    lab.credgate("realm", "mode", "lab", "configured")
    checks.check("back to the configuration", ("enforce", False),
                 (ground.realm()["mode"], ground.realm()["mode_live"]))
    checks.check("enforce: no rule matches, again", "forbidden", ground.once("n4"))
    checks.check("enforce: a replay is obeyed", {"replayed": 1}, ground.send(spent))


# One token in 1,000 s: whatever the machine is busy with, none comes back during the test.
LIMITS = """\
limits:
  - {node: n1, rate: 0.001, burst: 5}
  - {default: aggregate, rate: 0.001, burst: 8}
"""


def limits(ground, checks):
    lab = ground.lab
    ground.policy(LIMITS)
    first = ground.mint("n1")
    before = lab.json("limits", "lab")["sources"]["refusals_budgeted"]
    checks.check("limit: the first token", {"accepted": 1}, ground.send(first))
    ground.send([forged(first[0], 10 + n) for n in range(200)], wait=False)
    checks.check("limit: replays take none", {"replayed": 100}, ground.send(first * 100))
    late = ground.mint("n1", 10)
    # All ten are judged and shown, though forged ones from this very address were 200 before.
    checks.check("limit: forged and replayed ones took none of the other four",
                 {"accepted": 4, "over-rate": 6}, ground.send(late))
    budgeted = lab.json("limits", "lab")["sources"]["refusals_budgeted"] - before
    checks.check("budget: the forger's address, which is the node's, has had enough", True,
                 budgeted > 0)
    checks.check("limit: another node has its own", "accepted", ground.once("n2"))

    crowd = [c for name in ("n2", "n3", "n4") for c in ground.mint(name, 10)]
    got = ground.send(crowd)
    checks.check("aggregate: at most the burst and one for each worker", True,
                 1 <= got.get("accepted", 0) <= 8 + 2)
    checks.check("aggregate: the rest is over the rate", 30, sum(got.values()))
    report = ground.limits_after(31)
    shared = report["limits"][0]
    checks.check("limits: what was taken", got["accepted"] + 1, shared["taken"])
    checks.check("limits: and refused", got["over-rate"], shared["refused"])
    checks.check("limits: shares make the rate", True,
                 abs(sum(shared["shares"]) - 0.001) < 1e-9 and len(shared["shares"]) == 2)
    checks.check("limits: who was over it", True,
                 {"n1"} <= {node["name"] for node in report["nodes"]})

    checks.check("limits: of each node", [("node n1", 0.001, 5)],
                 [(limit["name"], limit["rate"], limit["burst"]) for limit in report["each"]])

    kill_dataplane(lab)
    checks.check("limit: a node's bucket outlives the dataplane", {"over-rate": 3},
                 ground.send(ground.mint("n1", 3)))
    lab.credgate("policy", "remove", "lab")
    checks.check("over-rate marked nothing: the same bytes are good once", True,
                 ground.send(late).get("accepted") == 6)


RATE, BURST = 200, 20
SHARED = f"limits: [{{default: aggregate, rate: {RATE}, burst: {BURST}}}]\n"


def shared_rate(ground, checks):
    """Two workers, whose load moves from node to node: together they keep to the rate."""
    ground.policy(SHARED)
    batches = [ground.mint(name, 400) for name in ("n1", "n2", "n3", "n4")]
    sock = ground.lab.socket(4)
    begin = time.monotonic()
    for number, credential in enumerate(c for batch in batches for c in batch):
        sock.sendto(credential, (GATEWAY4, UDP_PORT))
        if number % 8 == 7:
            time.sleep(0.01)
    sent = sum(map(len, batches))
    report = ground.limits_after(sent)
    took_s = time.monotonic() - begin
    shared = report["limits"][0]
    checks.check("shared: every credential was counted", sent, shared["taken"] + shared["refused"])
    most = RATE * took_s + BURST * (1 + len(batches)) + 2
    checks.check("shared: at most what the rate and the bursts allow", True,
                 shared["taken"] <= most)
    checks.check("shared: and not just what one worker's first share allows", True,
                 shared["taken"] >= BURST)
    print(f"    {shared['taken']} of {sent} in {took_s:.1f} s at {RATE}/s")
    ground.lab.credgate("policy", "remove", "lab")


def test(build):
    checks = Checks()
    lab = Lab(build, workers=2, realm_extra=f"    whitelist: {WHITELIST}\n")
    with open(os.path.join(lab.dir, WHITELIST), "w", encoding="utf-8") as file:
        file.write("n[1-4]\n")
    with lab:
        ground = Ground(lab)
        whitelists(ground, checks)
        modes(ground, checks)
        limits(ground, checks)
        shared_rate(ground, checks)
    return checks


sys.exit(run_test(__doc__, test))
