#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pkgconfig_test.py BUILD SOURCE TEST COMPILER...: builds the examples as a user does, with
nothing but pkg-config's word, against the shared library; then TEST runs them."""

import os
import subprocess
import sys
import tempfile


def pkg_config(build, *what):
    path = os.path.join(build, "meson-uninstalled")
    environment = {**os.environ, "PKG_CONFIG_PATH": path}
    return subprocess.run(["pkg-config", *what, "credgate"], check=True, capture_output=True,
                          text=True, env=environment).stdout.split()


def main():
    build, source, test, *compiler = sys.argv[1:]
    flags = pkg_config(build, "--cflags", "--libs")
    with tempfile.TemporaryDirectory() as folder:
        programs = []
        for name in ("issue", "consume"):
            programs.append(os.path.join(folder, name))
            subprocess.run([*compiler, "-std=c99", "-Wall", "-Wextra", "-Werror",
                            "-D_GNU_SOURCE", os.path.join(source, name + ".c"),
                            *flags, "-o", programs[-1]], check=True)
            linked = subprocess.run(["readelf", "-d", programs[-1]], check=True,
                                    capture_output=True, text=True).stdout
            if "[libcredgate.so.0]" not in linked:
                print(f"{name} is not linked with libcredgate.so.0")
                return 1
        library_path = os.path.join(build, "client")
        return subprocess.run([test, *programs],
                              env={**os.environ, "LD_LIBRARY_PATH": library_path}).returncode


sys.exit(main())
