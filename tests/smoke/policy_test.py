#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Policies on the real programs: genuine credentials by node, role, uid, gid, audience, kind and
origin get what the rules say, `policy explain` says the same, and a bad file changes nothing."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (AUDIENCES, NODE4, NODE6, UDP_PORT, Checks, Lab, address,  # noqa: E402
                 run_test)

NODES = {"n1": ["compute"], "n2": ["compute", "gpu"], "n3": [], "login1": ["login"]}

RULES = """\
rules:
  - deny: {roles: [gpu], uids: 0}
    name: no-root-on-gpus
  - allow: {nodes: "n[1-2]", roles: [compute], uids: ["0", "1000-1999"], audiences: [scheduler]}
  - deny: {roles: [compute], audiences: [scheduler]}
  - allow: {kinds: beacon}
  - allow: {roles: [login], gids: ["100-199", 4294967294], audiences: [any, storage]}
  - allow: {nodes: [n3], from: ["fd77::/64"]}
"""

# node, claims, version of IP, and what is right in mode enforce
QUESTIONS = [
    ("n1", {"uid": 0, "audience": "scheduler"}, 4, "accepted"),
    ("n1", {"uid": 1500, "audience": "scheduler"}, 4, "accepted"),
    ("n1", {"uid": 1999, "audience": "scheduler"}, 6, "accepted"),
    ("n1", {"uid": 2000, "audience": "scheduler"}, 4, "forbidden"),
    ("n1", {"uid": 999, "audience": "scheduler"}, 4, "forbidden"),
    ("n1", {"uid": 1500, "audience": "storage"}, 4, "forbidden"),
    ("n2", {"uid": 0, "audience": "scheduler"}, 4, "forbidden"),
    ("n2", {"uid": 1000, "audience": "scheduler"}, 4, "accepted"),
    ("n2", {"uid": 0, "kind": "beacon"}, 4, "forbidden"),
    ("n2", {"uid": 7, "kind": "beacon"}, 4, "accepted"),
    ("n3", {"uid": 0, "audience": "storage"}, 4, "forbidden"),
    ("n3", {"uid": 0, "audience": "storage"}, 6, "accepted"),
    ("login1", {"gid": 150, "audience": "storage"}, 4, "accepted"),
    ("login1", {"gid": 150}, 4, "accepted"),
    ("login1", {"gid": 4294967294}, 4, "accepted"),
    ("login1", {"gid": 200}, 4, "forbidden"),
    ("login1", {"gid": 150, "audience": "scheduler"}, 4, "forbidden"),
]


class Ground:
    def __init__(self, lab):
        self.lab = lab
        self.keys = {}
        for name, roles in NODES.items():
            self.keys[name] = lab.add_node(name)
            for role in roles:
                lab.credgate("node", "set", "lab", name, "--role", f"+{role}")
        self.attach()

    def attach(self):
        self.streams = [self.lab.watch("--group", "jobs"), self.lab.watch("--refused")]
        time.sleep(0.5)

    def ask(self, name, claims, version=4):
        """What one genuine, fresh credential gets."""
        options = {"uid": 1, "gid": 1, **claims}
        if "audience" in options:
            options["audience"] = AUDIENCES[options["audience"]]
        if options.pop("kind", None) == "beacon":
            options["beacon"] = True
        credential = self.lab.mint(self.keys[name], version, **options)
        sock = self.lab.socket(version)
        sock.sendto(credential, (address(version), UDP_PORT))
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for stream in self.streams:
                found = stream.find(*sock.getsockname()[:2], 1, 0)
                if found:
                    return found[0]["verdict"]
            time.sleep(0.02)
        return "nothing"

    def explain(self, name, claims, version=4):
        """What `policy explain` says about it."""
        claims = {"uid": 1, "gid": 1, "audience": "any", "kind": "assert", **claims}
        options = [part for key, value in claims.items() for part in (f"--{key}", value)]
        return self.lab.json("policy", "explain", "lab", "--node", name, "--origin",
                             NODE6 if version == 6 else NODE4, *options)

    def write(self, text, name="policy.yaml"):
        path = os.path.join(self.lab.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def apply(self, text, check=True):
        return self.lab.credgate("policy", "apply", "lab", self.write(text), "--why", "a test",
                                 check=check)

    def everybody(self):
        """A node that no rule of RULES lets speak to the scheduler."""
        return self.ask("login1", {"audience": "scheduler"})


def claims_text(name, claims, version):
    return " ".join([name, *(f"{key}={value}" for key, value in claims.items()), f"IPv{version}"])


def rules(ground, checks):
    checks.check("no policy: all may", "accepted", ground.everybody())
    ground.apply(RULES)
    for name, claims, version, expected in QUESTIONS:
        got = ground.ask(name, claims, version)
        checks.check(claims_text(name, claims, version), expected, got)
        said = ground.explain(name, claims, version)
        word = {"allow": "accepted", "deny": "forbidden"}[said["outcomes"]["enforce"]]
        checks.check("    explained so", (expected, True), (word, said["certain"]))


def changes(ground, checks):
    lab = ground.lab
    lab.credgate("node", "set", "lab", "n3", "--role", "+login")
    checks.check("a role that is added counts at once", "accepted", ground.ask("n3", {"gid": 150}))
    lab.credgate("node", "set", "lab", "n3", "--role", "-login")
    checks.check("and one that is taken away", "forbidden", ground.ask("n3", {"gid": 150}))
    lab.add_node("n4")
    ground.keys["n4"] = os.path.join(lab.keys_dir, "n4.key")
    checks.check("a node that is added has its class", "forbidden", ground.ask("n4", {}))

    lab.credgate("node", "suspend", "lab", "login1")
    checks.check("suspended: denied before any rule", "forbidden", ground.ask("login1", {"gid": 150}))
    checks.check("    explained so", "suspended", ground.explain("login1", {"gid": 150})["state"])
    lab.credgate("node", "resume", "lab", "login1")
    checks.check("resumed, with the same key", "accepted", ground.ask("login1", {"gid": 150}))

    lab.credgate("realm", "mode", "lab", "permissive")
    checks.check("permissive: no rule matches", "accepted", ground.everybody())
    checks.check("permissive: a rule denies", "forbidden",
                 ground.ask("n2", {"uid": 0, "audience": "scheduler"}))
    lab.credgate("realm", "mode", "lab", "configured")
    checks.check("enforce: no rule matches", "forbidden", ground.everybody())


BAD = [
    ("rules:\n  - allow: {uids: [1-]}\n", 1, ":2: rules[0].allow.uids: "),
    ("rules:\n  - allow: {role: a}\n", 1, ":2: rules[0].allow.role: no such key"),
    ("rules: [\n", 1, "yaml: "),
    # More than one program can have: only the gateway's compiler sees that.
    ("rules:\n  - deny: {nodes: nobody}\n  - allow:\n      uids: ["
     + ", ".join(str(2 * n) for n in range(33)) + "]\n      gids: ["
     + ", ".join(str(2 * n) for n in range(32)) + "]\n", 1, "1056 pairs of a uid and a gid range"),
]


def versions(ground, checks):
    lab = ground.lab
    for text, code, said in BAD:
        done = ground.apply(text, check=False)
        checks.check("a bad policy is refused", (code, True),
                     (done.returncode, said in done.stderr.decode()))
    checks.check("and nothing changed", ("forbidden", "accepted"),
                 (ground.everybody(), ground.ask("login1", {"gid": 150})))
    checks.check("show: what was applied, byte by byte", RULES,
                 lab.credgate("policy", "show", "lab").stdout.decode())

    done = ground.apply("rules:\n  - allow: {nodes: [n1, stranger], audiences: [scheduler]}\n"
                        "  - deny: {nodes: [ghost]}\n")
    checks.check("nodes that nobody has are told", True,
                 ":3: unmet: concerns no node" in done.stderr.decode())
    checks.check("the next version holds", ("forbidden", "forbidden"),
                 (ground.everybody(), ground.ask("login1", {"gid": 150})))
    lab.credgate("policy", "rollback", "lab", 1, "--why", "a test")
    checks.check("rolled back", "accepted", ground.ask("login1", {"gid": 150}))
    history = lab.json("policy", "history", "lab")
    checks.check("history", (3, [3, 2, 1], "uid 0"),
                 (history["in_force"], [v["version"] for v in history["versions"]],
                  history["versions"][0]["who"]))

    lab.stop_daemon()
    lab.start_daemon()
    ground.attach()
    checks.check("in force after a restart, before the first credential",
                 ("forbidden", "accepted"),
                 (ground.everybody(), ground.ask("login1", {"gid": 150})))
    lab.credgate("policy", "remove", "lab")
    checks.check("removed: all may", "accepted", ground.everybody())
    checks.check("removed: nothing to show", 1,
                 lab.credgate("policy", "show", "lab", check=False).returncode)
    checks.check("removed: nothing to remove", 1,
                 lab.credgate("policy", "remove", "lab", check=False).returncode)


def offline(ground, checks):
    lab = ground.lab
    clean = ground.write(RULES, "clean.yaml")
    checks.check("check: nothing to say", 0,
                 lab.credgate("policy", "check", clean, "--realm", "lab", check=False).returncode)
    odd = ground.write("rules:\n  - allow: {}\n  - deny: {uids: 0, audiences: [shceduler]}\n",
                       "odd.yaml")
    done = lab.credgate("policy", "check", odd, "--realm", "lab", "--json", check=False)
    checks.check("check: warnings", (3, ["wide", "empty", "unknown"]),
                 (done.returncode, [f["kind"] for f in json.loads(done.stdout)["findings"]]))
    checks.check("apply --strict: warnings are enough", 3,
                 lab.credgate("policy", "apply", "lab", odd, "--strict", check=False).returncode)
    bad = ground.write(BAD[0][0], "bad.yaml")
    checks.check("check: a mistake", 1,
                 lab.credgate("policy", "check", bad, check=False).returncode)
    acls = ground.write('{"permissive": false, "run_tasks": [{"principals": {"values": ["login"]},'
                        ' "users": {"values": ["root", "1234"]}}]}', "acls.json")
    made = os.path.join(lab.dir, "mesos.yaml")
    lab.credgate("policy", "import-mesos", acls, "-o", made)
    lab.credgate("policy", "apply", "lab", made)
    checks.check("from Mesos: a principal as its users", ("accepted", "forbidden", "forbidden"),
                 (ground.ask("login1", {"uid": 1234}), ground.ask("login1", {"uid": 1235}),
                  ground.ask("n1", {"uid": 0})))


def test(build):
    checks = Checks()
    with Lab(build, workers=2, extra="    beacons: true\n") as lab:
        ground = Ground(lab)
        rules(ground, checks)
        changes(ground, checks)
        versions(ground, checks)
        offline(ground, checks)
    return checks


sys.exit(run_test(__doc__, test))
