#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hostile input: floods of rubbish and forgeries, rubbish on every socket, a consumer that wants to
write. The gateway keeps its process, its state and its genuine nodes' service."""

import array
import json
import mmap
import os
import random
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (CONSUMER_UID, GATEWAY4, NODE4, UDP_PORT, Checks, Lab, run_test,  # noqa: E402
                 with_field)

FLOOD = 20000


def counters(lab):
    """Sums over workers: (proved, unproved) by verdict name."""
    proved, unproved = {}, {}
    for worker in lab.json("status")["workers"]:
        for total, part in ((proved, worker["proved"]), (unproved, worker["unproved"])):
            for name, count in part.items():
                total[name] = total.get(name, 0) + count
    return proved, unproved


def flood(lab, make):
    """Sends FLOOD datagrams from 16 sockets, paced so that the link is not what loses them."""
    sockets = [lab.socket(4) for _ in range(16)]
    for number in range(FLOOD):
        sockets[number % 16].sendto(make(number), (GATEWAY4, UDP_PORT))
        if number % 64 == 63:
            time.sleep(0.001)
    time.sleep(0.3)
    return sockets


def genuine(lab, key):
    return lab.credgate("send", "--key", key, GATEWAY4, ns=lab.node_ns, check=False).returncode


def rubbish(lab, checks, key):
    noise = random.Random(1)
    flood(lab, lambda number: noise.randbytes(noise.randrange(0, 1400)))
    _, unproved = counters(lab)
    checks.check("rubbish gets its verdict", True, unproved.get("malformed", 0) > FLOOD // 2)
    checks.check("genuine service goes on", 0, genuine(lab, key))


def forgeries(lab, checks, key):
    """Forged credentials of a known node with serials far ahead: they move nothing."""
    victim = lab.mint(key, reply=True)
    serial = struct.unpack_from(">Q", victim, 24)[0]
    before, _ = counters(lab)
    sockets = flood(lab, lambda n: with_field(victim, 24, ">Q", serial + 1 + n * 1000))
    after, unproved = counters(lab)
    checks.check("forgeries are bad tags, unproved", True,
                 unproved.get("bad-tag", 0) > FLOOD // 2)
    checks.check("nothing was accepted for them", before.get("accepted", 0),
                 after.get("accepted", 0))
    answered = 0
    for sock in sockets:
        sock.setblocking(False)
        try:
            answered += len(sock.recv(2048))
        except BlockingIOError:
            pass
    checks.check("nobody was answered", 0, answered)
    checks.check("the window did not move: the genuine one is fresh", 0, genuine(lab, key))


def admin_rubbish(lab, checks, key):
    path = os.path.join(lab.run_dir, "admin.sock")
    noise = random.Random(2)
    for data in (b"\n", b"{}\n", b"[]\n", b"{\"verb\": 1}\n", b"{\"verb\": \"no.such\"}\n",
                 b"{\"verb\": \"node.add\", \"args\": []}\n", b"\xff\xfe\x00\n",
                 b"{\"verb\": \"node.add\", \"args\": {\"realm\": \"lab\", \"name\": \"\"}}\n",
                 b"[" * 100000 + b"\n", noise.randbytes(4000) + b"\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(3)
            sock.connect(path)
            sock.sendall(data)
            answer = b""
            try:
                while not answer.endswith(b"\n"):
                    part = sock.recv(65536)
                    if not part:
                        break
                    answer += part
            except TimeoutError:
                pass
            if answer and data.strip():
                first = json.loads(answer.splitlines()[0])
                checks.check(f"admin: {data[:20]!r} is an error", False, first["ok"])
    idle = []
    for _ in range(60):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        sock.sendall(b"{\"verb\":")
        idle.append(sock)
    checks.check("admin: half requests do not block others", 0,
                 lab.credgate("status", check=False).returncode)
    for sock in idle:
        sock.close()
    checks.check("genuine service goes on", 0, genuine(lab, key))


def admin_half_line(lab):
    """A request that is begun and never ended."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(os.path.join(lab.run_dir, "admin.sock"))
    sock.sendall(b"{")
    return sock


def is_closed(sock, until):
    """Closed by time `until`? More bytes of the same line, now and then, must not keep it open."""
    sock.settimeout(0.5)
    while time.monotonic() < until:
        try:
            sock.sendall(b" ")
            if sock.recv(1) == b"":
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
    return False


def attach(lab, group, what=1):
    """The attach protocol by hand (docs/shared-memory.md): ring descriptors and sizes."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(3)
    sock.connect(os.path.join(lab.run_dir, "consumer.sock"))
    sock.send(struct.pack("=8sII32s", b"CGATTCH1", 1, what, group))
    data, control, _, _ = sock.recvmsg(4096, socket.CMSG_SPACE(16 * 4))
    fds = array.array("i")
    for level, kind, body in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(body[:len(body) - len(body) % fds.itemsize])
    status, count = struct.unpack_from("=iI", data, 12)
    sizes = struct.unpack_from(f"={count}Q", data, 24)
    return sock, status, list(fds), sizes


def consumer_that_writes(lab, checks):
    """In a child with the consumer's uid: every way to a writable mapping must fail."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(CONSUMER_UID, CONSUMER_UID, CONSUMER_UID)
        os.setresuid(CONSUMER_UID, CONSUMER_UID, CONSUMER_UID)
        os.write(writer, json.dumps(attempts(lab)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        got = json.loads(pipe.read() or "{}")
    os.waitpid(child, 0)
    checks.check("consumer: attaches and may only read",
                 {"attach": 0, "map": "refused", "reopen": "refused", "shrink": "refused",
                  "read": "CGVRING1"}, got)


def attempts(lab):
    _, status, fds, sizes = attach(lab, b"jobs")
    got = {"attach": status}

    def attempt(name, action):
        try:
            action()
            got[name] = "done"
        except OSError:
            got[name] = "refused"

    attempt("map", lambda: mmap.mmap(fds[0], sizes[0], mmap.MAP_SHARED,
                                     mmap.PROT_READ | mmap.PROT_WRITE))
    attempt("reopen", lambda: os.open(f"/proc/self/fd/{fds[0]}", os.O_RDWR))
    attempt("shrink", lambda: os.ftruncate(fds[0], 0))
    view = mmap.mmap(fds[0], sizes[0], mmap.MAP_SHARED, mmap.PROT_READ)
    got["read"] = view[:8].decode()
    return got


def attach_rubbish(lab, checks, key):
    path = os.path.join(lab.run_dir, "consumer.sock")
    noise = random.Random(3)
    for data in (b"x", noise.randbytes(48), noise.randbytes(5000),
                 struct.pack("=8sII32s", b"CGATTCH1", 1, 9, b"jobs"),
                 struct.pack("=8sII32s", b"CGATTCH1", 7, 1, b"jobs"),
                 struct.pack("=8sII32s", b"CGATTCH1", 1, 1, b"A" * 32)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(1)
            sock.connect(path)
            sock.send(data)
            try:
                reply = sock.recv(4096)
            except (TimeoutError, ConnectionError):
                reply = b""
            refused = not reply or struct.unpack_from("=i", reply, 12)[0] != 0
            checks.check(f"attach: {data[:12]!r} is refused", True, refused)
    checks.check("genuine service goes on", 0, genuine(lab, key))


def nested_file(lab, checks):
    """A reload of brackets within brackets is refused before it costs anything."""
    with open(lab.config_file, "rb") as file:
        good = file.read()
    with open(lab.config_file, "wb") as file:
        file.write(good.replace(b"audience_any: true", b"audience_any: " + b"[" * 60000))
    lab.daemon.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    begun = time.monotonic()
    checks.check("nested file: status is answered", 0,
                 lab.credgate("status", check=False).returncode)
    checks.check("nested file: at once", True, time.monotonic() - begun < 2)
    with open(lab.config_file, "wb") as file:
        file.write(good)


def crowd_of_strangers(lab, checks):
    """Nine uids that may read nothing, each with all the connections it gets."""
    children = []
    for uid in range(70000, 70009):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            socks = []
            for _ in range(70):
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                sock.settimeout(1)
                try:
                    sock.connect(os.path.join(lab.run_dir, "consumer.sock"))
                except OSError:
                    pass
                socks.append(sock)
            os.read(reader, 1)
            os._exit(0)
        os.close(reader)
        children.append((pid, writer))
    time.sleep(1)
    stream = lab.watch("--group", "jobs")
    time.sleep(1)
    checks.check("a crowd of strangers: the reader attaches", None, stream.process.poll())
    stream.stop()
    for pid, writer in children:
        os.write(writer, b"x")
        os.close(writer)
        os.waitpid(pid, 0)


def test(build):
    checks = Checks()
    with Lab(build) as lab:
        key = lab.add_node("n001")
        checks.check("genuine before it all", 0, genuine(lab, key))
        before = lab.json("status")["dataplane"]
        begun, half_line = time.monotonic(), admin_half_line(lab)
        rubbish(lab, checks, key)
        forgeries(lab, checks, key)
        admin_rubbish(lab, checks, key)
        attach_rubbish(lab, checks, key)
        consumer_that_writes(lab, checks)
        nested_file(lab, checks)
        crowd_of_strangers(lab, checks)
        checks.check("admin: a line that does not end is dropped", True,
                     is_closed(half_line, max(begun + 12, time.monotonic() + 1)))
        after = lab.json("status")["dataplane"]
        checks.check("same dataplane process, never restarted",
                     (before["pid"], before["restarts"]), (after["pid"], after["restarts"]))
        checks.check("node address as configured", True, NODE4 in json.dumps(
            lab.json("node", "list", "lab")))
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
