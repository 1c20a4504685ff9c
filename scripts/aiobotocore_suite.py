"""A pytest plugin: aiobotocore's clients are on the core while others' tests run. See ``test_aiobotocore.py``."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import turbosqs

#: How many tests are to pass, and how many calls to go to the core, at least.
PASSED, FAST = int(os.environ["SUITE_PASSED"]), int(os.environ["SUITE_FAST"])

outcomes = Counter[str]()


def pytest_configure() -> None:
    turbosqs.patch()


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:  # noqa: ARG001
    """Tests that expect a server at a port of their choice get moto's, at a free one."""
    if hasattr(plugin, "ENDPOINT_URL"):
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(port=0)
        server.start()
        host, port = server.get_host_and_port()
        plugin.ENDPOINT_URL = f"http://{host}:{port}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.outcome] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    complaints = shortfalls()
    if complaints and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def shortfalls() -> list[str]:
    """What is not as it has to be."""
    found = []
    if set(outcomes) != {"passed"} or outcomes["passed"] < PASSED:
        found.append(f"{PASSED} tests or more are to pass, and no other is to be there: {dict(outcomes)}")
    if turbosqs.stats()["fast"] < FAST:
        found.append(f"{FAST} calls or more are to go to the core")
    return found


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"calls: {turbosqs.stats()}")
    for complaint in shortfalls():
        terminalreporter.write_line(complaint, red=True)
