#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""credgate-dataplane alone, under the least control there can be (mini_control): set-up, ports,
neighbours, verdicts, replies, privileges, telemetry, being killed, and what it says when it cannot
start."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, GATEWAY6, NODE4, NODE6, Checks, LabError, run_test  # noqa: E402

UID = 61002
HEARTBEAT_MS_MAX = 5000  # each 100 ms, where the machine has the time
HUGEPAGES_NEEDED = 40  # of 2 MB: 64 MB and what EAL keeps for itself
PROGRAMS = ("tests/smoke/mini_control", "dataplane/credgate-dataplane")
AF_PACKET = "net_af_packet0,iface={interface},qpairs={{queues}}"


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.returncode == 0


class Ground:
    """Two network namespaces and a veth pair; the gateway's end has no addresses."""

    def __init__(self):
        tag = os.getpid() % 100000
        self.gateway, self.node = f"cdg{tag}", f"cdn{tag}"

    def __enter__(self):
        run("ip", "netns", "add", self.gateway)
        run("ip", "netns", "add", self.node)
        run("ip", "link", "add", self.gateway, "netns", self.gateway, "type", "veth",
            "peer", "name", self.node, "netns", self.node)
        run("ip", "netns", "exec", self.gateway, "sh", "-c",
            f"echo 1 > /proc/sys/net/ipv6/conf/{self.gateway}/disable_ipv6")
        run("ip", "-n", self.gateway, "link", "set", self.gateway, "up")
        run("ip", "-n", self.node, "addr", "add", f"{NODE4}/24", "dev", self.node)
        run("ip", "-n", self.node, "addr", "add", f"{NODE6}/64", "dev", self.node, "nodad")
        run("ip", "-n", self.node, "link", "set", self.node, "up")
        return self

    def __exit__(self, *_):
        run("ip", "netns", "del", self.gateway, check=False)
        run("ip", "netns", "del", self.node, check=False)


class Mini:
    """mini_control in the gateway's namespace; one line asked, one line answered."""

    def __init__(self, build, ground, devargs, workers=1, *more, sleep_us=100):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", ground.gateway,
             os.path.join(build, "tests", "smoke", "mini_control"),
             os.path.join(build, "dataplane", "credgate-dataplane"),
             devargs.format(interface=ground.gateway), ground.node, str(UID), str(workers),
             str(sleep_us), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)


def started(answer):
    """(word, milliseconds, pid, text) of an answer to start."""
    head, _, text = answer.partition(": ")
    word, ms, _, _, pid = head.split()
    return word, int(ms), int(pid), text


def status_of(pid):
    """What the kernel says of each thread: (name, privileges left)."""
    left = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in
                      open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") if ":\t" in line)
        ids = {*fields["Uid"].split(), *fields["Gid"].split()}
        caps = {fields[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
        if ids != {str(UID)} or caps != {"0" * 16} or fields["Groups"].strip() or \
                fields["NoNewPrivs"] != "1" or fields["Seccomp"] != "2":
            left.append((fields["Name"], ids, caps))
    return left


def telemetry(pid, command):
    """One command of DPDK's telemetry socket."""
    folder = next(f for f in os.listdir("/var/run/dpdk")
                  if owns(f"/var/run/dpdk/{f}/dpdk_telemetry.v2", pid))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(2)
        sock.connect(f"/var/run/dpdk/{folder}/dpdk_telemetry.v2")
        sock.recv(4096)
        sock.send(command.encode())
        return json.loads(sock.recv(65536))[command.partition(",")[0]]


def owns(path, pid):
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(2)
            sock.connect(path)
            return json.loads(sock.recv(4096))["pid"] == pid
    except OSError:
        return False


def refusals(build, ground, checks):
    """What cannot start says why in one line, and ends with 1."""
    cases = [
        ("no such interface", "net_af_packet0,iface=nosuch0", 1,
         "port lan: there is no interface 'nosuch0' here"),
        ("no interface named", "net_af_packet0", 1, "names no interface: add iface=NAME"),
        ("too few queues", "net_af_packet0,iface={interface}", 2,
         "has 1 receive and 1 transmit queues, 2 workers need one each"),
        ("no folder for a socket",
         "net_memif0,role=server,id=0,socket=/nosuch/x.sock,socket-abstract=no", 1,
         "port lan: cannot make the memif socket '/nosuch/x.sock': No such file or directory"),
        ("no such driver", "net_nosuch0", 1, "port lan: DPDK does not take device 'net_nosuch0'"),
    ]
    for case, devargs, workers, expected in cases:
        with Mini(build, ground, devargs, workers) as mini:
            word, _, _, text = started(mini("start"))
            checks.check(f"{case}: failed", "failed", word)
            checks.check(f"{case}: says why", expected, expected if expected in text else text)
            checks.check(f"{case}: exit code", "exit 1", mini("hangup"))


def verdicts(mini, checks, workers):
    serial = mini("send").split()[1]
    checks.check("fresh: record", f"accepted serial {serial} uid 1000 worker {workers - 1}",
                 mini("record"))
    checks.check("fresh: reply proves", "accepted", mini("reply"))
    mini("again")
    checks.check("same bytes again: reply", "duplicate", mini("reply"))
    mini("forge")
    checks.check("forged: no record", "none", mini("record"))
    checks.check("forged: no reply", "none", mini("reply"))
    first = int(mini("send 100").split()[1])
    records = [mini("record") for _ in range(100)]
    checks.check("a hundred, each once, in order", True,
                 records == [f"accepted serial {first + n} uid 1000 worker {workers - 1}"
                             for n in range(100)])
    checks.check("sleeping reader", "woken", mini("futex"))
    checks.check("sleeping reader: record", "accepted", mini("record").split()[0])


def neighbours(ground, checks):
    for address in (GATEWAY4, GATEWAY6):
        checks.check(f"ping {address}", True, run(
            "ip", "netns", "exec", ground.node, "ping", "-c", "2", "-i", "0.2", "-W", "2", address,
            check=False))


def life(build, ground, checks, workers):
    print(f"{workers} worker(s)")
    with Mini(build, ground, AF_PACKET, workers) as mini:
        word, _, pid, text = started(mini("start"))
        checks.check("starts", "ready", word)
        if word != "ready":
            raise LabError(f"the dataplane did not start: {text}")
        checks.check("names its port", True, "port lan up" in text)
        checks.check("threads with privileges left", [], status_of(pid))
        neighbours(ground, checks)
        verdicts(mini, checks, workers)
        counts = telemetry(pid, "/credgate/verdicts")
        checks.check("telemetry: accepted", 102, counts["proved"]["accepted"])
        checks.check("telemetry: bad tag", 1, counts["unproved"]["bad_tag"])
        checks.check("telemetry: answered", True,
                     telemetry(pid, "/credgate/stats")["neighbour_answered"] >= 4)
        serial = mini("send").split()[1]
        time.sleep(0.1)
        checks.check("killed", "signal 9", mini("kill"))
        checks.check("what it accepted is still there", serial, mini("record").split()[2])
        word, ms, pid, _ = started(mini("start"))
        checks.check("starts again on the same memory", "ready", word)
        print(f"  ready again after {ms} ms", flush=True)
        mini("again")
        checks.check("knows what it accepted before", "duplicate", mini("reply"))
        checks.check("no second record", "none", mini("record"))
        checks.check("stops when asked", "exit 0", mini("stop"))
        checks.check("is down then", "0", mini("stats").split()[1])
        started(mini("start"))
        age = int(mini("stats").split()[3])
        checks.check("heartbeat is fresh", True, age <= HEARTBEAT_MS_MAX)
        checks.check("stops when control is gone", "exit 0", mini("hangup"))


def hugepages(build, ground, checks):
    with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as file:
        free = int(file.read())
    with Mini(build, ground, AF_PACKET, 1, "hugepages") as mini:
        word, _, _, text = started(mini("start"))
        if free < HUGEPAGES_NEEDED:
            checks.check("without hugepages: says so", True,
                         word == "failed" and "hugepages free" in text)
            return
        checks.check("with hugepages: starts", "ready", word)
        mini("send")
        checks.check("with hugepages: record", "accepted", mini("record").split()[0])
        mini("kill")
        checks.check("with hugepages: starts again", "ready", started(mini("start"))[0])
        checks.check("with hugepages: stops", "exit 0", mini("stop"))


def unprivileged(build, ground, checks):
    """Started by an ordinary user on a device that needs no privilege, it still confines itself."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        # The build may lie where only root comes.
        os.chmod(folder, 0o755)
        programs = [shutil.copy(os.path.join(build, name), folder) for name in PROGRAMS]
        unprivileged_in(programs, ground, checks)


def unprivileged_in(programs, ground, checks):
    mini, program = programs
    done = subprocess.run(
        [mini, program, "net_null0", "-", str(UID), "1", "100"], input="start\nstop\n",
        capture_output=True, text=True, user=UID, group=UID, extra_groups=[], check=False)
    lines = done.stdout.splitlines() + ["", ""]
    checks.check("unprivileged: starts", "ready", lines[0].split(" ")[0])
    checks.check("unprivileged: stops", "exit 0", lines[1])
    done = subprocess.run(
        [mini, program, f"net_af_packet0,iface={ground.gateway}", "-", str(UID), "1", "100"],
        input="start\nstop\n", capture_output=True, text=True, user=UID, group=UID,
        extra_groups=[], check=False)
    checks.check("unprivileged: a port that needs privilege says so", True,
                 "port lan: " in done.stdout and done.stdout.startswith("failed"))


def test(build):
    build = os.path.abspath(build)
    for name in PROGRAMS:
        if not os.path.exists(os.path.join(build, name)):
            raise LabError(f"{build}/{name} is not there: run 'make build' first")
    checks = Checks()
    with Ground() as ground:
        refusals(build, ground, checks)
        for workers in (1, 2):
            life(build, ground, checks, workers)
        hugepages(build, ground, checks)
        unprivileged(build, ground, checks)
    return checks


sys.exit(run_test(__doc__, test))
