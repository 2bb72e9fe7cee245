#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Latency curves are made of the generator's histograms, and end where these say no more."""

import json
import os
import tempfile
import unittest

import recorded
from lab.latency import add_curves, curve


class Curve(unittest.TestCase):
    def test_a_point_is_the_least_time_within_which_so_much_was_there(self):
        points = dict((percent, us) for percent, us in curve([[10.0, 900], [20.0, 90], [50.0, 10]]))
        self.assertEqual(points[0], 10.0)
        self.assertEqual(points[90], 10.0)
        self.assertEqual(points[99], 20.0)
        self.assertEqual(points[99.9], 50.0)

    def test_it_rises_and_ends_where_one_in_all_is_less_than_one(self):
        points = curve([[float(us), 10] for us in range(1, 101)])
        self.assertEqual(points, sorted(points))
        self.assertEqual(points[-1][0], 99.9)
        self.assertEqual(points[-1][1], 100.0)

    def test_a_single_one_is_a_point(self):
        self.assertEqual(curve([[7.0, 1]]), [[0, 7.0]])


class AddCurves(unittest.TestCase):
    def test_rows_get_the_histogram_of_their_name(self):
        rows = [recorded.row("e2e/memif/latency-verdict/50/4096", 10.0),
                recorded.row("e2e/memif/latency-reply/50/4096", 10.0),
                recorded.row("e2e/memif/4096", 10.0)]
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "e2e-memif-verdict-50.json"), "w",
                      encoding="utf-8") as file:
                json.dump({"unit": "us", "buckets": [[12.5, 100]]}, file)
            with open(os.path.join(folder, "e2e-memif-reply-50.json"), "w",
                      encoding="utf-8") as file:
                file.write("cut sho")
            add_curves(rows, folder)
        self.assertEqual(rows[0]["extra"]["curve_us"][0], [0, 12.5])
        self.assertEqual([row["extra"] for row in rows[1:]], [{}, {}])


if __name__ == "__main__":
    unittest.main()
