#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""credgate in a minute: a real gateway on a DPDK port, ordinary UDP sockets in another network
namespace, and the verdicts as an unprivileged consumer reads them from shared memory. Ends with a
table; exit 0 only if every verdict is the expected one. Cleans up after itself."""

import argparse
import base64
import os
import random
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab as lab_module  # noqa: E402
from lab import (AUDIENCE_SCHEDULER, GATEWAY4, GATEWAY6, NODE4, NODE6, UDP_PORT, Checks,  # noqa: E402
                 Lab, LabError, address, need_root, now_us)

SUITES = {"cmac128": 1, "cmac256": 2, "sealed128": 3, "sealed256": 4}
PROVED_LINE = "      {verdict:<14} node {node} uid {uid} gid {gid}, from {source} port {port}"
UNPROVED_LINE = "      {verdict:<14} nothing proved, from {source} port {port}"


class Demo(Checks):
    def __init__(self, lab):
        super().__init__()
        self.lab = lab
        self.random = random.Random(77)
        self.keys = {}

    # ---- showing ----

    @staticmethod
    def show(record):
        line = PROVED_LINE if record["proved"] else UNPROVED_LINE
        print(line.format(**record), flush=True)

    # ---- sending ----

    def throw(self, data, version=4, sock=None, replies=False):
        """Sends bytes from an ordinary socket; returns (source address, source port, reply)."""
        sock = sock or self.lab.socket(version)
        sock.sendto(data, (address(version), UDP_PORT))
        reply = None
        if replies:
            try:
                reply = sock.recv(2048)
            except TimeoutError:
                pass
        source, port = sock.getsockname()[:2]
        return source, port, reply

    def verdict_of(self, data, version=4, sock=None):
        """The verdict the consumer reads for these bytes."""
        source, port, _ = self.throw(data, version, sock)
        return self.read(source, port)

    def read(self, source, port, count=1):
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            found = [r["verdict"] for stream in (self.accepted, self.refused)
                     for r in stream.find(source, port, count, 0.02)]
            if len(found) >= count:
                return found[0] if count == 1 else sorted(found)
        return "nothing" if count == 1 else []

    def mint(self, node="sealed128", **claims):
        return self.lab.mint(self.keys[node], **claims)

    # ---- the cases ----

    def register(self):
        print("registering nodes, one per suite", flush=True)
        for name, suite in SUITES.items():
            self.keys[name] = self.lab.add_node(name, suite)
        self.keys["leaver"] = self.lab.add_node("leaver")

    def watch(self):
        self.accepted = self.lab.watch("--group", "jobs")
        self.refused = self.lab.watch("--refused")
        time.sleep(0.5)
        for stream in (self.accepted, self.refused):
            if stream.process.poll() is not None:
                raise LabError(f"credgate watch: {stream.process.stderr.read().strip()}")
            stream.on_record = self.show

    def genuine(self):
        print("genuine credentials, each suite, IPv4 and IPv6, answered and proved", flush=True)
        for name in SUITES:
            for version, origin in ((4, GATEWAY4), (6, GATEWAY6)):
                for payload in ("", "job 4711 of alice"):
                    target = f"[{origin}]:{UDP_PORT}" if version == 6 else f"{origin}:{UDP_PORT}"
                    arguments = ["send", "--key", self.keys[name], target, "--uid", 1000,
                                 "--gid", 1000]
                    if payload:
                        arguments += ["--payload", payload]
                    done = self.lab.credgate(*arguments, "--json", ns=self.lab.node_ns, check=False)
                    got = lab_module.json.loads(done.stdout)["verdict"] if done.stdout else \
                        done.stderr.decode().strip()
                    label = f"genuine {name}, IPv{version}, {'payload' if payload else 'bare'}"
                    self.check(label, "accepted", got)
        self.delivered()

    def delivered(self):
        wanted = len(SUITES) * 4
        deadline = time.monotonic() + 2
        while len(self.accepted.records) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        said = {(r["uid"], r["gid"], r["payload"]) for r in self.accepted.records}
        self.check("consumer reads uid, gid and payload",
                   {(1000, 1000, ""), (1000, 1000, "job 4711 of alice")}, said)

    def forged(self):
        print("forged, replayed, late, early, astray", flush=True)
        credential = bytearray(self.mint())
        credential[-1] ^= 1
        self.check("forged tag", "bad-tag", self.verdict_of(bytes(credential)))
        changed = bytearray(self.mint("cmac128", uid=1000))
        changed[67] = 0
        self.check("uid changed on the way", "bad-tag", self.verdict_of(bytes(changed)))

    def replayed(self):
        credential = self.mint()
        self.check("a credential, first time", "accepted", self.verdict_of(credential))
        time.sleep(0.2)
        self.check("the same bytes later", "replayed", self.verdict_of(credential))
        credential = self.mint(payload="once only")
        sockets = [self.lab.socket(4) for _ in range(64)]
        for sock in sockets:
            sock.sendto(credential, (GATEWAY4, UDP_PORT))
        got = [self.read(*sock.getsockname()[:2]) for sock in sockets]
        self.check("the same bytes from 64 ports", "1 accepted, 63 replayed",
                   f"{got.count('accepted')} accepted, {got.count('replayed')} replayed")

    def late_and_early(self):
        old, early = now_us() - 3600 * 10**6, now_us() + 3600 * 10**6
        self.check("expired", "expired", self.verdict_of(self.mint(issued=old)))
        self.check("from the future", "not-yet-valid", self.verdict_of(self.mint(issued=early)))

    def astray(self):
        self.check("wrong origin", "wrong-origin", self.verdict_of(self.mint(origin="10.77.0.99")))
        self.check("wrong audience", "wrong-audience", self.verdict_of(self.mint(audience=99)))
        self.check("audience scheduler", "accepted",
                   self.verdict_of(self.mint(audience=AUDIENCE_SCHEDULER)))
        self.check("for uid 12 only, nobody may read it", "unauthorized",
                   self.verdict_of(self.mint(auth_uid=12)))

    def strangers(self):
        raw = base64.urlsafe_b64decode(self.text_of("cmac128") + "==")
        stranger = os.path.join(self.lab.keys_dir, "stranger.key")
        self.write_key(stranger, raw[:4] + struct.pack(">I", 200) + raw[8:12] + os.urandom(32))
        self.keys["stranger"] = stranger
        self.check("unknown node", "unknown-node", self.verdict_of(self.mint("stranger")))
        foreign = os.path.join(self.lab.keys_dir, "foreign.key")
        self.write_key(foreign, struct.pack(">I", 4242) + raw[4:])
        self.keys["foreign"] = foreign
        self.check("unknown realm", "unknown-realm", self.verdict_of(self.mint("foreign")))
        self.check("node before it is revoked", "accepted", self.verdict_of(self.mint("leaver")))
        credential = self.mint("leaver")
        self.lab.credgate("node", "revoke", "lab", "leaver")
        self.check("revoked node, credential from before", "revoked", self.verdict_of(credential))
        self.check("revoked node, new credential", "revoked",
                   self.verdict_of(self.mint("leaver")))

    def text_of(self, node):
        with open(self.keys[node], encoding="ascii") as file:
            return file.read().strip()[5:-1]

    @staticmethod
    def write_key(path, raw):
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(f"CGK1:{text}:\n")

    def broken(self):
        print("broken bytes", flush=True)
        credential = self.mint(payload="x" * 40)
        for size in (0, 1, 4, 60, 95, len(credential) - 1):
            self.check(f"cut to {size} bytes", "malformed", self.verdict_of(credential[:size]))
        for size in (7, 96, 400, 1400):
            noise = self.random.randbytes(size)
            self.check(f"{size} random bytes", "malformed", self.verdict_of(noise))
        self.check("suite nobody has", "unsupported",
                   self.verdict_of(lab_module.with_field(credential, 4, "B", 9)))
        text = self.lab.credgate("mint", "--key", self.keys["cmac128"], "--text").stdout.strip()
        self.check("text form in a datagram", "unsupported", self.verdict_of(text))

    def retransmitted(self):
        print("an honest retransmission", flush=True)
        for version, name in ((4, "sealed128"), (6, "sealed256")):
            credential = self.mint(name, version=version, reply=True)
            sock = self.lab.socket(version)
            source, port, first = self.throw(credential, version, sock, replies=True)
            self.check(f"wants a reply, IPv{version}", "accepted", self.read(source, port))
            _, _, second = self.throw(credential, version, sock, replies=True)
            self.check(f"same bytes, same socket, IPv{version}", ["accepted", "duplicate"],
                       self.read(source, port, 2))
            self.check(f"answered both times, IPv{version}", "yes",
                       "yes" if first and second and first != second else "no")
            source, port, third = self.throw(credential, version, replies=True)
            self.check(f"same bytes, other socket, IPv{version}", "replayed",
                       self.read(source, port))
            self.check(f"and no answer to it, IPv{version}", "yes", "no" if third else "yes")

    def run(self):
        self.register()
        self.watch()
        self.genuine()
        self.forged()
        self.replayed()
        self.late_and_early()
        self.astray()
        self.strangers()
        self.broken()
        self.retransmitted()

    def table(self):
        width = max(len(case) for case, *_ in self.rows)
        print(f"\n{'case':<{width}}  {'expected':<24} {'got':<24}")
        for case, expected, got, same in self.rows:
            if not isinstance(expected, str):
                expected, got = ("as sent", "as sent" if same else str(got))
            print(f"{case:<{width}}  {expected:<24} {got:<24} {'' if same else '<-- not so'}")
        print(f"\n{sum(row[3] for row in self.rows)} of {len(self.rows)} as expected")
        return self.is_good()


def stay(lab):
    """Leaves the gateway running and says what to try."""
    key = lab.add_node("n001")
    cli = f"CREDGATE_RUN_DIR={lab.run_dir} {lab.program('credgate')}"
    node = f"ip netns exec {lab.node_ns} {lab.program('credgate')}"
    print(f"""
A gateway is running. It is in network namespace {lab.gateway_ns}, a node in {lab.node_ns}.
Try, in another terminal (as root):

  {node} send --key {key} {GATEWAY4} --payload hello
  {node} send --key {key} '[{GATEWAY6}]:{UDP_PORT}'
  {node} mint --key {key} --text --origin {NODE4}
  ip netns exec {lab.node_ns} ping -c 1 {GATEWAY6}
  setpriv --reuid {lab_module.CONSUMER_UID} --regid {lab_module.CONSUMER_UID} --clear-groups \\
      {lab.consumer_program()} watch --run-dir {lab.run_dir} --group jobs
  setpriv --reuid {lab_module.CONSUMER_UID} --regid {lab_module.CONSUMER_UID} --clear-groups \\
      {lab.consumer_program()} watch --run-dir {lab.run_dir} --refused
  {cli} status
  {cli} node list lab

Trust, while it runs:

  {node} beacon {GATEWAY4} --key {key} --interval 2s &
  {cli} members
  {cli} realm rotate lab --why 'trying it'
  {cli} realm drain lab
  {cli} realm rollback lab
  echo 'rules: [{{allow: {{uids: "1000-59999"}}}}]' | {cli} policy apply lab -
  {node} send --key {key} {GATEWAY4} --uid 0
  {cli} policy explain lab --node n001 --uid 0
  {cli} realm mode lab observe
  {node} send --key {key} {GATEWAY4} --uid 0
  {cli} realm would lab
  {cli} policy remove lab
  {cli} audit show --dir {lab.state_dir}
  {cli} node revoke lab n001

Load, from 64 nodes, and what became of it (docs/loadgen.md):

  {cli} node add lab 'n[002-064]'
  ip netns exec {lab.node_ns} {lab.program("credgate-loadgen")} --port net_af_packet0,iface={lab.node_if} \\
      --to {GATEWAY4} --from {NODE4} --master {lab.state_dir}/lab.master --realm-id 7 \\
      --nodes 64 --rate 20k --seconds 5 --reply 10

The node's addresses are {NODE4} and {NODE6}. Ctrl-C ends it and removes everything.""", flush=True)
    while lab.daemon.poll() is None:
        time.sleep(0.2)
    raise LabError(f"credgated ended with {lab.daemon.returncode}:\n{lab.log()}")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default="build", help="build folder (default: build)")
    options.add_argument("--stay", action="store_true", help="leave a gateway running to try by hand")
    options = options.parse_args()
    need_root()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    begin = time.monotonic()
    try:
        print("starting a gateway in its own network namespace: af_packet on a veth pair, "
              "no hugepages", flush=True)
        with Lab(options.build) as lab:
            print(f"gateway is up after {time.monotonic() - begin:.1f} s", flush=True)
            if options.stay:
                stay(lab)
            demo = Demo(lab)
            demo.run()
            good = demo.table()
            if not good:
                print(f"\nlog of the gateway:\n{lab.log()}")
    except KeyboardInterrupt:
        print("\nstopped; everything it made is removed")
        return 0 if options.stay else 130
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"took {time.monotonic() - begin:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
