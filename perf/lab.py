#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The perf lab: measures credgate beside its peers on this machine, and writes a report.

Every figure is a ratio to a peer measured in the same run. The report goes to results/STAMP/
(report.json, report.md, plots), results/latest points to it. Exit code 0 when everything could be
measured, whatever the figures say; 1 when a measurement failed; 2 for wrong usage."""

import argparse
import datetime
import os
import shutil
import signal
import sys
import textwrap
import time

sys.dont_write_bytecode = True

from lab import bars, machine, measure, plots, report
from lab.table import aligned, duration

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "results")
PAGE = os.path.join(ROOT, "docs", "performance.md")
FIGURES = os.path.join(ROOT, "docs", "figures")
ROUNDS, ROUNDS_QUICK = 5, 2


def arguments():
    parser = argparse.ArgumentParser(
        prog="perf/lab.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    keys = [program.key for program in measure.PROGRAMS]
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="FOLDER",
                        type=os.path.abspath, help="build folder (build)")
    parser.add_argument("--quick", action="store_true",
                        help="about a minute: the rows that the bars need, two rounds")
    parser.add_argument("--rounds", type=positive, metavar="N",
                        help=f"of every program ({ROUNDS}, quick {ROUNDS_QUICK})")
    parser.add_argument("--only", metavar="NAMES", type=lambda text: names(text, keys),
                        help=f"some programs: {','.join(keys)}")
    parser.add_argument("--write-docs", metavar="RESULT",
                        help="measure nothing: put a run's tables and plots into\n"
                             "docs/performance.md and docs/figures/")
    parser.add_argument("--show", metavar="RESULT", help="measure nothing: print a run's bars")
    return parser.parse_args()


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a number from 1: {text}")
    return int(text)


def names(text, known):
    chosen = text.split(",")
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"no program '{name}'; there are {', '.join(known)}")
    return chosen


def last_durations(quick):
    """Seconds by program, of the last run of this kind."""
    try:
        last = report.read(os.path.join(RESULTS, "latest-quick" if quick else "latest-full"))
    except report.ReportError:
        return {}
    return {step["program"]: step["took_s"] for step in last["steps"] if step["rows"]}


def folder_create():
    """A folder for this run; another one may have begun in the same second."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    try:
        for more in ("", *(f"-{number}" for number in range(2, 10))):
            folder = os.path.join(RESULTS, stamp + more)
            try:
                os.makedirs(os.path.join(folder, "logs"))
                return folder
            except FileExistsError:
                pass
    except OSError as why:
        raise report.ReportError(f"{RESULTS}: {why.strerror}; results go there") from why
    raise report.ReportError(f"{RESULTS}: too many runs in one second")


def point(folder, mode, is_whole):
    """results/latest to this run, and latest-quick or latest-full if it was a whole one."""
    for name in ("latest", f"latest-{mode}") if is_whole else ("latest",):
        link = os.path.join(RESULTS, name)
        fresh = f"{link}.{os.getpid()}"
        os.symlink(os.path.basename(folder), fresh)
        os.replace(fresh, link)


def is_wanted(program, options):
    if options.only:
        return program.key in options.only
    return program.in_quick or not options.quick


def measure_all(options, folder):
    """Runs every program; returns the report without its plots."""
    rounds = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    programs = [program for program in measure.PROGRAMS if is_wanted(program, options)]
    steps = measure.plan(programs, rounds, options.quick, last_durations(options.quick))
    began, before = time.monotonic(), os.getloadavg()
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    found = {"machine": machine.machine(), "versions": machine.versions(options.build),
             "commit": machine.commit(ROOT)}
    progress = measure.Progress(steps, rounds)
    progress.say(f"perf lab: {len(steps)} steps, about {duration(sum(s.seconds for s in steps))}; "
                 f"report: {os.path.relpath(folder)}")
    measure.Bench(ROOT, options.build, os.path.join(folder, "logs"), rounds,
                  options.quick).run(steps, progress)
    rows = measure.gather(steps)
    return {
        "version": report.VERSION, "mode": "quick" if options.quick else "full",
        "started": started, "took_s": round(time.monotonic() - began, 1), "rounds": rounds,
        **found, "load": {"before": before, "after": os.getloadavg()},
        "steps": [{"program": s.program.key, "round": s.round, "took_s": round(s.took_s, 1),
                   "rows": len(s.rows), "failed": s.failed, "note": s.note} for s in steps],
        "notes": notes(steps, options.build, before[0]), "rows": rows,
        "bars": bars.judge_all(rows, options.quick),
        "plots": [],
    }


def notes(steps, build, load):
    found = [machine.build_warning(build), machine.load_warning(load, os.cpu_count())]
    found += [f"{step.program.title}: {'failed: ' if step.failed else ''}{step.note}"
              for step in steps if step.note]
    return list(dict.fromkeys(filter(None, found)))


def print_bars(found, out):
    """The bars as a table, then one line for all."""
    count = {result: sum(bar["result"] == result for bar in found["bars"])
             for result in (bars.PASS, bars.SHORT, bars.NOT_MEASURED)}
    print(aligned(bars.HEAD, bars.lines(found["bars"]), bars.RIGHT), file=out)
    print(file=out)
    for line in bars.reasons(found["bars"]):
        print(textwrap.fill(f"not measured: {line}", 110, initial_indent="  ",
                            subsequent_indent="    "), file=out)
    print(f"  {count[bars.PASS]} pass, {count[bars.SHORT]} short, "
          f"{count[bars.NOT_MEASURED]} not measured; {machine.one_line(found)}", file=out)


def check_build(options):
    """Scripts say for themselves what they lack."""
    for program in measure.PROGRAMS:
        path = os.path.join(options.build, program.path)
        if is_wanted(program, options) and not program.is_script() and not os.path.exists(path):
            raise report.ReportError(f"{path} is not there: run 'make build' first, or tell "
                                     "another build folder with --build")


def check_docs(result):
    """The page shows whole runs only."""
    found = report.read(result)
    if found["mode"] != "full" or not found["rows"]:
        raise report.ReportError(f"{result}: not a full run: 'make perf' makes one")


def run(options):
    check_build(options)
    folder = folder_create()
    try:
        found = measure_all(options, folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    found["plots"], trouble = plots.draw(found, folder)
    found["notes"] += trouble
    report.write(found, folder)
    if found["rows"]:
        point(folder, found["mode"], not options.only)
    if found["notes"]:
        print("\n".join(f"  note: {note}" for note in found["notes"]), end="\n\n")
    print_bars(found, sys.stdout)
    print(f"  {duration(found['took_s'])}; {os.path.relpath(folder)}/report.md")
    return 1 if any(step["failed"] for step in found["steps"]) else 0


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.write_docs:
            check_docs(options.write_docs)
            for path in report.write_docs(options.write_docs, PAGE, FIGURES):
                print(f"wrote {os.path.relpath(path)}")
            return 0
        if options.show:
            print_bars(report.read(options.show), sys.stdout)
            return 0
        return run(options)
    except report.ReportError as why:
        print(f"perf/lab.py: {why}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nperf/lab.py: stopped; nothing was kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
