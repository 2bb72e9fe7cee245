#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two ports of different drivers in one gateway (af_packet on veth, TAP), with 2 MB hugepages where
the machine has room for them, DPDK's own telemetry, and interfaces that go down, away and come
back."""

import fcntl
import glob
import json
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, UDP_PORT, Checks, Lab, ip, run_test  # noqa: E402

TAP_GATEWAY4, TAP_NODE4 = "10.78.0.1", "10.78.0.2"
PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB"
PAGES_LOCK = "/run/credgate-hugepages.lock"
PAGES_WANTED = 320
TAP_PORT = """\
  - name: tap
    driver: tap
    interface: cgtap0
    addresses: [{address}/24]
    udp_port: {port}
"""


class Hugepages:
    """Adds 2 MB pages for the test and takes as many away again: under a lock, since others add
    their own meanwhile (perf/e2e_rig.py)."""

    def __enter__(self):
        self.added = self.change(PAGES_WANTED)
        return self.read("free_hugepages") >= PAGES_WANTED

    def __exit__(self, *_):
        self.change(-self.added)

    def change(self, by):
        """Returns by how much the count really grew."""
        with open(PAGES_LOCK, "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read("nr_hugepages")
            with open(f"{PAGES}/nr_hugepages", "w", encoding="ascii") as file:
                file.write(str(max(0, before + by)))
            return self.read("nr_hugepages") - before

    @staticmethod
    def read(name):
        with open(f"{PAGES}/{name}", encoding="ascii") as file:
            return int(file.read())


def tap_side(lab, checks, key, accepted):
    ip("addr", "add", f"{TAP_NODE4}/24", "dev", "cgtap0", ns=lab.gateway_ns)
    ip("link", "set", "cgtap0", "up", ns=lab.gateway_ns)
    done = lab.credgate("send", "--key", key, TAP_GATEWAY4, ns=lab.gateway_ns, check=False)
    checks.check("tap port: accepted and answered", 0, done.returncode)
    sock = lab.socket(4, ns=lab.gateway_ns, bind=TAP_NODE4)
    credential = lab.mint(key, origin=TAP_NODE4)
    sock.sendto(credential, (TAP_GATEWAY4, UDP_PORT))
    checks.check("tap port: a consumer reads it", 1, len(accepted.find(*sock.getsockname())))
    done = subprocess.run(["ip", "netns", "exec", lab.gateway_ns, "ping", "-c", "1", "-W", "2",
                           TAP_GATEWAY4], capture_output=True)
    checks.check("tap port: ping", 0, done.returncode)


def telemetry(checks):
    """DPDK's telemetry socket is left on and answers with our counters."""
    for path in glob.glob("/var/run/dpdk/*/dpdk_telemetry.v2*") + \
            glob.glob("/run/dpdk/*/dpdk_telemetry.v2*"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(2)
            try:
                sock.connect(path)
            except OSError:
                continue
            sock.recv(1024)
            sock.send(b"/credgate/stats")
            answer = json.loads(sock.recv(16384))
            checks.check("telemetry answers /credgate/stats", True, "/credgate/stats" in answer)
            return
    checks.check("a telemetry socket is there", True, False)


def accepted_within(lab, key, seconds):
    """Sends until a credential is accepted and answered; the reply proves it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done = lab.credgate("send", "--key", key, GATEWAY4, ns=lab.node_ns, check=False)
        if done.returncode == 0:
            return True
        time.sleep(0.1)
    return False


def said(lab, text):
    """How many lines of the log have `text`?"""
    with open(lab.log_file, encoding="utf-8", errors="replace") as file:
        return sum(text in line for line in file)


def said_within(lab, text, seconds, count=1):
    """Are there `count` such lines before time is up?"""
    deadline = time.monotonic() + seconds
    while said(lab, text) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return said(lab, text) >= count


def dataplane_pid(lab):
    return lab.json("status")["dataplane"]["pid"]


def interface_index(lab):
    done = subprocess.run(["ip", "-n", lab.gateway_ns, "-o", "link", "show", "dev",
                           lab.gateway_if], capture_output=True, text=True, check=True)
    return done.stdout.partition(":")[0]


def links(build, checks):
    """A link that is down is said and waited for; the same dataplane goes on."""
    with Lab(build) as lab:
        key = lab.add_node("n001")
        pid = dataplane_pid(lab)
        name = f"port lan: interface {lab.gateway_if}"
        checks.check("link: accepted before", True, accepted_within(lab, key, 5))
        for turn in (1, 2):
            ip("link", "set", lab.gateway_if, "down", ns=lab.gateway_ns)
            checks.check(f"link {turn}: said to be down", True,
                         said_within(lab, f"{name} is down", 3, turn))
            ip("link", "set", lab.gateway_if, "up", ns=lab.gateway_ns)
            checks.check(f"link {turn}: said to be up", True,
                         said_within(lab, f"{name} is up again", 3, turn))
            checks.check(f"link {turn}: accepted again", True, accepted_within(lab, key, 10))
        ip("link", "set", lab.node_if, "down", ns=lab.node_ns)
        checks.check("carrier: said to be lost", True,
                     said_within(lab, f"{name} has no carrier", 5))
        ip("link", "set", lab.node_if, "up", ns=lab.node_ns)
        checks.check("carrier: said to be back", True,
                     said_within(lab, f"{name} is up again", 5, 3))
        checks.check("links: no more was said than happened", (2, 1),
                     (said(lab, f"{name} is down"), said(lab, f"{name} has no carrier")))
        checks.check("carrier: accepted again", True, accepted_within(lab, key, 10))
        checks.check("links: the same process all along", pid, dataplane_pid(lab))


def interface_lost(build, checks):
    """An interface that is deleted ends the dataplane, and one that comes back is served again; the
    second time it comes at once and with the number of the one that went."""
    with Lab(build) as lab:
        key = lab.add_node("n001")
        name = f"port lan: interface {lab.gateway_if}"
        pid = dataplane_pid(lab)
        checks.check("lost: accepted before", True, accepted_within(lab, key, 5))
        for turn, pause_s in ((1, 2), (2, 0)):
            same = ["index", interface_index(lab)] if turn == 2 else []
            ip("link", "del", lab.gateway_if, ns=lab.gateway_ns)
            time.sleep(pause_s)
            if pause_s:
                checks.check("lost: said why it restarts", True,
                             said_within(lab, f"{name} was deleted", 3))
                checks.check("lost: not said to be running", False, lab.is_running())
                checks.check("lost: said what it waits for",
                             True, lab.json("status")["dataplane"]["last_exit"].startswith(
                                 f"port lan: there is no interface '{lab.gateway_if}' here"))
            lab.make_link(*same)
            checks.check(f"lost {turn}: accepted again", True, accepted_within(lab, key, 15))
            checks.check(f"lost {turn}: said once each", turn, said(lab, f"{name} was deleted"))
        checks.check("lost: another process", True, pid != dataplane_pid(lab))
        checks.check("lost: credgated lived on", None, lab.daemon.poll())


def taps(build, checks):
    """A TAP device that is deleted is made again; in another namespace it still is ours."""
    ports = TAP_PORT.format(address=TAP_GATEWAY4, port=UDP_PORT)
    with Lab(build, extra_ports=ports) as lab:
        pid = dataplane_pid(lab)
        ip("link", "set", "cgtap0", "netns", lab.node_ns, ns=lab.gateway_ns)
        ip("addr", "add", f"{TAP_NODE4}/24", "dev", "cgtap0", ns=lab.node_ns)
        ip("link", "set", "cgtap0", "up", ns=lab.node_ns)
        time.sleep(1)
        done = subprocess.run(["ip", "netns", "exec", lab.node_ns, "ping", "-c", "1", "-W", "2",
                               TAP_GATEWAY4], capture_output=True)
        checks.check("tap in another namespace: ping", 0, done.returncode)
        checks.check("tap in another namespace: the same process", pid, dataplane_pid(lab))
        ip("link", "del", "cgtap0", ns=lab.node_ns)
        checks.check("tap deleted: said", True,
                     said_within(lab, "port tap: interface cgtap0 was deleted", 3))
        deadline = time.monotonic() + 10
        while not lab.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)
        checks.check("tap deleted: made again by another process", True,
                     dataplane_pid(lab) not in (0, pid))
        ip("link", "show", "dev", "cgtap0", ns=lab.gateway_ns)


def serve(build, checks, hugepages):
    ports = TAP_PORT.format(address=TAP_GATEWAY4, port=UDP_PORT)
    with Lab(build, hugepages=hugepages, extra_ports=ports) as lab:
        key = lab.add_node("n001", prefixes=(TAP_NODE4, "10.77.0.2"))
        accepted = lab.watch("--group", "jobs")
        time.sleep(0.5)
        done = lab.credgate("send", "--key", key, GATEWAY4, ns=lab.node_ns, check=False)
        checks.check(f"hugepages {hugepages}: af_packet port accepts and answers", 0,
                     done.returncode)
        checks.check(f"hugepages {hugepages}: said by status", hugepages == "yes",
                     lab.json("status")["dataplane"]["hugepages"])
        tap_side(lab, checks, key, accepted)
        telemetry(checks)


def test(build):
    checks = Checks()
    serve(build, checks, "no")
    links(build, checks)
    interface_lost(build, checks)
    taps(build, checks)
    with Hugepages() as have_pages:
        if have_pages:
            serve(build, checks, "yes")
        else:
            print("  no room for 2 MB pages here: hugepages not tried")
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
