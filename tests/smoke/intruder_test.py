#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Programs of the gateway machine in wrong hands: a dataplane that reads what it should not and fills
its memory with rubbish, a consumer that wants to write, to read another group, or to stand in the
way, an admin client that takes all places. And a clock that is put back under a running gateway."""

import glob
import hashlib
import mmap
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crash_test import Traffic  # noqa: E402
from hostile_test import attach  # noqa: E402
from lab import (CONSUMER_UID, CONTROL_UID, DATAPLANE_UID, GATEWAY4, NODE4,  # noqa: E402
                 REALM_ID, UDP_PORT, Checks, Lab, LabError, now_us, run_test)

ADMIN_UID, STRANGER_UID, OTHER_UID = 61021, 61099, 61022
PATIENCE_S = 30
RING_SLOTS = 16384
RUBBISH_ROUNDS = 12
FORBIDDEN = 32 + 14
OTHER_GROUP = f"""\
  - name: other
    realms: [lab]
    audiences: [storage]
    reader: {{uid: {OTHER_UID}, gid: {OTHER_UID}}}
admins: {{uids: [{ADMIN_UID}]}}
"""


def wait_for(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def genuine(lab, key):
    return lab.credgate("send", "--key", key, GATEWAY4, ns=lab.node_ns, check=False).returncode


def until_genuine(lab, key):
    """Exit code of send, once it is 0 or time is up."""
    wait_for(lambda: genuine(lab, key) == 0)
    return genuine(lab, key)


def as_uid(uid, attempts):
    """Runs attempts() in a child of that uid without groups; its dictionary of what became of it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writer, repr(attempts()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return eval(text) if text else None  # pylint: disable=eval-used


def outcome(action):
    try:
        action()
        return "done"
    except (OSError, ValueError) as error:
        return "refused" if not isinstance(error, ValueError) else f"bad call: {error}"


# ---- what a dataplane holds ----

def kdf(size, number, context, key):
    """crypto_kdf of libsodium (docs/wire-format.md)."""
    return hashlib.blake2b(digest_size=size, key=key, salt=struct.pack("<QQ", number, 0),
                           person=context.ljust(16, b"\0")).digest()


def memory_holds(pid, needles):
    """Which of the needles lie somewhere in the memory of a process."""
    found = set()
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            # Nothing is as large as the shadow memory of a sanitizer.
            if line.split()[1][0] != "r" or "[v" in line or end - begin > 1 << 36:
                continue
            found |= holds_between(memory, begin, end, needles)
    return found


def holds_between(memory, begin, end, needles, step=16 << 20):
    found, tail = set(), b""
    for at in range(begin, end, step):
        try:
            memory.seek(at)
            data = tail + memory.read(min(step, end - at))
        except (OSError, ValueError, OverflowError):
            break
        found |= {name for name, needle in needles.items() if needle in data}
        tail = data[-64:]
    return found


def secrets_of(lab):
    with open(os.path.join(lab.state_dir, "lab.master"), "rb") as file:
        master = file.read()
    realm = kdf(32, REALM_ID, b"CGC1rlm_", master)
    node = kdf(32, (1 << 32) + 1, b"CGC1node", realm)
    return {"master": master, "realm key": realm, "node key": node,
            "request tag key": kdf(16, 3 * 256 + 1, b"CGC1keys", node)}


def dataplane_reads(lab, checks):
    """A taken-over dataplane has the keys of live epochs, and nothing they were made from."""
    pid = lab.json("status")["dataplane"]["pid"]
    checks.check("dataplane: of all secrets its memory holds", {"request tag key"},
                 memory_holds(pid, secrets_of(lab)))
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    checks.check("dataplane: no capability, none to be had, filtered",
                 ("0" * 16, "0" * 16, "0" * 16, "1", "2"),
                 tuple(fields[name] for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs",
                                                 "Seccomp")))
    control = lab.daemon.pid
    paths = {"state": lab.state_dir, "master": os.path.join(lab.state_dir, "lab.master"),
             "registry": os.path.join(lab.state_dir, "registry.db"),
             "memory of credgated": f"/proc/{control}/mem"}

    def attempts():
        got = {name: outcome(lambda: os.open(path, os.O_RDONLY)) for name, path in paths.items()}
        got["descriptors of credgated"] = outcome(lambda: os.listdir(f"/proc/{control}/fd"))
        got["a signal to credgated"] = outcome(lambda: os.kill(control, signal.SIGTERM))
        got["admin socket"] = admin_answers(lab)
        got["a group's rings"] = attaches(lab, b"jobs")
        return got

    expected = {**dict.fromkeys([*paths, "descriptors of credgated", "a signal to credgated"],
                                "refused"), "admin socket": False, "a group's rings": False}
    checks.check("dataplane: its user reaches nothing", expected, as_uid(DATAPLANE_UID, attempts))


def admin_answers(lab):
    """Does credgated answer a question of this process?"""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(3)
            sock.connect(os.path.join(lab.run_dir, "admin.sock"))
            sock.sendall(b"{\"verb\": \"status\"}\n")
            return sock.recv(16) != b""
    except OSError:
        return False


def attaches(lab, group, what=1):
    """Is this process given rings?"""
    try:
        return attach(lab, group, what)[1] == 0
    except (OSError, struct.error):
        return False


# ---- what a dataplane writes ----

def shared_objects(lab):
    """The shared memory of the gateway by name, opened as root can: for reading and writing."""
    objects = {}
    for path in glob.glob(f"/proc/{lab.daemon.pid}/fd/*"):
        match = re.match(r"/memfd:(credgate-[a-z]+)", os.readlink(path))
        if match:
            objects.setdefault(match.group(1), []).append(os.open(path, os.O_RDWR))
    return objects


def sealed(lab, checks):
    """What the dataplane may only read nobody but credgated can write, whatever descriptor he has."""
    objects = shared_objects(lab)
    got = {}
    for name, fds in objects.items():
        fd = fds[0]
        got[name] = (outcome(lambda: mmap.mmap(fd, 4096, mmap.MAP_SHARED,
                                               mmap.PROT_READ | mmap.PROT_WRITE).close()),
                     outcome(lambda: os.ftruncate(fd, 4096)))
    checks.check("keys: not to be mapped for writing, not to be cut", ("refused", "refused"),
                 got.get("credgate-keys"))
    checks.check("members: likewise", ("refused", "refused"), got.get("credgate-members"))
    checks.check("what the dataplane writes is not to be cut",
                 {name: ("done", "refused") for name in WRITABLE},
                 {name: got.get(name) for name in WRITABLE})
    close_all(objects)


WRITABLE = ("credgate-stats", "credgate-replay", "credgate-meters", "credgate-delivery",
            "credgate-refusals")


def close_all(objects):
    for fds in objects.values():
        for fd in fds:
            os.close(fd)


class Object:
    """One memfd that a dataplane may write, as it was before it was spoilt."""

    def __init__(self, name, fd):
        size = os.fstat(fd).st_size
        self.view = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.is_ring = name in ("credgate-delivery", "credgate-refusals")
        self.size, self.head = size, self.view[:64]

    def mend(self):
        """Far enough that readers attach: the line that is checked then, and for rings an empty one."""
        self.view[:64] = self.head
        if self.is_ring:
            self.view[RING_RESERVED:RING_RESERVED + 16] = struct.pack("=QQ", 0, 0)

    def noise(self, noise, kind):
        if kind == 0:
            self.view[64:] = b"\xff" * (self.size - 64)
        elif kind == 1:
            for _ in range(20000):
                at = noise.randrange(self.size // 8) * 8
                self.view[at:at + 8] = struct.pack("=Q", 1 << noise.randrange(64))
        else:
            self.view[:] = noise.randbytes(self.size)

    def forge(self, noise):
        """A ring full of records that are where they say, and otherwise of any content and size."""
        count = min(struct.unpack_from("=I", self.head, 12)[0], FORGED_RECORDS)
        slots = bytearray(noise.randbytes(64 * count))
        for position in range(count):
            struct.pack_into("=I", slots, 64 * position, position + 1)
            if position % 2 == 0:
                struct.pack_into("=H", slots, 64 * position + 58, noise.randrange(1137))
        self.view[4096:4096 + len(slots)] = bytes(slots)
        self.view[RING_RESERVED:RING_RESERVED + 16] = struct.pack("=QQ", count, count)


RING_RESERVED, FORGED_RECORDS = 64, 8000


def rubbish_write(objects, noise, number):
    """Into all that a dataplane may write: noise, ones, single bits, well-formed nonsense."""
    for one in objects:
        if one.is_ring and number % 2 == 0:
            one.forge(noise)
        else:
            one.noise(noise, number // 2 % 3)


def questions(lab, number):
    """Everything that credgated tells of this memory, and changes that need its dataplane."""
    name = f"x{number:03}"
    for arguments in (("status",), ("status", "--json"), ("node", "list", "lab"),
                      ("node", "clones", "lab", "--json"), ("members", "--json"), ("limits", "lab"),
                      ("realm", "drain", "lab"), ("realm", "would", "lab"), ("realm", "list"),
                      ("node", "add", "lab", name), ("node", "rotate", "lab", name),
                      ("node", "suspend", "lab", name), ("node", "revoke", "lab", name)):
        yield arguments, lab.credgate(*arguments, check=False).returncode


def metrics_end(lab):
    """Whether metrics come whole."""
    text = b""
    try:
        with lab.connect(9475, b"GET /metrics HTTP/1.0\r\n\r\n") as sock:
            while part := sock.recv(65536):
                text += part
    except OSError:
        return False
    return text.endswith(b"# EOF\n")


class Reader:
    """A consumer's program that reads on, whatever it reads; attached again if told to."""

    def __init__(self, lab, *arguments):
        self.process = subprocess.Popen(
            [lab.consumer_program(), *arguments, "--run-dir", lab.run_dir, "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            user=CONSUMER_UID, group=CONSUMER_UID, extra_groups=[], cwd="/")

    def was_killed(self):
        """By a signal of its own making: a fault, an assertion."""
        return (self.process.poll() or 0) < 0

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def rubbish(lab, checks, key):
    pid, noise = lab.daemon.pid, random.Random(4)
    opened = shared_objects(lab)
    objects = [Object(name, fd) for name in WRITABLE for fd in opened[name]]
    answered, killed, metrics, attached = set(), 0, set(), set()
    for number in range(RUBBISH_ROUNDS):
        for one in objects:
            one.mend()
        readers = [Reader(lab, "watch", "--group", "jobs"), Reader(lab, "watch", "--refused"),
                   Reader(lab, "members", "--watch")]
        time.sleep(0.3)
        attached.add(tuple(reader.process.poll() for reader in readers))
        rubbish_write(objects, noise, number)
        answered |= {(arguments, code) for arguments, code in questions(lab, number)
                     if code not in (0, 1, 3)}
        metrics.add(metrics_end(lab))
        killed += sum(reader.was_killed() for reader in readers)
        for reader in readers:
            reader.end()
    checks.check("rubbish in all that a dataplane writes: every question is answered", set(),
                 answered)
    checks.check("rubbish: metrics come whole", {True}, metrics)
    checks.check("rubbish: consumers are there to read it", {(None, None, None)}, attached)
    checks.check("rubbish: no consumer dies of it", 0, killed)
    checks.check("rubbish: credgated is the same process, and well", (None, pid),
                 (lab.daemon.poll(), lab.json("status")["gateway"]["pid"]))
    close_all(opened)
    lab.stop_daemon()
    windows = os.path.join(lab.state_dir, "windows")
    if os.path.exists(windows):
        os.unlink(windows)
    lab.start_daemon()
    checks.check("rubbish: without the spoilt windows all is well again", 0, until_genuine(lab, key))


# ---- consumers ----

def consumer_elsewhere(lab, checks):
    """What a reader of one group tries beside reading it."""
    def attempts():
        _, status, fds, sizes = attach(lab, b"", 3)
        view = mmap.mmap(fds[0], sizes[0], mmap.MAP_SHARED, mmap.PROT_READ)
        return {
            "members": (status, view[:8].decode()),
            "map members": outcome(lambda: mmap.mmap(
                fds[0], sizes[0], mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)),
            "reopen members": outcome(lambda: os.open(f"/proc/self/fd/{fds[0]}", os.O_RDWR)),
            "cut members": outcome(lambda: os.ftruncate(fds[0], 0)),
            "another group": attaches(lab, b"other"),
            "administer": admin_answers(lab),
            "meters and keys": outcome(lambda: os.listdir(f"/proc/{lab.daemon.pid}/fd"))}

    refused = dict.fromkeys(["map members", "reopen members", "cut members", "meters and keys"],
                            "refused")
    checks.check("consumer: reads its own, and nothing else",
                 {"members": (0, "CGMMEMR1"), **refused, "another group": False,
                  "administer": False}, as_uid(CONSUMER_UID, attempts))
    checks.check("the other group's reader does get it", True,
                 as_uid(OTHER_UID, lambda: attaches(lab, b"other")))


def accepted_count(lab):
    return sum(worker["proved"].get("accepted", 0) for worker in lab.json("status")["workers"])


def consumer_stands_still(lab, checks, key):
    """A consumer that does not read costs what it loses itself, and nobody else anything."""
    still, reading = lab.watch("--group", "jobs"), lab.watch("--group", "jobs")
    time.sleep(0.5)
    still.process.send_signal(signal.SIGSTOP)
    before, sock = accepted_count(lab), lab.socket(4)
    batch = [Traffic.decode(line) for line in lab.credgate(
        "mint", "--key", key, "--text", "--count", RING_SLOTS + 1000, "--origin",
        NODE4).stdout.split()]
    for number, credential in enumerate(batch):
        sock.sendto(credential, (GATEWAY4, UDP_PORT))
        if number % 64 == 63:
            time.sleep(0.004)
    wait_for(lambda: accepted_count(lab) - before >= len(batch))
    checks.check("a consumer stands still: all are accepted", len(batch),
                 accepted_count(lab) - before)
    wait_for(lambda: len(reading.records) >= len(batch))
    checks.check("and the one beside it gets them all", len(batch), len(reading.records))
    still.process.send_signal(signal.SIGCONT)
    last = lab.socket(4)
    last.sendto(lab.mint(key), (GATEWAY4, UDP_PORT))
    checks.check("it reads on when it wakes, less what it lost", (1, True),
                 (len(still.find(*last.getsockname(), timeout=PATIENCE_S)),
                  len(still.records) <= RING_SLOTS))
    still.stop()
    reading.stop()


# ---- admin clients ----

def admin_hostile(lab, checks, key):
    """An admin of the configuration takes all places, with half a line in each; strangers try."""
    def hold():
        path, held = os.path.join(lab.run_dir, "admin.sock"), []
        for _ in range(200):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(1)
            try:
                sock.connect(path)
                sock.sendall(b"{\"verb\":")
                held.append(sock)
            except OSError:
                pass
        return held

    checks.check("admin: a stranger is not answered", False,
                 as_uid(STRANGER_UID, lambda: admin_answers(lab)))
    checks.check("admin: one of the configuration is", True,
                 as_uid(ADMIN_UID, lambda: admin_answers(lab)))
    reader, writer = os.pipe()
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.setgroups([])
        os.setresgid(ADMIN_UID, ADMIN_UID, ADMIN_UID)
        os.setresuid(ADMIN_UID, ADMIN_UID, ADMIN_UID)
        held = hold()
        os.write(told, struct.pack("=I", len(held)))
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    count, = struct.unpack("=I", os.read(ready, 4))
    checks.check("admin: it holds all places", True, count >= 64)
    checks.check("admin: root is served all the same, and may change things", (0, 0),
                 (lab.credgate("status", check=False).returncode,
                  lab.credgate("node", "add", "lab", "beside", check=False).returncode))
    checks.check("admin: credentials are judged", 0, genuine(lab, key))
    os.write(writer, b"x")
    os.close(writer)
    os.waitpid(child, 0)


# ---- files ----

def files_tampered(lab, checks, key):
    """Files that others own or may write are refused, with the cure, and the last good state stays."""
    policy = os.path.join(lab.dir, "policy.yaml")
    with open(policy, "w", encoding="utf-8") as file:
        file.write("rules:\n  - deny: {}\n")

    def refused(case, path, command, change, words):
        before = os.stat(path)
        change()
        done = lab.credgate(*command, check=False)
        said = done.stderr.decode().strip()
        checks.check(f"{case}: refused in one line, with the cure", (1, 1, True),
                     (done.returncode, len(said.splitlines()), words in said))
        if words not in said:
            print(f"    said: {said}")
        os.chown(path, before.st_uid, before.st_gid)
        os.chmod(path, before.st_mode & 0o7777)

    reload, apply = ("reload",), ("policy", "apply", "lab", policy)
    refused("configuration of a stranger", lab.config_file, reload,
            lambda: os.chown(lab.config_file, STRANGER_UID, STRANGER_UID), "chown")
    refused("configuration that others may write", lab.config_file, reload,
            lambda: os.chmod(lab.config_file, 0o666), "chmod go-w")
    refused("policy of a stranger", policy, apply,
            lambda: os.chown(policy, STRANGER_UID, STRANGER_UID), "chown")
    refused("policy that others may write", policy, apply,
            lambda: os.chmod(policy, 0o664), "chmod go-w")
    checks.check("and what was in force stays in force", 0, genuine(lab, key))
    checks.check("the same files, closed again, are taken", (0, 0),
                 (lab.credgate(*reload, check=False).returncode,
                  lab.credgate(*apply, check=False).returncode))
    checks.check("and then hold", FORBIDDEN, genuine(lab, key))
    lab.credgate("policy", "remove", "lab")


# ---- the clock ----

class Clock:
    """The real-time clock of both programs, shifted (clock_shift.c)."""

    def __init__(self, lab):
        self.path = os.path.join(lab.dir, "clock")
        module = os.path.join(lab.build, "tests", "smoke", "clock_shift.so")
        if not os.path.exists(module):
            raise LabError(f"{module} is not there: run 'make build' first")
        with open(self.path, "wb") as file:
            file.write(bytes(8))
        with open(self.path, "r+b") as file:
            self.view = mmap.mmap(file.fileno(), 8)
        environment = {"LD_PRELOAD": module, "CLOCK_SHIFT": self.path}
        wrapper = os.path.join(lab.dir, "dataplane")
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + "".join(
                f"{name}={value} " for name, value in environment.items()) +
                f"exec {lab.program('credgate-dataplane')} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        lab.daemon_environment = environment
        lab.daemon_options = ["--dataplane", wrapper]

    def set(self, seconds):
        self.view[:] = struct.pack("=q", seconds * 10**6)
        time.sleep(0.5)

    def now_us(self):
        return now_us() + struct.unpack("=q", self.view[:])[0]


def verdict_of(lab, credential):
    """What a credential gets, as consumers and observers see it."""
    streams = [lab.watch("--group", "jobs"), lab.watch("--refused")]
    time.sleep(0.5)
    sock, found = lab.socket(4), []
    sock.sendto(credential, (GATEWAY4, UDP_PORT))
    wait_for(lambda: [found.extend(stream.find(*sock.getsockname(), timeout=0))
                      for stream in streams] and found)
    for stream in streams:
        stream.stop()
    return [record["verdict"] for record in found]


def clock_put_back(checks, build):
    lab = Lab(build)
    clock = Clock(lab)
    clock.set(600)
    with lab:
        key = lab.add_node("n001")
        captured = lab.mint(key, issued=clock.now_us(), ttl=60)
        checks.check("clock: accepted once", ["accepted"], verdict_of(lab, captured))
        clock.set(900)
        checks.check("clock: expired later", ["expired"], verdict_of(lab, captured))
        clock.set(600)
        checks.check("clock put back: valid by time, replayed by the window", ["replayed"],
                     verdict_of(lab, captured))
        checks.check("clock put back: steps are counted", True,
                     lab.json("status")["dataplane"]["clock_steps"] >= 2)
        pid = lab.json("status")["dataplane"]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: lab.is_running() and lab.json("status")["dataplane"]["pid"] != pid)
        checks.check("clock put back, dataplane killed: replayed", ["replayed"],
                     verdict_of(lab, captured))
        lab.stop_daemon()
        lab.start_daemon()
        checks.check("clock put back, credgated restarted: replayed", ["replayed"],
                     verdict_of(lab, captured))
        fresh = lab.mint(key, issued=clock.now_us())
        checks.check("clock put back: what is fresh is accepted", ["accepted"],
                     verdict_of(lab, fresh))
        clock.set(300)
        time.sleep(2)
        lab.daemon.kill()
        lab.daemon.wait()
        lab.start_daemon()
        clock.set(600)
        checks.check("clock put back, credgated killed: below the floor of what it had seen",
                     ["floor"], verdict_of(lab, captured))


def test(build):
    checks = Checks()
    with Lab(build, extra=OTHER_GROUP) as lab:
        key = lab.add_node("n001")
        checks.check("genuine before it all", 0, genuine(lab, key))
        dataplane_reads(lab, checks)
        sealed(lab, checks)
        consumer_elsewhere(lab, checks)
        consumer_stands_still(lab, checks, key)
        admin_hostile(lab, checks, key)
        files_tampered(lab, checks, key)
        rubbish(lab, checks, key)
    clock_put_back(checks, build)
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
