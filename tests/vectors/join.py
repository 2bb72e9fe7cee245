#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The vectors of enrolment, from a second implementation: docs/enrolment.md in plain Python, with
X25519 (RFC 7748) and XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) written out. Prints
them; with --check compares them with the file beside this one and with the page."""

import argparse
import base64
import hashlib
import os
import struct
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "join-v1.txt")
PAGE = os.path.join(HERE, "..", "..", "docs", "enrolment.md")
P25519 = 2**255 - 19
HEAD = """\
# SPDX-License-Identifier: BSD-3-Clause
# Vectors of enrolment, version 1 (docs/enrolment.md). Made by join.py; do not edit.
"""


def x25519(scalar, point):
    """RFC 7748, section 5: the Montgomery ladder."""
    k = int.from_bytes(scalar, "little") & ~7 & ~(128 << 248) | 64 << 248
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        x3, z3 = (da + cb)**2 % P25519, u * (da - cb)**2 % P25519
        x2, z2 = a * a * b * b % P25519, (e := a * a - b * b) * (a * a + 121665 * e) % P25519
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P25519 - 2, P25519) % P25519).to_bytes(32, "little")


def chacha_rounds(state):
    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = state[x] + state[y] & 0xffffffff
            v = state[z] ^ state[x]
            state[z] = (v << n | v >> 32 - n) & 0xffffffff
    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return state


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def hchacha20(key, nonce16):
    state = chacha_rounds([*CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce16)])
    return struct.pack("<8I", *state[:4], *state[12:])


def chacha20(key, counter, nonce12, data):
    out = bytearray()
    for at in range(0, len(data), 64):
        first = [*CONSTANTS, *struct.unpack("<8I", key), counter + at // 64,
                 *struct.unpack("<3I", nonce12)]
        last = chacha_rounds(list(first))
        stream = struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(first, last)))
        out += bytes(a ^ b for a, b in zip(data[at:at + 64], stream))
    return bytes(out)


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at:at + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def padded(data):
    return data + bytes(-len(data) % 16)


def xchacha_seal(key, nonce, associated, plain):
    key, nonce = hchacha20(key, nonce[:16]), bytes(4) + nonce[16:]
    sealed = chacha20(key, 1, nonce, plain)
    message = padded(associated) + padded(sealed) + struct.pack("<QQ", len(associated), len(sealed))
    return sealed + poly1305(chacha20(key, 0, nonce, bytes(32)), message)


def field(text, size):
    return text.encode().ljust(size, b"\0")


def blake(secret, person, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32, key=secret,
                           person=person.ljust(16, b"\0")).digest()


def vectors():
    base = (9).to_bytes(32, "little")
    gateway_secret = bytes(range(0x40, 0x60))
    node_secret = bytes(range(0x60, 0x80))
    answer_secret = bytes(range(0x80, 0xa0))
    gateway = x25519(gateway_secret, base)
    code_id, realm = 0x0102030405060708, 7
    secret = bytes(range(0xa0, 0xb0))
    raw = struct.pack(">QI", code_id, realm) + secret + gateway
    raw += struct.pack(">I", zlib.crc32(raw))
    code = b"CGJ1:" + base64.urlsafe_b64encode(raw).rstrip(b"=") + b":"

    public = x25519(node_secret, base)
    es = x25519(node_secret, gateway)
    request = b"CGJQ" + struct.pack(">BBHQII", 1, 0, 152, code_id, realm, 0) + public + \
        field("n001", 64)
    request += blake(secret, b"CGJ1mac_", gateway, es, request)

    head = b"CGJA" + struct.pack(">BBH", 1, 1, 312) + x25519(answer_secret, base)
    ee = x25519(answer_secret, public)
    key = blake(secret, b"CGJ1seal", gateway, es, ee, request, head)
    node_key = struct.pack(">IIHBB", realm, 0x01020304, 5, 3, 0) + bytes.fromhex(
        "55557e6d41115275f5295769d28678741a7cd6bcf877fbe0a9a60f4ca5c4a342")
    body = bytes([1, 0, 0, 0]) + node_key + field("n001", 64) + field("realm lab", 144)
    answer = head + xchacha_seal(key, bytes(24), head, body)
    return [("gateway_secret", gateway_secret.hex()), ("gateway_public", gateway.hex()),
            ("code_id", f"{code_id:016x}"), ("code_realm", str(realm)),
            ("code_secret", secret.hex()), ("code", code.decode()),
            ("node_secret", node_secret.hex()), ("node_public", public.hex()), ("es", es.hex()),
            ("request", request.hex()), ("answer_secret", answer_secret.hex()), ("ee", ee.hex()),
            ("answer_key", key.hex()), ("body", body.hex()), ("answer", answer.hex()),
            ("refused", (b"CGJA" + struct.pack(">BBHI", 1, 2, 12, 0)).hex()),
            ("busy", (b"CGJA" + struct.pack(">BBHI", 1, 3, 12, 1000)).hex())]


def self_check():
    """Known answers: RFC 7748 section 5.2, and the AEAD of draft-irtf-cfrg-xchacha A.3.1."""
    key = bytes(range(0x80, 0xa0))
    nonce = bytes(range(0x40, 0x58))
    plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for " \
            b"the future, sunscreen would be it."
    tag = xchacha_seal(key, nonce, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), plain)[-16:]
    assert tag.hex() == "c0875924c1c7987947deafd8780acf49", tag.hex()
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert x25519(scalar, point).hex() == \
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true")
    self_check()
    text = HEAD + "join " + " ".join(f"{name}={value}" for name, value in vectors()) + "\n"
    if not options.parse_args().check:
        print(text, end="")
        return 0
    with open(FILE, encoding="ascii") as file:
        if file.read() != text:
            print(f"{FILE} is not what this makes", file=sys.stderr)
            return 1
    with open(PAGE, encoding="utf-8") as file:
        page = "".join(file.read().split())
    missing = [name for name, value in vectors() if value not in page]
    if missing:
        print(f"docs/enrolment.md lacks or misquotes: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
