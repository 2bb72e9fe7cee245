#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Text forms and key files against Python's base64.

    text_against_python.py TEXT_FILTER

Every size of a credential and a few hundred keys, both ways; random bytes from a fixed seed.
"""

import base64
import random
import subprocess
import sys


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pairs(source):
    """Requests to the filter, and what must come back."""
    for size in range(96, 1233):
        data = source.randbytes(size)
        text = f"CGC1:{base64url(data)}:"
        yield f"e {data.hex()}", text
        yield f"d {text}", data.hex()
    for number in range(300):
        head = bytes([0, 0, 0, 7, 1, 2, 3, 4, 0, 5, 1 + number % 4, 0])
        data = head + source.randbytes(32)
        line = f"CGK1:{base64url(data)}:"
        yield f"k {data.hex()}", line
        yield f"l {line}", data.hex()


def main(program):
    wanted = list(pairs(random.Random(1)))
    requests = "".join(f"{request}\n" for request, _ in wanted)
    run = subprocess.run([program], input=requests, capture_output=True, text=True, check=True)
    answers = run.stdout.splitlines()
    if len(answers) != len(wanted):
        print(f"{len(answers)} answers to {len(wanted)} requests", file=sys.stderr)
        return 1
    for (request, answer), got in zip(wanted, answers):
        if got != answer:
            print(f"{request}\n  answers {got}\n  not     {answer}", file=sys.stderr)
            return 1
    print(f"{len(wanted)} answers as Python's")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
