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
    """A tag kernel's rows: ours in both suites, all with the same ratio."""
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
        found = judge("path", [recorded.row("path/accepted/96/4096", 64.38, [0.6])])
        self.assertEqual(bars.spread_text(found), "")


class AtMost(unittest.TestCase):
    def test_growth_is_what_the_row_says_of_itself(self):
        row = recorded.row("path/accepted/96/65536", 75.0, extra={
            "base_ns": 50.0, "x_growth": 1.5, "x_growth_runs": [1.5, 1.4, 1.9]})
        found = judge("growth-64k", [row])
        self.assertEqual((found["runs"], found["ratio"]), ([1.5, 1.4, 1.9], 1.5))
        self.assertEqual((found["peer"], found["ours"]), ("50.0 ns at 64", "75.0 ns"))
        self.assertEqual(found["result"], bars.PASS)
        row["extra"]["x_growth_runs"] = [1.8]
        self.assertEqual(judge("growth-64k", [row])["result"], bars.SHORT)

    def test_the_sealed_suite_is_a_quotient_run_by_run_rid_of_the_machine(self):
        rows = [recorded.row("verify/vaes512/cmac128/80/4096", [10.0, 10.0, 10.0], [4.0, 4.0, 4.0]),
                recorded.row("verify/vaes512/sealed128/80/4096", [12.5, 25.0, 12.5],
                             [3.2, 3.2, 2.5])]
        found = judge("sealed", rows)
        self.assertEqual((found["runs"], found["ratio"]), ([1.25, 1.25, 1.6], 1.25))
        self.assertEqual((found["result"], found["peer"]), (bars.PASS, "10.0 ns unsealed"))
    def test_added_time_is_in_nanoseconds(self):
        rows = from_script(recorded.load("script.json"))
        found = judge("memif-added", rows)
        self.assertEqual((found["result"], found["ratio"], found["bar"]),
                         (bars.PASS, 14.5, "≤ 16 ns"))
        self.assertEqual((found["runs"], found["ours"], found["peer"]),
                         ([14.0, 14.5, 15.1], "70.0 ns", "55.5 ns testpmd rxonly"))
        rows[0]["extra"].update(added_ns=16.1, added_ns_runs=[16.1])
        self.assertEqual(judge("memif-added", rows)["result"], bars.SHORT)


class Kernels(unittest.TestCase):
    def test_the_best_kernel_is_judged_and_the_reference_is_none(self):
        rows = (tag_rows("aesni", 20.0, 24.0, 2.0) + tag_rows("vaes512", 10.0, 12.0, 4.0)
                + tag_rows("ipsecmb", 1.0, 1.0, 99.0))
        self.assertEqual(judge("tag", rows)["ratio"], 4.0)
        self.assertIn("verify/vaes512/sealed128/80/4096", judge("sealed", rows)["rows"])
        self.assertEqual(judge("tag", tag_rows("ipsecmb", 1.0, 1.0, 99.0))["result"],
                         bars.NOT_MEASURED)

    def test_the_worst_suite_and_size_count(self):
        rows = tag_rows("vaes512", 10.0, 12.0, 4.0)
        rows.append(recorded.row("verify/vaes512/sealed128/96/4096", 12.0, [2.4]))
        found = judge("tag", rows)
        self.assertEqual((found["result"], found["ratio"]), (bars.SHORT, 2.4))
        self.assertEqual(judge("tag-mixed", rows)["ratio"], 4.0)


class Refused(unittest.TestCase):
    def test_no_refusal_may_be_dearer_than_accepting(self):
        rows = [recorded.row(f"path/{what}/96/4096", 50.0, extra={
            "base_ns": 60.0, "x_accept": ratio, "x_accept_runs": [ratio]})
            for what, ratio in (("forged10", 1.01), ("forged", 1.4), ("replayed", 1.1))]
        self.assertEqual(judge("refuse", rows)["ratio"], 1.01)
        self.assertEqual(judge("refuse", rows)["result"], bars.PASS)
        rows[2]["extra"].update(x_accept=0.9, x_accept_runs=[0.9])
        found = judge("refuse", rows)
        self.assertEqual((found["result"], found["rows"]), (bars.SHORT, ["path/replayed/96/4096"]))


class NotMeasured(unittest.TestCase):
    def test_without_rows_every_bar_says_why(self):
        found = bars.judge_all([])
        self.assertEqual(len(found), len(bars.BARS))
        for bar in found:
            self.assertEqual((bar["result"], bar["ratio"]), (bars.NOT_MEASURED, None))
            self.assertTrue(bar["why"], bar["key"])

    def test_a_row_without_its_peer_is_not_judged(self):
        rows = [recorded.row(f"verify/vaes512/{suite}/80/4096", 9.0)
                for suite in ("cmac128", "sealed128")]
        for key in ("tag", "sealed"):
            self.assertIn("no peer", judge(key, rows)["why"])
        found = judge("path", [recorded.row("path/accepted/96/4096", 60.0)])
        self.assertEqual(found["result"], bars.NOT_MEASURED)
        self.assertIn("no peer", found["why"])

    def test_what_is_not_done_yet_still_shows_the_peer(self):
        row = recorded.row("peers/munge/encode+decode", 5.0, [400.0], unit="M/s", peer=0.0125,
                           peer_name="munged 0.5.15")
        found = judge("munge", [row])
        self.assertEqual((found["result"], found["peer"]),
                         (bars.NOT_MEASURED, "0.013 M/s munged 0.5.15"))

    def test_a_quick_run_says_what_it_leaves_to_the_full_one(self):
        for quick in (False, True):
            why = {bar["key"]: bar["why"] for bar in bars.judge_all([], quick)}
            self.assertEqual("make perf" in why["growth-1m"], quick)
            self.assertNotIn("make perf", why["growth-64k"])

    def test_reasons_are_given_once(self):
        why = bars.reasons(bars.judge_all([]))
        self.assertEqual(sum("no row e2e/memif/4096" in line for line in why), 1)


class Recorded(unittest.TestCase):
    def test_a_recorded_run_is_judged(self):
        rows, _ = from_benchmark(recorded.load("benchmark.json"), "IPsec-MB jobs")
        results = {bar["key"]: bar["result"] for bar in bars.judge_all(rows)}
        self.assertEqual((results["path"], results["growth-64k"], results["refuse"],
                          results["tag"]),
                         (bars.SHORT, bars.PASS, bars.PASS, bars.NOT_MEASURED))

    def test_the_table_has_a_line_per_bar(self):
        lines = bars.lines(bars.judge_all(from_script(recorded.load("script.json"))))
        self.assertEqual({len(line) for line in lines}, {len(bars.HEAD)})
        flood, = (line for line in lines if "flood, share" in line[0])
        self.assertEqual((flood[3], flood[4], flood[6]), ("100 %", "1.00 ×", "pass"))


if __name__ == "__main__":
    unittest.main()
