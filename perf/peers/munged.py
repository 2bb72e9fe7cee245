# SPDX-License-Identifier: BSD-3-Clause
"""A munged of our own beside whatever the system runs: socket, key, log, pid and seed files in a
folder of its own, as an unprivileged user, with everything else as it comes (two threads, replay
cache on; its option --benchmark would turn the cache off)."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time

PATIENCE_S = 10


class Unavailable(Exception):
    """This machine cannot do it; the text says why, and the cure."""


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Unavailable(f"{name} is not there: apt-get install munge (dpdk-config/install.sh "
                          "does it)")
    return path


def user():
    """Whom munged runs as: its own user, if root may choose."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("munge")
    except KeyError:
        return pwd.getpwnam("nobody")


class Munged:
    def __init__(self):
        self.munged, self.remunge = program("munged"), program("remunge")
        self.user, self.daemon = user(), None

    def __enter__(self):
        # munged takes no folder that others may write; /run is root's alone, unlike /tmp.
        root = "/run" if os.access("/run", os.W_OK) else None
        self.folder = tempfile.mkdtemp(prefix="credgate-munge-", dir=root)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.daemon:
            self.daemon.terminate()
            try:
                self.daemon.wait(5)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        self.make_files()
        identity = {} if os.geteuid() != 0 else {
            "user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with open(self.file("output"), "w", encoding="utf-8") as output:
            self.daemon = subprocess.Popen(
                [self.munged, "--foreground", "--socket", self.file("socket"), "--key-file",
                 self.file("key"), "--log-file", self.file("log"), "--pid-file",
                 self.file("pid"), "--seed-file", self.file("seed")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", **identity)
        deadline = time.monotonic() + PATIENCE_S
        while not os.path.exists(self.file("socket")):
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"munged does not start: {self.last_words()}")
            time.sleep(0.02)

    def make_files(self):
        """Clients may reach the socket; the key is munged's alone."""
        key = os.open(self.file("key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(key, os.urandom(128))
        os.close(key)
        os.chmod(self.folder, 0o755)
        for path in (self.folder, self.file("key")):
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def last_words(self):
        with open(self.file("output"), encoding="utf-8", errors="replace") as output:
            return (output.read().strip().splitlines() or ["no output"])[-1]

    def rate(self, decode, threads, count=None, seconds=1):
        """Credentials a second, encoded or encoded and decoded, by `threads` clients."""
        amount = ["-N", str(count)] if count else ["-D", str(seconds)]
        done = subprocess.run(
            [self.remunge, "-q", "-S", self.file("socket"), "-d" if decode else "-e",
             "-T", str(threads), *amount], capture_output=True, text=True, check=False)
        try:
            return float(done.stdout.split()[0])  # a remark on short runs may follow
        except (IndexError, ValueError):
            raise Unavailable(f"remunge: {done.stderr.strip() or 'no figure'}") from None

    def version(self):
        done = subprocess.run([self.munged, "--version"], capture_output=True, text=True,
                              check=False)
        return done.stdout.split(" ")[0].strip()
