#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The audit log of the real programs: changes by two users are written with who and why, a line that
is edited, removed or cut off is named, a kill leaves no more than an unknown outcome, a full disk
stops changes and no revocation, secrets are nowhere; and signed configurations cannot be changed
quietly, put back, or released from their key."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import CONTROL_UID, Checks, Lab, LabError, run_test  # noqa: E402

ADMIN_UID = 61011
TAMPERED = 3


def as_admin(lab, *arguments):
    """The CLI as the other user whom the configuration admits."""
    return subprocess.run([lab.consumer_program(), *arguments, "--run-dir", lab.run_dir],
                          user=ADMIN_UID, group=ADMIN_UID, extra_groups=[], cwd="/",
                          capture_output=True, text=True, timeout=30, check=False)


def log_files(lab):
    return sorted(glob.glob(os.path.join(lab.state_dir, "audit", "audit.*.jsonl")))


def log_lines(lab):
    return [json.loads(line) for path in log_files(lab)
            for line in open(path, encoding="utf-8")]


def verify(lab, *options):
    """Exit code and what was printed."""
    done = lab.credgate("audit", "verify", *options, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def who_and_why(lab, checks):
    key = lab.add_node("n001")
    done = as_admin(lab, "node", "revoke", "lab", "n001", "--why", "stolen; see #12")
    checks.check("the other admin revokes", 0, done.returncode)
    refused = as_admin(lab, "node", "rotate", "lab", "nobody")
    checks.check("a change that fails", 1, refused.returncode)
    lines = log_lines(lab)
    added = next(e for e in lines if e.get("verb") == "node.add" and e["event"] == "asked")
    checks.check("who added", (0, "credgate"), (added["who"]["uid"], added["who"]["program"]))
    revoked = next(e for e in lines if e.get("verb") == "node.revoke" and e["event"] == "asked")
    checks.check("who revoked, and why", (ADMIN_UID, "stolen; see #12"),
                 (revoked["who"]["uid"], revoked["why"]))
    outcome = next(e for e in lines if e.get("asked") == revoked["seq"])
    checks.check("outcome", "done", outcome["event"])
    failed = [e for e in lines if e["event"] == "failed"]
    checks.check("the failed change is there, with why", True,
                 len(failed) == 1 and "nobody" in failed[0]["error"])
    checks.check("telling a key is there", True,
                 any(e.get("verb") == "node.key" and e["event"] == "asked" for e in lines))
    start = next(e for e in lines if e.get("verb") == "gateway.start")
    digest = subprocess.run(["b2sum", "-l", "256", lab.config_file], capture_output=True,
                            text=True, check=True).stdout.split()[0]
    checks.check("digest of the configuration", digest, start["args"]["digest"])
    secret = open(key, encoding="ascii").read().strip()
    text = "".join(open(path, encoding="utf-8").read() for path in log_files(lab))
    checks.check("no key in it", True, "CGK1" not in text and secret.split(":")[1] not in text)
    checks.check("good as it is", 0, verify(lab)[0])
    shown = lab.credgate("audit", "show", "--verb", "node.revoke", "--who", ADMIN_UID).stdout
    checks.check("shown", True, b"n001" in shown and b"# stolen; see #12" in shown
                 and b"done" in shown and shown.count(b"\n") == 1)
    modes = {oct(os.stat(path).st_mode & 0o777) for path in log_files(lab)}
    checks.check("closed to others", {"0o600"}, modes)
    status = lab.json("status")["audit"]
    checks.check("status knows the last line, and no alarm", (len(lines), None),
                 (status["seq"], status["alarm"]))


def follow(lab, checks):
    """A reader that follows gets each new line as it is."""
    process = subprocess.Popen(
        [lab.program("credgate"), "audit", "show", "--follow", "--json", "--config",
         lab.config_file, "--verb", "node.set"], stdout=subprocess.PIPE, text=True)
    try:
        lab.credgate("node", "add", "lab", "n002")
        lab.credgate("node", "set", "lab", "n002", "--role", "+compute")
        line = json.loads(process.stdout.readline())
        checks.check("followed", "node.set", line["verb"])
    finally:
        process.kill()
        process.wait()


def tampering(lab, checks):
    """Each on a copy of the state directory, as an auditor has it."""
    copy = os.path.join(lab.dir, "copy")
    path = os.path.join(copy, "audit", os.path.basename(log_files(lab)[0]))

    def attack(name, change, expected):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(lab.state_dir, copy)
        change()
        code, text = verify(lab, "--dir", copy)
        checks.check(f"{name} is found", (TAMPERED, True), (code, expected in text))

    def edit(expression):
        return lambda: subprocess.run(["sed", "-i", expression, path], check=True)

    attack("an edited line", edit(f"4s/\"uid\":0/\"uid\":{CONTROL_UID}/"), f"{path}:4: ")
    attack("a removed line", edit("5d"), f"{path}:5: lines 5 to 5 are missing")
    attack("a repeated line", edit("6p"), f"{path}:7: ")
    attack("the last line cut off", edit("$d"), "the last lines are missing")
    attack("the log removed", lambda: os.truncate(path, 0), "the last lines are missing")
    attack("the anchor removed", lambda: os.unlink(os.path.join(copy, "audit.anchor")),
           "the anchor is missing")
    stranger = os.path.join(lab.dir, "stranger.key")
    with open(stranger, "w", encoding="ascii") as file:
        file.write("CGA1:000001:" + "00" * 32 + "\n")
    os.chmod(stranger, 0o600)
    checks.check("another key proves nothing", TAMPERED, verify(lab, "--key", stranger)[0])
    checks.check("the log itself is good", 0, verify(lab)[0])


def crash(lab, checks):
    lab.daemon.kill()
    children = lab.daemon
    children.wait()
    lab.daemon = None
    time.sleep(0.2)
    lab.start_daemon()
    code, text = verify(lab)
    checks.check("good after a kill", 0, code)
    starts = [e["verb"] for e in log_lines(lab)
              if e.get("verb") in ("gateway.start", "gateway.stop")]
    checks.check("a start without a stop before tells of it", ["gateway.start"] * 2, starts[-2:])
    checks.check("and no alarm", None, lab.json("status")["audit"]["alarm"])
    return text


def damaged_start(lab, checks):
    """credgated serves on, loudly, in a new file; the damage stays to be found."""
    lab.stop_daemon()
    path = log_files(lab)[-1]
    saved = path + ".saved"
    shutil.copy2(path, saved)
    subprocess.run(["sed", "-i", "3s/lab/lob/", path], check=True)
    os.chown(path, CONTROL_UID, CONTROL_UID)
    lab.start_daemon()
    alarm = lab.json("status")["audit"]["alarm"]
    checks.check("an alarm in the status", True, "not as it was left" in (alarm or ""))
    checks.check("for people, too", True,
                 b"AUDIT LOG  the audit log is not as it was left" in lab.credgate("status").stdout)
    checks.check("a new file", 2, len(log_files(lab)))
    code, text = verify(lab)
    checks.check("the damage is found later", (TAMPERED, True), (code, f"{path}:3: " in text))
    lab.stop_daemon()
    with open(saved, "rb") as good, open(path, "r+b") as bad:
        bad.write(good.read())
    os.unlink(saved)
    lab.start_daemon()
    checks.check("restored, it is good again", 0, verify(lab)[0])


def full_disk(lab, checks):
    """The state directory's disk is full: no change, but a revocation."""
    lab.credgate("node", "add", "lab", "n[010-012]")
    lab.stop_daemon()
    saved = lab.state_dir + ".saved"
    os.rename(lab.state_dir, saved)
    os.mkdir(lab.state_dir, 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "tmpfs", lab.state_dir],
                   check=True)
    try:
        subprocess.run(["cp", "-a", saved + "/.", lab.state_dir], check=True)
        os.chown(lab.state_dir, CONTROL_UID, CONTROL_UID)
        lab.start_daemon()
        ballast = os.path.join(lab.state_dir, "ballast")
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"],
                       stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}2", "bs=1"], timeout=60,
                       stderr=subprocess.DEVNULL, check=False)
        full = next((n for n in range(200) if lab.credgate(
            "node", "key", "lab", "n010", "-o", "-", check=False).returncode != 0), None)
        checks.check("sooner or later nothing is told or changed", True, full is not None)
        done = lab.credgate("node", "add", "lab", "n013", check=False)
        checks.check("a change is refused, with the cure", (1, True),
                     (done.returncode, b"make room" in done.stderr))
        done = lab.credgate("node", "revoke", "lab", "n011", check=False)
        checks.check("a revocation holds, with a warning", (0, True),
                     (done.returncode, b"audit log" in done.stderr))
        audit = lab.json("status")["audit"]
        checks.check("status: lines wait, alarm", (True, True),
                     (audit["waiting"] > 0, audit["alarm"] is not None))
        os.unlink(ballast)
        os.unlink(ballast + "2")
        deadline = time.monotonic() + 10
        while lab.json("status")["audit"]["waiting"] and time.monotonic() < deadline:
            time.sleep(0.1)
        checks.check("with room the revocation is written", True, any(
            e.get("verb") == "node.revoke" and e.get("args", {}).get("name") == "n011"
            or e.get("verb") == "node.revoke" and "n011" in json.dumps(e.get("args", {}))
            for e in log_lines(lab)))
        checks.check("and all of it is good", 0, verify(lab)[0])
        lab.stop_daemon()
    finally:
        lab.stop_daemon()
        subprocess.run(["umount", lab.state_dir], check=False)
        os.rmdir(lab.state_dir)
        os.rename(saved, lab.state_dir)
    lab.start_daemon()


def append(lab, text):
    with open(lab.config_file, "a", encoding="utf-8") as file:
        file.write(text)


def reload(lab):
    done = lab.credgate("reload", check=False)
    return done.returncode, done.stderr.decode()


def signed_configuration(lab, checks):
    key = os.path.join(lab.keys_dir, "sign.key")
    other = os.path.join(lab.keys_dir, "other.key")
    lab.credgate("sign", "keygen", key)
    lab.credgate("sign", "keygen", other)
    sign = ("sign", lab.config_file, "--key", key)
    lab.credgate(*sign, "--serial", 100)
    done = as_admin(lab, "sign", "require", open(other + ".pub", encoding="ascii").read().strip())
    checks.check("an admin cannot lock the owner out", 1, done.returncode)
    lab.credgate("sign", "require", key + ".pub", "--why", "from now on")
    checks.check("signed: reload goes on", 0, reload(lab)[0])
    old = open(lab.config_file, "rb").read(), open(lab.config_file + ".sig", "rb").read()
    append(lab, "# changed\n")
    code, text = reload(lab)
    checks.check("changed and not signed: refused", (1, True),
                 (code, "the signature does not fit" in text))
    failed = [e for e in log_lines(lab) if e["event"] == "failed" and e["verb"] == "reload"]
    checks.check("and in the audit log", True, "signature" in failed[-1]["error"])
    lab.credgate("sign", lab.config_file, "--key", other, "--serial", 101)
    checks.check("another key: refused", (1, True),
                 (lambda r: (r[0], "another key" in r[1]))(reload(lab)))
    lab.credgate(*sign, "--serial", 101)
    checks.check("signed again: taken", 0, reload(lab)[0])
    for path, content in zip((lab.config_file, lab.config_file + ".sig"), old):
        with open(path, "wb") as file:
            file.write(content)
    code, text = reload(lab)
    checks.check("an old signed file: refused", (1, True), (code, "serial 100 is behind" in text))
    lab.stop_daemon()
    try:
        lab.start_daemon()
        started = True
    except LabError:
        started = False
    checks.check("nor does it start with it", (False, True),
                 (started, "serial 100 is behind" in lab.log()))
    lab.credgate(*sign, "--serial", 102)
    lab.start_daemon()
    signed_policy(lab, checks, key)
    done = lab.credgate("sign", "require", "none", check=False)
    checks.check("not cleared without the key", 1, done.returncode)
    done = lab.credgate("sign", "require", "none", "--key", other, check=False)
    checks.check("nor with another one", 1, done.returncode)
    done = lab.credgate("sign", "require", "none", "--key", key, check=False)
    checks.check("cleared by the key", 0, done.returncode)
    append(lab, "# changed\n")
    checks.check("then unsigned files are taken", 0, reload(lab)[0])
    os.chmod(lab.config_file, 0o666)
    code, text = reload(lab)
    checks.check("but none that others may write", (1, True), (code, "chmod go-w" in text))
    os.chmod(lab.config_file, 0o644)
    lab.daemon.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not any(
            e.get("why") == "SIGHUP" for e in log_lines(lab)):
        time.sleep(0.05)
    hup = [e for e in log_lines(lab) if e.get("why") == "SIGHUP"]
    checks.check("a reload by signal is credgated's", ["credgated"], [e["who"] for e in hup])


def signed_policy(lab, checks, key):
    path = os.path.join(lab.dir, "lab.policy")

    def write(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def apply():
        done = lab.credgate("policy", "apply", "lab", path, check=False)
        return done.returncode, done.stderr.decode()

    write("rules:\n  - allow: {kinds: [assert]}\n")
    checks.check("an unsigned policy: refused", (1, True),
                 (lambda r: (r[0], "there is none" in r[1]))(apply()))
    lab.credgate("sign", path, "--key", key, "--for", "policy/other", "--serial", 10)
    checks.check("signed for another realm: refused", 1, apply()[0])
    lab.credgate("sign", path, "--key", key, "--for", "policy/lab", "--serial", 10)
    checks.check("signed: taken", 0, apply()[0])
    old = open(path, encoding="utf-8").read(), open(path + ".sig", encoding="utf-8").read()
    write("rules:\n  - allow: {}\n")
    lab.credgate("sign", path, "--key", key, "--for", "policy/lab", "--serial", 11)
    checks.check("signed anew: taken", 0, apply()[0])
    write(old[0])
    with open(path + ".sig", "w", encoding="utf-8") as file:
        file.write(old[1])
    checks.check("the old one again: refused", (1, True),
                 (lambda r: (r[0], "serial 10 is behind" in r[1]))(apply()))
    for verb in (("rollback", "lab", "1"), ("remove", "lab")):
        done = lab.credgate("policy", *verb, check=False)
        checks.check(f"policy {verb[0]} without a signature: refused", (1, True),
                     (done.returncode, b"signatures are required" in done.stderr))


def speed(lab):
    """Told, not judged: how long a change takes with its line."""
    begin = time.monotonic()
    lab.credgate("node", "add", "lab", "m[001-200]")
    took = time.monotonic() - begin
    status = lab.json("status")["audit"]
    print(f"  200 changes in {took:.2f} s; the slowest fdatasync took "
          f"{status['sync_us_max']} us", flush=True)


def test(build):
    checks = Checks()
    lab = Lab(build)
    write = lab.write_config

    def write_config():
        write()
        append(lab, f"admins: {{uids: [{ADMIN_UID}]}}\n")

    lab.write_config = write_config
    with lab:
        who_and_why(lab, checks)
        follow(lab, checks)
        tampering(lab, checks)
        crash(lab, checks)
        damaged_start(lab, checks)
        speed(lab)
        full_disk(lab, checks)
        signed_configuration(lab, checks)
        checks.check("good at the end", 0, verify(lab)[0])
    return checks


if __name__ == "__main__":
    sys.exit(run_test(__doc__, test))
