#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures credgate beside what people use today, in one run: munged, and plain recvmmsg validators
with OpenSSL (the same credentials, AES-CMAC) and libsodium (crypto_auth instead of the tag).

Rows (perf/peers/ says how each peer works and what it leaves out):
  peers/munge/encode            cg_mint, one call per credential  | munge_encode by remunge
  peers/munge/encode+decode     cg_mint, then the path in memory  | munge_encode, munge_decode
    .../threads-N               the same with N clients; without: the number munged does best with
  peers/recvmmsg-LIBRARY/memory the path in memory (sealed)       | the validator's judgement alone
  peers/recvmmsg-LIBRARY/drain  CPU time per accepted credential out of a full kernel queue: the
                                gateway on af_packet              | the validator on its socket
                                (sending and queueing apart, as queue_ns in extra)
  peers/recvmmsg-LIBRARY/flood  accepted per second while one sender sends flat out, over veth;
                                without a ratio where the sender was credgate's limit

munged answers over a socket and holds the key; credgate's mint is a call into a library that holds
the node's. That is the difference between the designs, and part of what is measured."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from statistics import median

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))
sys.dont_write_bytecode = True
from munged import Munged, Unavailable  # noqa: E402
from veth import Ground, LabError, Wrong  # noqa: E402

SKIPPED = 77  # exit code: nothing could be measured here
NODES = 4096
PATH_ROW = "path/accepted/96/4096"
LIBRARIES = {"openssl": "cmac128", "sodium": "hmac"}
SENDER_LIMIT = 0.9
DRAIN_COUNT, FLOOD_COUNT, FLOOD_COUNT_QUICK = 100000, 400000, 200000


class Say:
    """Progress on standard error, with the seconds gone."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)


class Programs:
    """Where the programs of a build folder are."""

    def __init__(self, build):
        self.build = os.path.abspath(build)

    def __call__(self, name):
        folder = "perf/peers" if name.startswith("peer-") else "perf"
        path = os.path.join(self.build, folder, name)
        if not os.path.exists(path):
            raise Unavailable(f"{path} is not there: run 'make build' first")
        return path

    def json(self, name, *arguments, lines=True):
        """What a program reports: its only JSON line, or all its output."""
        done = subprocess.run([self(name), *map(str, arguments)], capture_output=True, text=True,
                              check=False, timeout=120)
        if done.returncode:
            raise Wrong(f"{name}: {done.stderr.strip() or f'exit {done.returncode}'}")
        return json.loads(done.stdout.splitlines()[-1] if lines else done.stdout)


class Series:
    """Ours and the peer's, measured in turn: a row once there is a pair."""

    def __init__(self, name, unit, peer_name, **extra):
        self.name, self.unit, self.peer_name, self.extra = name, unit, peer_name, extra
        self.ours, self.peers, self.figures = [], [], {}

    def add(self, ours, peer, **figures):
        self.ours.append(ours)
        self.peers.append(peer)
        for key, value in figures.items():
            self.figures.setdefault(key, []).append(value)

    def ratios(self):
        """How many times as good as the peer: time per credential is better when less."""
        pairs = zip(self.ours, self.peers)
        return [peer / ours if self.unit == "ns" else ours / peer for ours, peer in pairs]

    def row(self, name=None, is_comparison=True):
        """Without a ratio if the figures tell of something else than the two."""
        runs = self.ratios() if is_comparison else []
        return {"name": name or self.name, "unit": self.unit, "ours": round(median(self.ours), 6),
                "peer": round(median(self.peers), 6), "peer_name": self.peer_name,
                "ratio": round(median(runs), 4) if runs else None,
                "runs": [round(run, 4) for run in runs],
                "ours_runs": self.ours, "peer_runs": self.peers,
                "extra": {**self.extra, **{k: median(v) for k, v in self.figures.items()}}}


def is_limit(sent_per_s, rate):
    """Was the sender the limit? What it sends beyond is queued, or lost."""
    return rate > SENDER_LIMIT * sent_per_s


def is_sender_bound(series):
    """Of a flood: then it says what the sender can do, not what we can."""
    sent = series.figures.get("sender")
    return sent is not None and is_limit(median(sent), median(series.ours))


class Bench:
    def __init__(self, options, say):
        self.options, self.say = options, say
        self.programs = Programs(options.build)
        self.path_runs, self.mint_runs = [], []

    # ---- credgate's own ----

    def path_ns(self):
        """One more run of the whole path in memory, one core, sealed credentials of 96 bytes."""
        seconds = 0.1 if self.options.quick else 0.3
        report = self.programs.json(
            "credgate-bench-path", f"--benchmark_filter=^{PATH_ROW}(/|$)",
            f"--benchmark_min_time={seconds}", "--benchmark_repetitions=1",
            "--benchmark_report_aggregates_only=false", "--benchmark_format=json", lines=False)
        rows = [row for row in report["benchmarks"] if row.get("ns")]
        if not rows:
            raise Unavailable(f"credgate-bench-path has no row {PATH_ROW}")
        return rows[0]["ns"]

    def mint_rate(self, threads):
        report = self.programs.json("peer-mint", "--threads", threads,
                                    "--ms", 150 if self.options.quick else 500)
        return report["minted"] / report["elapsed_s"]

    # ---- munged ----

    def munge(self):
        """Rows by number of clients, and of the number that munged does best with."""
        amount = {"count": 4000} if self.options.quick else {"seconds": 1}
        threads = (1, 2, 4) if self.options.quick else (1, 2, 3, 4)
        with Munged() as munged:
            peer = f"munged {munged.version().removeprefix('munge-')}"
            series = {(decode, count): Series(
                f"peers/munge/{'encode+decode' if decode else 'encode'}", "M/s", peer,
                clients=count) for decode in (False, True) for count in threads}
            for run in range(self.options.runs):
                self.say(f"munged and cg_mint, run {run + 1} of {self.options.runs}")
                path_ns = self.path_ns()
                self.munge_run(munged, series, path_ns, amount)
        for decode in (False, True):
            same = [one for (is_decode, _), one in series.items() if is_decode == decode]
            yield max(same, key=lambda one: median(one.peers)).row()
            for one in same:
                yield one.row(f"{one.name}/threads-{one.extra['clients']}")

    def munge_run(self, munged, series, path_ns, amount):
        one_ns = 1e9 / self.mint_rate(1)
        for (decode, threads), one in series.items():
            peer = munged.rate(decode, threads, **amount) / 1e6
            if decode:  # one after the other, on one core, however many clients munged has
                one.add(1e3 / (one_ns + path_ns), peer, mint_ns=one_ns, path_ns=path_ns)
            else:
                one.add(self.mint_rate(threads) / 1e6, peer)

    # ---- validators in memory ----

    def memory(self):
        seconds = 0.0 if self.options.quick else 1.0
        series = {library: Series(f"peers/recvmmsg-{library}/memory", "ns",
                                  f"judgement with {library}", nodes=NODES)
                  for library in LIBRARIES}
        for run in range(self.options.runs):
            self.say(f"in memory, run {run + 1} of {self.options.runs}")
            for library, one in series.items():
                report = self.programs.json(f"peer-recvmmsg-{library}", "--memory", "--nodes",
                                            NODES, "--seconds", int(seconds))
                one.add(self.path_ns(), report["ns"])
        return [one.row() for one in series.values()]

    # ---- validators on sockets ----

    def sockets(self):
        if os.geteuid() != 0:
            raise Unavailable("needs root for network namespaces and a packet port: use sudo")
        if len(os.sched_getaffinity(0)) < 2:
            raise Unavailable("needs two CPUs, one for the sender")
        self.programs("peer-send")
        nodes = NODES // 16 if self.options.quick else NODES
        self.say(f"starting a gateway with {nodes} nodes")
        try:
            with Ground(self.options.build, self.programs, nodes) as ground:
                return self.sockets_on(ground)
        except LabError as error:
            raise Unavailable(str(error)) from None

    def sockets_on(self, ground):
        count = FLOOD_COUNT_QUICK if self.options.quick else FLOOD_COUNT
        series = {}
        for library in LIBRARIES:
            peer = f"recvmmsg, {library}"
            series["drain", library] = Series(f"peers/recvmmsg-{library}/drain", "ns", peer,
                                              nodes=ground.nodes)
            series["flood", library] = Series(f"peers/recvmmsg-{library}/flood", "M/s", peer,
                                              nodes=ground.nodes)
        for run in range(self.options.runs):
            self.say(f"sockets and af_packet, run {run + 1} of {self.options.runs}")
            ours_drain = ground.gateway_drain(DRAIN_COUNT)
            ours_flood = ground.gateway_flood(count)
            for library, scheme in LIBRARIES.items():
                peer = ground.socket_drain(library, scheme, DRAIN_COUNT)
                series["drain", library].add(ours_drain["ns"], peer["ns"],
                                             queue_ns=ours_drain["queue_ns"],
                                             peer_queue_ns=peer["queue_ns"])
                self.add_flood(series["flood", library], ours_flood,
                               ground.socket_flood(library, scheme, count))
        return [one.row(is_comparison=not is_sender_bound(one)) for one in series.values()]

    @staticmethod
    def add_flood(series, ours, peer):
        series.add(ours["rate"] / 1e6, peer["rate"] / 1e6,
                   sender=ours["sent_per_s"] / 1e6, sender_peer=peer["sent_per_s"] / 1e6,
                   lost=ours["lost"], lost_peer=peer["lost"])

    def run(self):
        """All rows, with what is left out, and what went wrong, one line each."""
        rows, skipped, wrong = [], [], []
        for name, measure in (("peers/munge", self.munge), ("peers/recvmmsg/memory", self.memory),
                              ("peers/recvmmsg/drain, flood", self.sockets)):
            try:
                rows += measure()
            except Unavailable as why:
                skipped.append(f"{name}: skipped: {why}")
                self.say(skipped[-1])
            except (Wrong, subprocess.TimeoutExpired) as why:
                wrong.append(f"{name}: FAILED: {why}")
                self.say(wrong[-1])
        return rows, skipped, wrong


# ---- output ----

def table(rows):
    head = ("row", "ours", "peer", "unit", "ratio", "least", "most", "peer is")
    lines = [head] + [
        (row["name"], f"{row['ours']:.4g}", f"{row['peer']:.4g}", row["unit"],
         *(f"{ratio:.3g}" for ratio in (row["ratio"], min(row["runs"]), max(row["runs"]))),
         row["peer_name"]) if row["runs"] else
        (row["name"], f"{row['ours']:.4g}", f"{row['peer']:.4g}", row["unit"], "-", "-", "-",
         row["peer_name"]) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(text.rjust(width) if 1 <= i <= 6 and i != 3 else text.ljust(width)
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip())
    print("\nratio: how many times as good as the peer, median of runs. ns: CPU time of the "
          "receiver, per\naccepted credential. No ratio: the sender was the limit.")


def limits(rows):
    """What the ratios do not say: who was the limit of a flood, and what the kernel did before."""
    for row in rows:
        extra, name = row["extra"], row["name"]
        if name.endswith("/flood"):
            for who, rate, sent, lost in (
                    ("credgate", row["ours"], extra["sender"], extra["lost"]),
                    (row["peer_name"], row["peer"], extra["sender_peer"], extra["lost_peer"])):
                limit = "sender" if is_limit(sent, rate) else "receiver"
                print(f"{name}: {who}: the {limit} was the limit (sent {sent:.3f} M/s, "
                      f"lost {lost:.0f})")
        if name.endswith("/drain"):
            print(f"{name}: before that, the sender's CPU spent {extra['queue_ns']:.0f} ns to send "
                  f"and queue each for credgate (af_packet), {extra['peer_queue_ns']:.0f} ns for "
                  "the socket")


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a number from 1: {text}")
    return int(text)


def arguments():
    parser = argparse.ArgumentParser(prog="perf/peers.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", metavar="FOLDER", help="build folder (build)")
    parser.add_argument("--quick", action="store_true", help="about 15 s: two short runs of each")
    parser.add_argument("--runs", type=positive, metavar="N", help="runs of each (5; quick: 2)")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of a table")
    options = parser.parse_args()
    options.runs = options.runs or (2 if options.quick else 5)
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is put away
    rows, skipped, wrong = Bench(options, Say()).run()
    if not rows and not wrong:
        print(skipped[-1], file=sys.stderr)
        return SKIPPED
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        table(rows)
        limits(rows)
        for line in skipped:
            print(line)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
