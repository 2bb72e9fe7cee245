#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The gateway as an operator meets it: neighbours, answers, exit codes, nodes that come and go in
running workers, two workers, who may read what, and what it says of bad files."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import (CONSUMER_UID, CONTROL_UID, DATAPLANE_UID, GATEWAY4, GATEWAY6, NODE4, REALM_ID,  # noqa: E402
                 UDP_PORT, Checks, Lab, now_us, run_test)



def send(lab, key, *options, target=GATEWAY4):
    return lab.credgate("send", "--key", key, target, *options, ns=lab.node_ns, check=False)


def neighbours(lab, checks):
    for target in (GATEWAY4, GATEWAY6):
        done = subprocess.run(["ip", "netns", "exec", lab.node_ns, "ping", "-c", "2", "-i", "0.2",
                               "-W", "2", target], capture_output=True, text=True)
        checks.check(f"ping {target}", 0, done.returncode)


def exit_codes(lab, checks, key):
    hour = 3600 * 10**6
    for case, code, options in (
            ("accepted", 0, []),
            ("expired", 32 + 5, ["--issued", now_us() - hour]),
            ("not yet valid", 32 + 6, ["--issued", now_us() + hour]),
            ("wrong audience", 32 + 13, ["--audience", 77]),
            ("nobody may read it", 32 + 20, ["--auth-uid", 12])):
        checks.check(f"exit code of send: {case}", code, send(lab, key, *options).returncode)


def live_changes(lab, checks, key, accepted):
    """A node added or revoked takes effect at once, and no packet of another is lost."""
    sock = lab.socket(4)
    stop = threading.Event()
    sent = []

    def traffic():
        while not stop.is_set():
            lines = lab.credgate("mint", "--key", key, "--binary", "--origin", NODE4).stdout
            sock.sendto(lines, (GATEWAY4, UDP_PORT))
            sent.append(1)

    thread = threading.Thread(target=traffic)
    thread.start()
    for number in range(5):
        name = f"guest{number}"
        guest = lab.add_node(name)
        added = time.monotonic()
        checks.check(f"{name} accepted once added", 0, send(lab, guest).returncode)
        print(f"  {name} in force after {time.monotonic() - added:.2f} s", flush=True)
        lab.credgate("node", "revoke", "lab", name)
        late = lab.mint(guest)
        other = lab.socket(4)
        other.sendto(late, (GATEWAY4, UDP_PORT))
        checks.check(f"{name} not accepted once revoked", 0,
                     len(accepted.find(*other.getsockname(), 1, 0.3)))
    stop.set()
    thread.join()
    found = accepted.find(*sock.getsockname(), len(sent), 3)
    checks.check("all others' credentials accepted meanwhile", len(sent), len(found))


def added_again(lab, checks):
    """A revoked node that comes back gets an epoch of its own; its old key stays dead."""
    old = lab.add_node("returner")
    first = lab.json("node", "list", "lab")
    lab.credgate("node", "revoke", "lab", "returner")
    lab.credgate("node", "add", "lab", "returner", "--prefix", NODE4)
    saved = old + ".old"
    os.rename(old, saved)
    os.rename(old + ".serial", saved + ".serial") if os.path.exists(old + ".serial") else None
    new = lab.export_key("returner")
    checks.check("comes back with its new key", 0, send(lab, new).returncode)
    checks.check("old key is dead", 1, send(lab, saved).returncode)
    checks.check("node list is JSON", True, isinstance(first, (dict, list)))


def privileges(lab, checks):
    status = lab.json("status")
    pid = status["dataplane"]["pid"]
    fields = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
        fields.append((lines["Uid"].split()[0], int(lines["CapEff"], 16), int(lines["CapPrm"], 16),
                       lines["NoNewPrivs"].strip(), lines["Seccomp"].strip()))
    checks.check("every dataplane thread: uid, no capabilities, no new ones, filtered",
                 {(str(DATAPLANE_UID), 0, 0, "1", "2")}, set(fields))
    with open(f"/proc/{lab.daemon.pid}/status", encoding="ascii") as file:
        uid = [line.split()[1] for line in file if line.startswith("Uid:")]
    checks.check("credgated runs as its own user", [str(CONTROL_UID)], uid)


def rights(lab, checks):
    cli = lab.consumer_program()

    def as_uid(uid, *arguments):
        return subprocess.run([cli, *arguments, "--run-dir", lab.run_dir], capture_output=True,
                              text=True, user=uid, group=uid, extra_groups=[], timeout=20, cwd="/")

    done = as_uid(61099, "watch", "--group", "jobs", "--count", "1", "--timeout", "1")
    checks.check("a stranger may not read the group", 1, done.returncode)
    done = as_uid(61099, "watch", "--refused", "--count", "1", "--timeout", "1")
    checks.check("a stranger may not read refusals", 1, done.returncode)
    done = as_uid(61099, "status")
    checks.check("a stranger may not administer", 1, done.returncode)
    checks.check("and is told in one line", 1, len(done.stderr.strip().splitlines()))


def bad_files(lab, checks):
    """Each mistake: exit 1 and one line that names file, line and cure."""
    good = open(lab.config_file, encoding="utf-8").read()
    path = os.path.join(lab.dir, "bad.yaml")

    def refused(case, text, *words):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        done = subprocess.run([lab.program("credgated"), "--check", "--config", path],
                              capture_output=True, text=True, timeout=20)
        said = done.stderr.strip()
        checks.check(f"bad config, {case}: exit code", 1, done.returncode)
        checks.check(f"bad config, {case}: one line with {words}", True,
                     len(said.splitlines()) == 1 and all(w in said for w in words))
        if len(said.splitlines()) != 1 or not all(w in said for w in words):
            print(f"    said: {said}")

    def line(fragment):
        return next(n for n, l in enumerate(good.splitlines(), 1) if fragment in l)

    refused("unknown key", good.replace("    udp_port:", "    udp_prot:"),
            f"bad.yaml:{line('udp_port')}", "udp_port")
    refused("not a number", good.replace("nodes_max: 256", "nodes_max: many"),
            f"bad.yaml:{line('nodes_max')}")
    refused("no such audience", good.replace("audiences: [any, scheduler", "audiences: [sched"),
            f"bad.yaml:{line('audiences: [any')}", "sched")
    refused("bad address", good.replace("10.77.0.1/24", "10.77.0.300/24"),
            f"bad.yaml:{line('addresses:')}", "10.77.0.300")
    refused("no YAML", good + "\n  - [", "bad.yaml:")
    checks.check("the good one passes", 0, subprocess.run(
        [lab.program("credgated"), "--check", "--config", lab.config_file],
        capture_output=True).returncode)


def bad_start(lab, checks):
    """What is wrong with port, secret or memory ends the start with one clear line."""
    good = open(lab.config_file, encoding="utf-8").read()

    def refused(case, *words):
        done = subprocess.run(["ip", "netns", "exec", lab.gateway_ns, lab.program("credgated"),
                               "--config", lab.config_file], capture_output=True, text=True,
                              timeout=30)
        said = done.stderr.strip().splitlines()
        last = said[-1] if said else ""
        checks.check(f"start with {case}: exit code", 1, done.returncode)
        checks.check(f"start with {case}: says {words}", True, all(w in last for w in words))
        if not all(w in last for w in words):
            print(f"    said: {said}")

    with open(lab.config_file, "w", encoding="utf-8") as file:
        file.write(good.replace(f"interface: {lab.gateway_if}", "interface: nosuch0"))
    refused("no such interface", "nosuch0")
    with open(lab.config_file, "w", encoding="utf-8") as file:
        file.write(good)
    master = os.path.join(lab.state_dir, "lab.master")
    os.chmod(master, 0o640)
    refused("a master secret others may read", "lab.master")
    os.chmod(master, 0o600)
    os.rename(master, master + ".away")
    refused("no master secret", "lab.master", "realm init")
    os.symlink(master + ".away", master)
    refused("a master secret behind a link", "lab.master")
    os.unlink(master)
    os.rename(master + ".away", master)


def bad_keys(lab, checks, key):
    wide = os.path.join(lab.keys_dir, "wide.key")
    with open(key, encoding="ascii") as source, open(wide, "w", encoding="ascii") as copy:
        copy.write(source.read())
    os.chmod(wide, 0o644)
    done = lab.credgate("mint", "--key", wide, "--text", check=False)
    checks.check("a key others may read is refused", 1, done.returncode)
    checks.check("in one line", 1, len(done.stderr.decode().strip().splitlines()))
    checks.check("exported keys are 0600", 0o600, stat.S_IMODE(os.stat(key).st_mode))
    done = lab.credgate("node", "key", "lab", "n001", "-o", key, check=False)
    checks.check("an exported key is never overwritten", 1, done.returncode)


def starts_again(lab, checks, key, accepted_before):
    """An orderly stop keeps the windows; after a kill a floor stands in for what they knew."""
    checks.check("after a stop, nodes are remembered", 0, send(lab, key).returncode)
    refused = lab.watch("--refused")
    time.sleep(0.5)
    sock = lab.socket(4)
    sock.sendto(accepted_before, (GATEWAY4, UDP_PORT))
    found = refused.find(*sock.getsockname())
    checks.check("after a stop, what was accepted before is replayed", ["replayed"],
                 [record["verdict"] for record in found])
    lab.daemon.kill()
    lab.daemon.wait()
    lab.start_daemon()
    old = send(lab, key, "--issued", now_us() - 10**6).returncode
    checks.check("after a kill, issued before it: floor", 32 + 19, old)
    deadline = time.monotonic() + 10
    while (code := send(lab, key).returncode) == 32 + 19 and time.monotonic() < deadline:
        time.sleep(0.2)
    checks.check("after a kill, genuine again once the floor is passed", 0, code)


def until_accepted(lab, key):
    """Exit code of send, once it is another than floor's or ten seconds are over."""
    deadline = time.monotonic() + 10
    while (code := send(lab, key).returncode) == 32 + 19 and time.monotonic() < deadline:
        time.sleep(0.2)
    return code


def kill_daemon(lab):
    lab.daemon.kill()
    lab.daemon.wait()


def windows_put_back(lab, checks, key):
    """An old copy of the kept windows does not reopen what was accepted since."""
    lab.stop_daemon()
    windows = os.path.join(lab.state_dir, "windows")
    with open(windows, "rb") as file:
        old = file.read()
    lab.start_daemon()
    once = lab.mint(key)
    accepted = lab.watch("--group", "jobs")
    time.sleep(0.5)
    sock = lab.socket(4)
    sock.sendto(once, (GATEWAY4, UDP_PORT))
    checks.check("accepted once", 1, len(accepted.find(*sock.getsockname())))
    kill_daemon(lab)
    with open(windows, "wb") as file:
        file.write(old)
    os.chown(windows, CONTROL_UID, CONTROL_UID)
    os.chmod(windows, 0o600)
    lab.start_daemon()
    refused = lab.watch("--refused")
    time.sleep(0.5)
    sock = lab.socket(4)
    sock.sendto(once, (GATEWAY4, UDP_PORT))
    checks.check("old windows put back: floor", ["floor"],
                 [record["verdict"] for record in refused.find(*sock.getsockname())])
    checks.check("genuine again", 0, until_accepted(lab, key))


def end_unseen(lab, checks, key):
    """Windows are kept only of a dataplane that was seen to end: this one is stopped, and the
    starter that could kill it is gone."""
    dataplane = lab.json("status")["dataplane"]["pid"]
    starter = subprocess.run(["pgrep", "-P", str(lab.daemon.pid)], capture_output=True, text=True,
                             check=True).stdout.split()
    # In this order: the kernel wakes stopped children of one that dies.
    for pid in starter:
        os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.2)
    os.kill(dataplane, signal.SIGSTOP)
    lab.stop_daemon()
    checks.check("no windows of a dataplane that may still run", False,
                 os.path.exists(os.path.join(lab.state_dir, "windows")))
    os.kill(dataplane, signal.SIGKILL)
    lab.start_daemon()
    checks.check("genuine again", 0, until_accepted(lab, key))


def clock_was_ahead(lab, checks, key):
    """Told with the time and the cure; and the cure works."""
    stamp = os.path.join(lab.state_dir, "clock")
    kill_daemon(lab)
    with open(stamp, "r+", encoding="ascii") as file:
        ahead = int(file.readline()) + 7200 * 10**6
        file.seek(0)
        file.write(f"{ahead:020d}")
    lab.start_daemon()
    checks.check("clock was ahead: refused", 32 + 19, send(lab, key).returncode)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ahead // 10**6))
    told = [line for line in lab.log().splitlines() if "was ahead" in line]
    checks.check("clock was ahead: told once, with time and cure", [True],
                 [when in line and f"remove {stamp}" in line for line in told])
    shown = lab.credgate("status").stdout.decode()
    checks.check("clock was ahead: status shows the floor", True,
                 "realm lab: whatever was issued before" in shown)
    lab.stop_daemon()
    os.unlink(stamp)
    lab.start_daemon()
    checks.check("clock was ahead: the cure", 0, until_accepted(lab, key))
    shown = lab.credgate("status").stdout.decode()
    checks.check("no floor is shown once it is passed", False, "was issued before" in shown)


def reload_of_reader(lab, checks):
    """Whoever has attached would go on reading: another reader needs a restart."""
    with open(lab.config_file, encoding="utf-8") as file:
        good = file.read()
    with open(lab.config_file, "w", encoding="utf-8") as file:
        file.write(good.replace(f"reader: {{uid: {CONSUMER_UID}", "reader: {uid: 61099"))
    done = lab.credgate("reload", check=False)
    checks.check("reload with another reader is refused", (1, True),
                 (done.returncode, b"the reader of a group changed" in done.stderr))
    checks.check("the reader in force stays", CONSUMER_UID,
                 lab.json("status")["groups"][0]["reader"]["uid"])
    with open(lab.config_file, "w", encoding="utf-8") as file:
        file.write(good)


def two_workers(checks, build):
    with Lab(build, workers=2) as lab:
        keys = [lab.add_node(f"w{number}") for number in range(8)]
        accepted = lab.watch("--group", "jobs")
        refused = lab.watch("--refused")
        time.sleep(0.5)
        once = lab.mint(keys[0])
        sockets = [lab.socket(4) for _ in range(64)]
        for sock in sockets:
            sock.sendto(once, (GATEWAY4, UDP_PORT))
        for number, key in enumerate(keys):
            for sock in sockets[number * 8:number * 8 + 8]:
                sock.sendto(lab.mint(key), (GATEWAY4, UDP_PORT))
        deadline = time.monotonic() + 5
        while len(accepted.records) < 65 and time.monotonic() < deadline:
            time.sleep(0.05)
        checks.check("two workers: 64 genuine and one of 64 copies accepted", 65,
                     len(accepted.records))
        checks.check("two workers: 63 copies replayed", 63,
                     sum(r["verdict"] == "replayed" for r in refused.records))
        workers = lab.json("status")["workers"]
        checks.check("both workers took packets", True,
                     all(worker["rx_frames"] > 0 for worker in workers))
        checks.check("nodes were handed over", True,
                     sum(worker["handed_off"] for worker in workers) > 0)
        answered = [send(lab, key).returncode for key in keys]
        checks.check("two workers: answers come from the owner", [0] * len(keys), answered)


def test(build):
    checks = Checks()
    with Lab(build) as lab:
        key = lab.add_node("n001")
        accepted = lab.watch("--group", "jobs")
        time.sleep(0.5)
        neighbours(lab, checks)
        exit_codes(lab, checks, key)
        live_changes(lab, checks, key, accepted)
        added_again(lab, checks)
        privileges(lab, checks)
        rights(lab, checks)
        reload_of_reader(lab, checks)
        bad_keys(lab, checks, key)
        bad_files(lab, checks)
        before = lab.mint(key)
        sock = lab.socket(4)
        sock.sendto(before, (GATEWAY4, UDP_PORT))
        checks.check("accepted before the stop", 1, len(accepted.find(*sock.getsockname())))
        lab.stop_daemon()
        bad_start(lab, checks)
        lab.start_daemon()
        starts_again(lab, checks, key, before)
        windows_put_back(lab, checks, key)
        end_unseen(lab, checks, key)
        clock_was_ahead(lab, checks, key)
        checks.check("realm is the one configured", REALM_ID,
                     lab.json("realm", "list")["realms"][0]["id"])
    two_workers(checks, build)
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
