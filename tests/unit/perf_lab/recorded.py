# SPDX-License-Identifier: BSD-3-Clause
"""What the tests share: the lab on the path, and small recorded outputs."""

import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, "perf"))


def load(name):
    with open(os.path.join(HERE, "data", name), encoding="utf-8") as file:
        return json.load(file)


def row(name, ours, ratios=(), **more):
    """A row with one figure of ours per run."""
    from lab.rows import middle
    ours_runs = ours if isinstance(ours, list) else [ours]
    return {"name": name, "unit": "ns", "ours": middle(ours_runs), "peer": 40.0 if ratios else None,
            "peer_name": "IPsec-MB jobs" if ratios else None, "ratio": middle(list(ratios)),
            "runs": list(ratios), "ours_runs": ours_runs, "peer_runs": [40.0] if ratios else [],
            "extra": {}, **more}


def report(rows, **more):
    """A whole report around rows."""
    from lab import bars
    return {
        "version": 1, "mode": "quick", "started": "2026-01-02T03:04:05+00:00", "took_s": 61.0,
        "rounds": 2, "versions": {"DPDK": "22.11.1"},
        "machine": {"cpu": "A CPU", "cores": 2, "threads_per_core": 1, "flags": ["aes"],
                    "flags_missing": ["vaes"], "l2": "2 MiB", "l3": "", "memory_gb": 8.0,
                    "hugepages": "0 of 2 MB reserved", "hypervisor": "KVM", "kernel": "6.1",
                    "system": "Debian 12"},
        "commit": {"id": "0123456789", "subject": "perf: measure", "dirty": False},
        "load": {"before": [0.1, 0.1, 0.1], "after": [1.0, 0.5, 0.2]},
        "steps": [], "notes": [], "plots": [], "rows": rows, "bars": bars.judge_all(rows), **more,
    }
