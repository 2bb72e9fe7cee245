#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures credgate end to end on this machine: a generator that mints genuine credentials, a link,
the real gateway; beside it, on the same link with the same generator, dpdk-testpmd, which receives
and throws away.

For each link: throughput beside the peer in interleaved pairs, the rate without loss by search
(after RFC 2544, section 26.1), loss flat out, latency to verdict and reply at shares of that rate,
a flood of forgeries, what an idle gateway costs and how fast it wakes. Every credential sent is
accounted for: accepted, refused by a verdict, or counted as dropped on the way. If a genuine one
was refused, or one is missing, the row says so and the exit code is 1.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from statistics import median

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from e2e_rig import (Gateway, Hugepages, Idle, MemifLink, Programs, RigError, Spoilt,  # noqa: E402
                     Testpmd, Unavailable, VethLink, round_trip_ns)
from e2e_trial import Generator, Pair, Trial  # noqa: E402

NODES = 4096
SEARCH_RESOLUTION = 0.02
# A stall of a millisecond fills a ring: the rate without loss is then the ring by the stall.
SEARCH_WAITED_MAX = 0.005
LOADS = (10, 50, 90)  # percent of the rate without loss
FORGED_PERCENT = 90
FLOOD_LOAD = 0.5
TRIES = 6
LINGER = {"linger": 200}  # ms: what is in the link when the generator ends still arrives
PEER = "testpmd rxonly"
LINKS = ("memif", "af_packet", "af_xdp")
LOCK = "/run/credgate-e2e.lock"


class Say:
    """Progress, with the seconds gone."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)


def millions(rate):
    return f"{rate / 1e6:.3f} M/s"


class Bench:
    """One link, the gateway and its peer on it, and the rows measured there."""

    def __init__(self, options, programs, link, gateway, peer, say):
        self.options, self.programs, self.link = options, programs, link
        self.gateway, self.peer, self.say = gateway, peer, say
        self.generator = Generator(programs, link, gateway)
        self.rows, self.wrong, self.made_again = [], [], []

    # ---- rows ----

    def row(self, name, unit, ours, peer=None, ratio=None, runs=(), trials=(), peer_name=PEER,
            **extra):
        """Adds a row. Of the trials it was made of, what is wrong with one is wrong with it."""
        wrong = sorted({text for trial in trials for text in trial.wrong()})
        if wrong:
            extra["wrong"] = wrong
            self.wrong += [f"{name}: {text}" for text in wrong]
        self.rows.append({
            "name": name, "unit": unit, "ours": ours, "peer": peer,
            "peer_name": peer_name if peer is not None else None, "ratio": ratio,
            "runs": list(runs), "extra": extra})
        beside = f", {peer_name} {peer:.4g}, ratio {ratio:.3f}" if ratio is not None else ""
        self.say(f"{name}: {ours:.4g} {unit}{beside}" + "".join(f"; WRONG: {w}" for w in wrong))

    # ---- one trial ----

    def trial(self, receiver, seconds, **options):
        why = None
        for _ in range(TRIES):
            try:
                with receiver.at_work():
                    return Trial.run(self.generator, receiver, seconds=seconds, **options)
            except Spoilt as error:
                why = str(error)
                self.made_again.append(why)
                self.say(f"  once more: {why}")
        raise RigError(f"{why}, {TRIES} times over; is the machine very busy?")

    # ---- throughput in pairs ----

    def pair(self, ours_first):
        """The gateway and its peer, one right after the other, and the round trips around them."""
        order = (self.gateway, self.peer) if ours_first else (self.peer, self.gateway)
        trips, trials = [round_trip_ns(self.programs)], {}
        for receiver in order:
            with self.aside(receiver):
                trials[receiver.is_peer] = self.trial(receiver, self.options.trial_s,
                                                      has_window=True)
            trips.append(round_trip_ns(self.programs))
        return Pair(trials[False], trials[True], trips)

    def aside(self, receiver):
        """While the peer is measured the gateway takes no time."""
        return self.gateway.asleep() if receiver.is_peer else contextlib.nullcontext()

    def pairs(self):
        """Pairs in which the machine stayed the same; if that was so in less than half of what is
        wanted, the least disturbed others as well."""
        wanted, good, bad = self.options.pairs, [], []
        for number in range(wanted + 1 if self.options.quick else wanted * 3):
            pair = self.pair(number % 2 == 0)
            self.say(f"  pair {number + 1}: {pair.text()}")
            (bad if pair.is_spoilt() else good).append(pair)
            if len(good) == wanted:
                break
        bad.sort(key=lambda pair: (pair.trip_change() > Pair.FAR_OVER_NEAR, pair.waited()))
        taken = good + bad[:max(0, (wanted + 1) // 2 - len(good))]
        return taken, len(good), [pair.text() for pair in bad]

    def measure_throughput(self):
        taken, undisturbed, discarded = self.pairs()
        ratios = [pair.ratio() for pair in taken]
        trials = [trial for pair in taken for trial in (pair.ours, pair.peer)]
        self.flat_out = median(pair.ours.rate() for pair in taken)
        self.peer_flat_out = median(pair.peer.rate() for pair in taken)
        self.say(f"  {undisturbed} of {len(taken)} pairs that count were undisturbed")
        self.row(
            self.name(), "M/s", self.flat_out / 1e6, self.peer_flat_out / 1e6, median(ratios),
            ratios, trials, ours_runs=[pair.ours.rate() / 1e6 for pair in taken],
            peer_runs=[pair.peer.rate() / 1e6 for pair in taken],
            round_trip_ns=[pair.trips for pair in taken],
            waited=[pair.waited() for pair in taken], pairs_undisturbed=undisturbed,
            discarded=discarded, hugepages=self.gateway.is_huge,
            mint_ns=median(trial.report["mint_ns"] for trial in trials),
            gateway_window=[pair.ours.window.summary() for pair in taken],
            accounts=[pair.ours.account() for pair in taken], **self.busy(taken))

    @staticmethod
    def busy(taken):
        """Time per credential of both receivers."""
        added = [pair.added_ns() for pair in taken]
        return {"added_ns": median(added), "added_ns_runs": added,
                "gateway_ns": median(pair.ours.busy_ns() for pair in taken),
                "peer_ns": median(pair.peer.busy_ns() for pair in taken)}

    def measure_loss(self):
        """Flat out, and what the link does not take at once is lost."""
        trial = self.trial(self.gateway, self.options.search_s, tx_wait=0, **LINGER)
        self.row(self.name("loss-flat-out"), "share", trial.loss(), trials=[trial],
                 offered=(trial.sent + trial.refused_by_link) / trial.seconds / 1e6,
                 account=trial.account())

    def name(self, *what):
        return "/".join(["e2e", self.link.key, *what, str(self.options.nodes)])

    # ---- without loss ----

    def is_lossless(self, receiver, rate):
        """One trial; once more if it lost something while the machine did something else."""
        for _ in range(2):
            trial = self.trial(receiver, self.options.search_s, rate=rate, **LINGER)
            kept = trial.lost() == 0 and trial.reached(rate)
            self.say(f"  {receiver.name} at {millions(rate)}: "
                     f"{trial.loss_text(rate)}")
            if kept or trial.waited_share < SEARCH_WAITED_MAX:
                break
        self.searched.append(trial)
        return kept

    def search(self, receiver, top):
        """The highest set rate that loses nothing, by halving; 0 if none was found. If `top` itself
        loses nothing, the generator is the limit."""
        low, high, rate = 0.0, top, top
        while high - low > self.options.resolution * high and high > top / 64:
            if self.is_lossless(receiver, rate):
                low = rate
            else:
                high = rate
            if low == top:
                break
            rate = (low + high) / 2
        return low

    def measure_without_loss(self):
        self.searched = []
        self.lossless = self.search(self.gateway, self.flat_out)
        peer, ours_trials = None, list(self.searched)
        if not self.options.quick:
            with self.gateway.asleep():
                peer = self.search(self.peer, self.peer_flat_out)
        ratio = self.lossless / peer if peer else None
        peer = peer or None
        self.row(self.name("no-loss"), "M/s", self.lossless / 1e6, peer and peer / 1e6, ratio,
                 [ratio] if ratio else [], ours_trials,
                 limited_by="generator" if self.lossless == self.flat_out else "gateway",
                 trial_s=self.options.search_s,
                 waited_max=max(trial.waited_share for trial in ours_trials),
                 resolution=self.options.resolution, trials_run=len(ours_trials))

    # ---- latency ----

    def measure_latency(self, percent):
        rate = (self.lossless or self.flat_out / 2) * percent / 100
        trial = self.trial(self.gateway, self.options.search_s, rate=rate, reply=1, verdicts=True)
        for what in ("verdict", "reply"):
            found = trial.latency(what)
            if found is None:
                self.wrong.append(f"{self.link.key}: no latency to {what} was measured")
                continue
            self.row(self.name(f"latency-{what}", str(percent)), "us", found["p50"],
                     trials=[trial], **found, rate=trial.report["pps"],
                     missed_by_consumer=trial.report["verdict_slots_lost"],
                     round_trip_ns=round_trip_ns(self.programs), waited=trial.waited_share,
                     account=trial.account())
            self.keep(f"{self.link.key}-{what}-{percent}", trial.buckets(what))

    def measure_wakeup(self):
        """One credential a second: each finds a gateway that has been idle."""
        count = 2 if self.options.quick else 10
        trial = self.trial(self.gateway, None, rate=1, count=count, verdicts=True)
        found = trial.latency("verdict")
        if found is None:
            self.wrong.append(f"{self.link.key}: no wake-up was measured")
        else:
            self.row(self.name("wakeup"), "us", found["p50"], trials=[trial], **found)

    def measure_idle(self):
        seconds = 1 if self.options.quick else 10
        with Idle(self.gateway.pids) as idle:
            time.sleep(seconds)
        self.row(self.name("idle-cpu"), "share", idle.share, seconds=seconds,
                 credgated=idle.shares[0], dataplane=idle.shares[1])

    # ---- a flood ----

    def measure_flood(self):
        """Below capacity every genuine credential gets through, whatever comes with it."""
        trial = self.trial(self.gateway, self.options.search_s,
                           rate=(self.lossless or self.flat_out / 2) * FLOOD_LOAD,
                           forged=FORGED_PERCENT)
        share = trial.accepted / max(1, trial.genuine)
        name = "e2e/flood" if self.link.key == "memif" else f"e2e/{self.link.key}/flood"
        self.row(f"{name}/{self.options.nodes}", "share", share, 1.0, share, [share], [trial],
                 "genuine sent", rate=trial.report["pps"], forged_percent=FORGED_PERCENT,
                 genuine=trial.genuine, account=trial.account())

    # ---- all ----

    def measure(self):
        self.say(f"{self.link.key}: pairs of {self.options.trial_s:g} s, gateway and {PEER}")
        self.measure_throughput()
        self.measure_loss()
        self.measure_without_loss()
        for percent in LOADS[1:2] if self.options.quick else LOADS:
            self.measure_latency(percent)
        self.measure_flood()
        self.measure_wakeup()
        self.measure_idle()
        self.rows[0]["extra"]["made_again"] = self.made_again

    def keep(self, name, buckets):
        """A histogram for plots: upper edges in microseconds, and how many."""
        if not self.options.out:
            return
        path = os.path.join(self.options.out, f"e2e-{name}")
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump({"unit": "us", "buckets": buckets}, file)
        with open(path + ".tsv", "w", encoding="utf-8") as file:
            file.write("up_to_us\tcount\n")
            file.writelines(f"{edge}\t{count}\n" for edge, count in buckets)


# ---- the whole ----

def make_link(key, folder):
    if key == "memif":
        return MemifLink(folder)
    return VethLink(key)


def measure_link(key, options, programs, is_huge, say):
    """Returns (rows, what was wrong). Raises Unavailable if this machine cannot."""
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="credgate-e2e-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        link = stack.enter_context(make_link(key, folder))
        peer = Testpmd(link, folder, is_huge)
        say(f"{key}: gateway with {options.nodes} nodes")
        gateway = stack.enter_context(Gateway(programs, link, folder, options.nodes, is_huge))
        bench = Bench(options, programs, link, gateway, peer, say)
        try:
            bench.measure()
        except RigError as error:
            gateway.check_alive()
            bench.wrong.append(f"{key}: {error}")
        return bench.rows, bench.wrong


def options_parse():
    parser = argparse.ArgumentParser(
        description="Measures credgate end to end beside dpdk-testpmd. Needs root and two CPUs.",
        epilog="Exit code 1: a row is wrong or missing; 77: cannot be measured on this machine.")
    parser.add_argument("--build", default="build", help="build folder (default: build)")
    parser.add_argument("--quick", action="store_true", help="about 40 s: memif, 2 pairs of 1 s")
    parser.add_argument("--links", help="memif,af_packet,af_xdp (default: all; quick: memif)")
    parser.add_argument("--pairs", type=int, help="at least so many (default 5; quick: 2)")
    parser.add_argument("--trial-s", type=float, default=1,
                        help="length of a trial of the pairs (default 1)")
    parser.add_argument("--nodes", type=int, default=NODES, help=f"default {NODES}")
    parser.add_argument("--json", action="store_true", help="rows as JSON on standard output")
    parser.add_argument("--out", help="folder for the generator's reports and histograms")
    options = parser.parse_args()
    options.links = (options.links or ("memif" if options.quick else ",".join(LINKS))).split(",")
    unknown = [key for key in options.links if key not in LINKS]
    if unknown:
        parser.error(f"no such link: {unknown[0]}; choose from {', '.join(LINKS)}")
    if options.pairs is None:
        options.pairs = 2 if options.quick else 5
    for name, value, least, most in (("--pairs", options.pairs, 1, 1000),
                                     ("--trial-s", options.trial_s, 0.2, 600),
                                     ("--nodes", options.nodes, 1, 1 << 20)):
        if not least <= value <= most:
            parser.error(f"{name} {value:g}: from {least:g} to {most:g}")
    options.resolution = SEARCH_RESOLUTION * (4 if options.quick else 1)
    options.search_s = options.trial_s * (0.5 if options.quick else 2)
    return options


def signals_unwind():
    """A signal must unwind like an exception, so that no namespace or page stays behind."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda got, _: sys.exit(128 + got))


@contextlib.contextmanager
def alone(say):
    """One at a time: two of these would measure each other."""
    with open(LOCK, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another measurement to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def measure(options, say):
    rows, wrong, skipped = [], [], []
    programs = Programs(options.build)
    round_trip_ns(programs)
    with alone(say), Hugepages() as pages:
        say("2 MB pages" if pages.got else
            "no 2 MB pages to be had: small ones, for both sides alike")
        for key in options.links:
            try:
                link_rows, link_wrong = measure_link(key, options, programs, pages.got, say)
                rows, wrong = rows + link_rows, wrong + link_wrong
            except Unavailable as why:
                skipped.append(f"{key}: {why}")
                say(f"{key}: cannot be measured here: {why}")
            except RigError as error:
                wrong.append(f"{key}: {error}")
    return rows, wrong, skipped


def main():
    options = options_parse()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces and packet ports; run it with sudo",
              file=sys.stderr)
        return 77
    try:
        if options.out:
            os.makedirs(options.out, exist_ok=True)
    except OSError as why:
        print(f"--out {options.out}: {why.strerror}", file=sys.stderr)
        return 2
    signals_unwind()
    say = Say()
    try:
        rows, wrong, skipped = measure(options, say)
    except Unavailable as why:
        print(f"cannot be measured here: {why}", file=sys.stderr)
        return 77
    except RigError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    if options.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
    if wrong:
        print("WRONG: " + "; ".join(wrong), file=sys.stderr)
        return 1
    if skipped and not rows:
        print(skipped[-1], file=sys.stderr)
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
