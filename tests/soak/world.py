# SPDX-License-Identifier: BSD-3-Clause
"""What the soak test believes to be true: the state of every node and of the realm after each change,
with the times between which it came into force, and what verdicts a credential may get then.

Changes are made one after the other. Each is asked for at one time and answered at a later one; it
may be in force from the first and must be from the second. So world number k is possible from when
its change was asked for until the next one's was answered."""

import bisect
import copy

SILENT = {"unknown-realm", "unknown-node", "revoked", "unknown-epoch", "bad-tag"}
SLACK_US = 100_000  # a burst's time is taken when it begins; two cores are shared with the test


class Node:
    def __init__(self, name, number, epoch):
        self.name, self.number = name, number
        self.state = "live"  # suspended, revoked, deleted
        self.epochs = {epoch}
        self.is_home = True  # its prefixes have the address it sends from


class World:
    def __init__(self):
        self.nodes = {}  # by number
        self.mode = "enforce"
        self.audiences = {0, 1, 2}  # the realm's, and 0: any
        self.readable = {0, 1, 2}  # those the group gets
        self.whitelist = None  # names
        self.policy = Policy()

    def verdicts(self, number, epoch, uid, audience):
        """All that are right for a fresh credential, by docs/verdicts.md's order."""
        node = self.nodes.get(number)
        if node is None or node.state == "deleted":
            return {"unknown-node"}
        if node.state == "revoked":
            return {"revoked"}
        if epoch not in node.epochs:
            return {"unknown-epoch"}
        if not node.is_home:
            return {"wrong-origin"}
        if audience not in self.audiences:
            return {"wrong-audience"}
        if self.is_forbidden(node, uid, audience):
            return {"forbidden"}
        if audience not in self.readable:
            return {"unauthorized"}
        return {"accepted", "over-rate"} if self.policy.is_limited else {"accepted"}

    def is_forbidden(self, node, uid, audience):
        if node.state == "suspended":
            return True
        if self.whitelist is not None and node.name not in self.whitelist:
            return True
        return self.policy.denies(node.name, uid, audience, self.mode)


class Policy:
    """Rules as tuples (allow, names or None, uids or None, audiences or None), the first decides."""

    def __init__(self, rules=None, is_limited=False):
        self.rules, self.is_limited = rules, is_limited

    def denies(self, name, uid, audience, mode):
        if self.rules is None:
            return False
        for allow, names, uids, audiences in self.rules:
            if (names is None or name in names) and (uids is None or uid in uids) and \
                    (audiences is None or audience in audiences):
                return not allow
        return mode == "enforce"


class Timeline:
    def __init__(self, world, now_us):
        self.asked, self.answered = [0], [now_us]
        self.worlds, self.names = [world], ["start"]

    def next_world(self):
        """A copy of the last one, to be changed."""
        return copy.deepcopy(self.worlds[-1])

    def add(self, name, world, asked_us, answered_us):
        self.asked.append(asked_us)
        self.answered.append(answered_us)
        self.worlds.append(world)
        self.names.append(name)

    def possible(self, from_us, until_us):
        """Numbers of the worlds that may have been in force at some moment of the interval."""
        from_us, until_us = from_us - SLACK_US, until_us + SLACK_US
        last = bisect.bisect_right(self.asked, until_us) - 1
        first = max(bisect.bisect_right(self.answered, from_us) - 1, 0)
        return range(first, max(last, first) + 1)

    def verdicts(self, from_us, until_us, claim):
        found = set()
        for number in self.possible(from_us, until_us):
            found |= self.worlds[number].verdicts(*claim)
        return found

    def around(self, from_us, until_us):
        """For people: what happened in and around an interval."""
        return ", ".join(
            f"#{n} {self.names[n]} [{self.asked[n] - from_us:+d} ... {self.answered[n] - from_us:+d} us]"
            for n in self.possible(from_us, until_us))
