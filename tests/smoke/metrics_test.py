#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of a running gateway: counters move as credentials are sent, survive the dataplane, are
what Prometheus' own parser takes, and slow clients of theirs hurt nobody. The log is JSON."""

import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, UDP_PORT, Checks, Lab, run_test, with_field  # noqa: E402

PORT = 9475
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')


def fetch(lab, request=b"GET /metrics HTTP/1.1\r\nHost: lab\r\n\r\n"):
    """(status line, body)"""
    sock = lab.connect(PORT, request)
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    sock.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), body.decode()


def scrape(lab):
    """All samples: {(name, sorted labels): value}. The page is made anew each 0.2 s at most."""
    time.sleep(0.3)
    samples = {}
    for line in fetch(lab)[1].splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            samples[name, tuple(sorted(LABEL.findall(labels or "")))] = float(value)
    return samples


def total(samples, name, **labels):
    return sum(value for (sample, own), value in samples.items()
               if sample == name and set(labels.items()) <= set(own))


def moves(lab, checks, key):
    before = scrape(lab)
    for _ in range(3):
        lab.credgate("send", "--key", key, GATEWAY4, ns=lab.node_ns)
    forged = with_field(lab.mint(key), 24, ">Q", 1 << 40)
    sock = lab.socket()
    for _ in range(5):
        sock.sendto(forged, (GATEWAY4, UDP_PORT))
    after = scrape(lab)

    def moved(name, **labels):
        return int(total(after, name, **labels) - total(before, name, **labels))

    checks.check("accepted, proved", 3,
                 moved("credgate_credentials_total", verdict="accepted", proved="yes"))
    checks.check("forged, not proved", 5,
                 moved("credgate_credentials_total", verdict="bad-tag", proved="no"))
    checks.check("the realm's accepted", 3, moved(
        "credgate_realm_credentials_total", realm="lab", verdict="accepted", proved="yes"))
    checks.check("replies", 3, moved("credgate_replies_total", result="sent"))
    checks.check("frames", True, moved("credgate_received_frames_total") >= 8)
    checks.check("the dataplane runs", 1, int(total(
        after, "credgate_dataplane_state", credgate_dataplane_state="running")))
    checks.check("nodes", 1, int(total(after, "credgate_nodes", realm="lab", state="live")))
    checks.check("consumers", 0, int(total(after, "credgate_consumers", group="jobs")))
    lab.credgate("node", "add", "lab", "n[100-199]")
    many = scrape(lab)
    checks.check("a hundred nodes more", 101,
                 int(total(many, "credgate_nodes", realm="lab", state="live")))
    checks.check("no series more", set(after) ^ set(many), set())


def drains(lab, checks):
    """Two nodes get new keys: one of them was just heard under its old one, the other never."""
    lab.credgate("node", "rotate", "lab", "n001", "n100")
    end = time.monotonic() + 30
    expected = {"in-use": 1, "silent": 1, "moved": 0}
    while True:
        samples = scrape(lab)
        got = {state: int(total(samples, "credgate_drain_nodes", realm="lab", state=state))
               for state in expected}
        if got == expected or time.monotonic() > end:
            break
    checks.check("the drain is told", expected, got)


def parser(lab, checks):
    """Prometheus' own, where it is installed (python3-prometheus-client)."""
    sys.path.append("/usr/lib/python3/dist-packages")  # whichever Python this is
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    except ImportError:
        print("  no prometheus_client here: only our own reader was asked")
        return
    families = list(text_string_to_metric_families(fetch(lab)[1]))
    checks.check("Prometheus' parser takes it", True, len(families) > 30)


def survives(lab, checks, key):
    """A dead dataplane takes no counter with it."""
    before = scrape(lab)
    os.kill(lab.json("status")["dataplane"]["pid"], signal.SIGKILL)
    end = time.monotonic() + 30
    while lab.credgate("send", "--key", key, GATEWAY4, "--timeout", 200, ns=lab.node_ns,
                       check=False).returncode and time.monotonic() < end:
        pass
    after = scrape(lab)
    for name in ("credgate_credentials_total", "credgate_realm_credentials_total"):
        checks.check(f"{name} grew", True, total(after, name) > total(before, name))
    checks.check("nothing fell", [], [key for key in before if key[0].endswith("_total")
                                      and after.get(key, -1) < before[key]])
    checks.check("the restart is counted", 1, int(
        total(after, "credgate_dataplane_restarts_total")))


def hostile(lab, checks, key):
    """Sixty who hold on to their connections."""
    slow = [lab.connect(PORT, b"GET /metrics HT") for _ in range(30)]
    slow += [lab.connect(PORT, b"\x00\xff" * 100) for _ in range(30)]
    checks.check("others are served", "HTTP/1.1 200 OK", fetch(lab)[0])
    checks.check("credentials are judged", 0, lab.credgate(
        "send", "--key", key, GATEWAY4, ns=lab.node_ns, check=False).returncode)
    checks.check("another path", "HTTP/1.1 404 Not Found: metrics are at /metrics",
                 fetch(lab, b"GET /secrets HTTP/1.1\r\n\r\n")[0])
    ended = 0
    for sock in slow:
        sock.settimeout(30)
        try:
            while sock.recv(4096):
                pass
            ended += 1
        except ConnectionError:
            ended += 1
        except TimeoutError:
            pass
    checks.check("all of them are hung up on", len(slow), ended)
    checks.check("they were counted", True,
                 total(scrape(lab), "credgate_metrics_requests_total", result="refused") > 0)


def log_lines(lab, checks):
    """Each line of credgated's is an object; the dataplane's own say whose they are."""
    with open(lab.log_file, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("credgate-dataplane: ")]
    objects = [json.loads(line) for line in lines]
    checks.check("log lines are JSON", True, len(objects) > 5)
    checks.check("each with what it must have", True, all(
        {"time", "level", "object", "message"} <= set(line) for line in objects))
    ended = [line for line in objects if line["object"] == "dataplane" and "restarts" in line]
    checks.check("the dataplane's death has its numbers", [("error", 1)],
                 [(line["level"], line["restarts"]) for line in ended])


def test(build):
    checks = Checks()
    with Lab(build, extra=f'metrics: {{listen: "127.0.0.1:{PORT}"}}\nlog: json\n') as lab:
        key = lab.add_node("n001")
        moves(lab, checks, key)
        drains(lab, checks)
        parser(lab, checks)
        survives(lab, checks, key)
        hostile(lab, checks, key)
        log_lines(lab, checks)
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
