# SPDX-License-Identifier: BSD-3-Clause
"""The perf lab: what perf/lab.py and perf/compare are made of."""
