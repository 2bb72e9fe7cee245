#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""perf/compare flags what fell beyond the threshold and beyond the spreads, and nothing else."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import recorded
from lab.comparison import BETTER, REGRESSION, SAME, SPREAD, compare

PROGRAM = os.path.join(recorded.ROOT, "perf", "compare")


def result(base_runs, new_runs, threshold=0.05):
    """What becomes of one row with these runs."""
    found = compare(recorded.report([recorded.row("a", 1.0, base_runs)]),
                    recorded.report([recorded.row("a", 1.0, new_runs)]), threshold)
    return found.changes[0].result


class Row(unittest.TestCase):
    def test_truth_table(self):
        for base, new, wanted in (
            ([2.0, 2.1, 2.2], [2.0, 2.1, 2.2], SAME),
            ([2.0, 2.1, 2.2], [1.7, 1.8, 1.9], REGRESSION),
            ([2.0, 2.1, 2.2], [1.7, 1.8, 2.0], SPREAD),      # the best new run reaches the base
            ([2.00, 2.01, 2.02], [1.97, 1.98, 1.99], SAME),  # apart, but within the threshold
            ([2.0, 2.1, 2.2], [2.3, 2.5, 2.6], BETTER),
            ([2.0, 2.1, 2.2], [2.2, 2.5, 2.6], SPREAD),
            ([2.0], [1.8], REGRESSION),
        ):
            with self.subTest(base=base, new=new):
                self.assertEqual(result(base, new), wanted)

    def test_the_threshold_is_the_callers(self):
        self.assertEqual(result([2.0], [1.8], 0.2), SAME)
        self.assertEqual(result([2.0], [1.98], 0.0), REGRESSION)

    def test_a_bar_of_at_most_counts_the_other_way(self):
        def sealed(cost):
            return recorded.report([recorded.row("verify/k/cmac128/80/4096", 50.0, [4.0]),
                                    recorded.row("verify/k/sealed128/80/4096", cost,
                                                 [200.0 / cost])])
        for cost, wanted in ((100.0, REGRESSION), (60.0, BETTER), (75.0, SAME)):
            *_, change = compare(sealed(75.0), sealed(cost), 0.05).changes
            self.assertEqual((change.name, change.result), ("bar/sealed", wanted))

    def test_rows_without_a_ratio_are_not_compared(self):
        both = recorded.report([recorded.row("a", 1.0), recorded.row("b", 1.0, [2.0])])
        self.assertEqual([change.name for change in compare(both, both, 0.05).changes], ["b"])

    def test_rows_of_one_side_are_named(self):
        found = compare(recorded.report([recorded.row("a", 1.0, [2.0]),
                                         recorded.row("old", 1.0, [2.0])]),
                        recorded.report([recorded.row("new", 1.0, [2.0]),
                                         recorded.row("a", 1.0, [2.0])]), 0.05)
        self.assertEqual((found.only_base, found.only_new), (["old"], ["new"]))


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def report(self, name, **ratios):
        rows = [recorded.row(row, 1.0, [ratio]) for row, ratio in ratios.items()]
        return self.file(name, recorded.report(rows))

    def run_it(self, *arguments):
        done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def test_no_regression_is_success(self):
        base = self.report("base.json", a=2.0)
        code, out, _ = self.run_it(base, base)
        self.assertEqual(code, 0)
        self.assertIn("1 rows compared", out)

    def test_a_regression_is_flagged_and_fails(self):
        code, out, _ = self.run_it(self.report("base.json", a=2.0, b=1.0),
                                   self.report("new.json", a=1.5, b=1.0))
        self.assertEqual(code, 1)
        line, = (line for line in out.splitlines() if "REGRESSION" in line)
        self.assertEqual(line.split()[:6], ["a", "2.00", "×", "1.50", "×", "-25.0%"])

    def test_json_says_the_same(self):
        code, out, _ = self.run_it("--json", "--threshold", "10%",
                                   self.report("base.json", a=2.0, b=1.0),
                                   self.report("new.json", a=1.5, b=0.95))
        found = json.loads(out)
        self.assertEqual((code, found["regressions"], found["threshold"]), (1, 1, 0.1))
        self.assertEqual([row["result"] for row in found["rows"]], [REGRESSION, SAME])

    def test_a_row_that_is_gone_fails_unless_only_common_ones_are_wanted(self):
        base, new = self.report("base.json", a=2.0, b=2.0), self.report("new.json", a=2.0)
        code, _, err = self.run_it(base, new)
        self.assertEqual(code, 1)
        self.assertIn("only in BASE (quick run): b", err)
        self.assertEqual(self.run_it("--common", base, new)[0], 0)
        code, _, err = self.run_it(new, base)
        self.assertEqual(code, 0)
        self.assertIn("only in NEW (quick run): b", err)

    def test_what_cannot_be_compared_is_told_apart(self):
        good = self.report("base.json", a=2.0)
        for other, message in (
            (os.path.join(self.folder.name, "none.json"), "No such file"),
            (self.file("text.json", "words"), "not JSON"),
            (self.file("list.json", []), "not a report"),
            (self.file("future.json", recorded.report([], version=99)), "version 99"),
            (self.report("other.json", z=2.0), "no row with a ratio in common"),
        ):
            with self.subTest(message):
                code, out, err = self.run_it(good, other)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(message, err)

    def test_a_folder_stands_for_its_report(self):
        self.report("report.json", a=2.0)
        self.assertEqual(self.run_it(self.folder.name, self.folder.name)[0], 0)

    def test_a_wrong_threshold_is_usage(self):
        good = self.report("base.json", a=2.0)
        for threshold in ("5 percent", "-1%", "100%", "nan"):
            self.assertEqual(self.run_it("--threshold", threshold, good, good)[0], 2, threshold)


if __name__ == "__main__":
    unittest.main()
