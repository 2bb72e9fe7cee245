# SPDX-License-Identifier: BSD-3-Clause
"""What a figure depends on: the machine, the versions, the commit, the build."""

import json
import os
import platform
import re
import subprocess

# Of all CPU flags, those that choose a kernel or bound it.
FLAGS = ["aes", "vaes", "vpclmulqdq", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vbmi2",
         "gfni", "sha_ni", "constant_tsc", "nonstop_tsc"]
PACKAGES = {"DPDK": "libdpdk", "libsodium": "libsodium", "OpenSSL": "libcrypto",
            "Google Benchmark": "benchmark"}
IPSECMB_HEADER = "/usr/include/intel-ipsec-mb.h"


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def output(*command, cwd=None):
    """Its standard output, or "" if it cannot be run or fails."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def field(text, name):
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def machine():
    cpuinfo, lscpu = read("/proc/cpuinfo"), output("env", "LC_ALL=C", "lscpu")
    flags = set(field(cpuinfo, "flags").split())
    return {
        "cpu": cpu_name(cpuinfo, lscpu),
        "cores": os.cpu_count(),
        "threads_per_core": int(field(lscpu, "Thread(s) per core") or 1),
        "flags": [flag for flag in FLAGS if flag in flags],
        "flags_missing": [flag for flag in FLAGS if flag not in flags],
        "l2": field(lscpu, "L2 cache"),
        "l3": field(lscpu, "L3 cache"),
        "memory_gb": round(kilobytes("MemTotal") / 1e6, 1),
        "hugepages": hugepages(),
        "hypervisor": field(lscpu, "Hypervisor vendor") or "none",
        "kernel": platform.release(),
        "system": field(read("/etc/os-release").replace("=", ":"), "PRETTY_NAME").strip('"'),
    }


def cpu_name(cpuinfo, lscpu):
    """A virtual machine may say no more than "AMD EPYC": family and model tell the core."""
    name = field(cpuinfo, "model name") or platform.processor() or "unknown CPU"
    family, model = field(lscpu, "CPU family"), field(lscpu, "Model")
    return f"{name} (family {family}, model {model})" if family and model else name


def kilobytes(name):
    return int((field(read("/proc/meminfo"), name) or "0 kB").split()[0])


def hugepages():
    meminfo = read("/proc/meminfo")
    total, free = field(meminfo, "HugePages_Total"), field(meminfo, "HugePages_Free")
    size = kilobytes("Hugepagesize") // 1024
    chosen = re.search(r"\[(\w+)\]", read("/sys/kernel/mm/transparent_hugepage/enabled"))
    return (f"{total or 0} of {size} MB reserved, {free or 0} free; "
            f"transparent: {chosen.group(1) if chosen else 'none'}")


def versions(build):
    found = {name: output("pkg-config", "--modversion", package)
             for name, package in PACKAGES.items()}
    header = re.search(r'IMB_VERSION_STR\s+"([^"]+)"', read(IPSECMB_HEADER))
    found["IPsec-MB"] = header.group(1) if header else ""
    munged = re.search(r"munge-([\w.]+)", output("munged", "--version"))
    found["munge"] = munged.group(1) if munged else ""
    found["compiler"] = compiler(build)
    return {name: version or "not found" for name, version in found.items()}


def compiler(build):
    """The first line of what the build's C compiler says of its version."""
    try:
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
            commands = [entry["command"].split() for entry in json.load(file)
                        if entry["file"].endswith(".c")]
    except (OSError, ValueError, KeyError):
        return ""
    words = [word for word in commands[0] if word != "ccache"] if commands else [""]
    return (output(words[0], "--version").splitlines() or [""])[0]


def build_warning(build):
    """Why figures of this build mean nothing, or ""."""
    try:
        with open(os.path.join(build, "meson-info", "intro-buildoptions.json"),
                  encoding="utf-8") as file:
            options = {option["name"]: option["value"] for option in json.load(file)}
    except (OSError, ValueError, KeyError):
        return ""
    if options.get("b_sanitize", "none") != "none":
        return f"{build} is built with sanitizers: its figures mean nothing"
    if str(options.get("optimization", "3")) not in ("2", "3"):
        return f"{build} is built without optimisation: its figures mean nothing"
    return ""


def load_warning(load, cores):
    """That others were at work when the run began, or ""."""
    if load <= cores / 2:
        return ""
    return f"the machine was busy with something else: load average {load:.1f} on {cores} cores"


def commit(root):
    return {
        "id": output("git", "rev-parse", "--short=10", "HEAD", cwd=root) or "unknown",
        "subject": output("git", "log", "-1", "--format=%s", cwd=root),
        "dirty": bool(output("git", "status", "--porcelain", "--untracked-files=no", cwd=root)),
    }


def one_line(report):
    """Machine and commit, as the subtitle of a plot."""
    m, c = report["machine"], report["commit"]
    where = "" if m["hypervisor"] == "none" else f", {m['hypervisor']}"
    cpu = re.sub(r"\s*(\(R\)|\(TM\)|@.*)", "", m["cpu"])
    changes = " and changes" if c["dirty"] else ""
    return (f"{cpu}, {m['cores']} cores{where} · commit {c['id']}{changes} · "
            f"{report['started'][:10]}")


def facts(report):
    """(name, text) pairs for people."""
    m, v, c = report["machine"], report["versions"], report["commit"]
    missing = f"; not: {' '.join(m['flags_missing'])}" if m["flags_missing"] else ""
    caches = ", ".join(f"{level} {m[level.lower()]}" for level in ("L2", "L3") if m[level.lower()])
    changes = ", with changes that are not committed" if c["dirty"] else ""
    load = report["load"]
    cores = f"{m['cores']} cores, {m['threads_per_core']} thread(s) each"
    return [
        ("CPU", f"{m['cpu']}, {cores}; {caches}"),
        ("flags", " ".join(m["flags"]) + missing),
        ("memory", f"{m['memory_gb']} GB; huge pages: {m['hugepages']}"),
        ("hypervisor", m["hypervisor"]),
        ("kernel", f"{m['kernel']}, {m['system']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in v.items())),
        ("commit", f"{c['id']}{changes}: {c['subject']}"),
        ("run", f"{report['mode']}, rounds: {report['rounds']}, begun {report['started']}, "
                f"took {report['took_s']:.0f} s"),
        ("load average", f"{load['before'][0]:.2f} before, {load['after'][0]:.2f} after"),
    ]
