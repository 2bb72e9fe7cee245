#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pkgconfig_test.py BUILD SOURCE TEST COMPILER...: builds the examples as a user does, with
nothing but pkg-config's word, with the shared library and with the static one; TEST runs them."""

import os
import subprocess
import sys
import tempfile


def pkg_config(build, *what):
    path = os.path.join(build, "meson-uninstalled")
    environment = {**os.environ, "PKG_CONFIG_PATH": path}
    return subprocess.run(["pkg-config", *what, "credgate"], check=True, capture_output=True,
                          text=True, env=environment).stdout.split()


def compile_example(compiler, source, flags, out):
    subprocess.run([*compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", source,
                    *flags, "-o", out], check=True)
    return subprocess.run(["readelf", "-d", out], check=True, capture_output=True,
                          text=True).stdout


def main():
    build, source, test, *compiler = sys.argv[1:]
    library = os.path.join(build, "client")
    shared = pkg_config(build, "--cflags", "--libs")
    static = [os.path.join(library, "libcredgate.a") if flag == "-lcredgate" else flag
              for flag in pkg_config(build, "--static", "--cflags", "--libs")]
    with tempfile.TemporaryDirectory() as folder:
        for flags, needs in ((shared, True), (static, False)):
            programs = [os.path.join(folder, name) for name in ("issue", "consume")]
            for program in programs:
                name = os.path.join(source, os.path.basename(program) + ".c")
                linked = compile_example(compiler, name, flags, program)
                if ("[libcredgate.so.0]" in linked) != needs:
                    print(f"{name}: linked with the wrong library by {flags}")
                    return 1
            run = subprocess.run([test, *programs], env={**os.environ, "LD_LIBRARY_PATH": library})
            if run.returncode != 0:
                return run.returncode
    return 0


sys.exit(main())
