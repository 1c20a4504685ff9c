"""aiobotocore's own tests of SQS, and taskiq-aio-sqs's tests, unchanged, with aiobotocore's clients on the core.

    python scripts/test_aiobotocore.py

From their source distributions, by the hashes in the lock of the environment ``aiobotocore-suites``, on moto's server.
All have to pass, as many as there were at least, and calls have to go to the core (``turbosqs.stats()``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import environments
import sources

NAME = "aiobotocore-suites"


@dataclass(frozen=True)
class Suite:
    """A package's tests.

    Attributes:
        package: its name.
        tests: pytest's arguments.
        passed: how many tests there are at least.
        fast: how many of their calls are to go to the core at least.
    """

    package: str
    tests: tuple[str, ...]
    passed: int
    fast: int


SUITES = (
    # With aiohttp, and with httpx in asyncio and in trio, which are aiobotocore's alone.
    Suite("aiobotocore", ("-p", "no:asyncio", "--http-backend", "all", "tests/test_sqs.py"), passed=12, fast=15),
    # By pytest-asyncio alone: beside anyio's plugin some fixtures run in another loop than their test, which fails with
    # stock clients as well.
    Suite("taskiq-aio-sqs", ("-W", "ignore", "-p", "no:anyio", "tests"), passed=138, fast=400),
)


def passes(suite: Suite, python: Path) -> bool:
    """Whether all of a suite is as it has to be."""
    folder = sources.unpacked(suite.package, NAME)
    print(f"{folder.name}, with turbosqs.patch():", flush=True)
    paths = [str(environments.ROOT / "scripts"), str(environments.ROOT / "python")]
    wanted = {"SUITE_PASSED": str(suite.passed), "SUITE_FAST": str(suite.fast)}
    command = [str(python), "-m", "pytest", "-q", "-p", "aiobotocore_suite", *suite.tests]
    settings = {**os.environ, **wanted, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(command, env=settings, cwd=folder, check=False).returncode == 0


def main() -> int:
    folder = environments.VENV / NAME
    environments.make(NAME, folder)
    python = environments.executable(folder, "python")
    failed = [suite.package for suite in SUITES if not passes(suite, python)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
