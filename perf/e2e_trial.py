# SPDX-License-Identifier: BSD-3-Clause
"""One trial: the generator runs against a receiver, then every packet is accounted for."""

import json
import os
import subprocess
import tempfile
import time

from e2e_rig import (EPOCH, GATEWAY4, GENERATOR_CPU, NODE4, REALM_ID, UDP_PORT, RigError, Spoilt,
                     Threads, end, spawn)

REFUSALS = ("duplicate", "replayed", "stale", "expired", "not-yet-valid", "bad-tag",
            "unknown-realm", "unknown-node", "revoked", "unknown-epoch", "wrong-origin",
            "wrong-audience", "forbidden", "over-rate", "malformed", "unsupported", "busy", "floor",
            "unauthorized", "store-full")
OTHER_FRAMES = ("rx_not_ours", "rx_bad_packet", "rx_neighbour")
REACHED = 0.99  # of the rate that was set; less, and the generator is what was measured
GENERATOR_PATIENCE_S = 60
WINDOW_MARGIN_S = 0.6  # sent longer than measured
LATENCIES = {"verdict": "send_to_verdict", "reply": "send_to_reply"}


class Generator:
    """credgate-loadgen on the other end of the link."""

    def __init__(self, programs, link, gateway):
        self.program = programs("credgate-loadgen")
        self.link, self.gateway = link, gateway

    def command(self, is_peer, options):
        command = [
            self.program, "--json", "--port", self.link.generator_port(is_peer),
            "--core", str(GENERATOR_CPU), "--file-prefix", f"cgl{os.getpid()}",
            "--master", self.gateway.master, "--realm-id", str(REALM_ID), "--epoch", str(EPOCH),
            "--nodes", str(self.gateway.nodes), "--suite", "sealed128",
            "--to", f"{GATEWAY4}:{UDP_PORT}", "--to-mac", self.gateway.mac, "--from", NODE4]
        if self.gateway.is_huge:
            command.append("--hugepages")
        if options.pop("verdicts", False):
            command += ["--verdicts", self.gateway.verdicts, "--group", "lab"]
        for name, value in options.items():
            if value is not None:
                command += [f"--{name.replace('_', '-')}", f"{value:.12g}"]
        return command

    def run(self, receiver, options, meanwhile):
        """Returns (its report, the longest share its poll loop or the receiver's waited for a CPU);
        calls meanwhile() again and again."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as wrong:
            process = spawn(self.command(receiver.is_peer, dict(options)), self.link.ns_generator,
                            stdin=subprocess.DEVNULL, stdout=out, stderr=wrong)
            try:
                waited = self.watch(process, receiver, options, meanwhile)
            finally:
                end(process)
            out.seek(0)
            wrong.seek(0)
            if process.returncode != 0:
                raise Spoilt(f"credgate-loadgen: exit {process.returncode}: "
                             f"{' '.join(wrong.read().strip().splitlines()[-2:])}")
            return json.load(out), waited

    @staticmethod
    def watch(process, receiver, options, meanwhile):
        ends = [Threads(receiver.pids), Threads([process.pid])]
        deadline = time.monotonic() + GENERATOR_PATIENCE_S + 3 * (options.get("seconds") or 0)
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise RigError("credgate-loadgen did not end")
            for threads in ends:
                threads.look()
            meanwhile()
            time.sleep(0.02)
        return max(threads.waited_share() for threads in ends)


class Window:
    """The receiver's own counters at two moments in the middle of a trial: what it takes in when
    nothing begins or ends. (A memif peer's counters are gone when the generator is.)"""

    LEAD_S = 0.05  # after the first frame came
    SLACK_S = 0.3  # later than planned, and the generator may have ended before

    def __init__(self, receiver, before, seconds):
        self.receiver, self.before, self.seconds = receiver, before, seconds
        self.begun = self.first = self.last = None

    def is_due(self):
        if self.begun is None:
            return True
        wait_s = self.LEAD_S + (self.seconds if self.first else 0)
        return self.last is None and time.monotonic() >= (self.first or self.begun)[0] + wait_s

    def look(self):
        if not self.is_due():
            return
        asked = time.monotonic()
        counters = self.receiver.counters()
        sample = ((asked + time.monotonic()) / 2, counters)
        if self.begun is None:
            if counters["rx_frames"] > self.before["rx_frames"]:
                self.begun = sample
        elif self.first is None:
            self.first = sample
        else:
            self.last = sample

    def is_good(self):
        return self.last is not None and self.delta("rx_frames") > 0 and \
            self.last[0] - self.begun[0] < self.LEAD_S * 2 + self.seconds + self.SLACK_S

    def delta(self, key):
        return self.last[1][key] - self.first[1][key]

    def rate(self, key):
        return self.delta(key) / self.seconds_gone()

    def seconds_gone(self):
        return self.last[0] - self.first[0]

    def summary(self):
        """How the gateway's worker spent it, per burst: frames, and polls that found nothing."""
        bursts = max(1, self.delta("bursts"))
        return {"frames_per_burst": self.delta("rx_frames") / bursts,
                "idle_polls_per_burst": self.delta("idle_polls") / bursts,
                "sleeps": self.delta("sleeps")}


class Trial:
    """What was sent, and what became of it."""

    def __init__(self, report, counted, is_peer, waited_share):
        self.report, self.counted, self.is_peer = report, counted, is_peer
        self.waited_share = waited_share
        self.sent, self.refused_by_link = report["sent"], report["tx_dropped"]
        self.seconds = report["seconds"]
        self.received = counted["rx_frames"]
        self.accepted = self.received if is_peer else counted["accepted"]
        self.window = None
        self.genuine = report["by_class"]["genuine"]
        self.not_genuine = self.sent - self.genuine
        self.is_read = False  # did a consumer read along?

    @classmethod
    def run(cls, generator, receiver, seconds=None, has_window=False, **options):
        link = generator.link
        before, link_before = receiver.counters(), link.counts(receiver.is_peer)
        window = Window(receiver, before, seconds) if has_window else None
        sending_s = seconds + WINDOW_MARGIN_S if has_window else seconds
        report, waited = generator.run(receiver, {"seconds": sending_s, **options},
                                       window.look if window else lambda: None)
        counted = {"rx_frames": report["sent"]}  # a memif ring loses nothing it took
        if not receiver.is_peer or link.key != "memif":
            after = receiver.settle()
            counted = {key: after[key] - before[key] for key in after}
            if link.key == "memif" and counted["restarts"]:
                raise Spoilt("the dataplane died, as testpmd does, and was started again")
        link_after = link.counts(receiver.is_peer)
        on_link = {key: link_after[key] - link_before[key] for key in link_after}
        trial = cls(report, counted, receiver.is_peer, waited)
        trial.losses, trial.unknown = link.losses(trial.sent - trial.received,
                                                  {"sent": trial.sent, **on_link})
        trial.is_read = bool(options.get("verdicts"))
        trial.window = window
        if window and not window.is_good():
            raise Spoilt("the generator ended before its trial did")
        return trial

    # ---- figures ----

    def rate(self):
        """Credentials per second that arrived, and at the gateway were accepted."""
        return self.window.rate("rx_frames" if self.is_peer else "accepted")

    def busy_ns(self):
        """Time of the receiver's thread for each credential: both count the cycles of polls that
        found something, from asking the port to giving the buffers back."""
        busy_s = self.window.delta("busy_cycles") / self.window.last[1]["cycles_hz"]
        return busy_s * 1e9 / self.window.delta("rx_frames")

    def lost(self):
        """Of what should have arrived: refused by the link, lost on it, or not accepted."""
        expected = self.sent if self.is_peer else self.genuine
        return expected + self.refused_by_link - self.accepted

    def loss(self):
        return self.lost() / max(1, self.sent + self.refused_by_link)

    def reached(self, rate):
        return self.report["pps"] >= REACHED * rate

    def loss_text(self, rate):
        if self.lost():
            return f"lost {self.lost()} of {self.sent + self.refused_by_link}"
        if not self.reached(rate):
            return f"only {self.report['pps'] / 1e6:.3f} M/s were sent"
        return "no loss"

    def latency(self, what):
        """Microseconds: p50, p99, p999, max, and how many were timed; None without any."""
        found = self.report.get(LATENCIES[what])
        if not found or not found.get("count"):
            return None
        return {"p50": found["p50"], "p99": found["p99"], "p999": found["p99_9"],
                "max": found["max"], "timed": found["count"]}

    def buckets(self, what):
        """The histogram as [upper edge in microseconds, count]."""
        return self.report[LATENCIES[what]]["buckets"]

    # ---- accounts ----

    def refused(self):
        """Verdicts other than accepted, and frames that never became credentials."""
        return {name: self.counted[name] for name in REFUSALS + OTHER_FRAMES
                if self.counted.get(name)}

    def account(self):
        """Where each packet went."""
        return {"sent": self.sent, "not_genuine": self.not_genuine,
                "refused_by_link": self.refused_by_link, "lost_on_link": self.sent - self.received,
                **self.losses, "unknown": self.unknown, "received": self.received,
                "accepted": self.accepted, "refused": self.refused(),
                "seconds": self.seconds}

    def wrong(self):
        """What must not be, each as a sentence. Loss is a result; a wrong verdict is not."""
        found = []
        if self.is_peer:
            return found
        judged = self.accepted + sum(self.refused().values())
        on_link = self.sent - self.received
        if self.counted["restarts"]:
            found.append("the dataplane was restarted")
        if judged != self.received:
            found.append(f"{self.received} frames came, {judged} have a verdict")
        if self.unknown:
            found.append(f"{self.unknown} packets are in no counter: {self.account()}")
        if on_link < 0:
            found.append(f"{-on_link} frames more came than were sent")
        if self.accepted > self.genuine:
            found.append(f"{self.accepted - self.genuine} accepted that are not genuine")
        refused = max(sum(self.refused().values()) - self.not_genuine,
                      self.genuine - self.accepted - max(0, on_link))
        if refused > 0:
            found.append(f"{refused} genuine credentials were refused: {self.refused()}")
        read, late = self.report["accepted_seen"], self.report["verdict_slots_lost"]
        if self.is_read and read + late != self.accepted:
            found.append(f"{self.accepted} accepted, a consumer read {read} and missed {late}")
        return found


class Pair:
    """A trial with the gateway and one with its peer, neighbours in time."""

    FAR_OVER_NEAR = 1.5  # round trips that differ by more are not of the same machine
    WAITED_MAX = 0.05  # a poll loop that waited longer for its CPU was disturbed

    def __init__(self, ours, peer, trips):
        self.ours, self.peer, self.trips = ours, peer, trips

    def ratio(self):
        return self.ours.rate() / self.peer.rate()

    def added_ns(self):
        return self.ours.busy_ns() - self.peer.busy_ns()

    def trip_change(self):
        return max(self.trips) / min(self.trips)

    def waited(self):
        return max(self.ours.waited_share, self.peer.waited_share)

    def is_spoilt(self):
        return self.trip_change() > self.FAR_OVER_NEAR or self.waited() > self.WAITED_MAX

    def text(self):
        trips = ", ".join(f"{ns:.0f}" for ns in self.trips)
        spoilt = " (not counted)" if self.is_spoilt() else ""
        return (f"{self.ours.rate() / 1e6:.2f} beside {self.peer.rate() / 1e6:.2f} M/s, ratio "
                f"{self.ratio():.3f}, round trips {trips} ns, waited {self.waited():.1%}{spoilt}")
