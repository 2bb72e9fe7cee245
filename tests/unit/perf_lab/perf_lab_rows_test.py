#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rows are gathered from what programs print: names, figures, runs, errors."""

import unittest

import recorded
from lab.rows import RowError, by_name, from_benchmark, from_script, merge, spread

PEER = "IPsec-MB jobs"


class FromBenchmark(unittest.TestCase):
    def test_a_recorded_report_becomes_rows(self):
        rows, _ = from_benchmark(recorded.load("benchmark.json"), PEER)
        self.assertEqual([row["name"] for row in rows], [
            "path/accepted/96/64", "path/accepted/96/4096", "path/accepted/96/65536",
            "path/forged100/96/4096"])
        row = by_name(rows)["path/accepted/96/64"]
        self.assertEqual((row["unit"], row["ours"], row["peer"], row["ratio"]),
                         ("ns", 54.679, 37.499, 0.686))
        self.assertEqual(row["peer_name"], PEER)
        self.assertEqual(row["extra"], {"cycles": 141.956})
        self.assertEqual(by_name(rows)["path/accepted/96/65536"]["extra"]["x_growth_runs"], [1.322])

    def test_a_benchmark_that_found_itself_wrong_is_an_error_and_no_row(self):
        rows, errors = from_benchmark(recorded.load("benchmark.json"), PEER)
        self.assertNotIn("path/software/96/4096", by_name(rows))
        self.assertEqual(errors, ["path/software/96/4096: a genuine credential was refused or a "
                                  "forged one accepted"])

    def test_repetitions_are_runs_and_aggregates_other_than_the_median_are_not(self):
        entries = [
            {"name": "a/1", "run_name": "a/1", "ns": ns, "peer_ns": 60.0, "x_peer": 60.0 / ns}
            for ns in (20.0, 30.0, 60.0)]
        rows, _ = from_benchmark({"benchmarks": entries}, PEER)
        self.assertEqual(rows[0]["runs"], [3.0, 2.0, 1.0])
        self.assertEqual((rows[0]["ours"], rows[0]["ratio"]), (30.0, 2.0))
        for entry, name in zip(entries, ("mean", "median", "stddev")):
            entry["aggregate_name"] = name
        rows, _ = from_benchmark({"benchmarks": entries}, PEER)
        self.assertEqual(rows[0]["ours_runs"], [30.0])

    def test_options_in_a_name_are_no_part_of_it(self):
        entry = {"name": "x", "run_name": "path/a/64/iterations:5/real_time", "ns": 1.0}
        rows, _ = from_benchmark({"benchmarks": [entry]}, PEER)
        self.assertEqual(rows[0]["name"], "path/a/64")

    def test_without_a_peer_there_is_no_ratio(self):
        rows, _ = from_benchmark({"benchmarks": [{"name": "parse", "ns": 4.0}]}, PEER)
        self.assertEqual((rows[0]["ratio"], rows[0]["runs"], rows[0]["peer_name"]),
                         (None, [], None))

    def test_a_label_or_the_row_name_may_name_the_peer(self):
        entries = [{"name": "base/openssl/80", "ns": 1.0, "peer_ns": 2.0},
                   {"name": "base/sodium/80", "ns": 1.0, "peer_ns": 2.0, "label": "libsodium"}]
        rows, _ = from_benchmark({"benchmarks": entries}, lambda name: name.split("/")[1])
        self.assertEqual([row["peer_name"] for row in rows], ["openssl", "libsodium"])

    def test_what_is_not_a_report_is_refused(self):
        with self.assertRaises(RowError):
            from_benchmark({"context": {}}, PEER)
        with self.assertRaises(RowError):
            from_benchmark({"benchmarks": [{"name": "a", "real_time": 3.0}]}, PEER)


class FromScript(unittest.TestCase):
    def test_recorded_rows_are_completed(self):
        rows = by_name(from_script(recorded.load("script.json")))
        memif = rows["e2e/memif/4096"]
        self.assertEqual(memif["runs"], [0.78, 0.79, 0.81])
        self.assertEqual((memif["ours_runs"], memif["peer_runs"]), ([14.25], [18.0]))
        self.assertEqual(rows["e2e/memif/latency-verdict/50/4096"]["runs"], [])

    def test_a_ratio_without_runs_is_one_run(self):
        rows = from_script([{"name": "a", "unit": "k/s", "ours": 2, "peer": 1, "ratio": 2}])
        self.assertEqual(rows[0]["runs"], [2.0])

    def test_wrong_rows_are_refused_by_name(self):
        with self.assertRaisesRegex(RowError, "e2e/x: 'ours'"):
            from_script([{"name": "e2e/x", "ours": None}])
        with self.assertRaises(RowError):
            from_script([{"ours": 1.0}])
        with self.assertRaises(RowError):
            from_script({"rows": []})
        with self.assertRaises(RowError):
            from_script([{"name": "nan", "ours": float("nan")}])


class Merge(unittest.TestCase):
    def test_rounds_become_runs_and_figures_their_medians(self):
        rounds = [recorded.row("a", ours, [ratio], extra={"cycles": cycles, "kernel": "k",
                                                             "x_growth_runs": [ratio]})
                  for ours, ratio, cycles in ((10.0, 4.0, 26), (30.0, 1.0, 78), (11.0, 3.0, 28))]
        row, = merge(rounds)
        self.assertEqual((row["ours"], row["ratio"], row["runs"]), (11.0, 3.0, [4.0, 1.0, 3.0]))
        self.assertEqual(row["ours_runs"], [10.0, 30.0, 11.0])
        self.assertEqual(row["extra"], {"cycles": 28, "kernel": "k",
                                        "x_growth_runs": [4.0, 1.0, 3.0]})
        self.assertEqual(spread(row["runs"]), (1.0, 3.0, 4.0))

    def test_order_is_that_of_first_appearance(self):
        rows = merge([recorded.row(name, 1.0) for name in ("b", "a", "b", "c")])
        self.assertEqual([row["name"] for row in rows], ["b", "a", "c"])

    def test_a_row_missing_from_a_round_has_fewer_runs(self):
        rows = by_name(merge([recorded.row("a", 1.0, [2.0]), recorded.row("b", 1.0, [2.0]),
                              recorded.row("a", 1.0, [4.0])]))
        self.assertEqual((len(rows["a"]["runs"]), len(rows["b"]["runs"])), (2, 1))
        self.assertEqual(rows["a"]["ratio"], 3.0)


if __name__ == "__main__":
    unittest.main()
