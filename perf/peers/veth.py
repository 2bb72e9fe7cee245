# SPDX-License-Identifier: BSD-3-Clause
"""The ground on which credgate's gateway and the plain validators get the same datagrams from the
same sender: two namespaces, two veth pairs. On one the gateway has a DPDK af_packet port, on the
other the kernel has an address for sockets. The sender has CPU 0, the receiver CPU 1.

Two measures. `flood`: the sender sends flat out. The kernel carries a datagram through the veth
pair into the receiver's queue on the sender's CPU, so that this is often the sender's limit, not
the receiver's. `drain`: the receiver is held while its queue is filled and then let go; the CPU
time it takes for what was queued is the receiver's cost and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "smoke"))
from lab import GATEWAY4, NODE4, UDP_PORT, Lab, LabError, ip  # noqa: E402

SENDER_CPU, RECEIVER_CPU = 0, 1
SOCKETS4, SOCKETS_NODE4 = "10.78.0.1", "10.78.0.2"
SEGMENT = 64         # datagrams cut out of one message by the sender's kernel
FRAMES = 131072      # of the gateway's packet ring: room for all that a drain queues
IDLE_SLEEP_US = 10000
WATCH_S = 0.15       # of a receiver with nothing to do
STILL_S = 0.5        # without a new verdict: the rest was lost
PATIENCE_S = 20


class Wrong(Exception):
    """A genuine credential was refused: no figure, but a failure."""


def cpu_s(pid):
    """CPU time of a process, all threads, to the nanosecond: clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


class Spent:
    """What a process spends from now to a look, and in how much time."""

    def __init__(self, pid):
        self.pid, self.began, self.cpu_began = pid, time.monotonic(), cpu_s(pid)

    def look(self):
        self.cpu_s = cpu_s(self.pid) - self.cpu_began
        self.elapsed_s = time.monotonic() - self.began
        return self

    def work_s(self, idle):
        """Without what idling costs: while it worked it did not idle."""
        share = idle.cpu_s / idle.elapsed_s
        return (self.cpu_s - share * self.elapsed_s) / (1 - share)


class Ground(Lab):
    def __init__(self, build, programs, nodes):
        # A worker that finds nothing sleeps long: what idling costs is told apart from work.
        super().__init__(build, nodes_max=nodes, workers=f"1\n  cpus: [{RECEIVER_CPU}]\n"
                         f"  main_cpu: {SENDER_CPU}\n  idle_sleep_us: {IDLE_SLEEP_US}")
        self.programs, self.nodes = programs, nodes
        self.sockets_if, self.sockets_node_if = (f"{name}s" for name in
                                                 (self.gateway_if, self.node_if))

    # ---- making ----

    def start(self):
        super().start()
        self.credgate("node", "add", "lab", f"n[0001-{self.nodes:04}]", "--prefix",
                      f"{NODE4}/32", "--suite", "cmac128", timeout=60)
        self.pid = self.json("status")["dataplane"]["pid"]
        self.send(GATEWAY4, NODE4, count=64, rate=10000)  # neighbours get to know each other
        self.settle()

    def write_config(self):
        """An af_packet port as ever, but with a deep ring."""
        super().write_config()
        with open(self.config_file, encoding="utf-8") as file:
            text = file.read()
        plain = f"driver: af_packet\n    interface: {self.gateway_if}"
        deep = (f"driver: vdev\n    args: \"net_af_packet0,iface={self.gateway_if},"
                f"qpairs={{queues}},framecnt={FRAMES}\"\n    checksum: partial")
        if plain not in text:
            raise LabError("tests/smoke/lab.py describes its port in a way that veth.py "
                           "does not know")
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(text.replace(plain, deep))

    def make_link(self, *options):
        super().make_link(*options)
        ip("link", "add", self.sockets_if, "netns", self.gateway_ns, "type", "veth",
           "peer", "name", self.sockets_node_if, "netns", self.node_ns)
        for ns, interface, address in (
                (self.gateway_ns, self.sockets_if, SOCKETS4),
                (self.node_ns, self.sockets_node_if, SOCKETS_NODE4)):
            ip("addr", "add", f"{address}/24", "dev", interface, ns=ns)
            ip("link", "set", interface, "up", ns=ns)
        # Datagrams cross the veth pairs one by one, as they would a wire.
        for interface in (self.node_if, self.sockets_node_if):
            ip("link", "set", interface, "gso_max_segs", "1", ns=self.node_ns)

    # ---- sending ----

    def run_in(self, ns, *command):
        return subprocess.Popen(["ip", "netns", "exec", ns, *map(str, command)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def send(self, to, origin, count, rate=0, scheme="cmac128", master=True):
        """Sends `count` genuine credentials; returns what peer-send reports."""
        secret = ["--master", os.path.join(self.state_dir, "lab.master")] if master else []
        process = self.run_in(
            self.node_ns, self.programs("peer-send"), "--to", f"{to}:{UDP_PORT}", "--from", origin,
            "--nodes", self.nodes, "--count", count, "--rate", rate, "--scheme", scheme,
            "--segment", SEGMENT, "--cpu", SENDER_CPU, *secret)
        return finish(process)[-1]

    # ---- the gateway ----

    def verdicts(self):
        """(accepted, refused) so far."""
        worker = self.json("status")["workers"][0]
        accepted = worker["proved"]["accepted"]
        judged = sum(sum(worker[which].values()) for which in ("proved", "unproved"))
        return accepted, judged - accepted

    def accepted(self):
        return self.verdicts()[0]

    def settle(self, target=None):
        """Waits until `target` are accepted or no more come; returns how many."""
        last, since = self.accepted(), time.monotonic()
        while last != target and time.monotonic() - since < STILL_S:
            time.sleep(0.005)
            now = self.accepted()
            if now != last:
                last, since = now, time.monotonic()
        if self.verdicts()[1]:
            raise Wrong("the gateway refused a genuine credential")
        return last

    def gateway_flood(self, count):
        before = self.accepted()
        sent = self.send(GATEWAY4, NODE4, count)
        ended = time.monotonic()
        accepted = self.settle(before + count) - before
        late_s = time.monotonic() - ended if accepted == count else 0
        return {"accepted": accepted, "lost": count - accepted, "sent_per_s": rate_of(sent),
                "rate": accepted / (sent["elapsed_s"] + late_s)}

    def gateway_drain(self, count):
        before = self.accepted()
        os.kill(self.pid, signal.SIGSTOP)
        try:
            sent = self.send(GATEWAY4, NODE4, count)
        finally:
            spent = Spent(self.pid)
            os.kill(self.pid, signal.SIGCONT)
        accepted = self.settle(before + count) - before
        busy = spent.look()
        spent = Spent(self.pid)
        time.sleep(WATCH_S)
        return drained(accepted, sent, busy.work_s(idle=spent.look()))

    # ---- a plain validator ----

    def receiver(self, library, *options):
        process = self.run_in(self.gateway_ns, self.programs(f"peer-recvmmsg-{library}"),
                              "--listen", f"{SOCKETS4}:{UDP_PORT}", "--seconds", 0,
                              "--nodes", self.nodes, "--cpu", RECEIVER_CPU, *options)
        if not process.stdout.readline():
            raise LabError(process.stderr.read().strip() or "the validator does not start")
        return process

    @staticmethod
    def judged(process):
        report = finish(process)[-1]
        if report["refused"]:
            raise Wrong(f"{report['program']} refused genuine credentials: {report['refused']}")
        return report

    def socket_flood(self, library, scheme, count):
        process = self.receiver(library)
        try:
            sent = self.send(SOCKETS4, SOCKETS_NODE4, count, scheme=scheme, master=False)
            process.terminate()
            judged = self.judged(process)
        finally:
            process.kill()
        return {"accepted": judged["accepted"], "lost": count - judged["accepted"],
                "sent_per_s": rate_of(sent), "rate": judged["accepted"] / judged["elapsed_s"]}

    def socket_drain(self, library, scheme, count):
        process = self.receiver(library, "--hold")
        try:
            sent = self.send(SOCKETS4, SOCKETS_NODE4, count, scheme=scheme, master=False)
            process.send_signal(signal.SIGUSR1)
            time.sleep(WATCH_S / 3)  # at its end it takes what is still queued
            process.terminate()
            judged = self.judged(process)
        finally:
            process.kill()
        return drained(judged["accepted"], sent, judged["cpu_user_s"] + judged["cpu_system_s"])


def rate_of(sent):
    return sent["sent"] / sent["elapsed_s"]


def drained(accepted, sent, work_s):
    """Per credential: the receiver's cost, and what it took to send and queue it."""
    count = sent["sent"]
    if accepted != count:
        raise LabError(f"{count - accepted} of {count} queued datagrams were lost")
    return {"ns": work_s * 1e9 / count, "queue_ns": sent["cpu_s"] * 1e9 / count}


def finish(process):
    """The JSON lines of a process that ends by itself."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LabError(f"{process.args[4]} did not end within {PATIENCE_S} s") from None
    if process.returncode:
        raise LabError(err.strip() or f"{process.args[4]}: exit {process.returncode}")
    return [json.loads(line) for line in out.splitlines()]
