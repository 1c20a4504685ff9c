"""Tries the wheel in dist/ as a user has it: in bare environments of every supported Python of this machine.

    python scripts/test_wheel.py [--quick | --suite [--environment NAME]] [--python PYTHON] [WHEEL]

No compiler, no cargo and nothing of this checkout is in reach there. What is tried is ``tests/wheel/smoke.py``; boto3
is installed, from its lock, for the last of it. ``--quick`` tries the oldest Python alone, without boto3; ``--suite``
tries the Python that runs this, and then runs the test suite with the wheel in place of the checkout's package: the
whole suite, or as much of it as there are packages for on this platform. A wheel that is for one Python alone, such as
a free-threaded one, is tried with that: ``--python``.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import environments
from environments import ROOT, UnusableError, executable

ALONE = ("installed", "client", "consumer", "aio", "console", "guide", "function")
WITH_BOTO3 = ("patch",)
#: The test suite, by the environment that it is run in: as much of it as finds there what it needs.
PARALLEL = ("--numprocesses", "logical")
SUITES = {
    "development": (*PARALLEL, "tests/python"),
    # Without the programs of others that are run with our clients.
    "test": (
        *PARALLEL,
        "tests/python",
        *(f"--ignore=tests/python/{folder}" for folder in ("brokers", "instrumentation", "programs", "telemetry")),
    ),
    # With pytest and boto3 alone.
    "boto3-newest": (
        *(f"tests/python/{path}" for path in ("batching", "local", "receiving", "test_exceptions.py", "test_forks.py")),
        *("-k", "not moto"),
    ),
}


def newest() -> Path:
    """The newest wheel in dist/.

    Raises:
        UnusableError: There is none.
    """
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise UnusableError("there is no wheel in dist/; `make wheel` makes one")
    return wheels[-1]  # type: ignore[no-any-return]


def smoke(folder: Path, wheel: Path, names: tuple[str, ...]) -> None:
    """Runs checks in an environment.

    Raises:
        UnusableError: One has failed.
    """
    python = executable(folder, "python")
    # Windows finds its own libraries by these.
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    command = [python, "-I", ROOT / "tests" / "wheel" / "smoke.py", ROOT, wheel, *names]
    variables = {**kept, "PATH": str(python.parent)}
    if subprocess.run(command, check=False, env=variables, cwd=folder, timeout=300).returncode != 0:
        raise UnusableError(f"the checks of {wheel.name} failed with {python}")


def try_with(version: tuple[int, int], python: str, wheel: Path, *, with_boto3: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "environment"
        environments.run([environments.uv(), "venv", "--quiet", "--no-project", "--python", python, folder])
        inside = ["--quiet", "--python", executable(folder, "python")]
        install = [environments.uv(), "pip", "install", *inside]
        environments.run([*install, "--no-deps", "--no-index", wheel])
        print(f"CPython {'.'.join(map(str, version))}, the wheel and nothing else", flush=True)
        smoke(folder, wheel, ALONE)
        if with_boto3:
            environments.run([*install, "--require-hashes", "--no-deps", "-r", environments.lock_file("boto3-newest")])
            smoke(folder, wheel, WITH_BOTO3)


#: Whether a Python is free-threaded.
PROBE = "import sysconfig; print(int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))))"


def version_of(python: str) -> tuple[int, int]:
    """The version of a Python.

    Raises:
        UnusableError: It does not run.
    """
    version = environments.python_version(python)
    if version is None:
        raise UnusableError(f"{python} is no Python that runs")
    return version  # type: ignore[no-any-return]


def suite_environment(python: str) -> str:
    """The largest environment whose packages are all published for a Python on this platform."""
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        return "boto3-newest"  # no cryptography, and so no moto
    is_musl = "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "")
    is_free_threaded = (
        subprocess.run([python, "-I", "-c", PROBE], check=True, capture_output=True).stdout.strip() == b"1"
    )
    return "test" if is_free_threaded or is_musl else "development"  # no pycurl there, or no gevent


def run_suite(python: str, wheel: Path, name: str) -> None:
    """Runs the test suite with the wheel.

    Args:
        python: By which Python.
        wheel: The wheel.
        name: The environment.

    Raises:
        UnusableError: A test has failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "environment"
        environments.run([environments.uv(), "venv", "--quiet", "--no-project", "--python", python, folder])
        install = [
            environments.uv(),
            "pip",
            "install",
            "--quiet",
            "--python",
            executable(folder, "python"),
            "--no-deps",
        ]
        environments.run([*install, "--require-hashes", "-r", environments.lock_file(name)])
        environments.run([*install, "--no-index", wheel])
        environments.run([executable(folder, "python"), "-m", "pytest", "-q", *SUITES[name]])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="the oldest Python alone, without boto3")
    how.add_argument("--suite", action="store_true", help="this Python alone, with the whole test suite")
    parser.add_argument(
        "--environment", choices=SUITES, help="what --suite is run in (default: what is to be had here)"
    )
    parser.add_argument("--python", metavar="PYTHON", help="that Python alone (default: those that this machine has)")
    parser.add_argument("wheel", nargs="?", type=Path, help="default: the newest in dist/")
    arguments = parser.parse_args()
    try:
        wheel = arguments.wheel or newest()
        python = arguments.python or sys.executable
        chosen = [(version_of(python), python)]
        if not arguments.suite and arguments.python is None:
            found = {environments.python_version(python): python for python in environments.pythons()}
            supported = [(version, found[version]) for version in environments.SUPPORTED if version in found]
            chosen = supported[:1] if arguments.quick else supported
        for version, python in chosen:
            try_with(version, python, wheel.resolve(), with_boto3=not arguments.quick)
        if arguments.suite:
            run_suite(python, wheel.resolve(), arguments.environment or suite_environment(python))
    except UnusableError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(f"{wheel.name}: works on {len(chosen)} versions of CPython")
    return 0


if __name__ == "__main__":
    sys.exit(main())
