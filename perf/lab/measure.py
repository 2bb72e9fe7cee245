# SPDX-License-Identifier: BSD-3-Clause
"""Runs the measuring programs, round after round, and gathers their rows.

Rounds are interleaved (every program once, then every program again), so that a minute in which the
machine was busy with something else costs each row one run, not one row all its runs.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable

from lab.latency import add_curves
from lab.rows import RowError, from_benchmark, from_script, merge
from lab.table import duration

TICK_S = 1  # of progress; the lab itself takes no time from what it measures
SKIPPED = 77  # exit code: cannot be measured here, the last line says why


@dataclass(frozen=True)
class Program:
    """`seconds` are guesses for a first run; later ones know how long the last took."""

    key: str
    title: str
    path: str  # below the build folder, or a script of the source tree
    peer_name: str | Callable  # where rows do not name it: a name, or a function of a row's name
    seconds: float
    seconds_quick: float
    in_quick: bool = True  # has rows that bars need
    each_round: bool = True
    keeps_more: bool = False  # takes --out FOLDER for what is more than rows

    def is_script(self):
        return self.path.endswith(".py")


def parts_peer(name):
    """Which way of doing the same a part is measured beside."""
    return {"window": "RFC 6479", "ring": "rte_ring"}.get(name.split("/")[0], "")


PROGRAMS = [
    Program("tag", "tag kernels", "perf/credgate-bench-tag", "IPsec-MB jobs", 60, 5),
    Program("path", "the path in memory", "perf/credgate-bench-path", "IPsec-MB jobs", 90, 8),
    Program("parts", "parser, windows, rings", "perf/credgate-bench-parts", parts_peer, 10, 8,
            in_quick=False),
    Program("base", "libraries' base rates", "perf/credgate-bench-base",
            lambda name: name.split("/")[1], 15, 3, in_quick=False),
    Program("peers", "munged, plain validators", "perf/peers.py", "", 60, 15, in_quick=False,
            each_round=False),
    Program("e2e", "end to end", "perf/e2e.py", "", 600, 40, each_round=False, keeps_more=True),
]


@dataclass
class Step:
    program: Program
    round: int  # from 1; 0: once for all rounds
    seconds: float  # expected
    took_s: float = 0
    note: str = ""  # what went wrong, or why it was left out
    failed: bool = False
    rows: list = field(default_factory=list)


def plan(programs, rounds, quick, lasted):
    """The steps, in order; `lasted` has seconds by program key, of an earlier run."""
    def expected(program):
        guess = program.seconds_quick if quick else program.seconds
        return lasted.get(program.key, guess)

    steps = [Step(program, number, expected(program))
             for number in range(1, rounds + 1) for program in programs if program.each_round]
    return steps + [Step(program, 0, expected(program))
                    for program in programs if not program.each_round]


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line per step."""

    def __init__(self, steps, rounds, out=sys.stderr):
        self.steps, self.rounds, self.out = steps, rounds, out
        self.is_live = out.isatty()
        self.began = time.monotonic()
        self.index, self.step_began = 0, self.began

    def begin(self, index):
        self.index, self.step_began = index, time.monotonic()
        if not self.is_live:
            print(self.line(), file=self.out, flush=True)

    def tick(self, said=""):
        if self.is_live:
            width = os.get_terminal_size(self.out.fileno()).columns
            text = f"{self.line()}   {said}" if said else self.line()
            self.out.write(f"\r\033[K{text[:max(40, width - 1)]}")
            self.out.flush()

    def say(self, text):
        self.clear()
        print(text, file=self.out, flush=True)

    def clear(self):
        if self.is_live:
            self.out.write("\r\033[K")
            self.out.flush()

    def left_s(self):
        now = self.steps[self.index]
        left = max(0, now.seconds - (time.monotonic() - self.step_began))
        return left + sum(step.seconds for step in self.steps[self.index + 1:])

    def line(self):
        step = self.steps[self.index]
        of = f", round {step.round} of {self.rounds}" if step.round else ""
        width = len(str(len(self.steps)))
        return (f"[{self.index + 1:{width}}/{len(self.steps)}] {step.program.title + of:40} "
                f"{duration(time.monotonic() - self.began)} gone, "
                f"about {duration(self.left_s())} left")


class Bench:
    """Runs steps with one build; keeps what they print below `logs`."""

    def __init__(self, root, build, logs, rounds, quick):
        self.root, self.build, self.logs = root, build, logs
        self.rounds, self.quick = rounds, quick

    def run(self, steps, progress):
        missing = set()
        for index, step in enumerate(steps):
            if step.program.key in missing:
                continue
            progress.begin(index)
            self.run_step(step, progress)
            if step.note:
                progress.say(f"  {step.program.key}: {step.note}")
            if not step.failed and not step.rows:
                missing.add(step.program.key)
        progress.clear()

    def run_step(self, step, progress):
        began = time.monotonic()
        try:
            step.rows, step.note = self.measure(step, progress)
            step.failed = bool(step.note)
        except Skipped as why:
            step.note = str(why)
        except (RowError, OSError) as wrong:
            step.note, step.failed = str(wrong), True
        step.took_s = time.monotonic() - began

    def measure(self, step, progress):
        program = step.program
        path = os.path.join(self.root if program.is_script() else self.build, program.path)
        if not os.path.exists(path):
            raise Skipped(f"{program.path} is not there")
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "rows.json")
            code, out, err = self.execute(step, self.command(program, path, report), progress)
            said = last_line(err) or last_line(out) or "no output"
            if code == SKIPPED:
                raise Skipped(said)
            document = load(None if program.is_script() else report, out)
            if document is None:
                raise RowError(f"{exit_text(code)}: {said}")
            if program.is_script():
                rows, errors = from_script(document), []
                add_curves(rows, self.more(program))
            else:
                rows, errors = from_benchmark(document, program.peer_name)
        if code != 0:
            errors.append(f"{exit_text(code)}: {said}")
        return rows, "; ".join(errors)

    def command(self, program, path, report):
        quick = ["--quick"] if self.quick else []
        if program.is_script():
            more = ["--out", self.more(program)] if program.keeps_more else []
            return [sys.executable, path, "--json", "--build", self.build, *quick, *more]
        return [path, *quick, "--benchmark_repetitions=1",
                "--benchmark_report_aggregates_only=false", f"--benchmark_out={report}",
                "--benchmark_out_format=json"]

    def more(self, program):
        return os.path.join(self.logs, program.key)

    def limit_s(self, step):
        return max(60, 4 * step.seconds) if self.quick else max(900, 5 * step.seconds)

    def execute(self, step, command, progress):
        """Runs a step to its end; returns (exit code, standard output, standard error). A
        program that takes very much longer than it should is stopped."""
        limit_s = self.limit_s(step)
        name = f"{step.program.key}-{step.round}" if step.round else step.program.key
        began = time.monotonic()
        with open(os.path.join(self.logs, f"{name}.out"), "w+", encoding="utf-8",
                  errors="replace") as out, \
             open(os.path.join(self.logs, f"{name}.err"), "w+", encoding="utf-8",
                  errors="replace") as err:
            child = subprocess.Popen(command, cwd=self.root, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=err, start_new_session=True)
            ended = os.pidfd_open(child.pid)
            try:
                while child.poll() is None:
                    progress.tick(tail_line(err.name) if step.program.is_script() else "")
                    if time.monotonic() - began > limit_s:
                        raise RowError(f"stopped after {limit_s:.0f} s")
                    select.select([ended], [], [], TICK_S)
            finally:
                os.close(ended)
                stop(child)
            out.seek(0)
            err.seek(0)
            return child.returncode, out.read(), err.read()


class Skipped(Exception):
    """This cannot be measured here, and that is no failure."""


def stop(child):
    """Ends the program and whatever it started, gently first: it may have namespaces to remove."""
    for sign, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if child.poll() is not None:
            return
        os.killpg(child.pid, sign)
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            pass


def load(path, text):
    """The JSON a program wrote to `path`, or else printed; None if there is none."""
    try:
        if path is None:
            return json.loads(text[text.index("["):text.rindex("]") + 1])
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def exit_text(code):
    return f"signal {-code}" if code < 0 else f"exit {code}"


def tail_line(path):
    """The last line of what a program has said so far."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 400))
        return last_line(file.read().decode(errors="replace").replace("\r", "\n"))


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def gather(steps):
    return merge([row for step in steps for row in step.rows])
