#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sets everything up and runs all tests: lint, unit, fuzz and smoke, with gcc, clang and the
sanitizers. Shows progress, ends with the line "N passed, N failed, N skipped"."""

import argparse
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
CLANG = {"CC": "clang", "CXX": "clang++"}

# name, build folder, environment, meson options, suites to run there
BUILDS = [
    ("gcc", "build", {}, [], ["unit", "perf"]),
    ("clang", "build-clang", CLANG, [], ["fuzz"]),
    ("sanitize", "build-sanitize", CLANG,
     ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"], ["unit"]),
]
# Programs the sanitized build also runs for real, over packets.
SMOKE = ["dataplane_test.py", "demo.py", "gateway_test.py", "crash_test.py", "client_test.py",
         "hostile_test.py", "inventory_test.py", "members_test.py", "metrics_test.py",
         "rotation_test.py", "../soak/soak.py", "audit_test.py",
         "limits_test.py", "enrol_test.py", "policy_test.py", "ports_test.py", "threats_test.py",
         "intruder_test.py"]


class Tally:
    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []  # name and last lines of each: said again at the end
        self.start = time.monotonic()

    def add(self, what, name, seconds=None, detail=""):
        self.counts[what] += 1
        if what == "failed":
            self.failures.append((name, detail))
        took = "" if seconds is None else f" ({seconds:.1f} s)"
        print(f"[{time.monotonic() - self.start:6.1f} s] {what:7} {name}{took}", flush=True)
        if detail:
            print("\n".join("    " + line for line in detail.splitlines()[-60:]), flush=True)

    def repeat_failures(self):
        """Whoever sees only the end of a long log shall see why."""
        for name, detail in self.failures:
            print(f"\nfailed: {name}")
            print("\n".join("    " + line for line in detail.splitlines()[-25:]))

    def step(self, text):
        print(f"[{time.monotonic() - self.start:6.1f} s] ....... {text}", flush=True)


def run(command, env=None, log=None, timeout=1800):
    """Runs a command; returns (exit code, output)."""
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        code, output = 124, (late.stdout or b"").decode(errors="replace") + "\ntimed out"
    if log:
        os.makedirs(LOGS, exist_ok=True)
        with open(os.path.join(LOGS, log), "w", encoding="utf-8") as file:
            file.write(output)
    return code, output


def set_up(tally):
    tally.step("installing what is missing")
    code, output = run(["dpdk-config/install.sh"], log="install.log")
    if code:
        tally.add("failed", "setup: dpdk-config/install.sh", detail=output)
    return code == 0


def lint(tally):
    _, output = run(["tests/lint/run.sh"], log="lint.log")
    for line in output.splitlines():
        if line.startswith("ok "):
            tally.add("passed", line[3:])
        elif line.startswith("FAILED "):
            tally.add("failed", line[7:])
        else:
            print(line)


def build(tally, name, folder, env, options):
    tally.step(f"building with {name}")
    if not os.path.exists(os.path.join(ROOT, folder, "build.ninja")):
        code, output = run(["meson", "setup", folder, *options], env, f"setup-{name}.log")
        if code:
            tally.add("failed", f"{name}: meson setup", detail=output)
            return False
    begin = time.monotonic()
    code, output = run(["ninja", "-C", folder], env, f"build-{name}.log")
    tally.add("failed" if code else "passed", f"{name}: build without a warning",
              time.monotonic() - begin, output if code else "")
    return code == 0


def meson_tests(tally, name, folder, suites):
    suite_args = [argument for suite in suites for argument in ("--suite", suite)]
    tally.step(f"running {name}: {', '.join(suites)}")
    run(["meson", "test", "-C", folder, "--no-rebuild", "--timeout-multiplier", "4", *suite_args],
        log=f"test-{name}.log")
    report = os.path.join(ROOT, folder, "meson-logs", "testlog.json")
    results = [json.loads(line) for line in open(report, encoding="utf-8")]
    for result in results:
        title = f"{name}: {result['name']}"
        if result["result"] == "OK":
            tally.add("passed", title, result["duration"])
        elif result["result"] == "SKIP":
            reason = (result.get("stdout") or "") + (result.get("stderr") or "")
            tally.add("skipped", title, detail=reason[-400:])
        else:
            output = (result.get("stdout") or "") + (result.get("stderr") or "")
            tally.add("failed", f"{title}: {result['result']}", result["duration"], output)
    if not results:
        tally.add("failed", f"{name}: no tests ran")


def smoke(tally, name, folder, scripts):
    for script in scripts:
        begin = time.monotonic()
        code, output = run([f"tests/smoke/{script}", "--build", folder], timeout=600,
                           log=f"smoke-{name}-{os.path.basename(script)}.log")
        what = {0: "passed", 77: "skipped"}.get(code, "failed")
        detail = "" if what == "passed" else output
        title = f"{name}: {os.path.normpath(os.path.join('smoke', script))}"
        tally.add(what, title, time.monotonic() - begin, detail)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=["lint", "unit", "fuzz", "smoke", "sanitize"])
    only = options.parse_args().only
    tally = Tally()
    if only is not None or set_up(tally):
        if only in (None, "lint"):
            lint(tally)
        for name, folder, env, meson_options, suites in BUILDS:
            if only == "sanitize" and name != "sanitize":
                continue
            wanted = [s for s in suites if only in (None, s, "sanitize")]
            runs_smoke = only in (None, "smoke") and name == "gcc"
            runs_smoke |= only in (None, "sanitize") and name == "sanitize"
            if not wanted and not runs_smoke or not build(tally, name, folder, env, meson_options):
                continue
            if wanted:
                meson_tests(tally, name, folder, wanted)
            if runs_smoke:
                smoke(tally, name, folder, SMOKE if name == "gcc" else SMOKE[:1])
    counts = tally.counts
    tally.repeat_failures()
    print(f"\nlogs: {os.path.relpath(LOGS, ROOT)}; took {time.monotonic() - tally.start:.0f} s")
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
