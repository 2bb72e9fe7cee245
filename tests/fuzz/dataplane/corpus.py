#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of burst_fuzz.c into corpus/burst. The target tags them itself."""

import pathlib
import struct

FRAME, DATAGRAM, RETAG = 0, 1, 2
IPV6, VLAN, TRUSTED, LATER, BURST = 0x04, 0x08, 0x10, 0x20, 0x80
NOW_US = 1767225600000000
ANYONE = 0xFFFFFFFF
IPV4 = bytes(10) + b"\xff\xff" + bytes([10, 1, 2, 3])
IPV6_ADDRESS = bytes.fromhex("20010db8000700000000000000000003")
OUR_MAC, PEER_MAC = bytes.fromhex("02c600000001"), bytes.fromhex("02c600000002")


def cred(node=1, epoch=1, flags=0, serial=1, origin=IPV4, audience=9, kind=1, payload=b"",
         issued=NOW_US, ttl=60, auth=ANYONE):
    size = 96 + len(payload)
    return (b"CGC1" + bytes([3, kind]) + struct.pack(">HIIHHIQQ", size, 7, node - 1, epoch, flags,
                                                     ttl, serial, issued)
            + origin + struct.pack(">I4sIIII", audience, b"salt", 1000, 100, auth, ANYONE)
            + payload + bytes(16))


def step(what, data):
    return bytes([what]) + struct.pack("<H", len(data)) + data


def arp():
    return (b"\xff" * 6 + PEER_MAC + bytes.fromhex("0806000108000604") + b"\0\1" + PEER_MAC
            + IPV4[12:] + bytes(6) + bytes([10, 9, 9, 9]) + bytes(18))


SEEDS = {
    "accepted": step(RETAG, cred()),
    "accepted-ipv6-vlan": step(RETAG | IPV6 | VLAN, cred(origin=IPV6_ADDRESS, flags=1)),
    "every-node": b"".join(step(RETAG | TRUSTED, cred(node=n, flags=1)) for n in range(1, 5)),
    "other-epoch": step(RETAG, cred(epoch=2)),
    "twins": step(RETAG, cred(flags=1)) * 3 + step(RETAG, cred()) * 3,
    "duplicate-then-late": (step(RETAG | BURST, cred(flags=1)) + step(RETAG | BURST, cred(flags=1))
                            + step(RETAG | LATER | BURST, cred(flags=1)) * 5),
    "window": b"".join(step(RETAG, cred(serial=s)) for s in (1, 64, 65, 500, 300, 200, 1 << 40, 7)),
    "payloads": b"".join(step(RETAG, cred(serial=n + 1, payload=bytes([n]) * (n * 37)))
                         for n in range(12)),
    "beacon": step(RETAG, cred(kind=2, audience=0)),
    "refusals": (step(RETAG, cred(audience=8, flags=1)) + step(RETAG, cred(issued=0, flags=1))
                 + step(RETAG, cred(origin=bytes(16), flags=1)) + step(RETAG, cred(auth=1))
                 + step(RETAG, cred(issued=1 << 62, flags=1)) + step(DATAGRAM, cred())),
    "shapes": (step(DATAGRAM, b"") + step(DATAGRAM, b"CGC1:QUJD:") + step(DATAGRAM, b"MUNGE:")
               + step(DATAGRAM | IPV6, b"CGC1" + bytes(92))),
    "frames": (step(FRAME, arp()) + step(FRAME, OUR_MAC + PEER_MAC + b"\x08\x00\x45" + bytes(60))
               + step(FRAME, OUR_MAC + PEER_MAC + b"\x86\xdd\x60" + bytes(60))
               + step(FRAME, OUR_MAC + PEER_MAC + b"\x81\x00\0\1\x08\x00" + bytes(60))),
}


def main():
    folder = pathlib.Path(__file__).resolve().parent / "corpus" / "burst"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
