"""``turbosqs run``: a program that is not changed at all, with boto3's SQS clients on the Rust core.

The program takes this process's place (exec), so that everything about it is Python's own: arguments, ``sys.path``,
``__main__``, tracebacks, signals, the exit status. Our folder on PYTHONPATH, with a ``sitecustomize`` in it, patches it
before it starts, and its children likewise: those made by fork have the patch already, those made by spawn,
forkserver or subprocess have the environment. Where no program can take another's place, it is a child of this process,
which has nothing else to do.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from turbosqs._platform import PORTABLE

START_UP = Path(__file__).parent / "patching" / "start-up"
#: Which process is the program: its Python has to have turbosqs, its children's need not.
MARK = "TURBOSQS_RUN"
#: Set if each process is to say at its end what it has done.
STATS = "TURBOSQS_RUN_STATS"

USAGE = """\
usage: turbosqs run [--stats] [--] SCRIPT [ARGUMENT ...]
       turbosqs run [--stats] [--] -m MODULE [ARGUMENT ...]
       turbosqs run [--stats] [--] COMMAND [ARGUMENT ...]

Runs a Python program with boto3's SQS clients on the Rust core, as turbosqs.patch() would put them there. The
program is a script, a module or a command that is a Python program itself (turbosqs run celery -A app worker).
It is not changed, and its child processes are included. With --stats each process that has made requests says at its
end, on standard error, how many they were, what they cost, and what boto3's would have cost.
"""


def run(arguments: Sequence[str]) -> int:
    """Become the program; returns only to say why not.

    Args:
        arguments: What follows ``turbosqs run``.

    Returns:
        The exit status: 2 for a command line that says nothing, 127 for a program that is not there, 126 for one
        that cannot be run.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    with_stats = list(arguments[:1]) == ["--stats"]
    rest = arguments[1:] if with_stats else arguments
    wanted = rest[1:] if rest and rest[0] == "--" else rest
    if not wanted or (wanted[0].startswith("-") and wanted[0] != "-m") or wanted == ["-m"]:
        print(USAGE, end="", file=sys.stderr)
        return 2
    if sys.flags.ignore_environment or sys.flags.no_site:
        return _fail(2, "it needs PYTHONPATH and sitecustomize, which the options -I, -E and -S of Python turn off")
    command = _command(wanted)
    if command is None:
        return _fail(127, f"there is neither a script nor a command {wanted[0]!r}")
    environment = _environment(os.environ)
    if with_stats:
        environment[STATS] = "1"
    try:
        if PORTABLE:
            return _run_as_child(command, environment)
        os.execve(command[0], command, {**environment, MARK: str(os.getpid())})
    except OSError as error:
        return _fail(126, f"{command[0]}: {error.strerror}")


def _run_as_child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Its exit status, as a shell has it."""
    import signal
    import subprocess

    from turbosqs._signals import STOPS

    def hand_on(number: int, _: object) -> None:
        # A console tells all its processes; what is sent to us alone is meant for the program.
        if sys.platform != "win32":
            process.send_signal(number)

    process = subprocess.Popen(command, env={**environment, MARK: f"child of {os.getpid()}"})
    for number in STOPS:
        signal.signal(number, hand_on)
    status = process.wait()
    return status if status >= 0 else 128 - status


def _command(wanted: Sequence[str]) -> list[str] | None:
    """The whole command line, its first word a path."""
    name, path = wanted[0], Path(wanted[0])
    python = [sys.executable, *_options()]
    if name == "-m" or path.suffix in (".py", ".pyw", ".pyz"):
        return [*python, *wanted]
    # Commands of the environment that has turbosqs come first: it may not be an activated one.
    places = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    if (found := shutil.which(name, path=places)) is not None:
        return [found, *wanted[1:]]
    return [*python, *wanted] if path.exists() else None


def _options() -> list[str]:
    """The options that this interpreter was started with."""
    before = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    # They end in our own name, as `-m turbosqs` or as the path of a script.
    return before[: -2 if before[-2:-1] in (["-m"], ["-c"]) else -1]


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    given = environment.get("PYTHONPATH")
    # An empty place is the current folder; an empty list is none.
    others = [place for place in given.split(os.pathsep) if place != str(START_UP)] if given else []
    python_path = os.pathsep.join([str(START_UP), *others])
    return {**environment, "PYTHONPATH": python_path}


def _fail(status: int, why: str) -> int:
    print(f"turbosqs run: {why}", file=sys.stderr)
    return status
