#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The soak test's judge, against runs that went wrong: each of them must be seen."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from judge import NAMES, Judge, Sent  # noqa: E402
from world import Node, Policy, Timeline, World  # noqa: E402

NUMBERS = {name: number for number, name in NAMES.items()}
S = 1_000_000


def story():
    """Node 1: live, suspended from 10 s on, live from 20 s on, revoked from 30 s on."""
    world = World()
    world.nodes[1] = Node("n1", 1, 5)
    timeline = Timeline(world, 0)
    for second, state in ((10, "suspended"), (20, "live"), (30, "revoked")):
        world = timeline.next_world()
        world.nodes[1].state = state
        timeline.add(state, world, second * S, second * S + 50_000)
    return timeline


def sent(at_s, verdict=None, epoch=5, audience=0, uid=0, answered_s=None):
    answered_us = 0 if verdict is None else int((answered_s or at_s + 0.001) * S)
    return Sent([0, 1, epoch, 77, uid, audience, int(at_s * S), int(at_s * S), answered_us,
                 NUMBERS.get(verdict, 0), 1])


def record(at_s, verdict, epoch=5, uid=0):
    return {"node": 1, "epoch": epoch, "serial": "77", "uid": uid, "verdict": verdict,
            "time_us": int(at_s * S)}


class JudgeTest(unittest.TestCase):
    def judge(self, credential, delivered=(), refused=(), timeline=None, outages=()):
        judge = Judge(timeline or story(), 0, outages)
        judge.take_records(delivered, refused)
        judge.take(credential)
        return judge

    def assert_good(self, outcome, *arguments, **options):
        judge = self.judge(*arguments, **options)
        self.assertEqual(judge.wrong, [])
        self.assertEqual(list(judge.outcomes), [outcome])

    def assert_wrong(self, text, *arguments, **options):
        judge = self.judge(*arguments, **options)
        self.assertTrue(judge.wrong and text in judge.wrong[0], judge.wrong)

    def test_true(self):
        self.assert_good("accepted", sent(5, "accepted"), [record(5, "accepted")])
        self.assert_good("accepted", sent(5, "duplicate"), [record(5, "accepted")])
        self.assert_good("accepted", sent(5), [record(5, "accepted")])
        self.assert_good("forbidden", sent(15, "forbidden"), refused=[record(15, "forbidden")])
        self.assert_good("revoked", sent(35), refused=[record(35, "revoked")])
        self.assert_good("silent: revoked", sent(35))
        self.assert_good("unknown-epoch", sent(5, epoch=4),
                         refused=[record(5, "unknown-epoch", epoch=4)])
        self.assert_good("wrong-audience", sent(5, "wrong-audience", audience=9))

    def test_while_it_changes(self):
        """Between question and answer of a change both states are true."""
        for at_s in (10.0, 10.05):
            self.assert_good("accepted", sent(at_s, "accepted"), [record(at_s, "accepted")])
            self.assert_good("forbidden", sent(at_s, "forbidden"))

    def test_false(self):
        self.assert_wrong("answer forbidden", sent(5, "forbidden"))
        self.assert_wrong("answer stale", sent(5, "stale"))
        self.assert_wrong("answer bad-tag", sent(5, "bad-tag"))
        self.assert_wrong("record revoked", sent(25), refused=[record(25, "revoked")])
        self.assert_wrong("record unknown-epoch", sent(5), refused=[record(5, "unknown-epoch")])
        self.assert_wrong("record accepted", sent(15), [record(15, "accepted")])
        self.assert_wrong("record accepted", sent(35), [record(35, "accepted")])
        self.assert_wrong("record accepted", sent(5, epoch=4), [record(5, "accepted", epoch=4)])
        # Not long after: the suspension was answered at 10.05 s.
        self.assert_wrong("record accepted", sent(10.3), [record(10.3, "accepted")])
        self.assert_wrong("answer forbidden", sent(20.3, "forbidden"))

    def test_accepted_twice(self):
        self.assert_wrong("more than once", sent(5, "accepted"),
                          [record(5, "accepted"), record(5.1, "accepted")])

    def test_not_delivered(self):
        self.assert_wrong("never delivered", sent(5, "accepted"))

    def test_repeated_without_a_first(self):
        self.assert_wrong("record replayed", sent(5), refused=[record(5, "replayed")])
        self.assert_wrong("answer duplicate", sent(5, "duplicate"), refused=[])

    def test_another_uid(self):
        self.assert_wrong("record of uid 9", sent(5, "accepted"), [record(5, "accepted", uid=9)])

    def test_lost(self):
        self.assert_good("lost", sent(5))
        self.assert_good("lost", sent(5), outages=[(7 * S, 8 * S)])
        self.assert_good("lost in an outage", sent(5), outages=[(4 * S, 6 * S)])

    def test_strangers(self):
        judge = self.judge(sent(5, "accepted"), [record(5, "accepted")],
                           [record(5, "revoked", epoch=6)])
        self.assertEqual(judge.strangers({(1, 5, 77)}), [(1, 6, 77)])

    def test_rules(self):
        """The first rule that matches decides; the mode, if none does."""
        policy = Policy([(False, {"n1"}, {1000}, None), (True, {"n1"}, None, {1, 2})])
        self.assertTrue(policy.denies("n1", 1000, 1, "observe"))
        self.assertFalse(policy.denies("n1", 0, 1, "enforce"))
        self.assertTrue(policy.denies("n1", 0, 0, "enforce"))
        self.assertFalse(policy.denies("n2", 0, 0, "permissive"))


if __name__ == "__main__":
    unittest.main()
