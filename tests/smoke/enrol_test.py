#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nodes join with a code over real networks: once, by name, from their place; against somebody in
the middle, after lost answers, beside silent connections. Then clones: copies of a key and its
serial state, found out and suspended."""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (CLONE_NEWNET, GATEWAY4, NODE4, UDP_PORT, Checks, Lab, ip,  # noqa: E402
                 run_test)

KERNEL4, OTHER4, PORT = "10.77.0.3", "10.77.0.9", 7476
JOINED, LATER, USAGE, REFUSED = 0, 1, 2, 3
REQUEST, ANSWER, RACK = 152, 312, 48


class EnrolLab(Lab):
    """The gateway's kernel has an address of its own, where credgated serves who wants to join."""

    clones = "report"

    def make_link(self, *options):
        super().make_link(*options)
        ip("addr", "add", f"{KERNEL4}/24", "dev", self.gateway_if, ns=self.gateway_ns)
        ip("addr", "add", f"{OTHER4}/24", "dev", self.node_if, ns=self.node_ns)

    def write_config(self):
        super().write_config()
        with open(self.config_file, encoding="utf-8") as file:
            text = file.read()
        text = text.replace("    id: 7\n", f"    id: 7\n    clones: {self.clones}\n")
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(text + f"enrol: {{listen: \"{KERNEL4}:{PORT}\"}}\n")

    def tcp(self, address, is_kept=True):
        """A TCP socket of the node's namespace, bound there; closed at the end if it is kept."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", encoding="ascii") as here, \
                open(f"/run/netns/{self.node_ns}", encoding="ascii") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, 0))
        sock.settimeout(10)
        if is_kept:
            self.sockets.append(sock)
        return sock

    def invite(self, name, *options):
        return self.credgate("node", "invite", "lab", name, *options).stdout.decode().split()[1]

    def join(self, code, name, *options, at=f"{KERNEL4}:{PORT}"):
        """Joins on the node, with the code on standard input; the finished process."""
        return self.credgate("join", "-", at, "--key-file", self.key(name), *options,
                             ns=self.node_ns, check=False, stdin=code.encode(), timeout=90)

    def key(self, name):
        return os.path.join(self.keys_dir, f"{name}.key")


class Middle(threading.Thread):
    """Somebody between node and gateway; `twist(request)` and `turn(answer)` say what he does."""

    def __init__(self, lab, twist=None, turn=None):
        super().__init__(daemon=True)
        self.lab, self.twist, self.turn, self.seen = lab, twist, turn, []
        self.listener = lab.tcp(OTHER4)
        self.listener.listen(16)
        self.at = f"{OTHER4}:{self.listener.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            try:
                self.serve(self.listener.accept()[0])
            except TimeoutError:
                continue
            except OSError:
                return

    def serve(self, client):
        with client, self.lab.tcp(OTHER4) as server:
            client.settimeout(5)
            server.connect((KERNEL4, PORT))
            request = client.recv(REQUEST, socket.MSG_WAITALL)
            self.seen.append(request)
            server.sendall(self.twist(request) if self.twist else request)
            answer = server.recv(ANSWER, socket.MSG_WAITALL)
            answer = self.turn(answer) if self.turn else answer
            if answer:
                client.sendall(answer)


def swapped(message, at):
    """With another public key in it."""
    return message[:at] + os.urandom(32) + message[at + 32:]


def verdict_of(lab, stream, credential, version=4):
    sock = lab.socket(version)
    sock.sendto(credential, (GATEWAY4, UDP_PORT))
    found = stream.find(*sock.getsockname()[:2])
    return found[0]["verdict"] if found else None


def joins(lab, checks, accepted):
    code = lab.invite("n001", "--prefix", NODE4)
    done = lab.join(code, "n001", "--name", "n001")
    checks.check("joins", JOINED, done.returncode)
    checks.check("says so", True, b"joined as n001" in done.stdout)
    checks.check("key is its owner's alone", 0o600, os.stat(lab.key("n001")).st_mode & 0o777)
    checks.check("nothing is left beside it", ["n001.key"], sorted(os.listdir(lab.keys_dir)))
    checks.check("its credential", "accepted",
                 verdict_of(lab, accepted, lab.mint(lab.key("n001"))))
    checks.check("the code again, with another key", REFUSED,
                 lab.join(code, "thief").returncode)
    checks.check("no key for that", False, os.path.exists(lab.key("thief")))
    checks.check("the gateway's log says who", True, "used: one of them should not" in lab.log())
    listed = lab.json("node", "invites", "lab")["invites"]
    checks.check("listed as used", [("n001", "used", NODE4)],
                 [(item["name"], item["state"], item["source"]) for item in listed])
    checks.check("the log has no code", False, "CGJ1" in lab.log())


def refusals(lab, checks):
    code = lab.invite("n002", "--prefix", NODE4)
    checks.check("mistyped", USAGE, lab.join(code[:20] + code[21] + code[20] + code[22:] if
                                             code[20] != code[21] else code[:-1], "n002").returncode)
    checks.check("a key is there already", LATER, lab.join(code, "n001").returncode)
    checks.check("another name", REFUSED, lab.join(code, "n002", "--name", "n003").returncode)
    checks.check("nobody listens", LATER,
                 lab.join(code, "n002", "--timeout", "2s", at=f"{KERNEL4}:7999").returncode)
    checks.check("none of it spent the code", JOINED, lab.join(code, "n002").returncode)
    code = lab.invite("n003", "--prefix", "10.99.0.0/16")
    checks.check("another place", REFUSED, lab.join(code, "n003").returncode)
    code = lab.invite("n004", "--ttl", "1s")
    time.sleep(2)
    checks.check("expired", REFUSED, lab.join(code, "n004").returncode)
    code = lab.invite("n004")
    lab.credgate("node", "uninvite", "lab", "n004")
    checks.check("taken back", REFUSED, lab.join(code, "n004").returncode)


def middle(lab, checks, accepted):
    code = lab.invite("n010")
    evil = Middle(lab, twist=lambda request: swapped(request, 24))
    checks.check("in the middle: swaps the node's key", REFUSED,
                 lab.join(code, "n010", at=evil.at).returncode)
    evil = Middle(lab, turn=lambda answer: swapped(answer, 8))
    done = lab.join(code, "n010", "--timeout", "3s", at=evil.at)
    checks.check("in the middle: swaps the gateway's key", LATER, done.returncode)
    checks.check("the node says what may be", True,
                 b"something between here and" in done.stderr)
    checks.check("no key from that", False, os.path.exists(lab.key("n010")))
    lost = Middle(lab, turn=lambda answer: b"" if len(lost.seen) == 1 else answer)
    checks.check("a lost answer", JOINED, lab.join(code, "n010", at=lost.at).returncode)
    checks.check("asked with the same key each time", 1, len(set(lost.seen + evil.seen)))
    node, = [n for n in lab.json("node", "list", "lab")["nodes"] if n["name"] == "n010"]
    checks.check("one epoch for all of it", [1], [epoch["epoch"] for epoch in node["epochs"]])
    checks.check("and the key is good", "accepted",
                 verdict_of(lab, accepted, lab.mint(lab.key("n010"))))


def strangers(lab, checks):
    """Strangers: some who talk, and more who say nothing than the gateway has places for."""
    for text in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(400), b"CGJQ", b""):
        with lab.tcp(OTHER4) as sock:
            sock.connect((KERNEL4, PORT))
            try:
                sock.sendall(text)
                sock.shutdown(socket.SHUT_WR)
                got = sock.recv(400)
            except OSError:
                got = b""
            checks.check(f"{text[:4]!r} gets nothing", b"", got)
    held = [lab.tcp(OTHER4) for _ in range(100)]
    for sock in held:
        sock.connect((KERNEL4, PORT))
    checks.check("beside a hundred silent connections", JOINED,
                 lab.join(lab.invite("n020"), "n020").returncode)
    for sock in held:
        sock.close()


def rack(lab, checks):
    """All nodes of a rack boot at once, behind one address."""
    names = [f"r{number:02}" for number in range(1, RACK + 1)]
    lines = lab.credgate("node", "invite", "lab", f"r[01-{RACK}]", "--role", "rack").stdout
    codes = dict(line.split() for line in lines.decode().splitlines())
    running = [subprocess.Popen(
        ["ip", "netns", "exec", lab.node_ns, lab.program("credgate"), "join", codes[name],
         f"{KERNEL4}:{PORT}", "--key-file", lab.key(name), "--name", name],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for name in names]
    checks.check("a rack joins at once", {JOINED}, {one.wait(80) for one in running})
    keys = set()
    for name in names:
        with open(lab.key(name), encoding="ascii") as file:
            keys.add(file.read())
    checks.check("each has a key of its own", RACK, len(keys))
    nodes = [node for node in lab.json("node", "list", "lab", "--role", "rack")["nodes"]]
    checks.check("and the role", sorted(names), sorted(node["name"] for node in nodes))


class Flood(threading.Thread):
    """Connects as fast as it can, and asks with codes that nobody made, from one address."""

    def __init__(self, lab, address):
        super().__init__(daemon=True)
        self.lab, self.address, self.over, self.count = lab, address, False, 0
        self.start()

    def run(self):
        head = b"CGJQ\x01\x00\x00\x98"
        while not self.over:
            with self.lab.tcp(self.address, False) as sock:
                sock.settimeout(0.05)
                try:
                    sock.connect((KERNEL4, PORT))
                    sock.sendall(head + os.urandom(8) + b"\0\0\0\7\0\0\0\0" +
                                 os.urandom(32) + bytes(64) + os.urandom(32))
                    self.count += 1
                except OSError:
                    pass

    def stop(self):
        self.over = True
        self.join()


def flooded(lab, checks, accepted):
    key = lab.key("n001")
    floods = [Flood(lab, NODE4), Flood(lab, NODE4), Flood(lab, OTHER4)]
    time.sleep(1)
    checks.check("in a flood from its own address", JOINED,
                 lab.join(lab.invite("n040"), "n040").returncode)
    checks.check("credentials are judged", "accepted",
                 verdict_of(lab, accepted, lab.mint(key)))
    status = lab.json("status")["enrol"]
    for flood in floods:
        flood.stop()
    checks.check("the flood got through", True,
                 sum(flood.count for flood in floods) > 100 and status["requests"] > 100)
    lines = subprocess.run(["grep", "-c", "no join code that holds", lab.log_file],
                           capture_output=True, text=True, check=False).stdout.strip()
    checks.check("and left few lines", True, int(lines) < 100)
    checks.check("no code was spent or made", 0, sum(
        item["wrong"] for item in lab.json("node", "invites", "lab")["invites"]
        if item["name"] == "n040"))


def restarted(lab, checks):
    code = lab.invite("n030")
    lab.stop_daemon()
    gone = subprocess.Popen(
        ["ip", "netns", "exec", lab.node_ns, lab.program("credgate"), "join", code,
         f"{KERNEL4}:{PORT}", "--key-file", lab.key("n030")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    with open(f"/proc/{gone.pid}/cmdline", "rb") as file:
        checks.check("no list of processes shows the code", False, b"CGJ1" in file.read())
    lab.start_daemon()
    gone.communicate(timeout=70)
    checks.check("joins when the gateway is back", JOINED, gone.returncode)


def copy_node(lab, name, twin, with_state):
    shutil.copy(lab.key(name), lab.key(twin))
    if with_state:
        shutil.copy(lab.key(name) + ".serial", lab.key(twin) + ".serial")


def evidence(lab, name):
    """(proofs, collisions) of a node, once there are any or two seconds are over."""
    for _ in range(20):
        for item in lab.json("node", "clones", "lab")["clones"]:
            if item["name"] == name:
                return item["count"], item["collisions"]
        time.sleep(0.1)
    return 0, 0


def state_of(lab, name, wanted):
    for _ in range(50):
        node, = [n for n in lab.json("node", "list", "lab")["nodes"] if n["name"] == name]
        if node["state"] == wanted:
            break
        time.sleep(0.1)
    return node["state"]


def clones(lab, checks, accepted, refused):
    key = lab.add_node("twin")
    checks.check("before: first credential", "accepted", verdict_of(lab, accepted, lab.mint(key)))
    checks.check("before: no evidence", [], lab.json("node", "clones", "lab")["clones"])
    # A container restored from its image: one serial state, twice.
    copy_node(lab, "twin", "copy", True)
    checks.check("the node goes on", "accepted", verdict_of(lab, accepted, lab.mint(key, reply=True)))
    checks.check("its copy repeats serials", "replayed",
                 verdict_of(lab, refused, lab.mint(lab.key("copy"), reply=True)))
    checks.check("which is evidence", (0, 1), evidence(lab, "twin"))
    # An image started on another machine: its own boot, a later incarnation.
    time.sleep(1.1)
    copy_node(lab, "twin", "other", False)
    late = lab.mint(key)
    checks.check("a second machine", "accepted",
                 verdict_of(lab, accepted, lab.mint(lab.key("other"))))
    checks.check("late from before it began", "stale", verdict_of(lab, refused, late))
    checks.check("is no evidence", (0, 1), evidence(lab, "twin"))
    time.sleep(2.5)
    lab.clones = "suspend"
    lab.write_config()
    lab.credgate("reload")
    checks.check("the first machine still speaks", "stale",
                 verdict_of(lab, refused, lab.mint(key)))
    checks.check("which is evidence as well", (1, 1), evidence(lab, "twin"))
    checks.check("and suspends it where asked for", "suspended",
                 state_of(lab, "twin", "suspended"))
    checks.check("the second machine too", "forbidden",
                 verdict_of(lab, refused, lab.mint(lab.key("other"))))
    done = lab.join(lab.invite("twin", "--close-old"), "other", "--replace")
    checks.check("one of them gets a key of its own", JOINED, done.returncode)
    lab.credgate("node", "resume", "lab", "twin")
    checks.check("resumed: its credential", "accepted",
                 verdict_of(lab, accepted, lab.mint(lab.key("other"))))
    log = subprocess.run(["grep", "-c", "alive twice", lab.log_file], capture_output=True,
                         text=True, check=False).stdout.strip()
    checks.check("told of in the log", True, int(log) >= 1)


def audit_log(lab):
    folder, text = os.path.join(lab.state_dir, "audit"), ""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text += file.read()
    return text


def test(build):
    checks = Checks()
    with EnrolLab(build) as lab:
        accepted, refused = lab.watch("--group", "jobs"), lab.watch("--refused")
        time.sleep(0.5)
        joins(lab, checks, accepted)
        refusals(lab, checks)
        middle(lab, checks, accepted)
        rack(lab, checks)
        strangers(lab, checks)
        flooded(lab, checks, accepted)
        clones(lab, checks, accepted, refused)
        for stream in (accepted, refused):
            stream.stop()
        restarted(lab, checks)
        audit = audit_log(lab)
        checks.check("joins are in the audit log", True, '"node.join"' in audit)
        checks.check("refused ones too", True, '"node.join.refused"' in audit)
        checks.check("no code is", False, "CGJ1" in audit)
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
