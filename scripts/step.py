"""Run one step of a `make` target, and print one line about it: its name and how long it took.

    python scripts/step.py [--closing PATTERN] NAME COMMAND [ARGUMENT ...]
    python scripts/step.py --since SECONDS NAME

What the command prints is kept back, and printed whole when it fails. Of a command that succeeds, ``--closing`` prints
the lines that match a pattern, such as a test runner's count. ``--since`` runs nothing: it prints the line of all that
happened after a moment (in seconds since 1970).
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time


def line(name: str, seconds: float) -> str:
    took = f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{name:<64} {took:>12}"


def run(name: str, command: list[str], closing: re.Pattern[str] | None) -> int:
    if sys.stdout.isatty():
        print(f"{name} ...", end="\r", flush=True)
    started = time.monotonic()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    seconds = time.monotonic() - started
    lines = done.stdout.decode("utf-8", "replace").rstrip().splitlines()
    # In one piece: another step may run at the same time.
    if done.returncode == 0:
        closed = [found for found in lines if closing and closing.search(found)]
        print("\n".join([line(name, seconds), *closed]), flush=True)
        return 0
    failed = f"{shlex.join(command)} failed with {done.returncode}"
    print("\n".join([*lines, line(f"{name}: FAILED", seconds), failed]), flush=True)
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--closing", metavar="PATTERN", type=re.compile, help="lines to print of a success")
    parser.add_argument("--since", metavar="SECONDS", type=float, help="run nothing; say how long it is since then")
    parser.add_argument("name")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if arguments.since is not None:
        print(line(arguments.name, time.time() - arguments.since))
        return 0
    if not arguments.command:
        parser.error("a step needs a command")
    try:
        return run(arguments.name, arguments.command, arguments.closing)
    except FileNotFoundError:
        print(f"{arguments.name}: there is no {arguments.command[0]} on this machine", file=sys.stderr)
        return 127
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
