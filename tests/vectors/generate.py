#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Test vectors of the native credential, version 1 (docs/wire-format.md).

An implementation of the format that shares no line with the C code: Python's standard library
packs the bytes, OpenSSL's libcrypto (through ctypes) does AES-CMAC, AES-CTR and BLAKE2b. Whatever
both implementations agree on is what the page says and not what one programmer believed.

    generate.py            write native-v1.json and native-v1.txt beside this file, and the seeds
                           of tests/fuzz/wire/corpus
    generate.py --check    make all again in memory and compare, and look for the examples in
                           docs/wire-format.md; exit 1 on any difference
    generate.py --example  print the worked examples of docs/wire-format.md

Everything is deterministic: no clock, no random bytes.
"""

import base64
import ctypes
import hashlib
import ipaddress
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

MAGIC = b"CGC1"
HEADER_SIZE, TAG_SIZE, PAYLOAD_MAX = 80, 16, 1136
SEALED_FIRST = 64
CMAC128, CMAC256, SEALED128, SEALED256 = 1, 2, 3, 4
ASSERT, BEACON, ASK, REPLY = 1, 2, 3, 128
REQUEST_TAG, REQUEST_SEAL, REPLY_TAG, REPLY_SEAL = 1, 2, 3, 4
SUITE_NAMES = {1: "cmac128", 2: "cmac256", 3: "sealed128", 4: "sealed256"}
KIND_NAMES = {1: "assert", 2: "beacon"}
SERIAL_MAX = 2**64 - 2**32 - 1
ANYONE = 2**32 - 1

# --- libcrypto ---------------------------------------------------------------------------------


class OsslParam(ctypes.Structure):
    """struct ossl_param_st of OpenSSL 3."""

    _fields_ = [
        ("key", ctypes.c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("data_size", ctypes.c_size_t),
        ("return_size", ctypes.c_size_t),
    ]


def load_libcrypto():
    """libcrypto with the signatures used below; pointers must not be cut to int."""
    lib = ctypes.CDLL("libcrypto.so.3")
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    signatures = {
        "EVP_MAC_fetch": (pointer, [pointer, ctypes.c_char_p, ctypes.c_char_p]),
        "EVP_MAC_CTX_new": (pointer, [pointer]),
        "EVP_MAC_CTX_free": (None, [pointer]),
        "EVP_MAC_free": (None, [pointer]),
        "EVP_MAC_init": (ctypes.c_int, [pointer, ctypes.c_char_p, size, pointer]),
        "EVP_MAC_update": (ctypes.c_int, [pointer, ctypes.c_char_p, size]),
        "EVP_MAC_final": (ctypes.c_int, [pointer, pointer, pointer, size]),
        "EVP_CIPHER_CTX_new": (pointer, []),
        "EVP_CIPHER_CTX_free": (None, [pointer]),
        "EVP_aes_128_ctr": (pointer, []),
        "EVP_aes_256_ctr": (pointer, []),
        "EVP_EncryptInit_ex": (
            ctypes.c_int,
            [pointer, pointer, pointer, ctypes.c_char_p, ctypes.c_char_p],
        ),
        "EVP_EncryptUpdate": (
            ctypes.c_int,
            [pointer, pointer, pointer, ctypes.c_char_p, ctypes.c_int],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


LIB = load_libcrypto()


def need(ok, what):
    if not ok:
        raise SystemExit(f"libcrypto: {what} failed")


def ossl_params(fields):
    """An OSSL_PARAM array and the buffers it points into (which must outlive it)."""
    integer_type, text_type, bytes_type = 2, 4, 5
    buffers, params = [], []
    for key, value in fields.items():
        if isinstance(value, int):
            buffer, kind, size = ctypes.c_size_t(value), integer_type, ctypes.sizeof(ctypes.c_size_t)
        elif isinstance(value, str):
            buffer = ctypes.create_string_buffer(value.encode())
            kind, size = text_type, len(value)
        else:
            buffer, kind, size = ctypes.create_string_buffer(value, len(value)), bytes_type, len(value)
        buffers.append(buffer)
        unmodified = ctypes.c_size_t(-1).value
        pointer = ctypes.cast(ctypes.byref(buffer), ctypes.c_void_p)
        params.append(OsslParam(key.encode(), kind, pointer, size, unmodified))
    params.append(OsslParam(None, 0, None, 0, 0))
    return (OsslParam * len(params))(*params), buffers


def evp_mac(name, key, message, size, fields):
    """One MAC by OpenSSL."""
    params, buffers = ossl_params(fields)
    mac = LIB.EVP_MAC_fetch(None, name.encode(), None)
    need(mac, f"EVP_MAC_fetch({name})")
    context = LIB.EVP_MAC_CTX_new(mac)
    out, out_size = ctypes.create_string_buffer(size), ctypes.c_size_t()
    need(LIB.EVP_MAC_init(context, key, len(key), ctypes.byref(params)), "EVP_MAC_init")
    need(LIB.EVP_MAC_update(context, message, len(message)), "EVP_MAC_update")
    need(LIB.EVP_MAC_final(context, out, ctypes.byref(out_size), size), "EVP_MAC_final")
    LIB.EVP_MAC_CTX_free(context)
    LIB.EVP_MAC_free(mac)
    del buffers
    need(out_size.value == size, "the size of the MAC")
    return out.raw


def aes_cmac(key, message):
    return evp_mac("CMAC", key, message, 16, {"cipher": f"AES-{len(key) * 8}-CBC"})


def aes_ctr(key, counter_block, data):
    cipher = LIB.EVP_aes_128_ctr() if len(key) == 16 else LIB.EVP_aes_256_ctr()
    context = LIB.EVP_CIPHER_CTX_new()
    out, out_size = ctypes.create_string_buffer(len(data) + 16), ctypes.c_int()
    need(LIB.EVP_EncryptInit_ex(context, cipher, None, key, counter_block), "EVP_EncryptInit_ex")
    need(
        LIB.EVP_EncryptUpdate(context, out, ctypes.byref(out_size), data, len(data)),
        "EVP_EncryptUpdate",
    )
    LIB.EVP_CIPHER_CTX_free(context)
    need(out_size.value == len(data), "the size of AES-CTR")
    return out.raw[: len(data)]


# --- the format --------------------------------------------------------------------------------


def kdf(size, number, context, key):
    """docs/wire-format.md, "Keys"; OpenSSL and Python's own BLAKE2b must agree."""
    salt = struct.pack("<Q", number) + bytes(8)
    person = context + bytes(8)
    out = evp_mac("BLAKE2BMAC", key, b"", size, {"size": size, "salt": salt, "custom": person})
    need(
        out == hashlib.blake2b(digest_size=size, key=key, salt=salt, person=person).digest(),
        "BLAKE2b against hashlib",
    )
    return out


def realm_key(master, realm):
    return kdf(32, realm, b"CGC1rlm_", master)


def node_key(key_of_realm, node, epoch):
    return kdf(32, node * 2**32 + epoch, b"CGC1node", key_of_realm)


def suite_key(key_of_node, suite, purpose):
    return kdf(16 if suite in (CMAC128, SEALED128) else 32, suite * 256 + purpose, b"CGC1keys",
               key_of_node)


def is_sealed(suite):
    return suite in (SEALED128, SEALED256)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text_form(wire):
    return f"CGC1:{base64url(wire)}:"


class Key:
    """What a node is given: one (realm, node, epoch) with its suite."""

    def __init__(self, name, master, realm, node, epoch, suite):
        self.name, self.realm, self.node = name, realm, node
        self.epoch, self.suite = epoch, suite
        self.realm_key = realm_key(master, realm)
        self.node_key = node_key(self.realm_key, node, epoch)

    def derived(self, purpose):
        return suite_key(self.node_key, self.suite, purpose)

    def file_bytes(self):
        return struct.pack(">IIHBB", self.realm, self.node, self.epoch, self.suite, 0) + self.node_key

    def file_line(self):
        return f"CGK1:{base64url(self.file_bytes())}:"


def counter_block(clear):
    """Salt, serial, block number 0."""
    return clear[60:64] + clear[24:32] + bytes(4)


def seal_and_tag(clear, key, tag_purpose, seal_purpose):
    """Clear header and payload to the bytes on the wire: encrypt, then MAC."""
    body = clear
    if is_sealed(key.suite):
        sealed = aes_ctr(key.derived(seal_purpose), counter_block(clear), clear[SEALED_FIRST:])
        body = clear[:SEALED_FIRST] + sealed
    return body + aes_cmac(key.derived(tag_purpose), body)


def credential_clear(f):
    payload = f["payload"]
    header = MAGIC + struct.pack(
        ">BBHIIHHIQQ", f["suite"], f["kind"], 96 + len(payload), f["realm"], f["node"],
        f["epoch"], f["flags"], f["ttl_s"], f["serial"], f["issued_us"])
    header += f["origin"] + struct.pack(">I", f["audience"]) + f["salt"]
    header += struct.pack(">IIII", f["uid"], f["gid"], f["auth_uid"], f["auth_gid"])
    return header + payload


def reply_clear(request, f):
    """The reply to the bytes of a request."""
    payload = f["payload"]
    suite, kind = request[4], request[5]
    header = MAGIC + struct.pack(">BBH", suite, REPLY + kind, 96 + len(payload))
    header += request[8:18] + struct.pack(">HIQQ", 0, 0, f["serial"], f["issued_us"])
    header += request[-TAG_SIZE:] + request[56:60] + f["salt"]
    header += struct.pack(">BBBBIQ", f["verdict"], f["first"], f["hint"], 0, f["retry_ms"],
                          f["floor"])
    return header + payload


# --- what the vectors are ----------------------------------------------------------------------

MASTER = bytes(range(32))
CREDENTIAL_PAYLOADS = (0, 1, 15, 16, 17, PAYLOAD_MAX)
START_S = 1767225600  # 2026-01-01 00:00:00 UTC
ORIGIN_V4 = ipaddress.IPv6Address("::ffff:192.0.2.17").packed
ORIGIN_V6 = ipaddress.IPv6Address("2001:db8::4:17").packed

KEYS = [
    Key("cmac128", MASTER, 7, 0x01020304, 1, CMAC128),
    Key("cmac256", MASTER, 7, 0x01020304, 2, CMAC256),
    Key("sealed128", MASTER, 7, 0x01020304, 5, SEALED128),
    Key("sealed256", MASTER, 7, 0x01020304, 4, SEALED256),
    Key("least", MASTER, 1, 1, 1, SEALED128),
    Key("most", MASTER, 2**32 - 1, 2**32 - 1, 2**16 - 1, SEALED256),
]
KEY_OF = {key.name: key for key in KEYS}

# Fixed by the first release; a change here is a change of the format.
FIXED_NODE_KEY = "55557e6d41115275f5295769d28678741a7cd6bcf877fbe0a9a60f4ca5c4a342"
FIXED_KEYS = [
    "5b773975ba0d22f05eecdc56aee9c912",
    "4bd9566c53ad47e82b1e10e69364397d",
    "c1bd48efb03a668f25550305828cb14e",
    "801800578645c9b41c05f8b28d189837",
]


def check_fixed():
    key = KEY_OF["sealed128"]
    got = [key.node_key.hex()] + [key.derived(purpose).hex() for purpose in (1, 2, 3, 4)]
    if got != [FIXED_NODE_KEY] + FIXED_KEYS:
        raise SystemExit("key derivation differs from the fixed vector")


def sample_payload(size):
    return bytes((7 * i + size) % 256 for i in range(size))


def sample_salt(name):
    return hashlib.sha256(name.encode()).digest()[:4]


def sample_number(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[4:6], "big") + 1


def make_credential(name, key, **changes):
    """A record: every field, the clear bytes, the bytes on the wire, the text form."""
    number = sample_number(name)
    fields = {
        "suite": key.suite, "kind": ASSERT, "realm": key.realm, "node": key.node,
        "epoch": key.epoch, "flags": 1, "ttl_s": 60, "serial": START_S * 2**32 + number,
        "issued_us": START_S * 10**6 + number, "origin": ORIGIN_V4, "audience": 9,
        "salt": sample_salt(name), "uid": 1000, "gid": 100, "auth_uid": ANYONE,
        "auth_gid": ANYONE, "payload": b"",
    }
    fields.update(changes)
    clear = credential_clear(fields)
    wire = seal_and_tag(clear, key, REQUEST_TAG, REQUEST_SEAL)
    return {"name": name, "key": key.name, **fields, "clear": clear, "wire": wire,
            "text": text_form(wire)}


def make_reply(name, request, **changes):
    fields = {
        "verdict": 1, "first": 1, "hint": 0, "retry_ms": 0, "floor": 0,
        "serial": (3 << 56) + START_S * 10**6 + sample_number(name),
        "issued_us": START_S * 10**6 + 250,
        "salt": sample_salt(name), "payload": b"",
    }
    fields.update(changes)
    clear = reply_clear(request["wire"], fields)
    wire = seal_and_tag(clear, KEY_OF[request["key"]], REPLY_TAG, REPLY_SEAL)
    return {"name": name, "key": request["key"], "request": request["name"], **fields,
            "clear": clear, "wire": wire}


def example_credential(key):
    return make_credential(
        f"example-{key.name}", key, serial=START_S * 2**32 + 1, issued_us=START_S * 10**6,
        payload=b"hello", auth_uid=64030)


def beacon_payload(state, interval_s):
    return bytes([1, state]) + interval_s.to_bytes(2, "big") + bytes(4)


def example_beacon(key, name, state, interval_s):
    number = 2 if state == 1 else 3
    return make_credential(
        f"beacon-{name}", key, kind=BEACON, flags=0, serial=START_S * 2**32 + number,
        issued_us=START_S * 10**6 + number, audience=0, uid=0, gid=0,
        payload=beacon_payload(state, interval_s))


def example_reply(request):
    return make_reply(f"example-reply-{request['key']}", request,
                      serial=(3 << 56) + START_S * 10**6 + 1)


def make_credentials():
    out = [example_credential(KEY_OF["cmac128"]), example_credential(KEY_OF["sealed128"])]
    for suite, name in SUITE_NAMES.items():
        for kind, kind_name in KIND_NAMES.items():
            for size in CREDENTIAL_PAYLOADS:
                out.append(make_credential(
                    f"{name}-{kind_name}-{size}", KEY_OF[name], kind=kind,
                    payload=sample_payload(size)))
    for name in ("least", "most"):
        out.append(make_credential(f"{name}-key", KEY_OF[name], payload=sample_payload(33)))
    key = KEY_OF["sealed128"]
    out.append(make_credential(
        "least-fields", key, flags=0, ttl_s=0, serial=1, issued_us=0, origin=bytes(16),
        audience=0, salt=bytes(4), uid=0, gid=0, auth_uid=0, auth_gid=0))
    out.append(make_credential(
        "most-fields", key, ttl_s=2**32 - 1, serial=SERIAL_MAX, issued_us=2**63 - 1,
        origin=bytes([255] * 16), audience=2**32 - 1, salt=bytes([255] * 4), uid=2**32 - 1,
        gid=2**32 - 1))
    out.append(make_credential("origin-v6", key, origin=ORIGIN_V6))
    out.append(example_beacon(key, "up", 1, 10))
    out.append(example_beacon(key, "leaving", 2, 10))
    return out


def make_replies(credentials):
    of = {record["name"]: record for record in credentials}
    out = [example_reply(of["example-cmac128"]), example_reply(of["example-sealed128"])]
    for name in SUITE_NAMES.values():
        for kind_name in KIND_NAMES.values():
            request = of[f"{name}-{kind_name}-17"]
            base = f"reply-{name}-{kind_name}"
            out += [
                make_reply(f"{base}-accepted", request, payload=sample_payload(17)),
                make_reply(f"{base}-duplicate", request, verdict=2, first=1),
                make_reply(f"{base}-busy", request, verdict=18, first=18, retry_ms=5),
                make_reply(f"{base}-floor", request, verdict=19, first=19, hint=2,
                           floor=START_S * 10**6 + 7 * 10**6),
                make_reply(f"{base}-stale", request, verdict=4, first=4, hint=1,
                           floor=START_S * 2**32 + 65536),
            ]
    out.append(make_reply("reply-largest", of["sealed128-assert-1136"],
                          payload=sample_payload(PAYLOAD_MAX)))
    return out


def put(data, at, new):
    return data[:at] + new + data[at + len(new):]


def make_refused(credentials, replies):
    """Datagrams that are no native request (or no native reply), with what a parser says."""
    of = {record["name"]: record for record in credentials}
    good = of["sealed128-assert-16"]["wire"]
    reply = replies[1]["wire"]
    largest = of["sealed128-assert-1136"]["wire"]
    over = put(largest, 6, struct.pack(">H", 1233))[:-16] + bytes(17)
    bad, odd = "malformed", "unsupported"
    rows = [
        ("empty", "request", bad, b""),
        ("one-byte", "request", bad, good[:1]),
        ("magic-only", "request", bad, good[:4]),
        ("header-less-one", "request", bad, good[:79]),
        ("header-only", "request", bad, put(good[:80], 6, struct.pack(">H", 80))),
        ("least-less-one", "request", bad, put(good[:95], 6, struct.pack(">H", 95))),
        ("most-and-one", "request", bad, over),
        ("magic-case", "request", bad, put(good, 0, b"cgc1")),
        ("magic-version", "request", bad, put(good, 0, b"CGC2")),
        ("length-less", "request", bad, put(good, 6, struct.pack(">H", len(good) - 1))),
        ("length-more", "request", bad, put(good, 6, struct.pack(">H", len(good) + 1))),
        ("length-little-endian", "request", bad, put(good, 6, struct.pack("<H", len(good)))),
        ("cut", "request", bad, good[:-1]),
        ("trailing-byte", "request", bad, good + b"\0"),
        ("realm-zero", "request", bad, put(good, 8, bytes(4))),
        ("node-zero", "request", bad, put(good, 12, bytes(4))),
        ("epoch-zero", "request", bad, put(good, 16, bytes(2))),
        ("serial-zero", "request", bad, put(good, 24, bytes(8))),
        ("serial-over", "request", bad, put(good, 24, struct.pack(">Q", SERIAL_MAX + 1))),
        ("serial-most", "request", bad, put(good, 24, b"\xff" * 8)),
        ("issued-over", "request", bad, put(good, 32, struct.pack(">Q", 2**63))),
        ("issued-most", "request", bad, put(good, 32, b"\xff" * 8)),
        ("malformed-before-unsupported", "request", bad, put(put(good, 8, bytes(4)), 4, b"\x09")),
        ("suite-0", "request", odd, put(good, 4, b"\x00")),
        ("suite-5", "request", odd, put(good, 4, b"\x05")),
        ("suite-255", "request", odd, put(good, 4, b"\xff")),
        ("kind-0", "request", odd, put(good, 5, b"\x00")),
        ("kind-ask", "request", odd, put(good, 5, b"\x03")),
        ("kind-4", "request", odd, put(good, 5, b"\x04")),
        ("kind-128", "request", odd, put(good, 5, b"\x80")),
        ("kind-reply", "request", odd, reply),
        ("flag-bit-1", "request", odd, put(good, 18, b"\x00\x02")),
        ("flag-bit-15", "request", odd, put(good, 18, b"\x80\x01")),
        ("text-form", "request", odd, text_form(good).encode()),
        ("text-prefix", "request", odd, b"CGC1:"),
        ("suite-colon", "request", odd, put(good, 4, b":")),
        ("reply-empty", "reply", bad, b""),
        ("reply-cut", "reply", bad, reply[:-1]),
        ("reply-magic", "reply", bad, put(reply, 0, b"CGC2")),
        ("reply-realm-zero", "reply", bad, put(reply, 8, bytes(4))),
        ("reply-serial-zero", "reply", bad, put(reply, 24, bytes(8))),
        ("reply-suite-5", "reply", odd, put(reply, 4, b"\x05")),
        ("reply-is-request", "reply", odd, good),
        ("reply-kind-128", "reply", odd, put(reply, 5, b"\x80")),
        ("reply-kind-ask", "reply", odd, put(reply, 5, b"\x83")),
        ("reply-flag", "reply", odd, put(reply, 18, b"\x00\x01")),
        ("reply-text-form", "reply", odd, text_form(reply).encode()),
    ]
    return [
        {"name": name, "parser": parser, "result": result, "wire": wire}
        for name, parser, result, wire in rows
    ]


def make_text_refused(credentials):
    """Text that a decoder refuses; `good` leaves 2 unused bits, `loose` leaves 4."""
    of = {record["name"]: record for record in credentials}
    good = of["sealed128-assert-0"]["text"]  # 96 bytes: 128 characters
    two = of["sealed128-assert-17"]["text"]  # 113 bytes: 151 characters, 2 unused bits
    four = of["sealed128-assert-16"]["text"]  # 112 bytes: 150 characters, 4 unused bits
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    def last_up(text):
        return text[:-2] + alphabet[alphabet.index(text[-2]) + 1] + ":"

    rows = [
        ("empty", ""),
        ("prefix-only", "CGC1:"),
        ("nothing-inside", "CGC1::"),
        ("no-last-colon", good[:-1]),
        ("no-first-colon", good.replace("CGC1:", "CGC1", 1)),
        ("prefix-case", good.replace("CGC1:", "cgc1:", 1)),
        ("prefix-other", good.replace("CGC1:", "CGK1:", 1)),
        ("length-1-mod-4", good[:-1] + "A:"),
        ("unused-bits-2", last_up(two)),
        ("unused-bits-4", last_up(four)),
        ("trailing-newline", good + "\n"),
        ("trailing-nul", good + "\0"),
        ("trailing-colon", good + ":"),
        ("trailing-text", good + "A"),
        ("leading-space", " " + good),
        ("space-inside", good[:20] + " " + good[20:]),
        ("newline-inside", good[:20] + "\n" + good[20:]),
        ("space-for-character", good[:20] + " " + good[21:]),
        ("plus", good[:20] + "+" + good[21:]),
        ("slash", good[:20] + "/" + good[21:]),
        ("padded", two[:-1] + "=:"),
        ("nul-inside", good[:20] + "\0" + good[21:]),
        ("colon-inside", good[:20] + ":" + good[21:]),
        ("high-byte", good[:20] + "\xe9" + good[21:]),
    ]
    return [{"name": name, "text": text.encode("latin-1")} for name, text in rows]


def make_file_refused():
    key = KEY_OF["sealed128"]
    good, raw = key.file_line(), key.file_bytes()

    def line(data):
        return f"CGK1:{base64url(data)}:"

    rows = [
        ("empty", ""),
        ("nothing-inside", "CGK1::\n"),
        ("credential-prefix", good.replace("CGK1:", "CGC1:", 1) + "\n"),
        ("no-last-colon", good[:-1] + "\n"),
        ("two-newlines", good + "\n\n"),
        ("two-lines", good + "\n" + good + "\n"),
        ("carriage-return", good + "\r\n"),
        ("trailing-nul", good + "\n\0"),
        ("leading-space", " " + good + "\n"),
        ("space-for-character", good[:20] + " " + good[21:] + "\n"),
        ("plus", good[:20] + "+" + good[21:] + "\n"),
        ("slash", good[:20] + "/" + good[21:] + "\n"),
        ("padded", good[:-1] + "=:\n"),
        ("one-byte-short", line(raw[:-1]) + "\n"),
        ("one-byte-long", line(raw + b"\0") + "\n"),
        ("unused-bits", good[:-2] + chr(ord(good[-2]) + 1) + ":\n"),
        ("realm-zero", line(put(raw, 0, bytes(4))) + "\n"),
        ("node-zero", line(put(raw, 4, bytes(4))) + "\n"),
        ("epoch-zero", line(put(raw, 8, bytes(2))) + "\n"),
        ("suite-0", line(put(raw, 10, b"\0")) + "\n"),
        ("suite-5", line(put(raw, 10, b"\5")) + "\n"),
        ("reserved-not-zero", line(put(raw, 11, b"\1")) + "\n"),
    ]
    return [{"name": name, "text": text.encode()} for name, text in rows]


def make_all():
    check_fixed()
    credentials = make_credentials()
    replies = make_replies(credentials)
    return {
        "master": [{"key": MASTER}],
        "node": [
            {"name": key.name, "realm": key.realm, "node": key.node, "epoch": key.epoch,
             "suite": key.suite, "realm_key": key.realm_key, "node_key": key.node_key,
             "request_tag_key": key.derived(REQUEST_TAG),
             "request_seal_key": key.derived(REQUEST_SEAL),
             "reply_tag_key": key.derived(REPLY_TAG),
             "reply_seal_key": key.derived(REPLY_SEAL),
             "file": key.file_line()}
            for key in KEYS
        ],
        "credential": credentials,
        "reply": replies,
        "refused": make_refused(credentials, replies),
        "text_refused": make_text_refused(credentials),
        "file_refused": make_file_refused(),
    }


# --- the two files -----------------------------------------------------------------------------

TEXT_HEAD = """\
# SPDX-License-Identifier: BSD-3-Clause
# Vectors of the native credential, version 1. Made by generate.py; do not edit.
#
# One record per line: its type, then `name=value` fields, all separated by single spaces. Values
# hold no spaces. Numbers are decimal; byte strings (and text that a decoder refuses) are hex and
# may be empty; `file` and the `text` of a credential are themselves. tests/vectors/vectors.h reads
# this file. Types:
#   master        key
#   node          name realm node epoch suite realm_key node_key request_tag_key request_seal_key
#                 reply_tag_key reply_seal_key file(without its newline)
#   credential    name key(name of a node record) suite kind realm node epoch flags ttl_s serial
#                 issued_us origin audience salt uid gid auth_uid auth_gid payload(in clear)
#                 clear(header and payload before sealing, no tag) wire(as sent) text
#   reply         name key request(name of a credential record) verdict first hint retry_ms floor
#                 serial issued_us salt payload clear wire
#   refused       name parser(request or reply) result(malformed or unsupported) wire
#   text_refused  name text: what a decoder of the text form refuses
#   file_refused  name text: what a reader of node key files refuses
"""

# Beyond 2^53 a JSON number is at the mercy of its reader.
JSON_STRINGS = ("serial", "issued_us", "floor")


def to_text(vectors):
    lines = []
    for kind, records in vectors.items():
        for record in records:
            fields = (
                f"{name}={value.hex() if isinstance(value, bytes) else value}"
                for name, value in record.items()
            )
            lines.append(f"{kind} {' '.join(fields)}\n")
    return TEXT_HEAD + "".join(lines)


def to_json(vectors):
    def value_of(name, value):
        if isinstance(value, bytes):
            return value.hex()
        return str(value) if name in JSON_STRINGS else value

    out = {
        "license": "BSD-3-Clause",
        "about": "Native credential, version 1 (docs/wire-format.md). Made by generate.py. Byte "
                 "strings are hex, as is text that a decoder refuses; serial, issued_us and floor "
                 "are decimal strings.",
    }
    for kind, records in vectors.items():
        out[kind] = [
            {name: value_of(name, value) for name, value in record.items()} for record in records
        ]
    return json.dumps(out, indent=1) + "\n"


# --- worked examples of docs/wire-format.md -----------------------------------------------------

HEADER_LINES = [
    "magic suite kind length realm node",
    "epoch flags ttl_s serial",
    "issued_us, origin begins",
    "origin ends, audience salt",
]
CREDENTIAL_LINES = HEADER_LINES + ["uid gid auth_uid auth_gid"]
REPLY_LINES = HEADER_LINES[:2] + [
    "issued_us, request tag begins",
    "request tag ends, audience salt",
    "verdict first hint 0, retry_ms, floor",
]


def dump(data, notes, more):
    """Hex, 16 bytes to a line, with what is in each; `more` names what follows the notes."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at:at + 16]
        halves = (row[:8].hex(" "), row[8:].hex(" "))
        note = notes[at // 16] if at // 16 < len(notes) else more
        lines.append(f"{at:4d}  {halves[0]:<23}  {halves[1]:<23}  {note}".rstrip())
    return "\n".join(lines)


def example_keys(key):
    names = ("request tag", "request sealing", "reply tag", "reply sealing")
    return "\n".join(
        [f"master           {MASTER.hex()}",
         f"K_realm          {key.realm_key.hex()}",
         f"K_node           {key.node_key.hex()}"]
        + [f"{name:<16} {key.derived(purpose).hex()}" for purpose, name in enumerate(names, 1)])


def example_unsealed(record):
    return {
        "wire-unsealed": dump(record["wire"], CREDENTIAL_LINES, "payload, tag"),
        "tag-unsealed": f"tag  {record['wire'][-16:].hex()}",
    }


def example_sealed(record, key, seal_purpose, notes, name, more):
    clear, wire = record["clear"], record["wire"]
    block = counter_block(clear)
    keystream = aes_ctr(key.derived(seal_purpose), block, bytes(len(clear) - SEALED_FIRST))
    return {
        f"clear-{name}": dump(clear, notes, "payload"),
        f"seal-{name}": "\n".join([
            f"counter block 0  {block.hex()}",
            f"keystream        {keystream.hex()}",
            f"clear            {clear[SEALED_FIRST:].hex()}",
            f"ciphertext       {wire[SEALED_FIRST:-TAG_SIZE].hex()}",
            f"tag              {wire[-TAG_SIZE:].hex()}",
        ]),
        f"wire-{name}": dump(wire, [*notes[:-1], f"sealed: {notes[-1]}"], more),
    }


def example_beacons(key):
    up = example_beacon(key, "up", 1, 10)
    leaving = example_beacon(key, "leaving", 2, 10)
    notes = [*CREDENTIAL_LINES[:-1], f"sealed: {CREDENTIAL_LINES[-1]}"]
    return {
        "payload-beacons": (f"up       {up['payload'].hex(' ')}\n"
                            f"leaving  {leaving['payload'].hex(' ')}"),
        "wire-beacon": dump(up["wire"], notes, "sealed payload, tag"),
    }


def examples():
    """Name and text of every block that the page must hold, as it is."""
    check_fixed()
    plain_key, sealed_key = KEY_OF["cmac128"], KEY_OF["sealed128"]
    plain, sealed = example_credential(plain_key), example_credential(sealed_key)
    reply = example_reply(sealed)
    return {
        "keys-unsealed": example_keys(plain_key),
        "keys-sealed": example_keys(sealed_key),
        **example_unsealed(plain),
        **example_sealed(sealed, sealed_key, REQUEST_SEAL, CREDENTIAL_LINES, "sealed",
                         "sealed payload, tag"),
        **example_sealed(reply, sealed_key, REPLY_SEAL, REPLY_LINES, "reply", "tag"),
        **example_beacons(sealed_key),
        "text": sealed["text"],
        "key-file-bytes": dump(sealed_key.file_bytes(), ["realm node epoch suite 0, K_node begins"],
                               "K_node"),
        "key-file": sealed_key.file_line(),
    }


def seeds(vectors):
    """Where fuzzing starts: (target, name) and bytes."""
    small = [record for record in vectors["credential"] if len(record["wire"]) < 200]
    out = {}
    for record in small:
        if record["kind"] == ASSERT:
            out["text_decode", record["name"]] = record["text"].encode()
            out["cred_parse", record["name"]] = record["wire"]
    for record in vectors["credential"]:
        if record["name"] in ("beacon-up", "beacon-leaving", "sealed128-beacon-17"):
            out["beacon_parse", record["name"]] = record["payload"]
    for record in vectors["reply"]:
        if "sealed128-assert" in record["name"]:
            out["reply_parse", record["name"]] = record["clear"] + bytes(TAG_SIZE)
    for record in vectors["refused"]:
        if len(record["wire"]) < 200:
            out["format_find", record["name"]] = record["wire"]
    out["format_find", "good"] = small[1]["wire"]
    for record in vectors["text_refused"]:
        out["text_decode", "refused-" + record["name"]] = record["text"]
    for record in vectors["node"]:
        out["node_key_decode", record["name"]] = record["file"].encode() + b"\n"
    for record in vectors["file_refused"]:
        out["node_key_decode", "refused-" + record["name"]] = record["text"]
    return out


def outputs():
    """Every file this program makes, as bytes."""
    vectors = make_all()
    out = {
        HERE / "native-v1.json": to_json(vectors).encode(),
        HERE / "native-v1.txt": to_text(vectors).encode(),
    }
    for (target, name), data in seeds(vectors).items():
        out[ROOT / "tests/fuzz/wire/corpus" / target / name] = data
    return out


def check_examples():
    page = ROOT / "docs/wire-format.md"
    text = page.read_text()
    return [f"{page}: has no block {name}; see --example"
            for name, block in examples().items() if f"```\n{block}\n```" not in text]


def check_outputs():
    return [
        f"{path}: differs from what generate.py makes"
        for path, content in outputs().items()
        if not path.is_file() or path.read_bytes() != content
    ]


def main(arguments):
    if not arguments:
        for path, content in outputs().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return 0
    if arguments == ["--check"]:
        wrong = check_outputs() + check_examples()
        for line in wrong:
            print(line, file=sys.stderr)
        return 1 if wrong else 0
    if arguments == ["--example"]:
        for name, block in examples().items():
            print(f"--- {name}\n{block}\n")
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
