#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a run leaves behind: report.json and report.md, the docs' generated parts, plots."""

import json
import os
import shutil
import tempfile
import unittest
from xml.etree import ElementTree

import recorded
from lab import machine, plots, report
from lab.rows import by_name, from_benchmark, from_script
from lab.table import aligned, duration, figure, times

STAGES = {"stage_parse": 30.0, "stage_admit": 20.0, "stage_verify": 60.0, "stage_handoff": 0.0,
          "stage_own": 25.0, "stage_deliver": 15.0}


def rows_of_all_kinds():
    """Enough for every table and every plot."""
    rows, _ = from_benchmark(recorded.load("benchmark.json"), "IPsec-MB jobs")
    rows += from_script(recorded.load("script.json"))
    rows += [recorded.row(f"path/forged{share}/96/4096", 60.0 - share / 5) for share in (10, 50)]
    rows += [recorded.row(f"verify/vaes512/{suite}/{size}/4096", [size / 8, size / 7], [3.0])
             for suite in ("cmac128", "sealed128") for size in (80, 96, 1216)]
    rows.append(recorded.row("path/stages/96/4096", 64.0, extra=STAGES))
    return rows


class Tables(unittest.TestCase):
    def test_columns_align(self):
        text = aligned(["a", "number"], [["long word", "1"], ["b", "22"]], right=(1,), indent="")
        self.assertEqual(text.splitlines(), [
            "a          number", "─────────  ──────", "long word       1", "b              22"])

    def test_figures_have_three_digits(self):
        for value, unit, text in ((0.7184, "", "0.718"), (7.184, "ns", "7.18 ns"),
                                  (71.84, "ns", "71.8 ns"), (7184.2, "", "7,184"), (None, "ns", ""),
                                  (0, "", "0"), (1.0, "share", "100 %"),
                                  (0.999999, "share", "99.999 %")):
            self.assertEqual(figure(value, unit), text)
        self.assertEqual([times(v) for v in (0.718, 12.34, 234.5, None)],
                         ["0.72 ×", "12.3 ×", "234 ×", ""])
        self.assertEqual([duration(s) for s in (0, 59.6, 725, 3725)],
                         ["0:00", "1:00", "12:05", "1:02:05"])


class Warnings(unittest.TestCase):
    def test_a_busy_machine_and_a_build_for_debugging_are_told(self):
        self.assertEqual(machine.load_warning(0.9, 2), "")
        self.assertIn("load average 1.4 on 2 cores", machine.load_warning(1.4, 2))
        for options, said in (({"b_sanitize": "address"}, "sanitizers"),
                              ({"optimization": "0"}, "without optimisation"),
                              ({"b_sanitize": "none", "optimization": "3"}, "")):
            with tempfile.TemporaryDirectory() as build:
                os.mkdir(os.path.join(build, "meson-info"))
                with open(os.path.join(build, "meson-info", "intro-buildoptions.json"), "w",
                          encoding="utf-8") as file:
                    json.dump([{"name": n, "value": v} for n, v in options.items()], file)
                found = machine.build_warning(build)
                self.assertTrue(said in found if said else found == "", found)


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.report = recorded.report(rows_of_all_kinds())

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def test_what_is_written_can_be_read(self):
        report.write(self.report, self.folder)
        self.assertEqual(report.read(self.folder), json.loads(json.dumps(self.report)))

    def test_the_markdown_has_bars_and_every_row(self):
        report.write(self.report, self.folder)
        text = self.read("report.md")
        for bar in self.report["bars"]:
            self.assertIn(f"| {bar['what']} | {bar['bar']} |", text)
        for row in self.report["rows"]:
            self.assertIn(f"| {row['name']} |", text)
        self.assertIn("commit | 0123456789: perf: measure", text)

    def test_every_row_is_in_one_group(self):
        found = [row for _, some in report.grouped(self.report["rows"]) for row in some]
        self.assertEqual(len(found), len(self.report["rows"]))
        headings = [heading for heading, _ in
                    report.grouped(self.report["rows"] + [recorded.row("strange", 1.0)])]
        self.assertEqual(headings[-1], "Other")

    def test_docs_are_made_anew_between_markers_only(self):
        self.report["plots"] = [{"title": "T", "file": "t.svg"}]
        report.write(self.report, self.folder)
        with open(self.path("t.svg"), "w", encoding="utf-8") as file:
            file.write("<svg/>")
        page = self.path("performance.md")
        names = ("machine", "bars", "notes", "plots", "rows")
        with open(page, "w", encoding="utf-8") as file:
            file.write("head\n" + "".join(
                f"<!-- {name}:begin -->\nold {name}\n<!-- {name}:end -->\nwords\n"
                for name in names))
        report.write_docs(self.folder, page, self.path("figures"))
        text = self.read("performance.md")
        self.assertEqual((text.count("words"), text.count("old ")), (5, 0))
        self.assertIn("![T](figures/t.svg)", text)
        self.assertTrue(os.path.exists(self.path("figures", "t.svg")))
        report.write_docs(self.folder, page, self.path("figures"))
        self.assertEqual(self.read("performance.md"), text)

    def test_a_page_without_markers_stays_as_it_is(self):
        report.write(self.report, self.folder)
        page = self.path("performance.md")
        with open(page, "w", encoding="utf-8") as file:
            file.write("<!-- bars:begin --> no end\n")
        with self.assertRaisesRegex(report.ReportError, "performance.md.*markers"):
            report.write_docs(self.folder, page, self.path("figures"))
        self.assertEqual(self.read("performance.md"), "<!-- bars:begin --> no end\n")

    def test_a_plot_too_large_for_the_repository_is_refused(self):
        self.report["plots"] = [{"title": "T", "file": "t.svg"}]
        with open(self.path("t.svg"), "w", encoding="utf-8") as file:
            file.write("x" * (report.FIGURE_SIZE_MAX + 1))
        with self.assertRaisesRegex(report.ReportError, "t.svg"):
            report.copy_plots(self.report, self.folder, self.path("figures"))

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_every_plot_is_drawn_small_and_labelled(self):
        rows = self.report["rows"]
        rows.append(recorded.row("e2e/memif/latency-verdict/10/4096", 20.0,
                                 extra={"p50": 20.0, "p99": 40.0, "p999": 90.0}))
        drawn, notes = plots.draw(self.report, self.folder)
        self.assertEqual((len(drawn), notes), (len(plots.PLOTS), []))
        for plot in drawn:
            text = self.read(plot["file"])
            self.assertLess(len(text), report.FIGURE_SIZE_MAX)
            self.assertIn("commit 0123456789", "".join(ElementTree.fromstring(text).itertext()))

    def test_without_figures_there_is_no_plot(self):
        self.assertEqual([plot(by_name([])) for _, _, plot in plots.PLOTS],
                         [None] * len(plots.PLOTS))

    def test_percentiles_are_read_from_their_names(self):
        row = recorded.row("a", 1.0, extra={"p50": 3, "p99": 5, "p999": 7, "max": 9, "pps": 1,
                                            "p99.99": 8})
        self.assertEqual(plots.percentiles(row), [(50, 3), (99, 5), (99.9, 7), (99.99, 8)])


if __name__ == "__main__":
    unittest.main()
