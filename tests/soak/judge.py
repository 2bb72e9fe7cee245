# SPDX-License-Identifier: BSD-3-Clause
"""Accounts for every credential that was sent: accepted once, or refused for a reason that was true
at that time, or lost where datagrams may be lost."""

from collections import Counter, defaultdict

from world import SILENT

NAMES = {1: "accepted", 2: "duplicate", 3: "replayed", 4: "stale", 5: "expired", 6: "not-yet-valid",
         7: "bad-tag", 8: "unknown-realm", 9: "unknown-node", 10: "revoked", 11: "unknown-epoch",
         12: "wrong-origin", 13: "wrong-audience", 14: "forbidden", 15: "over-rate",
         16: "malformed", 17: "unsupported", 18: "busy", 19: "floor", 20: "unauthorized",
         21: "store-full"}
REPEATED = {"duplicate", "replayed"}  # what a repeated datagram may get once one was accepted


class Sent:
    """A credential as the sender tells of it."""

    def __init__(self, fields):
        (self.slot, self.node, self.epoch, self.serial, self.uid, self.audience, self.sent_us,
         self.last_us, self.answered_us, verdict, self.sends) = map(int, fields)
        self.verdict = NAMES.get(verdict)

    def key(self):
        return self.node, self.epoch, self.serial

    def claim(self):
        return self.node, self.epoch, self.uid, self.audience

    def __str__(self):
        return (f"node {self.node} epoch {self.epoch} serial {self.serial} uid {self.uid} "
                f"audience {self.audience}, sent {self.sends} times in "
                f"{self.last_us - self.sent_us} us, answer {self.verdict}")


class Judge:
    def __init__(self, timeline, offset_us, outages):
        self.timeline, self.offset_us, self.outages = timeline, offset_us, outages
        self.accepted, self.refused = defaultdict(list), defaultdict(list)
        self.outcomes, self.wrong = Counter(), []

    def take_records(self, delivered, refused):
        for records, by_key in ((delivered, self.accepted), (refused, self.refused)):
            for record in records:
                by_key[record["node"], record["epoch"], int(record["serial"])].append(record)

    def complain(self, text, sent, from_us, until_us):
        expected = ", ".join(sorted(self.timeline.verdicts(from_us, until_us, sent.claim())))
        self.wrong.append(f"{text}: {sent}; right would have been: {expected}; in force: "
                          f"{self.timeline.around(from_us, until_us)}")

    def is_explained(self, verdict, sent, from_us, until_us):
        if verdict in REPEATED:
            return bool(self.accepted[sent.key()]) or sent.verdict in ("accepted", "duplicate")
        return verdict == "busy" or verdict in self.timeline.verdicts(
            from_us, until_us, sent.claim())

    def check_records(self, sent):
        accepted = self.accepted[sent.key()]
        if len(accepted) > 1:
            self.complain("accepted more than once", sent, sent.sent_us, sent.last_us)
        for record in accepted + self.refused[sent.key()]:
            time_us = record["time_us"] - self.offset_us
            if not self.is_explained(record["verdict"], sent, time_us, time_us):
                self.complain(f"record {record['verdict']}", sent, time_us, time_us)
            if record["verdict"] == "accepted" and record["uid"] != sent.uid:
                self.complain(f"record of uid {record['uid']}", sent, time_us, time_us)

    def check_answer(self, sent):
        until_us = sent.answered_us or sent.last_us
        if not self.is_explained(sent.verdict, sent, sent.sent_us, until_us):
            self.complain(f"answer {sent.verdict}", sent, sent.sent_us, until_us)
        if sent.verdict in ("accepted", "duplicate") and not self.accepted[sent.key()]:
            self.complain("answered as accepted, but never delivered", sent, sent.sent_us, until_us)

    def is_in_outage(self, sent):
        return any(sent.sent_us <= up_us and down_us <= sent.last_us
                   for down_us, up_us in self.outages)

    def outcome(self, sent):
        """In one word; "lost" is what nothing explains but the network."""
        if self.accepted[sent.key()]:
            return "accepted"
        if sent.verdict:
            return sent.verdict
        seen = [record["verdict"] for record in self.refused[sent.key()]]
        if seen:
            return seen[-1]
        # Of unproved refusals a source has only so many shown a second: what is left is silence.
        right = self.timeline.verdicts(sent.sent_us, sent.last_us, sent.claim())
        if right & SILENT:
            return "silent: " + " or ".join(sorted(right & SILENT))
        return "lost in an outage" if self.is_in_outage(sent) else "lost"

    def take(self, sent):
        self.check_records(sent)
        if sent.verdict:
            self.check_answer(sent)
        self.outcomes[self.outcome(sent)] += 1

    def strangers(self, known):
        """Records of credentials that nobody sent."""
        return [key for key in (*self.accepted, *self.refused)
                if key not in known and (self.accepted[key] or self.refused[key])]
