#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Programs are run in interleaved rounds; one that is missing, skips or fails does not stop the
others, and only a failure counts as one."""

import io
import os
import tempfile
import time
import unittest

import recorded
from lab import measure

GOOD = """#!/bin/sh
for a in "$@"; do case $a in --benchmark_out=*) out=${a#--benchmark_out=} ;; esac; done
echo '{"benchmarks": [{"name": "a/1", "ns": 10, "peer_ns": 20, "x_peer": 2}]}' >"$out"
"""
QUICK = GOOD.replace(
    "for a", '[ "$1" = --quick ] || exit 9\nfor a')
WRONG = """#!/bin/sh
for a in "$@"; do case $a in --benchmark_out=*) out=${a#--benchmark_out=} ;; esac; done
echo '{"benchmarks": [{"name": "a/1", "ns": 10}, {"name": "a/2", "error_occurred": true,
 "error_message": "refused"}]}' >"$out"
"""
SCRIPT = """import json, sys
assert sys.argv[1:4] == ["--json", "--build", sys.argv[3]], sys.argv
print(json.dumps([{"name": "p/1", "unit": "k/s", "ours": 3, "peer": 1, "ratio": 3, "runs": [3]}]))
sys.stderr.write("progress [1]\\n")
"""
LIES = "import sys; print('[{\"ours\": 1}]')"
SKIPS = "import sys; print('no second CPU', file=sys.stderr); sys.exit(77)"
FAILS = "import sys; print('starting'); print('no such port', file=sys.stderr); sys.exit(3)"
PARTLY = SCRIPT + "print('WRONG: one lost', file=sys.stderr); sys.exit(1)\n"


def is_gone(pid):
    """Ended, perhaps not yet collected by whoever inherited it; given a moment."""
    for _ in range(50):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


class Measure(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def program(self, name, text, **more):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return measure.Program(name, name, name, "IPsec-MB jobs", 1, 1, **more)

    def run_all(self, programs, rounds=1, quick=False):
        steps = measure.plan(programs, rounds, quick, {})
        self.said = io.StringIO()
        bench = measure.Bench(self.folder, self.folder, self.folder, rounds, quick)
        bench.run(steps, measure.Progress(steps, rounds, self.said))
        return steps

    def run_one(self, name, text, **more):
        step, = self.run_all([self.program(name, text)], **more)
        return step

    def test_rounds_are_interleaved_and_scripts_come_once_at_the_end(self):
        programs = [self.program("one", GOOD), self.program("two", GOOD),
                    self.program("three.py", SCRIPT, each_round=False)]
        steps = self.run_all(programs, rounds=2)
        self.assertEqual([(step.program.key, step.round) for step in steps],
                         [("one", 1), ("two", 1), ("one", 2), ("two", 2), ("three.py", 0)])
        rows = measure.gather(steps)
        self.assertEqual([(row["name"], row["runs"]) for row in rows],
                         [("a/1", [2.0] * 4), ("p/1", [3.0])])
        self.assertFalse(any(step.failed or step.note for step in steps))

    def test_quick_reaches_the_program(self):
        self.assertFalse(self.run_one("bench", QUICK, quick=True).failed)
        self.assertTrue(self.run_one("bench", QUICK).failed)

    def test_what_is_missing_is_noted_once_and_no_failure(self):
        program = measure.Program("gone", "gone", "perf/gone", "", 1, 1)
        steps = self.run_all([program], rounds=3)
        self.assertEqual([step.note for step in steps], ["perf/gone is not there", "", ""])
        self.assertFalse(any(step.failed for step in steps))

    def test_a_skip_says_why_and_is_no_failure(self):
        step = self.run_one("skips.py", SKIPS)
        self.assertEqual((step.note, step.failed, step.rows), ("no second CPU", False, []))

    def test_a_failure_says_why_and_the_rest_goes_on(self):
        programs = [self.program("fails.py", FAILS), self.program("lies.py", LIES),
                    self.program("good", GOOD)]
        fails, lies, good = self.run_all(programs)
        self.assertEqual((fails.note, fails.failed), ("exit 3: no such port", True))
        self.assertTrue(lies.failed)
        self.assertIn("without a name", lies.note)
        self.assertEqual(len(good.rows), 1)

    def test_rows_of_a_program_that_failed_in_part_are_kept(self):
        step = self.run_one("partly.py", PARTLY)
        self.assertEqual((len(step.rows), step.failed), (1, True))
        self.assertIn("WRONG: one lost", step.note)
        step = self.run_one("wrong", WRONG)
        self.assertEqual((len(step.rows), step.note), (1, "a/2: refused"))
        self.assertTrue(step.failed)

    def test_a_program_that_hangs_is_stopped_with_all_it_started(self):
        program = self.program("hangs", "#!/bin/sh\necho $$\nsleep 600 &\necho $!\nwait\n")
        step, = steps = measure.plan([program], 1, True, {})
        bench = measure.Bench(self.folder, self.folder, self.folder, 1, True)
        bench.limit_s = lambda step: 0.2
        bench.run(steps, measure.Progress(steps, 1, io.StringIO()))
        self.assertEqual((step.failed, step.note), (True, "stopped after 0 s"))
        with open(os.path.join(self.folder, "hangs-1.out"), encoding="utf-8") as file:
            pids = [int(line) for line in file]
        self.assertEqual(len(pids), 2)
        for pid in pids:
            self.assertTrue(is_gone(pid), pid)

    def test_progress_says_what_runs_and_the_time_left(self):
        self.run_all([self.program("one", GOOD)], rounds=3)
        lines = self.said.getvalue().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], r"^\[1/3\] one, round 1 of 3 +0:00 gone, about 0:03 left$")

    def test_a_plan_knows_how_long_the_last_run_took(self):
        program = self.program("one", GOOD)
        steps = measure.plan([program], 2, False, {"one": 12.5})
        self.assertEqual([step.seconds for step in steps], [12.5, 12.5])


if __name__ == "__main__":
    unittest.main()
