"""Tries the wheel in dist/ as a user has it: in bare environments of every supported Python of this machine.

    python scripts/test_wheel.py [--quick | --suite] [WHEEL]

No compiler, no cargo and nothing of this checkout is in reach there. What is tried is ``tests/wheel/smoke.py``; boto3
is installed, from its lock, for the last of it. ``--quick`` tries the oldest Python alone, without boto3; ``--suite``
tries the Python that runs this, and then runs the whole test suite with the wheel in place of the checkout's package.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import environments
from environments import ROOT, UnusableError, executable

ALONE = ("installed", "client", "consumer", "aio", "guide", "function")
WITH_BOTO3 = ("patch",)
#: What needs no more than pytest and boto3. Not all that the rest needs is there for free-threaded Pythons.
PLAIN_TESTS = (
    "tests/python/batching",
    "tests/python/local",
    "tests/python/receiving",
    "tests/python/test_exceptions.py",
    *(f"--ignore=tests/python/{path}" for path in ("receiving/test_asyncio.py", "receiving/test_clocks.py")),
    *("-k", "not moto"),
)


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


def run_suite(wheel: Path) -> None:
    """Runs the test suite with the wheel, by this Python.

    Raises:
        UnusableError: A test has failed.
    """
    is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    lock = environments.lock_file("boto3-newest" if is_free_threaded else "development")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "environment"
        environments.run([environments.uv(), "venv", "--quiet", "--no-project", "--python", sys.executable, folder])
        install = [
            environments.uv(),
            "pip",
            "install",
            "--quiet",
            "--python",
            executable(folder, "python"),
            "--no-deps",
        ]
        environments.run([*install, "--require-hashes", "-r", lock])
        environments.run([*install, "--no-index", wheel])
        tests = PLAIN_TESTS if is_free_threaded else ("--numprocesses", "logical", "tests/python")
        environments.run([executable(folder, "python"), "-m", "pytest", "-q", *tests])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="the oldest Python alone, without boto3")
    how.add_argument("--suite", action="store_true", help="this Python alone, with the whole test suite")
    parser.add_argument("wheel", nargs="?", type=Path, help="default: the newest in dist/")
    arguments = parser.parse_args()
    try:
        wheel = arguments.wheel or newest()
        chosen = [(sys.version_info[:2], sys.executable)]
        if not arguments.suite:
            found = {environments.python_version(python): python for python in environments.pythons()}
            supported = [(version, found[version]) for version in environments.SUPPORTED if version in found]
            chosen = supported[:1] if arguments.quick else supported
        for version, python in chosen:
            try_with(version, python, wheel.resolve(), with_boto3=not arguments.quick)
        if arguments.suite:
            run_suite(wheel.resolve())
    except UnusableError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(f"{wheel.name}: works on {len(chosen)} versions of CPython")
    return 0


if __name__ == "__main__":
    sys.exit(main())
