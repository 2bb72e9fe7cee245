# SPDX-License-Identifier: BSD-3-Clause
"""What stands on both ends of a link while it is measured: the real gateway, dpdk-testpmd in its
place, the generator, and the links themselves. Everything made here is removed by its `with`.

Who runs where: the generator's poll loop has GENERATOR_CPU for itself, the receiver's has
RECEIVER_CPU. The dataplane's main thread is on the latter as well: it looks a thousand times a
second while verdicts come, and on the generator's CPU it would slow down what is sent to the
gateway and not to its peer. The receiver that is not measured does not run: testpmd is started for
each trial, the gateway is stopped (SIGSTOP) meanwhile.
"""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

GENERATOR_CPU, RECEIVER_CPU = 0, 1
CONTROL_UID, DATAPLANE_UID = 61001, 61002
REALM_NAME, REALM_ID, EPOCH, SUITE = "lab", 7, 1, 3
GATEWAY4, NODE4, UDP_PORT = "10.77.0.1", "10.77.0.2", 7475
MBUFS = 16384
RING_LOG2 = 12  # memif: 4,096 slots, as the peer's
PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB"
PAGES_LOCK = "/run/credgate-hugepages.lock"
PAGES_WANTED = 700  # 2 MB each: gateway and its peer 256 MB and some, generator, rings, tables
PATIENCE_S = 30
# Its memif driver (DPDK 22.11) unmaps a client's memory under the poll loop when the client goes:
# now and then, mostly on a busy machine, that is its end.
DIED = "dpdk-testpmd died"

CONFIG = """\
run_dir: {run_dir}
state_dir: {state_dir}
users: {{control: {control}, dataplane: {dataplane}}}
dataplane:
  workers: 1
  cpus: [{cpu}]
  main_cpu: {main_cpu}
  hugepages: "{hugepages}"
  memory_mb: 256
  mbufs: {mbufs}
ports:
  - name: lab
    {port}
    addresses: [{address}/24]
realms:
  - {{name: {realm}, id: {realm_id}, nodes_max: {nodes}, ttl_default_s: 300}}
groups:
  - {{name: lab, realms: [{realm}], audiences: [any], reader: {{uid: 0, gid: 0}}}}
"""


class RigError(Exception):
    """Something a person can mend; the text is one line with the cure."""


class Spoilt(Exception):
    """A trial that has to be made again, and why."""


class Unavailable(Exception):
    """This machine cannot do it, and that is no failure."""


def wait_for(is_there, what, alive=lambda: None, patience_s=PATIENCE_S, pause_s=0.02):
    """Waits until is_there() is true; alive() may raise."""
    deadline = time.monotonic() + patience_s
    while not is_there():
        alive()
        if time.monotonic() > deadline:
            raise RigError(f"{what} was not there after {patience_s} s")
        time.sleep(pause_s)


def end(process, patience_s=10):
    if process is None:
        return
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def in_namespace(ns, command):
    return ["ip", "netns", "exec", ns, *command] if ns else command


def ip(*arguments, ns=None):
    command = ["ip", *(["-n", ns] if ns else []), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Hugepages:
    """Adds 2 MB pages to those the machine has and takes as many away again; `got` says whether
    there are enough. Without them everything runs on small pages, both sides alike. Others add
    their own meanwhile (tests/smoke/ports_test.py), so the count is changed under a lock only."""

    def __enter__(self):
        self.added = self.change(PAGES_WANTED)
        self.got = self.read("free_hugepages") >= PAGES_WANTED
        return self

    def __exit__(self, *_):
        self.change(-self.added)

    def change(self, by):
        """Returns by how much the count really grew."""
        with open(PAGES_LOCK, "w", encoding="ascii") as lock, contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read("nr_hugepages")
            with open(f"{PAGES}/nr_hugepages", "w", encoding="ascii") as file:
                file.write(str(max(0, before + by)))
            return self.read("nr_hugepages") - before
        return 0

    @staticmethod
    def read(name):
        try:
            with open(f"{PAGES}/{name}", encoding="ascii") as file:
                return int(file.read())
        except OSError:
            return 0


class Threads:
    """CPU time and time spent waiting for a CPU, of every thread of some processes. A poll loop
    that had to wait was not alone on its CPU, and what was measured is not the machine's limit."""

    def __init__(self, pids):
        self.pids = pids
        self.before = self.read()
        self.now = self.before

    def read(self):
        found = {}
        for pid in self.pids:
            for path in glob.glob(f"/proc/{pid}/task/[0-9]*/schedstat"):
                with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                    run_ns, waited_ns, _ = map(int, file.read().split())
                    found[path] = (run_ns, waited_ns)
        return found

    def look(self):
        found = self.read()
        if found:
            self.now = {**self.now, **found}

    def spent(self):
        """(ns run, ns waited) since the beginning, all threads together."""
        pairs = [(now, self.before.get(path, (0, 0))) for path, now in self.now.items()]
        return tuple(sum(now[i] - before[i] for now, before in pairs) for i in (0, 1))

    def waited_share(self):
        """Of the busiest thread: the share of its time in which it wanted a CPU and had none."""
        times = [(now[0] - self.before.get(path, (0, 0))[0],
                  now[1] - self.before.get(path, (0, 0))[1]) for path, now in self.now.items()]
        run_ns, waited_ns = max(times, default=(0, 0))
        return waited_ns / max(1, run_ns + waited_ns)


class Idle:
    """The CPU time some processes take while nothing happens, as a share of one CPU."""

    def __init__(self, pids):
        self.pids = pids

    def __enter__(self):
        self.began = time.monotonic()
        self.threads = [Threads([pid]) for pid in self.pids]
        return self

    def __exit__(self, *_):
        gone_ns = (time.monotonic() - self.began) * 1e9
        for threads in self.threads:
            threads.look()
        self.shares = [threads.spent()[0] / gone_ns for threads in self.threads]
        self.share = sum(self.shares)


def put_first(pid):
    """This process goes before whatever else runs here: a poll loop that loses its CPU for some
    milliseconds shows the length of a ring, not what the machine can do. Where the kernel groups
    processes by session (sched_autogroup), the group's weight counts; else each thread's."""
    with contextlib.suppress(OSError), \
            open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
        file.write("-20")
    for path in glob.glob(f"/proc/{pid}/task/[0-9]*"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(os.path.basename(path)), -20)


def spawn(command, ns=None, **options):
    """A program in a session of its own, put first; it ends by `end`."""
    process = subprocess.Popen(in_namespace(ns, command), start_new_session=True, **options)
    put_first(process.pid)
    return process


# ---- links ----

class MemifLink:
    """Shared memory between two processes; the receiver is the server and copies."""

    key, ns_gateway, ns_generator = "memif", None, None

    def __init__(self, folder):
        self.socket = os.path.join(folder, "memif.sock")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def gateway_port(self):
        return f"driver: memif\n    socket: {self.socket}"

    def peer_vdev(self):
        """The same socket path serves both: they never run at the same time."""
        return (f"net_memif0,role=server,id=0,socket={self.socket}.peer,socket-abstract=no,"
                f"rsize={RING_LOG2}")

    def generator_port(self, is_peer):
        path = self.socket + (".peer" if is_peer else "")
        return f"net_memif0,role=client,id=0,socket={path},socket-abstract=no,rsize={RING_LOG2}"

    def receiver_mac(self, telemetry):
        return telemetry("/ethdev/info,0")["mac_addr"]

    def peer_clear(self):
        """testpmd that died leaves its socket, where the next one could not listen."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.socket}.peer")

    def counts(self, is_peer):
        """What the kernel counts between the two ends: there is no kernel here."""
        return {}

    def losses(self, lost, counted):
        """Where frames went that were sent and never came. What is in the ring when the generator
        goes, goes with it."""
        return {"left_in_ring": lost}, max(0, lost - (1 << RING_LOG2))


class VethLink:
    """A veth pair between two network namespaces for each receiver, a DPDK port on each end. They
    cannot share one: a packet socket that nobody empties still costs the sender time, and an AF_XDP
    queue has one owner."""

    def __init__(self, driver):
        self.key = self.driver = driver
        tag = os.getpid() % 100000
        self.ns_gateway, self.ns_generator = f"cgeg{tag}", f"cgen{tag}"
        self.near = {False: f"cgeg{tag}", True: f"cgep{tag}"}  # the receiver's end, by is_peer
        self.far = {False: f"cgen{tag}", True: f"cgem{tag}"}

    def __enter__(self):
        try:
            for ns in (self.ns_gateway, self.ns_generator):
                ip("netns", "add", ns)
            for is_peer in (False, True):
                self.make(self.near[is_peer], self.far[is_peer])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for ns in (self.ns_gateway, self.ns_generator):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL, check=False)

    def make(self, near, far):
        # One queue each: an AF_XDP port must own all of them, and there is one worker.
        queues = ["numtxqueues", "1", "numrxqueues", "1"]
        ip("link", "add", near, "netns", self.ns_gateway, *queues, "type", "veth",
           "peer", "name", far, "netns", self.ns_generator, *queues)
        for ns, interface in ((self.ns_gateway, near), (self.ns_generator, far)):
            # The kernels stay out of it: no addresses, no IPv6 chatter to be counted.
            subprocess.run(in_namespace(ns, ["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/"
                                             f"{interface}/disable_ipv6"]), check=True)
            ip("link", "set", interface, "up", ns=ns)

    def gateway_port(self):
        return f"driver: {self.driver}\n    interface: {self.near[False]}"

    def peer_vdev(self):
        """As ctrl/launch.c makes the gateway's."""
        if self.driver == "af_xdp":
            return f"net_af_xdp0,iface={self.near[True]},start_queue=0,queue_count=1"
        return f"net_af_packet0,iface={self.near[True]},qpairs=1"

    def generator_port(self, is_peer):
        """A packet socket in either case: only the receiver differs."""
        return f"net_af_packet0,iface={self.far[is_peer]},qpairs=1"

    def receiver_mac(self, telemetry):
        shown = ip("-o", "link", "show", "dev", self.near[False], ns=self.ns_gateway)
        return re.search(r"link/ether (\S+)", shown).group(1)

    def peer_clear(self):
        """Nothing of testpmd's stays on an interface."""

    def counts(self, is_peer):
        """Of both ends' interfaces: frames dropped, frames that came to the receiver's."""
        near, far = (self.stats(*end) for end in ((self.ns_gateway, self.near[is_peer]),
                                                  (self.ns_generator, self.far[is_peer])))
        return {"dropped": sum(end[way]["dropped"] for end in (near, far) for way in ("rx", "tx")),
                "came": near["rx"]["packets"]}

    def losses(self, lost, counted):
        """Where frames went that were sent and never came, by the kernel's counters; and how many
        it knows nothing of. A packet socket's ring drops what came to its interface."""
        at_socket = lost - counted["dropped"] if self.driver == "af_packet" else 0
        unknown = counted["sent"] - counted["came"] - counted["dropped"] if at_socket else \
            lost - counted["dropped"]
        return {"dropped_by_interface": counted["dropped"],
                "dropped_at_socket": at_socket}, abs(unknown)

    @staticmethod
    def stats(ns, interface):
        shown = ip("-j", "-s", "link", "show", "dev", interface, ns=ns)
        return json.loads(shown)[0]["stats64"]


# ---- programs ----

class Programs:
    """Where the programs of a build folder are."""

    PLACES = {"credgate": "ctrl/cli", "credgated": "ctrl", "credgate-loadgen": "perf/loadgen",
              "credgate-rtt": "perf"}

    def __init__(self, build):
        self.build = os.path.abspath(build)

    def __call__(self, name):
        path = os.path.join(self.build, self.PLACES[name], name)
        if not os.path.exists(path):
            raise RigError(f"{path} is not there: run 'make build' first")
        return path


def round_trip_ns(programs):
    """The two CPUs' distance just now."""
    process = spawn([programs("credgate-rtt"), "--json", "--batches", "51",
                     "--cpus", f"{GENERATOR_CPU},{RECEIVER_CPU}"],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said, wrong = process.communicate()
    if process.returncode == 77:
        raise Unavailable(f"two CPUs are needed, one for each end: {wrong.strip()}")
    return json.loads(said)["ns"]


class Gateway:
    """credgated and its dataplane on one link, with `nodes` nodes registered."""

    name, is_peer = "gateway", False

    def __init__(self, programs, link, folder, nodes, is_huge, idle_sleep_us=None):
        self.programs, self.link, self.nodes, self.is_huge = programs, link, nodes, is_huge
        self.idle_sleep_us = idle_sleep_us
        self.run_dir, self.state_dir = (os.path.join(folder, name) for name in ("run", "state"))
        self.config = os.path.join(folder, "credgate.yaml")
        self.log = os.path.join(folder, "credgated.log")
        self.master = os.path.join(self.state_dir, f"{REALM_NAME}.master")
        self.verdicts = os.path.join(self.run_dir, "consumer.sock")
        self.daemon, self.pids = None, []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for folder in (self.run_dir, self.state_dir):
            os.makedirs(folder, mode=0o755 if folder == self.run_dir else 0o700)
            os.chown(folder, CONTROL_UID, CONTROL_UID)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self.config_text())
        os.chmod(self.config, 0o644)
        self.credgate("realm", "init", REALM_NAME, "--config", self.config)
        with open(self.log, "w", encoding="utf-8") as log:
            self.daemon = spawn([self.programs("credgated"), "--config", self.config],
                                self.link.ns_gateway, stdin=subprocess.DEVNULL, stdout=log,
                                stderr=log)
        wait_for(self.is_running, "the gateway", self.check_alive)
        self.credgate("node", "add", REALM_NAME, f"n[0001-{self.nodes:04}]")
        self.pids_find()
        self.mac = self.link.receiver_mac(self.telemetry)

    def config_text(self):
        text = CONFIG.format(
            run_dir=self.run_dir, state_dir=self.state_dir, control=CONTROL_UID,
            dataplane=DATAPLANE_UID, cpu=RECEIVER_CPU, main_cpu=RECEIVER_CPU, mbufs=MBUFS,
            hugepages="yes" if self.is_huge else "no", port=self.link.gateway_port(),
            address=GATEWAY4, realm=REALM_NAME, realm_id=REALM_ID, nodes=self.nodes)
        if self.idle_sleep_us is not None:
            text = text.replace("  mbufs:", f"  idle_sleep_us: {self.idle_sleep_us}\n  mbufs:")
        return text

    def credgate(self, *arguments):
        done = subprocess.run(
            [self.programs("credgate"), *arguments], capture_output=True, text=True, check=False,
            env={**os.environ, "CREDGATE_RUN_DIR": self.run_dir, "CREDGATE_CONFIG": self.config})
        if done.returncode:
            raise RigError(f"credgate {' '.join(arguments)}: {done.stderr.strip()}")

    def check_alive(self):
        if self.daemon.poll() is not None:
            raise RigError(f"credgated ended with {self.daemon.returncode}: {self.last_words()}")

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            wrong = [line.strip() for line in file if not line.startswith("info:")]
        return " | ".join(wrong[-3:])

    def ask(self, verb):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect(os.path.join(self.run_dir, "admin.sock"))
            sock.sendall(json.dumps({"verb": verb, "args": {}}).encode() + b"\n")
            with sock.makefile(encoding="utf-8") as answers:
                answer = json.loads(answers.readline())
        if not answer["ok"]:
            raise RigError(f"credgated: {verb}: {answer['error']}")
        return answer["result"]

    def status(self):
        return self.ask("status")

    def is_running(self):
        try:
            return self.status()["dataplane"]["state"] == "running"
        except (OSError, ValueError):
            return False

    def telemetry(self, command):
        """DPDK's own socket of the dataplane, named after run_dir."""
        name = hashlib.blake2b(self.run_dir.encode(), digest_size=16).hexdigest()[:16]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(5)
            sock.connect(f"/run/dpdk/credgate-{name}/dpdk_telemetry.v2")
            sock.recv(4096)
            sock.send(command.encode())
            return json.loads(sock.recv(65536))[command.partition(",")[0]]

    def counters(self):
        """All numbers of the one worker, flat: accepted, bad-tag, ..., rx_frames, ..."""
        status = self.status()
        worker = status["workers"][0]
        flat = {key: value for key, value in worker.items()
                if isinstance(value, int) and key not in ("worker", "cpu", "seen")}
        for verdict, count in worker["proved"].items():
            flat[verdict] = count + worker["unproved"][verdict]
        flat["restarts"] = status["dataplane"]["restarts"]
        flat["cycles_hz"] = status["dataplane"]["cycles_hz"]
        return flat

    def settle(self):
        """Counters once nothing moves any more."""
        wait_for(self.is_running, "the gateway", self.check_alive)
        before = self.counters()
        while True:
            time.sleep(0.02)
            now = self.counters()
            if now["rx_frames"] == before["rx_frames"]:
                return now
            before = now

    @contextlib.contextmanager
    def at_work(self):
        yield self

    @contextlib.contextmanager
    def asleep(self):
        """Out of the way: control first, so that it misses no sign of life of the dataplane."""
        self.pids_find()
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pids[1], signal.SIGCONT)
            time.sleep(0.25)  # longer than a heartbeat
            os.kill(self.pids[0], signal.SIGCONT)

    def pids_find(self):
        """control and the dataplane, which may be another one than before: its memif driver is
        testpmd's (DIED), and credgated then starts it again. The trial in which that happened is
        made again, as one in which testpmd died is."""
        wait_for(self.is_running, "the gateway", self.check_alive)
        self.pids = [self.daemon.pid, self.status()["dataplane"]["pid"]]
        put_first(self.pids[1])

    def stop(self):
        end(self.daemon)
        self.daemon = None


class Testpmd:
    """The peer: receives and throws away. A fresh process for each run, told what to do over its
    prompt, so that its main thread sleeps."""

    name, is_peer = "testpmd", True

    def __init__(self, link, folder, is_huge):
        self.program = shutil.which("dpdk-testpmd")
        if self.program is None:
            raise Unavailable("dpdk-testpmd is not installed: run dpdk-config/install.sh")
        self.link, self.is_huge = link, is_huge
        self.log = os.path.join(folder, "testpmd.log")
        self.prefix = f"cge{os.getpid()}"
        self.process, self.pids, self.has_begun = None, [], False

    def command(self):
        memory = ["--in-memory"] if self.is_huge else ["--no-huge", "--no-shconf"]
        # A line at a time, so that what it says can be waited for.
        return ["stdbuf", "-oL", self.program,
                f"--lcores=0@{GENERATOR_CPU},1@{RECEIVER_CPU}", "--main-lcore=0", "-m", "256",
                "--no-pci", f"--vdev={self.link.peer_vdev()}",
                f"--file-prefix={self.prefix}", *memory, "--", "--forward-mode=rxonly",
                "--auto-start", "--burst=64", "-i", "--record-core-cycles",
                f"--total-num-mbufs={MBUFS}"]

    @contextlib.contextmanager
    def at_work(self):
        self.link.peer_clear()
        try:
            with open(self.log, "wb") as log:
                self.process = spawn(self.command(), self.link.ns_gateway,
                                     stdin=subprocess.PIPE, stdout=log, stderr=log)
            self.pids, self.has_begun = [self.process.pid], False
            wait_for(lambda: "testpmd>" in self.said(), "dpdk-testpmd", self.check_alive)
            self.check_alive()
            put_first(self.pids[0])
            self.has_begun = True
            yield self
        finally:
            self.stop()

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_alive(self):
        if self.process.poll() is not None and self.has_begun:
            raise Spoilt(DIED)
        if self.process.poll() is not None or "Start ports failed" in self.said():
            raise RigError(f"dpdk-testpmd did not start: {self.complaint()}")

    def complaint(self):
        wrong = re.findall(r"^.*(?:ailed|rror|annot).*$", self.said(), re.MULTILINE)
        return " | ".join(line.strip() for line in wrong[:3]) or "it says nothing"

    def counters(self):
        """Frames received, and the cycles of the bursts that had any."""
        begin = len(self.said())
        try:
            self.process.stdin.write(b"show fwd stats all\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Spoilt(DIED) from error
        wait_for(lambda: self.said()[begin:].count("+++++") > 1 and
                 self.said().endswith("testpmd> "), "dpdk-testpmd's count", self.check_alive, 5,
                 0.002)
        text = self.said()[begin:]
        cycles = re.search(r"total cycles=(\d+) / total rxonly packets=\d+\) at (\d+) MHz", text)
        return {"rx_frames": int(re.search(r"RX-packets: (\d+)", text).group(1)),
                "busy_cycles": int(cycles.group(1)) if cycles else 0,
                "cycles_hz": int(cycles.group(2)) * 1000000 if cycles else 0}

    def settle(self):
        time.sleep(0.05)
        return self.counters()

    def stop(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.process.stdin.write(b"quit\n")
                self.process.stdin.flush()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        end(self.process)
        self.process = None
