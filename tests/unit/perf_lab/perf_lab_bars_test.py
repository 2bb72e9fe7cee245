#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every bar is pass, short, or not measured with the reason."""

import unittest

import recorded
from lab import bars
from lab.rows import from_benchmark, from_script


def judge(key, rows):
    bar, = (bar for bar in bars.BARS if bar.key == key)
    return bar.judge(rows)


def tag_rows(kernel, cmac, sealed, ratio):
    return [recorded.row(f"verify/{kernel}/{suite}/{size}/4096", ours, [ratio])
            for suite, ours in (("cmac128", cmac), ("sealed128", sealed))
            for size in ("80", "96", "mixed")]


class AtLeast(unittest.TestCase):
    def test_the_bar_itself_is_reached(self):
        for ratio, result in ((1.25, bars.PASS), (1.26, bars.PASS), (1.2499, bars.SHORT)):
            found = judge("path", [recorded.row("path/accepted/96/4096", 32.0, [ratio])])
            self.assertEqual((found["result"], found["ratio"]), (result, ratio))

    def test_the_median_of_the_runs_decides(self):
        rows = [recorded.row("path/accepted/96/4096", 32.0, [0.5, 1.3, 1.4])]
        self.assertEqual(judge("path", rows)["result"], bars.PASS)
        rows = [recorded.row("path/accepted/96/4096", 32.0, [1.0, 1.2, 9.0])]
        self.assertEqual(judge("path", rows)["result"], bars.SHORT)

    def test_peer_and_ours_are_shown_with_units(self):
        found = judge("path", [recorded.row("path/accepted/96/4096", 64.38, [0.6, 0.7])])
        self.assertEqual((found["peer"], found["ours"]), ("40.0 ns IPsec-MB jobs", "64.4 ns"))
        self.assertEqual(bars.spread_text(found), "0.60 … 0.70")


class AtMost(unittest.TestCase):
    def test_growth_is_a_quotient_run_by_run(self):
        rows = [recorded.row("path/accepted/96/64", [50.0, 100.0, 40.0]),
                recorded.row("path/accepted/96/65536", [75.0, 150.0, 80.0])]
        found = judge("growth-64k", rows)
        self.assertEqual((found["runs"], found["ratio"]), ([1.5, 1.5, 2.0], 1.5))
        self.assertEqual(found["result"], bars.PASS)
        rows[1]["ours_runs"] = [100.0, 200.0, 80.0]
        self.assertEqual(judge("growth-64k", rows)["result"], bars.SHORT)

    def test_added_time_is_in_nanoseconds(self):
        rows = from_script(recorded.load("script.json"))
        found = judge("memif-added", rows)
        self.assertEqual((found["result"], found["ratio"], found["bar"]),
                         (bars.PASS, 14.5, "≤ 16 ns"))
        self.assertEqual(found["runs"], [14.0, 14.5, 15.1])
        rows[0]["extra"].update(added_ns=16.1, added_ns_runs=[16.1])
        self.assertEqual(judge("memif-added", rows)["result"], bars.SHORT)


class Kernels(unittest.TestCase):
    def test_the_best_kernel_is_judged_and_the_reference_is_none(self):
        rows = (tag_rows("aesni", 20.0, 24.0, 2.0) + tag_rows("vaes512", 10.0, 12.0, 4.0)
                + tag_rows("ipsecmb", 1.0, 1.0, 99.0))
        self.assertEqual(judge("tag", rows)["ratio"], 4.0)
        self.assertAlmostEqual(judge("sealed", rows)["ratio"], 1.2)
        self.assertEqual(judge("tag", tag_rows("ipsecmb", 1.0, 1.0, 99.0))["result"],
                         bars.NOT_MEASURED)

    def test_the_worst_suite_and_size_count(self):
        rows = tag_rows("vaes512", 10.0, 12.0, 4.0)
        rows.append(recorded.row("verify/vaes512/sealed128/96/4096", 12.0, [2.4]))
        found = judge("tag", rows)
        self.assertEqual((found["result"], found["ratio"]), (bars.SHORT, 2.4))
        self.assertEqual(judge("tag-mixed", rows)["ratio"], 4.0)


class Forged(unittest.TestCase):
    def test_no_mix_of_forgeries_may_be_dearer_than_accepting(self):
        rows = [recorded.row("path/accepted/96/4096", 60.0),
                recorded.row("path/forged/96/4096", 40.0),
                recorded.row("path/forged50/96/4096", 59.0)]
        self.assertEqual(judge("refuse", rows)["result"], bars.PASS)
        rows.append(recorded.row("path/forged90/96/4096", 61.0))
        self.assertEqual(judge("refuse", rows)["result"], bars.SHORT)
        self.assertIn("path/forged90/96/4096", judge("refuse", rows)["rows"])


class NotMeasured(unittest.TestCase):
    def test_without_rows_every_bar_says_why(self):
        found = bars.judge_all([])
        self.assertEqual(len(found), len(bars.BARS))
        for bar in found:
            self.assertEqual((bar["result"], bar["ratio"]), (bars.NOT_MEASURED, None))
            self.assertTrue(bar["why"], bar["key"])

    def test_a_row_without_its_peer_is_not_judged(self):
        found = judge("path", [recorded.row("path/accepted/96/4096", 60.0)])
        self.assertEqual(found["result"], bars.NOT_MEASURED)
        self.assertIn("no peer", found["why"])

    def test_reasons_are_given_once(self):
        why = bars.reasons(bars.judge_all([]))
        self.assertEqual(sum("no row e2e/memif/4096" in line for line in why), 1)


class Recorded(unittest.TestCase):
    def test_a_recorded_run_is_judged(self):
        rows, _ = from_benchmark(recorded.load("benchmark.json"), "IPsec-MB jobs")
        results = {bar["key"]: bar["result"] for bar in bars.judge_all(rows)}
        self.assertEqual((results["path"], results["refuse"], results["growth-64k"],
                          results["tag"]), (bars.SHORT, bars.PASS, bars.PASS, bars.NOT_MEASURED))

    def test_the_table_has_a_line_per_bar(self):
        lines = bars.lines(bars.judge_all(from_script(recorded.load("script.json"))))
        self.assertEqual({len(line) for line in lines}, {len(bars.HEAD)})
        flood, = (line for line in lines if "flood, share" in line[0])
        self.assertEqual((flood[3], flood[4], flood[6]), ("100 %", "1.00 ×", "pass"))


if __name__ == "__main__":
    unittest.main()
