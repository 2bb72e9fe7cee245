#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replays frozen packets against a slow model of a gateway, written from docs/wire-format.md.

    judge.py FILE...   exit 1 if a verdict differs or a seal is broken

The model shares no code with the gateway: OpenSSL proves the tags (tests/vectors/generate.py), and
the window is a set of serials. What it does not know is rates, rules, rings that are full.
"""

import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
import generate as wire  # noqa: E402

TEXT_MAGIC = b"CGC1:"
AHEAD_S = 86400


def number(data, at, size):
    return int.from_bytes(data[at:at + size], "big")


def parse_record(line):
    kind, *fields = line.rstrip("\n").split(" ")
    return kind, dict(field.split("=", 1) for field in fields)


class Gateway:
    """The world of a file and what it has seen so far."""

    def __init__(self):
        self.realms, self.nodes, self.keys, self.group = {}, {}, {}, None
        self.seen, self.top = {}, {}

    def add(self, kind, f):
        if kind == "realm":
            self.realms[int(f["realm"])] = f
        elif kind == "node":
            realm, node = int(f["realm"]), int(f["node"])
            self.nodes[realm, node] = f["state"]
            self.keys[realm, node, int(f["epoch"])] = f
        elif kind == "group":
            self.group = f

    def judge(self, f):
        m = bytes.fromhex(f["datagram"])
        return self.shape(m) or self.key(m, f) or self.claims(m, f) or self.replay(m, f)

    @staticmethod
    def shape(m):
        """Is it a credential at all?"""
        if m[:5] == TEXT_MAGIC:
            return "unsupported"
        if not 96 <= len(m) <= 1232 or m[:4] != wire.MAGIC or number(m, 6, 2) != len(m):
            return "malformed"
        if 0 in (number(m, 8, 4), number(m, 12, 4), number(m, 16, 2)):
            return "malformed"
        if not 1 <= number(m, 24, 8) <= wire.SERIAL_MAX or number(m, 32, 8) >= 2**63:
            return "malformed"
        if not 1 <= m[4] <= 4 or m[5] not in (wire.ASSERT, wire.BEACON) or number(m, 18, 2) > 1:
            return "unsupported"
        return None

    def key(self, m, f):
        """Is there a live key, and did it make the tag?"""
        realm, node, epoch = number(m, 8, 4), number(m, 12, 4), number(m, 16, 2)
        now_s = int(f["at_us"]) // 10**6
        if realm not in self.realms:
            return "unknown-realm"
        if (realm, node) not in self.nodes:
            return "unknown-node"
        if self.nodes[realm, node] == "revoked":
            return "revoked"
        key = self.keys.get((realm, node, epoch))
        if key is None or not int(key["not_before_s"]) <= now_s <= int(key["not_after_s"]):
            return "unknown-epoch"
        if int(key["suite"]) != m[4]:
            return "unsupported"
        tag_key = wire.suite_key(bytes.fromhex(key["node_key"]), m[4], wire.REQUEST_TAG)
        return None if wire.aes_cmac(tag_key, m[:-16]) == m[-16:] else "bad-tag"

    def claims(self, m, f):
        """Origin, audience and time."""
        realm = self.realms[number(m, 8, 4)]
        key = self.keys[number(m, 8, 4), number(m, 12, 4), number(m, 16, 2)]
        if not self.origin_is_right(m[40:56], bytes.fromhex(f["source"]), realm, key):
            return "wrong-origin"
        audiences = [int(a) for a in realm["audiences"].split(",")]
        if number(m, 56, 4) not in audiences + [0] * int(realm["audience_any"]):
            return "wrong-audience"
        now, issued, skew = int(f["at_us"]), number(m, 32, 8), int(realm["skew_us"])
        ttl_s = min(number(m, 20, 4) or int(realm["ttl_default_s"]), int(realm["ttl_max_s"]))
        if issued > now + skew or number(m, 24, 4) > now // 10**6 + AHEAD_S:
            return "not-yet-valid"
        if now > issued + ttl_s * 10**6 + skew:
            return "expired"
        return "floor" if issued < int(realm["floor_us"]) else None

    @staticmethod
    def origin_is_right(origin, source, realm, key):
        bits = int(key["prefix_bits"])
        shift = 128 - bits
        prefix = int.from_bytes(bytes.fromhex(key["prefix"]), "big")
        inside = int.from_bytes(origin, "big") >> shift == prefix >> shift
        if realm["origin"] == "off":
            return True
        if origin == bytes(16) or not inside:
            return False
        return realm["origin"] == "claimed" or origin == source

    def replay(self, m, f):
        """The window, the retransmissions, and who may read it."""
        node, serial = (number(m, 8, 4), number(m, 12, 4)), number(m, 24, 8)
        realm, at = self.realms[node[0]], int(f["at_us"])
        sender = (m[-16:], f["source"], f["port"])
        if self.top.get(node, 0) - serial >= int(realm["window_bits"]):
            return "stale"
        before = self.seen.get((node, serial))
        if before:
            fresh = before[0] == sender and at - before[1] <= int(realm["dup_us"])
            return "duplicate" if fresh and number(m, 18, 2) & 1 else "replayed"
        if not self.may_read(m):
            return "unauthorized"
        self.seen[node, serial] = (sender, at)
        self.top[node] = max(serial, self.top.get(node, 0))
        return "accepted"

    def may_read(self, m):
        clear = m[64:80]
        if wire.is_sealed(m[4]):
            key = self.keys[number(m, 8, 4), number(m, 12, 4), number(m, 16, 2)]
            seal_key = wire.suite_key(bytes.fromhex(key["node_key"]), m[4], wire.REQUEST_SEAL)
            clear = wire.aes_ctr(seal_key, m[60:64] + m[24:32] + bytes(4), clear)
        auth = (number(clear, 8, 4), number(clear, 12, 4))
        reader = (int(self.group["reader_uid"]), int(self.group["reader_gid"]))
        return all(a in (wire.ANYONE, r) for a, r in zip(auth, reader))


def file_check(path):
    """Lines to complain about."""
    gateway, wrong, before, packets, sealed = Gateway(), [], hashlib.sha256(), 0, False
    for line in pathlib.Path(path).read_text().splitlines(keepends=True):
        kind, f = ("#", {}) if line[0] in "#\n" else parse_record(line)
        sealed = kind == "seal"
        if sealed and f["sha256"] != before.hexdigest():
            wrong.append(f"{path}: a line above this seal was changed: {line.strip()}")
        elif kind == "packet":
            packets += 1
            verdict = gateway.judge(f)
            if verdict != f["verdict"]:
                wrong.append(f"{path}: {f['name']}: {f['verdict']} is said, {verdict} is right")
        else:
            gateway.add(kind, f)
        before.update(line.encode())
    if packets == 0 or not sealed:
        wrong.append(f"{path}: no packets, or no seal at the end")
    return wrong


def main(paths):
    wrong = [line for path in paths for line in file_check(path)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
