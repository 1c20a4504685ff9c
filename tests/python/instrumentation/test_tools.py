"""Each instrumentation tool records with patched clients what it records with boto3's, and every call is on the core.

The programs run in an environment of their own (`make python` makes it), since some of the tools put plugins into every
pytest beside them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import turbosqs

from .program import KEYS

HERE = Path(__file__).parent
PYTHON = Path(sys.prefix) / "instrumentation" / "bin" / "python"
TOOLS = ["opentelemetry", "sentry", "datadog", "xray", "elastic", "newrelic"]
#: Tools whose trace a message carries, as an attribute or as a system attribute; SQS drops the others' headers.
ATTRIBUTES = ["datadog", "elastic"]
SYSTEM_ATTRIBUTES = ["opentelemetry", "xray"]


#: How many of our functions a traced send goes through, which are not in the processor's caches then: they are what it
#: costs beyond the tool itself.
FUNCTIONS = {"opentelemetry": 8, "sentry": 5, "datadog": 5, "xray": 8, "elastic": 3, "newrelic": 10}


@cache
def played(tool: str, order: str, way: str, program: str = "program.py", python: Path = PYTHON) -> dict[str, Any]:
    """What a program printed."""
    if not python.exists():
        pytest.fail(f"there is no {python}: `make python` makes it")
    package = Path(turbosqs.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [python, HERE / program, tool, order, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, env=environment, check=False)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    # Nothing that a call is signed with is in what a tool records, nor a signature.
    assert not [secret for secret in (*KEYS.values(), "Signature=", "AWS4-HMAC") if secret in done.stdout + done.stderr]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest) -> str:
    """A tool, with its programs under way side by side."""
    name: str = request.param
    with ThreadPoolExecutor() as threads:
        ways = [("tool", "stock"), ("tool", "patched"), ("patch", "patched"), ("tool", "own")]
        for each in [threads.submit(played, name, *way) for way in ways]:
            each.result()
    return name


def test_what_it_records(tool: str) -> None:
    stock = played(tool, "tool", "stock")
    assert len(stock["spans"]) >= 9
    for order in ("tool", "patch"):
        patched = played(tool, order, "patched")
        for what in ("spans", "messages", "replies"):
            assert patched[what] == stock[what], (what, order)
        calls = 50
        assert 0 < patched["functions"] <= FUNCTIONS[tool], order
        assert patched["stats"] == {"fast": calls, "traced": calls}, order
    # Every message has what the tool adds, and has it once.
    sent = [message for message in stock["messages"] if message[0] != "lost"]
    assert len(sent) == 5
    for _, attributes, has_trace_header in sent:
        assert bool(set(attributes or ()) - {"mine"}) == (tool in ATTRIBUTES)
        assert has_trace_header == (tool in SYSTEM_ATTRIBUTES)
    # Threads that share requests keep their traces apart.
    traces = 32 if tool in ATTRIBUTES + SYSTEM_ATTRIBUTES else 1
    for order, way in (("tool", "stock"), ("tool", "patched"), ("patch", "patched")):
        found = played(tool, order, way)["together"]
        assert (found["sent"], found["traces"]) == (32, traces)
        # Not just traces of their own, but each that of its sender.
        assert found["own"] == (32 if traces == 32 else 0)
    # On a busy machine they may hardly overlap, so it has several times.
    several = (played.__wrapped__(tool, "tool", "patched") for _ in range(5))
    assert any(found["together"]["requests"] < 32 for found in several)
    own = played(tool, "tool", "own")
    assert (own["messages"], own["replies"]) == (stock["messages"], stock["replies"])
    if tool != "newrelic":
        # It wraps the methods of botocore's clients, which ours has not; its span of the request is there.
        assert own["spans"] == stock["spans"]
    assert own["own"]["traced"] == calls


#: Those that wrap aiobotocore.
AWAITED = ["opentelemetry", "sentry", "datadog", "xray", "elastic", "newrelic"]


@pytest.mark.parametrize("tool", AWAITED)
def test_what_it_records_of_aiobotocore(tool: str) -> None:
    """The same with aiobotocore's clients: tasks that send in one tick share requests and keep their traces apart."""
    python = Path(sys.prefix) / "instrumentation-aiobotocore" / "bin" / "python"
    with ThreadPoolExecutor() as threads:
        ways = [("tool", "stock"), ("tool", "patched"), ("patch", "patched")]
        stock, *patched = threads.map(lambda way: played(tool, *way, "awaited_program.py", python), ways)
    # Sentry's spans are those of botocore's own function alone.
    assert len(stock["spans"]) >= (0 if tool == "sentry" else 9)
    for each in patched:
        for what in ("spans", "messages", "replies"):
            assert each[what] == stock[what], what
        assert each["stats"]["fast"] == each["stats"]["traced"] >= 42
        assert set(each["stats"]) == {"fast", "traced"}
        traces = 32 if tool in SYSTEM_ATTRIBUTES else 1
        own = 32 if tool in SYSTEM_ATTRIBUTES else 0
        assert each["together"] == {"sent": 32, "traces": traces, "own": own, "requests": 4}
    assert stock["together"]["traces"] == traces
    assert all(message[2] == (tool in SYSTEM_ATTRIBUTES) for message in stock["messages"])
