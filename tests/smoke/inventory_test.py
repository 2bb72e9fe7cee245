#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Inventories on the real programs: very many nodes are imported, exported and revoked while the
gateway serves; a kill in the middle leaves all of a change or nothing; command lines that work at
once do not lose each other's changes. How long things took is printed and decides nothing."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import GATEWAY4, Checks, Lab, LabError, need_root  # noqa: E402

ROLE = "batch"


def inventory(count, role=ROLE):
    """CSV of nodes n1 ... with an IPv4 prefix each, and an IPv6 one where the table has room."""
    lines = ["name,prefixes,roles,state"]
    for i in range(1, count + 1):
        more = f" fd77:1::{i:x}" if i <= 30000 else ""
        lines.append(f"n{i},10.{i >> 16}.{i >> 8 & 255}.{i & 255}{more},{role},live")
    return "\n".join(lines) + "\n"


def write(lab, name, text):
    path = os.path.join(lab.dir, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def states(lab):
    """How many nodes are live and revoked, as the registry has them."""
    counts = {"live": 0, "suspended": 0, "revoked": 0}
    for line in lab.credgate("node", "export", "lab", timeout=120).stdout.decode().splitlines()[1:]:
        counts[line.rsplit(",", 1)[1]] += 1
    return counts


class Prober:
    """Asks for the status again and again: the longest answer is how long nobody was served."""

    def __init__(self, lab):
        self.lab, self.worst, self.running = lab, 0.0, True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        import socket
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(os.path.join(self.lab.run_dir, "admin.sock"))
        file = sock.makefile("rwb")
        while self.running:
            begin = time.monotonic()
            file.write(b'{"verb": "realm.list"}\n')
            file.flush()
            file.readline()
            self.worst = max(self.worst, time.monotonic() - begin)
            time.sleep(0.002)
        sock.close()

    def stop(self):
        self.running = False
        self.thread.join(30)
        return f"{self.worst * 1000:.0f} ms"


def send(lab, key):
    return lab.credgate("send", "--key", key, GATEWAY4, "--timeout", 500, ns=lab.node_ns,
                        check=False).returncode


def is_accepted(lab, key):
    """After a kill the floor keeps out what was issued before it, and skew_ms longer."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if send(lab, key) == 0:
            return True
        time.sleep(0.2)
    return False


def check_import(lab, checks, count):
    path = write(lab, "all.csv", inventory(count))
    prober, begin = Prober(lab), time.monotonic()
    done = lab.json("node", "import", "lab", path, "--why", "test", timeout=300)
    print(f"  {count} nodes imported and in force after {time.monotonic() - begin:.2f} s; "
          f"longest wait of others {prober.stop()}", flush=True)
    checks.check("import adds all", count, done["added"])
    checks.check("they are in the key table", count, lab.json("status")["table"]["nodes"] - 1)
    exported = lab.credgate("node", "export", "lab", timeout=120).stdout
    again = lab.credgate("node", "import", "lab", "-", "--format", "csv", "--json", stdin=exported,
                         timeout=300)
    checks.check("an export changes nothing", (0, 0, count + 1),
                 tuple(json.loads(again.stdout)[k] for k in ("added", "changed", "unchanged")))
    exported = lab.credgate("node", "export", "lab", "--format", "json", timeout=120).stdout
    again = lab.credgate("node", "import", "lab", "-", "--format", "json", "--json",
                         stdin=exported, timeout=300)
    checks.check("nor does one in JSON", count + 1, json.loads(again.stdout)["unchanged"])


def check_wrong(lab, checks):
    before = states(lab)
    path = write(lab, "wrong.csv", "name,prefixes\nx1,10.0.0.1\nx2,10.0.0.300\n")
    done = lab.credgate("node", "import", "lab", path, check=False)
    checks.check("a wrong line is named", True,
                 f'{path}: line 3: prefix "10.0.0.300"' in done.stderr.decode())
    checks.check("and exits with 1", 1, done.returncode)
    checks.check("and nothing of the file is there", before, states(lab))


def kill_during(lab, command, after_s):
    """Kills credgated with SIGKILL while a command line is at work, and starts it again."""
    process = subprocess.Popen([lab.program("credgate"), *command, "--run-dir", lab.run_dir],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    pid = lab.json("status")["gateway"]["pid"] if after_s == 0 else lab.pid
    os.kill(pid, signal.SIGKILL)
    lab.daemon.wait()
    lab.daemon = None
    process.wait(60)
    lab.start_daemon()
    lab.pid = lab.json("status")["gateway"]["pid"]
    return process.returncode


def check_killed_import(lab, checks, count):
    """Every kill at another moment; a later one ends after the commit."""
    path = write(lab, "more.csv", inventory(count, role="more").replace("\nn", "\nm"))
    before = states(lab)["live"]
    for number in range(1, 5):
        kill_during(lab, ["node", "import", "lab", path], 0.15 * number)
        now = states(lab)["live"]
        checks.check(f"import killed {number}: all or nothing", True,
                     now in (before, before + count))
    lab.credgate("node", "import", "lab", path, timeout=300)
    checks.check("then it is all there", before + count, states(lab)["live"])


def check_killed_revoke(lab, checks, count):
    before = states(lab)
    for number in range(1, 4):
        code = kill_during(lab, ["node", "revoke", "lab", "--role", "more"], 0.04 * number)
        now = states(lab)
        gone = now["revoked"] - before["revoked"]
        checks.check(f"revocation killed {number}: all or nothing", True, gone in (0, count))
        checks.check(f"revocation killed {number}: what was answered holds", True,
                     code != 0 or gone == count)
    lab.credgate("node", "revoke", "lab", "--role", "more")
    checks.check("then they are all out", before["revoked"] + count, states(lab)["revoked"])


def check_revoke(lab, checks, count, key):
    checks.check("a node of the role is accepted", True, is_accepted(lab, key))
    prober = Prober(lab)
    done = lab.json("node", "revoke", "lab", "--role", ROLE, "--why", "test", timeout=120)
    print(f"  {done['count']} nodes out of force in all workers after "
          f"{done['in_force_us'] / 1000:.1f} ms; longest wait of others {prober.stop()}",
          flush=True)
    checks.check("the role is revoked", count + 1, done["count"])
    checks.check("and refused", True, send(lab, key) != 0)


def check_concurrent(lab, checks):
    """Command lines that add, revoke and import at the same time."""
    path = write(lab, "c.csv", "name\n" + "".join(f"c{i}\n" for i in range(2000)))
    commands = [["node", "add", "lab", "a[1-60]"], ["node", "add", "lab", "b[1-60]"],
                ["node", "import", "lab", path], ["node", "add", "lab", "a[61-90]"]]
    before = states(lab)
    running = [subprocess.Popen([lab.program("credgate"), *c, "--run-dir", lab.run_dir],
                                stdout=subprocess.DEVNULL) for c in commands]
    checks.check("all command lines are done", [0] * 4, [p.wait(120) for p in running])
    checks.check("and nothing is lost", before["live"] + 60 + 60 + 2000 + 30, states(lab)["live"])
    commands = [["node", "revoke", "lab", "a[1-90]"], ["node", "revoke", "lab", "b[1-60]"],
                ["node", "add", "lab", "d[1-40]"]]
    before = states(lab)
    running = [subprocess.Popen([lab.program("credgate"), *c, "--run-dir", lab.run_dir],
                                stdout=subprocess.DEVNULL) for c in commands]
    checks.check("again", [0] * 3, [p.wait(120) for p in running])
    checks.check("nor is a revocation", before["revoked"] + 150, states(lab)["revoked"])


def check_keys(lab, checks):
    folder = os.path.join(lab.dir, "bulk")
    lab.credgate("node", "keys", "lab", "d[1-40]", "--dir", folder)
    files = sorted(os.listdir(folder))
    checks.check("a key file for each", 40, len(files))
    checks.check("for its owner only", {0o600},
                 {os.stat(os.path.join(folder, f)).st_mode & 0o777 for f in files})
    done = lab.credgate("node", "keys", "lab", "d[1-40]", "--dir", folder, check=False)
    checks.check("none is written over", 1, done.returncode)


def test(build, count):
    checks = Checks()
    with Lab(build, nodes_max=2 * count + 5000) as lab:
        lab.pid = lab.json("status")["gateway"]["pid"]
        key = lab.add_node("probe")
        lab.credgate("node", "set", "lab", "probe", "--role", f"+{ROLE}")
        check_import(lab, checks, count)
        check_wrong(lab, checks)
        check_killed_import(lab, checks, count)
        check_killed_revoke(lab, checks, count)
        check_revoke(lab, checks, count, key)
        check_concurrent(lab, checks)
        check_keys(lab, checks)
    return checks


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default="build", help="build folder (default: build)")
    options.add_argument("--nodes", type=int, default=10000, help="how many (default: 10000)")
    arguments = options.parse_args()
    need_root()
    try:
        return test(arguments.build, arguments.nodes).finish()
    except LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
