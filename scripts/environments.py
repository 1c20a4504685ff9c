"""The project's Python environments, each locked: ``requirements/NAME.txt`` holds all that is in environment NAME.

    python scripts/environments.py make NAME FOLDER   make FOLDER what the lock of NAME says, unless it is already
    python scripts/environments.py lock [NAME ...]    renew the locks (all of them), with the newest releases that fit
    python scripts/environments.py check [NAME ...]   prove the locks whole: install each as it stands, look for gaps;
                                                      one that was found whole and is as it was is left out

What an environment is for, and what it needs directly, is the dependency group of its name in pyproject.toml. To add
one: write the group, add its name to ``ENVIRONMENTS``, and run ``make lock ARGS=NAME``.

``make`` needs nothing but the standard library of any Python that the project supports: it is what makes the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"

#: The project's own environment; uv lives there.
VENV = ROOT / ".venv"

#: What `check` has proven, a file for each lock and Python; it goes with the environment.
PROOFS = VENV / "whole"

#: The environments, with the oldest Python that each can do with. ``uv`` is what the others are made by. ``demo``
#: and ``test`` have the versions of ``development``, so they come after it: an environment made for the tests is good
#: for the demo.
ENVIRONMENTS = {
    "uv": (3, 10),
    "development": (3, 10),
    "demo": (3, 10),
    "test": (3, 10),
    "instrumentation": (3, 10),
    "instrumentation-aiobotocore": (3, 10),
    "typing": (3, 10),
    "examples": (3, 10),
    "site": (3, 10),
    "aiobotocore": (3, 10),
    "aioboto3": (3, 10),
    "aiobotocore-suites": (3, 10),
    "bench-aiobotocore": (3, 10),
    "bench-fanferro": (3, 12),
    "bench-curves": (3, 10),
    "boto3-1.28": (3, 10),
    "boto3-1.28-json": (3, 10),
    "boto3-1.33": (3, 10),
    "boto3-1.36": (3, 10),
    "boto3-1.40": (3, 10),
    "boto3-newest": (3, 10),
    "awscli": (3, 10),
    "wheel": (3, 10),
}
SAME_AS = {"demo": "development", "test": "development"}

#: The versions of CPython that the project supports; a lock is checked on each that is on the machine.
SUPPORTED = ((3, 10), (3, 11), (3, 12), (3, 13))


class UnusableError(Exception):
    """Something that whoever runs this can put right; the message says what."""


class NoPythonError(UnusableError):
    """No Python of this machine is new enough for an environment."""


def lock_file(name: str) -> Path:
    if name not in ENVIRONMENTS:
        raise UnusableError(f"there is no environment {name!r}; there are {', '.join(ENVIRONMENTS)}")
    return LOCKS / f"{name}.txt"


def pins(lock: str) -> set[str]:
    """The packages of a lock with versions and hashes, each as one text without comments."""
    logical = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n?", "", lock))
    return {line.strip() for line in logical.splitlines() if line.strip()}


def versions(path: Path) -> dict[str, str]:
    """The packages of a lock, each with its version, or versions where it differs by Python."""
    found: dict[str, set[str]] = {}
    for pin in pins(path.read_text("utf-8")) if path.exists() else ():
        package, version = pin.split()[0].split("==")
        found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(several)) for package, several in found.items()}


def pythons() -> Iterator[str]:
    """The Pythons of this machine; the one that runs this first."""
    yield sys.executable
    yield from filter(None, (shutil.which(f"python3.{minor}") for minor in range(10, 20)))
    yield from map(str, sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")))


def python_version(python: str | Path) -> tuple[int, int] | None:
    """The version of an interpreter, or None where there is none that runs (a shim of pyenv's may not)."""
    command = [python, "-I", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def find_python(oldest: tuple[int, int]) -> str:
    """The first Python of this machine that works and is not older.

    Raises:
        NoPythonError: There is none.
    """
    for python in pythons():
        version = python_version(python)
        if version is not None and version >= oldest:
            return python
    raise NoPythonError(f"needs Python {'.'.join(map(str, oldest))} or newer, which is not on this machine")


def run(command: Sequence[str | Path]) -> None:
    """Runs a command of somebody else's; its output goes where ours goes.

    Raises:
        UnusableError: It failed.
    """
    # An environment that happens to be active is not the one that is meant.
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    variables["UV_PYTHON_DOWNLOADS"] = "never"
    variables.setdefault("UV_SYSTEM_CERTS", "1")  # as pip and cargo do: those that this machine trusts
    done = subprocess.run(command, check=False, cwd=ROOT, env=variables)
    if done.returncode != 0:
        raise UnusableError(f"`{' '.join(map(str, command))}` failed with {done.returncode}")


def executable(folder: Path, name: str) -> Path:
    return folder / ("Scripts" if os.name == "nt" else "bin") / name


def uv() -> Path:
    """uv, in the project's own environment, where it is installed if it is not there in the version of its lock."""
    lock, made, python = lock_file("uv"), VENV / "uv.txt", executable(VENV, "python")
    works = python_version(python) is not None
    if not (works and holds(made, lock.read_text("utf-8"))):
        if not works:
            run([sys.executable, "-m", "venv", "--clear", VENV])
        run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", lock])
        shutil.copyfile(lock, made)
    return executable(VENV, "uv")


def holds(made: Path, lock: str) -> bool:
    """Whether an environment that was made from the lock ``made`` has all that another lock asks for."""
    return made.exists() and pins(lock) <= pins(made.read_text("utf-8"))


def make(name: str, folder: Path) -> None:
    """Makes an environment, unless it is there and holds what its lock asks for; what else was installed in it goes.

    Raises:
        NoPythonError: This machine has no Python that is new enough.
        UnusableError: A package cannot be had.
    """
    made, lock = folder / "lock.txt", lock_file(name)
    if holds(made, lock.read_text("utf-8")) and python_version(executable(folder, "python")) is not None:
        return
    made.unlink(missing_ok=True)  # what is made by halves is made again
    if folder.resolve() != VENV:
        python = find_python(ENVIRONMENTS[name])
        run([uv(), "venv", "--quiet", "--clear", "--no-project", "--python", python, folder])
    run([uv(), "pip", "sync", "--quiet", "--require-hashes", "--python", executable(folder, "python"), lock])
    shutil.copyfile(lock, made)


def lock(names: Sequence[str], *, upgrade: bool) -> None:
    """Writes the locks of environments anew."""
    for name in names:
        target = lock_file(name)
        before = versions(target)
        command: list[str | Path] = [uv(), "pip", "compile", "--quiet", "--no-progress", "--universal"]
        command += ["--generate-hashes", "--custom-compile-command", "make lock", "--group", f"pyproject.toml:{name}"]
        command += ["--python-version", ".".join(map(str, ENVIRONMENTS[name])), "--output-file", target]
        if upgrade:
            command += ["--upgrade"]
        if name in SAME_AS:
            command += ["--constraints", lock_file(SAME_AS[name])]
        run(command)
        after = versions(target)
        print(f"{target.relative_to(ROOT)}: {len(after)} packages")
        for package in sorted(before.keys() | after.keys()):
            if (old := before.get(package, "-")) != (new := after.get(package, "-")):
                print(f"    {package} {old} -> {new}")


def proof(name: str, python: str, version: tuple[int, int]) -> tuple[Path, str]:
    """The file that says that an environment's lock was found whole on a Python, and what it says then: all that the
    answer depends on, as a hash.
    """
    inputs = [lock_file(name).read_bytes(), lock_file("uv").read_bytes(), Path(__file__).read_bytes(), python.encode()]
    text = "".join(f"{hashlib.sha256(each).hexdigest()}\n" for each in inputs)
    return PROOFS / f"{name}-{version[0]}.{version[1]}.txt", text


def check(names: Sequence[str], *, everywhere: bool, anew: bool = False) -> None:
    """Installs each lock as it stands, without looking for dependencies, and asks whether one is missing.

    Args:
        names: The environments.
        everywhere: On each supported Python of this machine, not on one only.
        anew: Those as well that were found whole before and have not changed since.

    Raises:
        UnusableError: A lock lacks a package or a hash, or two of its packages do not go together.
    """
    unchanged = 0
    found = {version: python for python in reversed([*pythons()]) if (version := python_version(python))}
    for name in names:
        oldest = ENVIRONMENTS[name]
        fit = {version: python for version, python in found.items() if version in SUPPORTED and version >= oldest}
        if not fit:
            print(f"{name}: not checked, it needs Python {'.'.join(map(str, oldest))} or newer")
            continue
        own = sys.version_info[:2]
        chosen = fit if everywhere else dict([(own, fit[own])] if own in fit else sorted(fit.items())[:1])
        for version, python in sorted(chosen.items()):
            proven, inputs = proof(name, python, version)
            if not anew and proven.exists() and proven.read_text("utf-8") == inputs:
                unchanged += 1
                continue
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary) / name
                run([uv(), "venv", "--quiet", "--no-project", "--python", python, folder])
                inside: list[str | Path] = ["--quiet", "--python", executable(folder, "python")]
                run([uv(), "pip", "install", *inside, "--require-hashes", "--no-deps", "-r", lock_file(name)])
                run([uv(), "pip", "check", *inside])
            proven.parent.mkdir(parents=True, exist_ok=True)
            proven.write_text(inputs, "utf-8")
            print(f"{name}: whole on Python {'.'.join(map(str, version))}")
    if unchanged:
        print(f"{unchanged} as they were when they were found whole")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("make", help="make an environment, unless it is what its lock says")
    one.add_argument("name", choices=ENVIRONMENTS)
    one.add_argument("folder", type=Path)
    renew = commands.add_parser("lock", help="renew locks")
    renew.add_argument("--keep", action="store_true", help="keep every version that still fits")
    whole = commands.add_parser("check", help="prove that locks are whole")
    whole.add_argument("--everywhere", action="store_true", help="on every supported Python of this machine")
    whole.add_argument("--anew", action="store_true", help="also what was found whole before and is as it was")
    for several in (renew, whole):
        several.add_argument("names", nargs="*", help=f"of {', '.join(ENVIRONMENTS)} (default: all)")
    arguments = parser.parse_args()
    try:
        if arguments.command == "make":
            make(arguments.name, arguments.folder)
            return 0
        names = arguments.names or [*ENVIRONMENTS]
        for name in names:
            lock_file(name)
        if arguments.command == "lock":
            lock(names, upgrade=not arguments.keep)
        else:
            check(names, everywhere=arguments.everywhere, anew=arguments.anew)
    except UnusableError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
