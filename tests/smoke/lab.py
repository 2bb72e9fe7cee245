# SPDX-License-Identifier: BSD-3-Clause
"""A gateway and a node in network namespaces of their own, joined by a veth pair: the ground on
which the demo and the smoke tests stand. Real programs, real packets from ordinary sockets; the
gateway's end is a DPDK af_packet port, without hugepages. Everything it makes, it removes."""

import argparse
import ctypes
import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

CONTROL_UID, DATAPLANE_UID, CONSUMER_UID = 61001, 61002, 61003
GATEWAY4, GATEWAY6 = "10.77.0.1", "fd77::1"
NODE4, NODE6 = "10.77.0.2", "fd77::2"
UDP_PORT = 7475
REALM_ID = 7
AUDIENCE_SCHEDULER, AUDIENCE_STORAGE = 1, 2
AUDIENCES = {"scheduler": AUDIENCE_SCHEDULER, "storage": AUDIENCE_STORAGE}
CLONE_NEWNET = 0x40000000

CONFIG = """\
run_dir: {run_dir}
state_dir: {state_dir}
users: {{control: {control}, dataplane: {dataplane}}}
observers: {{uids: [{consumer}], gids: []}}
dataplane:
  workers: {workers}
  hugepages: {hugepages}
  memory_mb: 192
  mbufs: 8192
  ring_slots: 16384
  retransmit_entries: 4096
  window_memory_max_mb: 64
ports:
  - name: lan
    driver: af_packet
    interface: {interface}
    addresses: [{gateway4}/24, "{gateway6}/64"]
    udp_port: {port}
{extra_ports}realms:
  - name: lab
    id: {realm}
    nodes_max: {nodes_max}
    freshness: clock
    origin: strict
    ttl_default_s: 60
    ttl_max_s: 300
    skew_ms: 2000
    audience_any: true
    audiences: [{realm_audiences}]
    mode: {mode}
{realm_extra}groups:
  - name: jobs
    realms: [lab]
    audiences: [{group_audiences}]
    reader: {{uid: {consumer}, gid: {consumer}}}
{extra}"""


class LabError(Exception):
    """Something a person can mend; the text is one line with the cure."""


def ip(*arguments, ns=None):
    """Runs ip, in a namespace if one is named."""
    command = ["ip", *(["-n", ns] if ns else []), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")


def need_root():
    """Namespaces, veth pairs and raw packet ports are root's."""
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces and a packet port; "
              "run it with sudo", file=sys.stderr)
        sys.exit(77)


class Checks:
    """Expected against got, shown as they come."""

    def __init__(self):
        self.rows = []

    def check(self, case, expected, got):
        self.rows.append((case, expected, got, expected == got))
        print(f"  {'ok ' if expected == got else 'BAD'} {case}: {got}", flush=True)

    def is_good(self):
        return bool(self.rows) and all(same for *_, same in self.rows)

    def finish(self):
        """Exit code of a test; names what was not as expected."""
        for case, expected, got, same in self.rows:
            if not same:
                print(f"NOT AS EXPECTED: {case}: expected {expected!r}, got {got!r}")
        print(f"{sum(r[3] for r in self.rows)} of {len(self.rows)} checks as expected")
        return 0 if self.is_good() else 1


class Stream:
    """Verdicts as an unprivileged consumer sees them: the output of `credgate watch --json`."""

    def __init__(self, command):
        self.records, self.fresh = [], queue.Queue()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, user=CONSUMER_UID, group=CONSUMER_UID, extra_groups=[], cwd="/")
        self.on_record = None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if "verdict" not in record:
                continue
            self.records.append(record)
            if self.on_record:
                self.on_record(record)

    def find(self, source, port, count=1, timeout=2.0):
        """Verdicts of what came from source and port, once there are `count` or time is up."""
        deadline = time.monotonic() + timeout
        while True:
            found = [r for r in list(self.records)
                     if r["source"] == source and r["port"] == port]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Lab:
    def __init__(self, build, say=lambda text: None, **config):
        self.build = os.path.abspath(build)
        self.say = say
        tag = str(os.getpid() % 100000)
        self.gateway_ns, self.node_ns = f"cgg{tag}", f"cgn{tag}"
        self.gateway_if, self.node_if = f"cgg{tag}", f"cgn{tag}"
        self.dir = tempfile.mkdtemp(prefix="credgate-")
        os.chmod(self.dir, 0o755)
        self.run_dir = os.path.join(self.dir, "run")
        self.state_dir = os.path.join(self.dir, "state")
        self.keys_dir = os.path.join(self.dir, "keys")
        self.config_file = os.path.join(self.dir, "credgate.yaml")
        self.log_file = os.path.join(self.dir, "credgated.log")
        self.settings = {"workers": 1, "nodes_max": 256, "hugepages": "no", "extra_ports": "",
                         "mode": "enforce", "realm_extra": "", "extra": "",
                         "realm_audiences": list(AUDIENCES), "group_audiences": list(AUDIENCES),
                         **config}
        self.daemon, self.streams, self.sockets, self.old_ports = None, [], [], {}
        self.daemon_options, self.daemon_environment = [], {}

    # ---- programs ----

    def program(self, name):
        """A program of the build folder, or the installed one."""
        places = {"credgate": "ctrl/cli", "credgated": "ctrl",
                  "credgate-dataplane": "dataplane", "credgate-loadgen": "perf/loadgen"}
        built = os.path.join(self.build, places[name], name)
        if os.path.exists(built):
            return built
        installed = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin")
        if not installed:
            raise LabError(f"{built} is not there: run 'make build' first")
        return installed

    def consumer_program(self):
        """A copy that an unprivileged consumer may run, wherever the build folder is."""
        copy = os.path.join(self.dir, "credgate")
        if not os.path.exists(copy):
            shutil.copy(self.program("credgate"), copy)
            os.chmod(copy, 0o755)
        return copy

    def credgate(self, *arguments, ns=None, check=True, stdin=None, timeout=30):
        """Runs the CLI; returns the finished process."""
        command = [self.program("credgate"), *map(str, arguments)]
        if ns:
            command = ["ip", "netns", "exec", ns, *command]
        done = subprocess.run(command, capture_output=True, input=stdin, timeout=timeout,
                              env={**os.environ, "CREDGATE_RUN_DIR": self.run_dir,
                                   "CREDGATE_CONFIG": self.config_file})
        if check and done.returncode:
            raise LabError(f"credgate {' '.join(map(str, arguments))}: exit {done.returncode}: "
                           f"{done.stderr.decode(errors='replace').strip()}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.credgate(*arguments, "--json", **options).stdout)

    # ---- life ----

    def start(self):
        self._make_network()
        for folder, owner in ((self.run_dir, CONTROL_UID), (self.state_dir, CONTROL_UID),
                              (self.keys_dir, 0)):
            os.makedirs(folder, exist_ok=True)
            os.chown(folder, owner, owner)
        os.chmod(self.state_dir, 0o700)
        self.write_config()
        self.credgate("realm", "init", "lab", "--config", self.config_file)
        self.start_daemon()

    def write_config(self):
        settings = dict(self.settings)
        settings["realm_audiences"] = ", ".join(
            f"{{name: {name}, id: {AUDIENCES[name]}}}" for name in settings["realm_audiences"])
        settings["group_audiences"] = ", ".join(["any", *settings["group_audiences"]])
        text = CONFIG.format(
            run_dir=self.run_dir, state_dir=self.state_dir, control=CONTROL_UID,
            dataplane=DATAPLANE_UID, consumer=CONSUMER_UID, interface=self.gateway_if,
            gateway4=GATEWAY4, gateway6=GATEWAY6, port=UDP_PORT, realm=REALM_ID, **settings)
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.config_file, 0o644)

    def start_daemon(self):
        log = open(self.log_file, "a", encoding="utf-8")
        self.daemon = subprocess.Popen(
            ["ip", "netns", "exec", self.gateway_ns, self.program("credgated"),
             "--config", self.config_file, *self.daemon_options], stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, env={**os.environ, **self.daemon_environment})
        log.close()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.daemon.poll() is not None:
                raise LabError(f"credgated ended with {self.daemon.returncode}:\n{self.log()}")
            if self.is_running():
                return
            time.sleep(0.05)
        raise LabError(f"credgated was not ready after 30 s:\n{self.log()}")

    def is_running(self):
        done = self.credgate("status", "--json", check=False)
        return done.returncode == 0 and \
            json.loads(done.stdout)["dataplane"]["state"] == "running"

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def stop_daemon(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(10)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        self.daemon = None

    def stop(self):
        for stream in self.streams:
            stream.stop()
        for sock in self.sockets:
            sock.close()
        self.stop_daemon()
        for ns in (self.gateway_ns, self.node_ns):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        # A signal must unwind like an exception, so that namespaces never stay behind.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(143))
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # ---- network ----

    def _make_network(self):
        ip("netns", "add", self.gateway_ns)
        ip("netns", "add", self.node_ns)
        ip("link", "set", "lo", "up", ns=self.gateway_ns)
        ip("link", "set", "lo", "up", ns=self.node_ns)
        self.make_link()

    def make_link(self, *options):
        """The veth pair, with the node's addresses; also after it was deleted."""
        ip("link", "add", self.gateway_if, *options, "netns", self.gateway_ns, "type", "veth",
           "peer", "name", self.node_if, "netns", self.node_ns)
        # The kernel of the gateway's namespace stays out of it: no addresses, no IPv6 chatter.
        subprocess.run(["ip", "netns", "exec", self.gateway_ns, "sh", "-c",
                        f"echo 1 > /proc/sys/net/ipv6/conf/{self.gateway_if}/disable_ipv6"],
                       check=True)
        ip("link", "set", self.gateway_if, "up", ns=self.gateway_ns)
        ip("addr", "add", f"{NODE4}/24", "dev", self.node_if, ns=self.node_ns)
        ip("addr", "add", f"{NODE6}/64", "dev", self.node_if, "nodad", ns=self.node_ns)
        ip("link", "set", self.node_if, "up", ns=self.node_ns)

    def socket(self, version=4, port=0, ns=None, bind=None, kind=socket.SOCK_DGRAM, protocol=0):
        """An ordinary UDP (or other) socket of the node's (or another) namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", encoding="ascii") as here, \
                open(f"/run/netns/{ns or self.node_ns}", encoding="ascii") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, kind,
                                     protocol)
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)
        sock.bind((bind or (NODE6 if version == 6 else NODE4), port))
        sock.settimeout(0.3)
        self.sockets.append(sock)
        return sock

    def spoof(self, source, port):
        """A function that sends datagrams from the node's machine under any IPv4 address."""
        sock = self.socket(kind=socket.SOCK_RAW, protocol=socket.IPPROTO_RAW)
        ends = socket.inet_aton(source) + socket.inet_aton(GATEWAY4)

        def send(payload):
            # The kernel fills in length and checksum of the IP header; UDP goes without one.
            head = struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
            udp = struct.pack(">HHHH", port, UDP_PORT, 8 + len(payload), 0)
            sock.sendto(head + udp + payload, (GATEWAY4, 0))
        return send

    def connect(self, port, data=b"", timeout=10.0):
        """A TCP connection to loopback of the gateway's namespace, with `data` sent."""
        sock = self.socket(ns=self.gateway_ns, bind="127.0.0.1", kind=socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", port))
        sock.sendall(data)
        return sock

    # ---- nodes and credentials ----

    def add_node(self, name, suite=None, prefixes=(NODE4, NODE6)):
        """Registers a node; returns its key file."""
        arguments = ["node", "add", "lab", name]
        for prefix in prefixes:
            arguments += ["--prefix", prefix]
        if suite:
            arguments += ["--suite", suite]
        self.credgate(*arguments)
        return self.export_key(name)

    def export_key(self, name):
        path = os.path.join(self.keys_dir, f"{name}.key")
        self.credgate("node", "key", "lab", name, "-o", path)
        return path

    def mint(self, key, version=4, **claims):
        """One credential as bytes; claims are options of `credgate mint`."""
        claims.setdefault("origin", NODE6 if version == 6 else NODE4)
        arguments = []
        for name, value in claims.items():
            option = "--" + name.replace("_", "-")
            arguments += [option] if value is True else [option, value]
        return self.credgate("mint", "--key", key, "--binary", *arguments).stdout

    def watch(self, *arguments):
        stream = Stream([self.consumer_program(), "watch", "--run-dir", self.run_dir, "--json",
                         *arguments])
        self.streams.append(stream)
        return stream


def now_us():
    return time.time_ns() // 1000


def with_field(credential, offset, layout, value):
    """The credential with one field written over; its tag no longer matches."""
    changed = bytearray(credential)
    struct.pack_into(layout, changed, offset, value)
    return bytes(changed)


def address(version):
    return GATEWAY6 if version == 6 else GATEWAY4


def run_test(description, test):
    """The main of a smoke test: `test(build)` returns Checks. Exit 77: cannot run here."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--build", default="build", help="build folder (default: build)")
    need_root()
    try:
        return test(options.parse_args().build).finish()
    except LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
