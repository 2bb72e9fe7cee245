#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two ports of different drivers in one gateway (af_packet on veth, TAP), with 2 MB hugepages where
the machine has room for them, and DPDK's own telemetry."""

import glob
import json
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, UDP_PORT, Checks, Lab, run_test  # noqa: E402

TAP_GATEWAY4, TAP_NODE4 = "10.78.0.1", "10.78.0.2"
PAGES = "/proc/sys/vm/nr_hugepages"
PAGES_WANTED = 320
TAP_PORT = """\
  - name: tap
    driver: tap
    interface: cgtap0
    addresses: [{address}/24]
    udp_port: {port}
"""


class Hugepages:
    """Reserves 2 MB pages for the test and gives them back."""

    def __enter__(self):
        with open(PAGES, encoding="ascii") as file:
            self.before = int(file.read())
        self.set(max(self.before, PAGES_WANTED))
        with open(PAGES, encoding="ascii") as file:
            return int(file.read()) >= PAGES_WANTED

    def __exit__(self, *_):
        self.set(self.before)

    @staticmethod
    def set(count):
        with open(PAGES, "w", encoding="ascii") as file:
            file.write(str(count))


def tap_side(lab, checks, key, accepted):
    ip = ["ip", "-n", lab.gateway_ns]
    subprocess.run([*ip, "addr", "add", f"{TAP_NODE4}/24", "dev", "cgtap0"], check=True)
    subprocess.run([*ip, "link", "set", "cgtap0", "up"], check=True)
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
    with Hugepages() as have_pages:
        if have_pages:
            serve(build, checks, "yes")
        else:
            print("  no room for 2 MB pages here: hugepages not tried")
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
