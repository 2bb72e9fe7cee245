#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks from the network, as docs/threat-model.md lists them: captured packets brought back here,
at another gateway, later and from other ports; a man in the middle; another's address; a key that
was copied; a node that is thrown out while it speaks; a gateway that is none; an old registry."""

import collections
import glob
import os
import shutil
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crash_test import Traffic  # noqa: E402
from lab import (AUDIENCE_SCHEDULER, AUDIENCE_STORAGE, CONTROL_UID, GATEWAY4,  # noqa: E402
                 NODE4, NODE6, UDP_PORT, Checks, Lab, ip, run_test)

PATIENCE_S = 30
DOWN4, THIEF4 = "10.77.0.5", "10.77.0.9"
PORTS = 64
FORGED_MIN = 20000
FIELDS = {"magic": (0, 4), "suite": (4, 1), "kind": (5, 1), "length": (6, 2), "realm": (8, 4),
          "node": (12, 4), "epoch": (16, 2), "flags": (18, 2), "ttl": (20, 4), "serial": (24, 8),
          "issued": (32, 8), "origin": (40, 16), "audience": (56, 4), "salt": (60, 4),
          "uid": (64, 4), "gid": (68, 4), "auth": (72, 8), "payload": (80, 24), "tag": (104, 16)}


def wait_for(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Ground:
    """A gateway, and everything that its consumers and observers see of a datagram."""

    def __init__(self, lab):
        self.lab, self.records, self.streams = lab, [], []
        self.attach()

    def attach(self):
        """Also after a restart, which what was attached may have noticed or not."""
        for stream in self.streams:
            stream.stop()
        self.streams = [self.lab.watch("--group", "jobs"), self.lab.watch("--refused")]
        for stream in self.streams:
            stream.on_record = self.records.append
        time.sleep(0.5)

    def seen(self, sock):
        """Verdicts of what a socket sent, so far."""
        ends = sock.getsockname()[:2]
        return [r["verdict"] for r in list(self.records) if (r["source"], r["port"]) == ends]

    def send(self, credential, sock=None):
        """Its one verdict; "nothing" if time is up before there is any."""
        sock = sock or self.lab.socket(4)
        before = len(self.seen(sock))
        sock.sendto(credential, (GATEWAY4, UDP_PORT))
        wait_for(lambda: len(self.seen(sock)) > before)
        return " ".join(self.seen(sock)[before:]) or "nothing"

    def insist(self, credential, sock):
        """Its first verdict; sent again until there is one, as senders do where packets get lost."""
        before = len(self.seen(sock))

        def is_seen():
            sock.sendto(credential, (GATEWAY4, UDP_PORT))
            deadline = time.monotonic() + 1
            while len(self.seen(sock)) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            return len(self.seen(sock)) > before

        wait_for(is_seen)
        # The second copy may have been shown before the first.
        wait_for(lambda: set(self.seen(sock)[before:]) - {"replayed"})
        return next((v for v in self.seen(sock)[before:] if v != "replayed"), "nothing")

    def accepted(self, credential):
        """How often a credential was ever accepted."""
        node, = struct.unpack_from(">I", credential, 12)
        serial, = struct.unpack_from(">Q", credential, 24)
        return sum((r["node"], int(r["serial"]), r["verdict"]) == (node, serial, "accepted")
                   for r in list(self.records))

    def from_ports(self, credential, count=PORTS):
        """Verdicts of the same bytes from that many ports, counted."""
        sockets = [self.lab.socket(4) for _ in range(count)]

        def is_seen():
            """Again from whom there is no verdict of yet: what gets lost attacks nobody."""
            for sock in sockets:
                if not self.seen(sock):
                    sock.sendto(credential, (GATEWAY4, UDP_PORT))
            deadline = time.monotonic() + 1
            while not all(map(self.seen, sockets)) and time.monotonic() < deadline:
                time.sleep(0.02)
            return all(map(self.seen, sockets))

        wait_for(is_seen)
        return dict(collections.Counter(min(self.seen(sock), default="nothing")
                                        for sock in sockets))

    def pid(self):
        return self.lab.json("status")["dataplane"]["pid"]

    def genuine(self, key):
        return self.lab.credgate("send", "--key", key, GATEWAY4, ns=self.lab.node_ns,
                                 check=False).returncode


def dataplane_kill(ground, key):
    """Kills it; returns when another one judges."""
    pid = ground.pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: ground.lab.is_running() and ground.pid() != pid)
    wait_for(lambda: ground.genuine(key) == 0)


# ---- captured packets ----

def captured(ground, checks, key):
    """The same bytes again: from other ports, after a crash, after a stop, after a kill."""
    lab = ground.lab
    plain, asking = lab.mint(key), lab.mint(key, reply=True)
    checks.check("captured, raced from 64 ports: one is accepted",
                 {"accepted": 1, "replayed": PORTS - 1}, ground.from_ports(plain))
    ground.send(asking)
    checks.check("captured with a wish for a reply: likewise", {"replayed": PORTS},
                 ground.from_ports(asking))
    again = {"replayed": 2 * PORTS}

    def both(count=PORTS):
        counts = collections.Counter(ground.from_ports(plain, count))
        counts.update(ground.from_ports(asking, count))
        return dict(counts)

    dataplane_kill(ground, key)
    checks.check("captured, after the dataplane was killed", again, both())
    lab.stop_daemon()
    lab.start_daemon()
    ground.attach()
    checks.check("captured, after credgated was stopped and started", again, both())
    lab.daemon.kill()
    lab.daemon.wait()
    lab.start_daemon()
    ground.attach()
    # Few: what is refused unproved is shown as far as its source has a budget.
    checks.check("captured, after credgated was killed", {"floor": 16}, both(8))
    checks.check("captured: accepted once in all that time", (1, 1),
                 (ground.accepted(plain), ground.accepted(asking)))
    wait_for(lambda: ground.genuine(key) == 0)
    checks.check("captured: and genuine ones are accepted again", 0, ground.genuine(key))


class SecondGateway(Lab):
    """Of the same realm, with the master of the first, and audiences that the first has not. Its
    nodes may be behind a relay (origin: claimed)."""

    def __init__(self, build, first):
        super().__init__(build, realm_audiences=["storage"], group_audiences=["storage"])
        self.first = first
        for name in ("gateway_ns", "node_ns", "gateway_if", "node_if"):
            setattr(self, name, getattr(self, name) + "b")

    def write_config(self):
        super().write_config()
        disjoint(self)
        replace(self, "origin: strict", "origin: claimed")

    def start_daemon(self):
        master = os.path.join(self.state_dir, "lab.master")
        shutil.copy(os.path.join(self.first.state_dir, "lab.master"), master)
        os.chown(master, CONTROL_UID, CONTROL_UID)
        super().start_daemon()


def replace(lab, old, new):
    with open(lab.config_file, encoding="utf-8") as file:
        text = file.read()
    with open(lab.config_file, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def disjoint(lab):
    """As gateways of one realm that do not share windows must be configured."""
    replace(lab, "audience_any: true", "audience_any: false")
    replace(lab, "audiences: [any, ", "audiences: [")


class FirstGateway(Lab):
    def write_config(self):
        super().write_config()
        disjoint(self)


def elsewhere(checks, build):
    """What one gateway accepted means nothing to the other, and what names none is for nobody."""
    with FirstGateway(build, realm_audiences=["scheduler"], group_audiences=["scheduler"]) as first, \
            SecondGateway(build, first) as second:
        one, two = Ground(first), Ground(second)
        key, same = first.add_node("n001"), second.add_node("n001")
        with open(key, encoding="ascii") as a, open(same, encoding="ascii") as b:
            checks.check("two gateways: one key is good at both", True, a.read() == b.read())
        for name, audience, expected in (
                ("for the first", AUDIENCE_SCHEDULER, ("accepted", "wrong-audience")),
                ("for the second", AUDIENCE_STORAGE, ("wrong-audience", "accepted")),
                ("for whoever", 0, ("wrong-audience", "wrong-audience"))):
            credential = first.mint(key, audience=audience)
            checks.check(f"two gateways: {name}, sent to both", expected,
                         (one.send(credential), two.send(credential)))
        claimed_prefix(two, checks, key)


def claimed_prefix(ground, checks, key):
    """Where packets may come from anywhere, the signed origin must still be the node's."""
    lab = ground.lab
    checks.check("claimed: the node's origin, through a relay", "accepted", ground.send(
        lab.mint(key, audience=AUDIENCE_STORAGE, origin=NODE4), relay(lab)))
    checks.check("claimed: another origin under a stolen key", "wrong-origin", ground.send(
        lab.mint(key, audience=AUDIENCE_STORAGE, origin=THIEF4), relay(lab)))


def relay(lab):
    """A socket of another address than the node's."""
    if THIEF4 not in lab.old_ports:
        ip("addr", "add", f"{THIEF4}/24", "dev", lab.node_if, ns=lab.node_ns)
        lab.old_ports[THIEF4] = True
    return lab.socket(4, bind=THIEF4)


# ---- changes on the way ----

def middle(ground, checks, key):
    """One bit of any field turned over, or a byte less or more: refused, and nothing is marked."""
    credential = ground.lab.mint(key, payload="a job of twenty-four by.", uid=1000, reply=True)
    begun, sock, sent = unproved(ground), ground.lab.socket(4), []
    for begin, size in FIELDS.values():
        for bit in range(8 * begin, 8 * (begin + size)):
            changed = bytearray(credential)
            changed[bit // 8] ^= 1 << bit % 8
            sent.append(bytes(changed))
    sent += [credential[:-1], credential + b"\0", credential[:64], credential[:80]]
    for number, changed in enumerate(sent):
        sock.sendto(changed, (GATEWAY4, UDP_PORT))
        if number % 16 == 15:
            time.sleep(0.002)
    checks.check("middle: every bit was turned over", 8 * len(credential) + 4, len(set(sent)))
    wait_for(lambda: unproved(ground) - begun >= len(sent))
    checks.check("middle: not one of them is proved", len(sent), unproved(ground) - begun)
    checks.check("middle: nor is one answered", False, is_answered(sock))
    checks.check("middle: nor did one mark the serial", "accepted", ground.send(credential))


def unproved(ground):
    return sum(sum(worker["unproved"].values()) for worker in ground.lab.json("status")["workers"])


def is_answered(sock):
    sock.setblocking(False)
    try:
        return sock.recv(2048) != b""
    except BlockingIOError:
        return False


# ---- addresses and keys of others ----

class Forger(threading.Thread):
    """Forged credentials of a node under its own address, as fast as they can be sent."""

    def __init__(self, ground, credential, source):
        super().__init__(daemon=True)
        self.template, self.sent, self.over = bytearray(credential), 0, False
        self.sends = [ground.lab.spoof(source, port) for port in range(20000, 20016)]
        self.start()

    def run(self):
        serial, = struct.unpack_from(">Q", self.template, 24)
        while not self.over:
            self.sent += 1
            struct.pack_into(">Q", self.template, 24, serial + self.sent)
            # The usual shape and one that a beacon has, by turns; the tag is that of neither.
            self.template[5] = 1 + self.sent % 2
            self.sends[self.sent % 16](bytes(self.template))
            if self.sent % 64 == 0:
                time.sleep(0.002)

    def stop(self):
        self.over = True
        self.join()


def spoofed_while_down(ground, checks):
    """A node is down, somebody floods under its address; then it comes up, and is served at once."""
    lab = ground.lab
    key = lab.add_node("down", prefixes=[DOWN4])
    template = bytearray(lab.mint(key, origin=DOWN4, reply=True))
    template[-1] ^= 1
    begun, forger = unproved(ground), Forger(ground, template, DOWN4)
    enough = wait_for(lambda: unproved(ground) - begun >= FORGED_MIN)
    checks.check("spoofed: the flood reaches the gateway", True, enough)
    member, = [m for m in lab.json("members", "lab")["members"] if m["name"] == "down"]
    checks.check("spoofed: to the member table the node was never there", ("silent", None),
                 (member["state"], member["address4"]))
    ip("addr", "add", f"{DOWN4}/24", "dev", lab.node_if, ns=lab.node_ns)
    # A new port each time: a verdict that comes late is then nobody else's.
    got = [ground.insist(lab.mint(key, origin=DOWN4), lab.socket(4, bind=DOWN4))
           for _ in range(10)]
    checks.check("spoofed: amid the flood the genuine node is served, every time",
                 ["accepted"] * 10, got)
    asking, sock = lab.mint(key, origin=DOWN4, reply=True), lab.socket(4, bind=DOWN4)
    ground.insist(asking, sock)
    checks.check("spoofed: and answered", True, wait_for(lambda: is_answered(sock)))
    forger.stop()
    print(f"  {forger.sent} forged credentials")


def stolen_key(ground, checks, key):
    """A copy of a key on another machine: neither its own nor the node's address helps it."""
    lab, thief = ground.lab, relay(ground.lab)
    copy = os.path.join(lab.keys_dir, "stolen.key")
    shutil.copy(key, copy)
    checks.check("stolen key: with the thief's address", "wrong-origin",
                 ground.send(lab.mint(copy, origin=THIEF4), thief))
    checks.check("stolen key: with the node's address, from the thief's", "wrong-origin",
                 ground.send(lab.mint(copy, origin=NODE4), thief))
    checks.check("stolen key: with the node's other address", "wrong-origin",
                 ground.send(lab.mint(copy, origin=NODE6), thief))
    other = lab.add_node("n002")
    swapped = bytearray(lab.mint(other))
    swapped[12:16] = struct.pack(">I", 1)
    checks.check("another node's key does not speak for this one", "bad-tag",
                 ground.send(bytes(swapped)))
    checks.check("the node itself is served", 0, ground.genuine(key))


def is_stopped(pid):
    """Every thread: one that still runs may take what is sent, long after kill() has returned."""
    states = set()
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        with open(path, encoding="ascii") as file:
            states.add(file.read().rpartition(")")[2].split()[0])
    return states == {"T"}


def revoked_while_queued(ground, checks):
    """Credentials that wait in front of a stopped dataplane when their node is thrown out."""
    lab = ground.lab
    key = lab.add_node("leaver")
    lines = lab.credgate("mint", "--key", key, "--text", "--count", 200, "--origin", NODE4).stdout
    batch = [Traffic.decode(line) for line in lines.split()]
    checks.check("queued: the node is served", "accepted", ground.send(batch[0]))
    sock, pid = lab.socket(4), ground.pid()
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: is_stopped(pid))
    for credential in batch[1:]:
        sock.sendto(credential, (GATEWAY4, UDP_PORT))
    revoked = lab.credgate("node", "revoke", "lab", "leaver", check=False).returncode
    os.kill(pid, signal.SIGCONT)
    checks.check("queued: revoked while they wait", 0, revoked)
    wait_for(lambda: ground.pid() != pid or len(ground.seen(sock)) >= 20)
    wait_for(lambda: lab.is_running())
    counts = collections.Counter(ground.seen(sock))
    checks.check("queued: what waited is refused", ({"revoked"}, pid), (set(counts), ground.pid()))
    late, other = lab.mint(key), lab.socket(4)

    def is_told():
        # Once in a while only: what is not proved is shown as far as its source has a budget.
        other.sendto(late, (GATEWAY4, UDP_PORT))
        time.sleep(0.5)
        return ground.seen(other)

    checks.check("queued: and so is what comes later", True,
                 wait_for(is_told) and set(ground.seen(other)) == {"revoked"})


# ---- a gateway that is none ----

def false_gateway(ground, checks, key):
    """Whoever answers in the gateway's place without its keys is not believed."""
    lab = ground.lab
    genuine = lab.socket(4)
    asking = lab.mint(key, reply=True)
    genuine.sendto(asking, (GATEWAY4, UDP_PORT))
    recorded = genuine.recv(2048)
    for name, make in (
            ("a recorded answer to another request", lambda request: recorded),
            ("that with this request's tag", lambda request: recorded[:40] + request[-16:] +
             recorded[56:]),
            ("the request itself", lambda request: request),
            ("noise", lambda request: os.urandom(len(recorded)))):
        false = FalseGateway(lab, make)
        code = lab.credgate("send", "--key", key, f"{THIEF4}:{false.port}", "--timeout", 300,
                            ns=lab.node_ns, check=False).returncode
        false.stop()
        checks.check(f"false gateway: {name} is not believed", (1, True),
                     (code, false.answered > 0))


class FalseGateway(threading.Thread):
    def __init__(self, lab, make):
        super().__init__(daemon=True)
        self.sock, self.make, self.answered, self.over = relay(lab), make, 0, False
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while not self.over:
            try:
                request, asker = self.sock.recvfrom(2048)
            except TimeoutError:
                continue
            self.sock.sendto(self.make(request), asker)
            self.answered += 1

    def stop(self):
        self.over = True
        self.join()


# ---- what lies on disks ----

def old_registry(ground, checks):
    """A registry from before a revocation, put back: the node stays out. And a thief of it has no key."""
    lab = ground.lab
    key = lab.add_node("gone")
    checks.check("old registry: the node is served", "accepted", ground.send(lab.mint(key)))
    lab.stop_daemon()
    registry = os.path.join(lab.state_dir, "registry.db")
    backup = os.path.join(lab.dir, "registry.backup")
    shutil.copy2(registry, backup)
    with open(backup, "rb") as file, open(key, "rb") as key_file, \
            open(os.path.join(lab.state_dir, "lab.master"), "rb") as master:
        text, node_key = file.read(), Traffic.decode(key_file.read().strip())[12:44]
        checks.check("old registry: holds the node, and no key or master", (True, False, False),
                     (b"gone" in text, node_key in text, master.read() in text))
    lab.start_daemon()
    lab.credgate("node", "revoke", "lab", "gone")
    lab.stop_daemon()
    for name in glob.glob(registry + "*"):
        os.unlink(name)
    shutil.copy2(backup, registry)
    os.chown(registry, CONTROL_UID, CONTROL_UID)
    lab.start_daemon()
    ground.attach()
    checks.check("old registry put back: the node stays out", "revoked",
                 ground.send(lab.mint(key)))
    checks.check("old registry put back: said loudly", True, "gone" in lab.log())


def test(build):
    checks = Checks()
    with Lab(build, workers=2) as lab:
        ground = Ground(lab)
        key = lab.add_node("n001")
        captured(ground, checks, key)
        middle(ground, checks, key)
        spoofed_while_down(ground, checks)
        stolen_key(ground, checks, key)
        revoked_while_queued(ground, checks)
        false_gateway(ground, checks, key)
        old_registry(ground, checks)
    elsewhere(checks, build)
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
