#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Changes keys, nodes, rules and modes of a running gateway at random while nodes send, kills its
dataplane now and then, and accounts for every credential: accepted, or refused for a reason that was
true at that time. The seed it prints repeats its choices: soak.py --seed N --seconds S."""

import argparse
import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "smoke")]
from judge import Judge, Sent  # noqa: E402
from lab import GATEWAY4, NODE4, UDP_PORT, Checks, Lab, LabError, need_root  # noqa: E402
from world import Node, Policy, Timeline, World  # noqa: E402

NODES = 8
EPOCHS_LIVE = 8  # of a node at once
EPOCHS_MAX = 5  # so many here, that no rotation finds no room
KILL_S = 15  # about so often the dataplane is killed
SLOTS_OF_NODE = 3  # keys that a node sends with at once
DEAD_SENDS_S = 1.5  # how long a node goes on with a key that is refused for good
ELSEWHERE = "10.99.0.0/16"
UIDS = (0, 1000, 5000, 70000)  # those of sender.c
AUDIENCES = {1: "scheduler", 2: "storage"}


def mono_us():
    return time.monotonic_ns() // 1000


class Sender:
    """The program that plays all nodes."""

    def __init__(self, lab, rate):
        self.rate, self.sent, self.open, self.failed = rate, [], {}, []
        program = os.path.join(lab.build, "tests/soak/soak_sender")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.node_ns, program, GATEWAY4, str(UDP_PORT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.free = list(range(255, -1, -1))
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            fields = line.split("\t")
            if fields[0] == "open":
                self.open[int(fields[1])] = (int(fields[2]), int(fields[3]))
            elif fields[0] == "closed":
                self.free.append(int(fields[1]))
            elif fields[0] == "failed":
                self.failed.append(line)
            else:
                self.sent.append(Sent(fields))

    def add(self, path):
        slot = self.free.pop()
        self.process.stdin.write(f"add {slot} {path} {self.rate}\n")
        return slot

    def wait_open(self, slot):
        end = time.monotonic() + 10
        while slot not in self.open:
            if self.failed or time.monotonic() > end:
                raise LabError(f"the sender did not take a key: {self.failed}")
            time.sleep(0.001)

    def drop(self, slot):
        self.open.pop(slot, None)
        self.process.stdin.write(f"drop {slot}\n")

    def finish(self):
        self.process.stdin.close()
        self.thread.join(10)
        return self.process.wait(10)


class Admin:
    """The admin socket, a request at a time (docs/admin-protocol.md)."""

    def __init__(self, lab):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(os.path.join(lab.run_dir, "admin.sock"))
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def ask(self, verb, **args):
        """(result, 0) or (None, errno and text)."""
        self.socket.sendall(json.dumps({"verb": verb, "args": args}).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if answer["ok"]:
            return answer.get("result"), 0, ""
        return None, answer["errno"], answer["error"]

    def has(self, verb):
        """Is there such a verb? Every verb would miss its realm."""
        return self.ask(verb)[1] != errno.ENOSYS

    def do(self, verb, **args):
        result, error, text = self.ask(verb, **args)
        if error:
            raise LabError(f"{verb} {args}: {text}")
        return result


class Soak:
    def __init__(self, lab, seed, rate):
        self.admin = Admin(lab)
        self.lab, self.random = lab, random.Random(seed)
        self.sender = Sender(lab, rate)
        self.timeline = Timeline(World(), mono_us())
        self.slots = {}  # slot: (node number, epoch, when its key died or None)
        self.outages, self.kills = [], 0
        self.surprises = []  # changes that left other epochs than they should have
        self.changes = [
            (6, self.rotate), (4, self.suspend), (6, self.resume), (2, self.revoke),
            (4, self.add_again), (1, self.delete), (2, self.move), (3, self.move_home),
            (3, self.set_mode), (3, self.set_whitelist), (3, self.set_audiences),
            (1, self.look), (2, self.realm_rotate), (3, self.realm_retire),
            (2, self.realm_rollback), (2, self.node_retire), (1, self.node_rollback),
        ]
        if self.admin.has("policy.apply"):
            self.changes += [(5, self.apply_policy), (1, self.remove_policy)]

    # ---- how a change is made ----

    def now(self):
        return self.timeline.worlds[-1]

    def change(self, title, world, verb, **args):
        """A change that is in force when it is answered."""
        asked_us = mono_us()
        result = self.admin.do(verb, realm="lab", **args)
        self.timeline.add(title, world, asked_us, mono_us())
        return result

    def pick(self, *states):
        """Any node in one of these states, or None."""
        found = [n for n in self.now().nodes.values() if n.name and n.state in states]
        return self.random.choice(found) if found else None

    # ---- keys ----

    def start_key(self, node, epoch):
        """The node takes its newest key: the file's name stays, and so does its serial state."""
        path = os.path.join(self.lab.keys_dir, f"{node.number}.key")
        text = self.admin.do("node.key", realm="lab", name=node.name, epoch=epoch)["key"]
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as file:
            file.write(text)
        os.rename(path + ".new", path)
        slot = self.sender.add(path)
        self.sender.wait_open(slot)
        if self.sender.open[slot] != (node.number, epoch):
            raise LabError(f"the key is of {self.sender.open[slot]}, not {(node.number, epoch)}")
        self.slots[slot] = [node.number, epoch, None]

    def start_new_keys(self):
        """Every node has its newest key, whatever gave it that."""
        for node in self.now().nodes.values():
            if node.state in ("live", "suspended") and node.epochs and \
                    not any(own[:2] == [node.number, max(node.epochs)]
                            for own in self.slots.values()):
                self.start_key(node, max(node.epochs))

    def stop_old_keys(self):
        """Nodes move on to their newest keys; dead ones are tried a little longer."""
        world = self.now()
        for slot, (number, epoch, died) in list(self.slots.items()):
            node = world.nodes[number]
            is_alive = node.state in ("live", "suspended") and epoch in node.epochs
            if is_alive:
                self.slots[slot][2] = None
            elif died is None:
                self.slots[slot][2] = time.monotonic()
            elif time.monotonic() - died > DEAD_SENDS_S:
                self.sender.drop(slot)
                del self.slots[slot]
        for number in world.nodes:
            own = sorted(s for s in self.slots.items() if s[1][0] == number)
            own.sort(key=lambda s: s[1][1])
            for slot, _ in own[:-SLOTS_OF_NODE]:
                self.sender.drop(slot)
                del self.slots[slot]

    def add_node(self, name):
        """A new node, or a revoked or deleted one again: with a key above all it ever had."""
        world = self.timeline.next_world()
        asked_us = mono_us()
        made = self.admin.do("node.add", realm="lab", name=name, prefixes=[NODE4])
        answered_us = mono_us()
        for old in world.nodes.values():
            if old.name == name:
                old.name = None  # its number stays free
        node = Node(name, made["node"], made["epoch"])
        world.nodes[node.number] = node
        self.timeline.add(f"add {name}", world, asked_us, answered_us)

    def keys_change(self, title, verb, is_right, **args):
        """Asks for a change of epochs, and the registry for what is live then; `is_right` compares
        a node's epochs before and after."""
        before, asked_us = self.now(), mono_us()
        _, error, text = self.admin.ask(verb, realm="lab", **args)
        if error in (errno.ENOENT, errno.ENOSPC):
            return  # nothing to take back, or no room for another epoch
        if error:
            raise LabError(f"{verb} {args}: {text}")
        answered_us, world = mono_us(), self.timeline.next_world()
        for listed in self.admin.do("node.list", realm="lab")["nodes"]:
            node, old = world.nodes[listed["node"]], before.nodes[listed["node"]].epochs
            if listed["state"] == "revoked":
                continue
            node.epochs = {epoch["epoch"] for epoch in listed["epochs"]}
            is_meant = args.get("name") in (None, node.name)
            if not (is_right(old, node.epochs) if is_meant else node.epochs == old):
                self.surprises.append(f"{title}: {node.name} had {old}, has {node.epochs}")
        self.timeline.add(title, world, asked_us, answered_us)

    @staticmethod
    def has_one_more(old, new):
        """A newest one beside the old ones, but for those too far behind."""
        newest = max(new)
        return newest == max(old) + 1 or newest > max(old) and \
            new == {newest} | {epoch for epoch in old if epoch > newest - EPOCHS_LIVE}

    def rotate(self):
        node = self.pick("live")
        if node is not None and len(node.epochs) < EPOCHS_MAX:
            self.keys_change(f"rotate {node.name}", "node.rotate", self.has_one_more,
                             name=node.name)

    def realm_rotate(self):
        if max(len(n.epochs) for n in self.now().nodes.values()) < EPOCHS_MAX:
            self.keys_change("rotate the realm", "realm.rotate", self.has_one_more,
                             master=self.random.random() < 0.2)

    def realm_retire(self):
        self.keys_change("retire", "realm.retire", lambda old, new: new == {max(old)},
                         force=True, final=self.random.random() < 0.5)

    def node_retire(self):
        node = self.pick("live")
        if node is not None:
            self.keys_change(f"retire {node.name}", "node.retire",
                             lambda old, new: new == {max(old)}, name=node.name, force=True)

    def realm_rollback(self):
        """Held epochs live again, or else the newest ones are closed."""
        self.keys_change("roll back", "realm.rollback",
                         lambda old, new: new >= old or new and new < old, force=True)

    def node_rollback(self):
        node = self.pick("live")
        if node is not None:
            self.keys_change(f"roll back {node.name}", "node.rollback",
                             lambda old, new: new >= old or new and new < old,
                             name=node.name, force=True)

    # ---- nodes ----

    def set_state(self, verb, state, *before):
        node = self.pick(*before)
        if node is None:
            return
        world = self.timeline.next_world()
        world.nodes[node.number].state = state
        self.change(f"{verb} {node.name}", world, f"node.{verb}", name=node.name)

    def suspend(self):
        self.set_state("suspend", "suspended", "live")

    def resume(self):
        self.set_state("resume", "live", "suspended")

    def revoke(self):
        self.set_state("revoke", "revoked", "live", "suspended")

    def delete(self):
        self.set_state("delete", "deleted", "live", "revoked")

    def add_again(self):
        node = self.pick("revoked", "deleted")
        if node is not None:
            self.add_node(node.name)

    def move(self, is_home=False):
        nodes = [n for n in self.now().nodes.values()
                 if n.state in ("live", "suspended") and n.is_home != is_home]
        if not nodes:
            return
        node = self.random.choice(nodes)
        world = self.timeline.next_world()
        world.nodes[node.number].is_home = is_home
        self.change(f"move {node.name}", world, "node.set", name=node.name,
                    prefixes=[NODE4 if is_home else ELSEWHERE])

    def move_home(self):
        self.move(True)

    # ---- the realm ----

    def set_mode(self):
        world = self.timeline.next_world()
        world.mode = self.random.choice(["observe", "permissive", "enforce", "enforce"])
        self.change(f"mode {world.mode}", world, "realm.mode", mode=world.mode)

    def reload(self, name, world):
        """Writes the configuration, and the whitelist, as `world` says."""
        asked_us = mono_us()
        names = world.whitelist
        if names is not None:
            path = os.path.join(self.lab.dir, "whitelist")
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write("".join(f"{n}\n" for n in sorted(names)))
            os.rename(path + ".new", path)
        for what, ids in (("realm_audiences", world.audiences), ("group_audiences", world.readable)):
            self.lab.settings[what] = [AUDIENCES[i] for i in sorted(ids - {0})]
        self.lab.settings["realm_extra"] = "    whitelist: whitelist\n" if names is not None else ""
        self.lab.write_config()
        self.admin.do("reload")
        self.timeline.add(name, world, asked_us, mono_us())

    def set_whitelist(self):
        world = self.timeline.next_world()
        if self.random.random() < 0.4:
            world.whitelist = None
        else:
            names = sorted(n.name for n in world.nodes.values() if n.name)
            world.whitelist = set(self.random.sample(names, self.random.randint(4, len(names))))
        self.reload("whitelist", world)

    def set_audiences(self):
        world = self.timeline.next_world()
        world.audiences, world.readable = self.random.choice([
            ({0, 1, 2}, {0, 1, 2}), ({0, 1, 2}, {0, 1, 2}), ({0, 1}, {0, 1}),
            ({0, 1, 2}, {0, 1}), ({0, 1, 2}, {0, 2})])
        self.reload("audiences", world)

    # ---- rules ----

    def random_rule(self):
        names = sorted(n.name for n in self.now().nodes.values() if n.name)
        some = self.random.random
        return (some() < 0.7,
                set(self.random.sample(names, 4)) if some() < 0.5 else None,
                set(self.random.sample(UIDS, 2)) if some() < 0.4 else None,
                {self.random.choice((0, 1))} if some() < 0.3 else None)

    def policy_text(self, policy):
        lines = ["rules:"]
        for allow, names, uids, audiences in policy.rules:
            parts = []
            if names is not None:
                parts.append(f"nodes: [{', '.join(sorted(names))}]")
            if uids is not None:
                parts.append("uids: [" + ", ".join(f'"{u}"' for u in sorted(uids)) + "]")
            if audiences is not None:
                known = {0: "any", **AUDIENCES}
                parts.append(f"audiences: [{', '.join(known[a] for a in sorted(audiences))}]")
            lines.append(f"  - {'allow' if allow else 'deny'}: {{{', '.join(parts)}}}")
        if policy.is_limited:
            lines.append("limits:\n  - {default: aggregate, rate: 40, burst: 20}")
        return "\n".join(lines) + "\n"

    def apply_policy(self):
        world = self.timeline.next_world()
        rules = [self.random_rule() for _ in range(self.random.randint(1, 5))]
        rules.append((True, None, None, None))
        if self.random.random() < 0.3:
            rules.pop()
        world.policy = Policy(rules, self.random.random() < 0.3)
        self.change("policy", world, "policy.apply", text=self.policy_text(world.policy))

    def remove_policy(self):
        if self.now().policy.rules is None:
            return
        world = self.timeline.next_world()
        world.policy = Policy()
        self.change("policy removed", world, "policy.remove")

    # ---- what changes nothing ----

    def kill_dataplane(self):
        self.kills += 1
        down_us = mono_us()
        os.kill(self.lab.json("status")["dataplane"]["pid"], signal.SIGKILL)
        end = time.monotonic() + 60
        restarts = self.kills
        while time.monotonic() < end:
            dataplane = self.lab.json("status")["dataplane"]
            if dataplane["state"] == "running" and dataplane["restarts"] >= restarts:
                self.outages.append((down_us, mono_us() + 500_000))
                return
            time.sleep(0.05)
        raise LabError("the dataplane did not come back within a minute")

    def look(self):
        self.lab.credgate("status")
        self.lab.credgate("node", "list", "lab")

    # ---- the run ----

    def run(self, seconds):
        for number in range(1, NODES + 1):
            self.add_node(f"n{number}")
        self.start_new_keys()
        begin = time.monotonic()
        kills = sorted(self.random.uniform(0, seconds) for _ in range(1 + int(seconds / KILL_S)))
        weights = [weight for weight, _ in self.changes]
        while time.monotonic() < begin + seconds:
            if kills and time.monotonic() > begin + kills[0]:
                kills.pop(0)
                self.kill_dataplane()
            self.random.choices(self.changes, weights)[0][1]()
            self.start_new_keys()
            self.stop_old_keys()
            time.sleep(self.random.uniform(0, 0.15))
        code = self.sender.finish()
        time.sleep(1)
        return code


def settle(streams):
    """Waits until no more records come."""
    count = -1
    while count != sum(len(stream.records) for stream in streams):
        count = sum(len(stream.records) for stream in streams)
        time.sleep(0.5)


def datagrams_judged(lab):
    """All verdicts the workers counted for the realm."""
    return sum(sum(part.values()) for worker in lab.json("status")["workers"]
               for part in (worker["proved"], worker["unproved"]))


def in_outage(sent, outages):
    """How many of its datagrams, which are sent at even intervals, met no dataplane."""
    step_us = (sent.last_us - sent.sent_us) / max(sent.sends - 1, 1)
    times = [sent.sent_us + number * step_us for number in range(sent.sends)]
    return sum(any(down <= t <= up for down, up in outages) for t in times)


def account(soak, checks, delivered, refused, offset_us):
    judge = Judge(soak.timeline, offset_us, soak.outages)
    judge.take_records(delivered.records, refused.records)
    for sent in soak.sender.sent:
        judge.take(sent)
    total = len(soak.sender.sent)
    print(f"  {total} credentials in {sum(s.sends for s in soak.sender.sent)} datagrams, "
          f"{len(soak.timeline.worlds) - 1} changes, {soak.kills} kills:")
    for outcome, count in sorted(judge.outcomes.items(), key=lambda item: -item[1]):
        print(f"    {count:8} {outcome}")
    for text in judge.wrong[:20]:
        print(f"  WRONG {text}")
    checks.check("credentials with an outcome that was not true", 0, len(judge.wrong))
    checks.check("records of credentials that nobody sent", [],
                 judge.strangers({s.key() for s in soak.sender.sent})[:5])
    checks.check("some were accepted", True, judge.outcomes["accepted"] > 0)
    lost = judge.outcomes["lost"]
    checks.check("lost while the dataplane ran: at most one in 500", True, lost <= total / 500)
    busy = judge.outcomes["busy"]
    checks.check("busy: at most one in 500", True, busy <= total / 500)
    return judge


def test(build, seconds, seed, rate):
    checks = Checks()
    with Lab(build, nodes_max=64, workers=2) as lab:
        delivered = lab.watch("--group", "jobs")
        refused = lab.watch("--refused")
        time.sleep(1)
        offset_us = time.time_ns() // 1000 - mono_us()
        soak = Soak(lab, seed, rate)
        code = soak.run(seconds)
        settle([delivered, refused])
        drift_us = abs(time.time_ns() // 1000 - mono_us() - offset_us)
        checks.check("the sender ended well", 0, code)
        checks.check("the clock was not stepped under the test", True, drift_us < 50_000)
        account(soak, checks, delivered, refused, offset_us)
        sends = sum(s.sends for s in soak.sender.sent)
        judged = datagrams_judged(lab)
        excused = sum(in_outage(sent, soak.outages) for sent in soak.sender.sent)
        print(f"  {sends} datagrams sent, {judged} judged, {excused} sent during outages")
        checks.check("no datagram was judged twice", True, judged <= sends)
        checks.check("datagrams lost while the dataplane ran: at most one in 200", True,
                     sends - judged - excused <= sends / 200)
        checks.check("epochs that a change should have left", [], soak.surprises[:5])
        checks.check("restarts were those of the test", soak.kills,
                     lab.json("status")["dataplane"]["restarts"])
    return checks


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default="build", help="build folder (default: build)")
    options.add_argument("--seconds", type=float, default=25)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--rate", type=int, default=20, help="credentials/s of each key")
    given = options.parse_args()
    need_root()
    print(f"soak.py --seconds {given.seconds:g} --seed {given.seed} --rate {given.rate}",
          flush=True)
    try:
        return test(given.build, given.seconds, given.seed, given.rate).finish()
    except LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
