#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A realm's keys change under load, on real programs: rotate, drain, retire, rollback, final, a new
master secret, a restart and a kill in the middle. Every genuine credential that is sent is accepted."""

import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, UDP_PORT, Checks, Lab, run_test  # noqa: E402

NAMES = [f"n00{number}" for number in range(1, 5)]
NOT_YET = 3
UNKNOWN_EPOCH = "unknown-epoch"


class Sender:
    """A node at work: mints and sends without a pause; its key file is replaced under it."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.key = lab.add_node(name)
        self.socket = lab.socket(4)
        self.sent, self.may_run, self.is_over = 0, threading.Event(), False
        self.idle = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.is_over:
            if not self.may_run.is_set():
                self.idle.set()
                self.may_run.wait(0.05)
                continue
            self.idle.clear()
            self.socket.sendto(self.lab.mint(self.key), (GATEWAY4, UDP_PORT))
            self.sent += 1

    def run(self):
        self.idle.clear()
        self.may_run.set()

    def pause(self):
        self.may_run.clear()
        self.idle.wait()

    def install(self, *options):
        """As an operator does: the new key file takes the place of the old one in one step."""
        new = self.key + ".new"
        self.lab.credgate("node", "key", "lab", self.name, "-o", new, *options)
        os.rename(new, self.key)

    def stop(self):
        self.is_over = True
        self.may_run.set()
        self.thread.join()


def drain(lab, *options):
    """Exit code and result."""
    done = lab.credgate("realm", "drain", "lab", *options, check=False)
    return done.returncode, lab.json("realm", "drain", "lab", *options, check=False)


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.1)
    return what()


def all_moved(lab):
    return drain(lab, "--quiet", "2s")[0] == 0


def run_all(senders):
    for sender in senders:
        sender.run()


def pause_all(senders):
    for sender in senders:
        sender.pause()


def until_accepted(lab, sender):
    """After a kill there is a floor: genuine again when it is passed."""
    def code():
        return lab.credgate("send", "--key", sender.key, GATEWAY4, ns=lab.node_ns,
                            check=False).returncode
    return wait_for(lambda: code() == 0)


def settle(checks, case, senders, accepted, so_far):
    """All that was sent up to here was accepted; returns the counts."""
    pause_all(senders)
    for sender in senders:
        before = so_far.get(sender.name, 0)
        sock = sender.socket.getsockname()
        wanted = sender.sent - before
        got = len(accepted().find(*sock, wanted, 5))
        checks.check(f"{case}: all of {sender.name} accepted", (True, wanted),
                     (wanted > 0, got))
        so_far[sender.name] = sender.sent
    return so_far


def epochs(lab):
    return [[epoch["epoch"] for epoch in node["epochs"]]
            for node in lab.json("node", "list", "lab")["nodes"]]


def refused_as(lab, sender):
    """The verdict on what the sender's key file mints now."""
    stream = lab.watch("--refused")
    time.sleep(0.5)
    sock = lab.socket(4)
    sock.sendto(lab.mint(sender.key), (GATEWAY4, UDP_PORT))
    found = stream.find(*sock.getsockname())
    stream.stop()
    return [record["verdict"] for record in found]


def rotate_and_retire(lab, checks, senders, watch):
    so_far = {}
    run_all(senders)
    time.sleep(0.5)
    said = lab.credgate("realm", "rotate", "lab").stdout.decode()
    checks.check("rotate: says what it did", True,
                 said.startswith("rotation 1 of realm lab: 4 nodes have a new key"))
    checks.check("rotate: two keys each", [[2, 1]] * 4, epochs(lab))
    time.sleep(0.5)
    code, state = drain(lab)
    checks.check("drain: exit code while the old key is in use", NOT_YET, code)
    checks.check("drain: names who is on the old key", "n[001-004]", state["in_use_names"])
    checks.check("drain: both epochs, and only the old one is used", [True, True],
                 [{row["epoch"]: row["in_use"] for row in state["epochs"]} == {2: 0, 1: 4},
                  sum(r["per_minute"] for r in state["epochs"] if r["epoch"] == 1) > 0])
    done = lab.credgate("realm", "retire", "lab", check=False)
    checks.check("retire: refused with the names", (NOT_YET, True),
                 (done.returncode, b"n[001-004]" in done.stderr))
    for sender in senders[:3]:
        sender.install()
    time.sleep(3)
    settle(checks, "two keys side by side", senders, watch.stream, so_far)
    listed = drain(lab, "--quiet", "2s", "--nodes")[1]["list"]
    checks.check("drain: one node has not moved", ["n004"], [node["name"] for node in listed])

    lab.stop_daemon()
    lab.start_daemon()
    watch.again()
    so_far = {sender.name: sender.sent for sender in senders}
    after = drain(lab, "--nodes")[1]["list"]
    checks.check("a restart forgets no meter", listed[0]["old_accepted"],
                 next(n["old_accepted"] for n in after if n["name"] == "n004"))
    run_all(senders)
    senders[3].install()
    checks.check("drain: exit code once all have moved", True,
                 wait_for(lambda: all_moved(lab)))
    checks.check("a quiet time that was not watched is not enough", NOT_YET, drain(lab)[0])
    done = lab.credgate("realm", "retire", "lab", "--quiet", "2s", check=False)
    checks.check("retire: goes through", 0, done.returncode)
    checks.check("retire: one key each", [[2]] * 4, epochs(lab))
    time.sleep(0.5)
    return settle(checks, "retired under load", senders, watch.stream, so_far)


def back_and_final(lab, checks, senders, watch, so_far):
    """The senders rest while one of them takes up its old key again."""
    first = senders[0]
    lab.credgate("realm", "rollback", "lab")
    checks.check("rollback: the retired keys hold again", [[2, 1]] * 4, epochs(lab))
    first.install("--epoch", "1")
    checks.check("rollback: the old key is accepted", True, until_accepted(lab, first))
    done = lab.credgate("realm", "retire", "lab", "--quiet", "0", check=False)
    checks.check("retire: one node is back on the old key", (NOT_YET, True),
                 (done.returncode, b"1 node still uses an old key: n001;" in done.stderr))
    lab.credgate("realm", "retire", "lab", "--force", "--why", "a test")
    checks.check("retire --force: the old key is refused", [UNKNOWN_EPOCH],
                 refused_as(lab, first))
    first.install()
    lab.credgate("realm", "retire", "lab", "--final")
    done = lab.credgate("realm", "rollback", "lab", check=False)
    checks.check("rollback: what is final stays final", (1, True),
                 (done.returncode, b"never comes back" in done.stderr))
    run_all(senders)
    time.sleep(0.5)
    lab.credgate("realm", "rotate", "lab")
    time.sleep(0.5)
    lab.credgate("realm", "rollback", "lab")
    checks.check("rollback of a rotation: the old keys stay", [[2]] * 4, epochs(lab))
    time.sleep(0.5)
    return settle(checks, "rotated and back under load", senders, watch.stream, so_far)


def new_master(lab, checks, senders, watch, so_far):
    run_all(senders)
    result = lab.json("realm", "rotate", "lab", "--master")
    checks.check("a new master beside the old", [True, True],
                 [os.path.exists(path) for path in
                  (result["master_file"], os.path.join(lab.state_dir, "lab.master"))])
    checks.check("numbers are never used twice", [[4, 2]] * 4, epochs(lab))
    for sender in senders:
        sender.install()
    checks.check("new master: all have moved", True, wait_for(lambda: all_moved(lab)))
    so_far = settle(checks, "keys of two masters", senders, watch.stream, so_far)

    lab.daemon.kill()
    lab.daemon.wait()
    lab.start_daemon()
    watch.again()
    checks.check("after a kill: both masters are there", 2,
                 len(lab.json("realm", "list")["realms"][0]["masters"]))
    checks.check("after a kill: both keys hold", [[4, 2]] * 4, epochs(lab))
    checks.check("after a kill: genuine again", True,
                 all(until_accepted(lab, sender) for sender in senders))
    so_far = {sender.name: sender.sent for sender in senders}
    run_all(senders)
    checks.check("after a kill: drained", True, wait_for(lambda: all_moved(lab)))
    lab.credgate("realm", "retire", "lab", "--quiet", "2s", "--final")
    checks.check("the old master is out of service", True,
                 "is out of service" in lab.log())
    time.sleep(0.5)
    so_far = settle(checks, "old master out of service", senders, watch.stream, so_far)
    os.rename(os.path.join(lab.state_dir, "lab.master"),
              os.path.join(lab.dir, "lab.master.archived"))
    lab.stop_daemon()
    lab.start_daemon()
    watch.again()
    so_far = {sender.name: sender.sent for sender in senders}
    run_all(senders)
    time.sleep(1)
    return settle(checks, "without the old master's file", senders, watch.stream, so_far)


def killed_while_it_rotates(lab, checks, senders, watch):
    """All nodes have their new epoch, or none has; the next rotation goes through."""
    for delay in (0.0, 0.01, 0.03):
        command = subprocess.Popen([lab.program("credgate"), "realm", "rotate", "lab",
                                    "--run-dir", lab.run_dir], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(delay)
        lab.daemon.kill()
        lab.daemon.wait()
        command.wait()
        lab.start_daemon()
        counts = {len(numbers) for numbers in epochs(lab)}
        checks.check("killed while it rotates: all or none", 1, len(counts))
    watch.again()
    checks.check("killed while it rotates: old keys hold", True,
                 all(until_accepted(lab, sender) for sender in senders))
    lab.credgate("realm", "rotate", "lab")
    for sender in senders:
        sender.install()
    checks.check("killed while it rotates: new keys hold", True,
                 all(until_accepted(lab, sender) for sender in senders))


class Watch:
    """What consumers see; attached again after each restart."""

    def __init__(self, lab):
        self.lab, self.current = lab, None
        self.again()

    def again(self):
        if self.current:
            self.current.stop()
        self.current = self.lab.watch("--group", "jobs")
        time.sleep(0.5)

    def stream(self):
        return self.current


def test(build):
    checks = Checks()
    with Lab(build, workers=2) as lab:
        senders = [Sender(lab, name) for name in NAMES]
        watch = Watch(lab)
        rotate_and_retire(lab, checks, senders, watch)
        watch.again()
        back_and_final(lab, checks, senders, watch,
                       {sender.name: sender.sent for sender in senders})
        watch.again()
        new_master(lab, checks, senders, watch,
                   {sender.name: sender.sent for sender in senders})
        pause_all(senders)
        killed_while_it_rotates(lab, checks, senders, watch)
        for sender in senders:
            sender.stop()
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
