"""Each example shows what it says, against the embedded SQS.

Those of frameworks run in an environment of their own (`make python` makes it).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import turbosqs

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PACKAGE = Path(turbosqs.__file__).parent.parent
FRAMEWORKS = Path(sys.prefix) / "examples" / "bin" / "python"

#: What each prints.
SHOWN = {
    "service_threads.py": ["sent: 100 orders in 1[0-9] requests", "handled: 100 orders, after 10 failures; left: 0"],
    "service_asyncio.py": ["sent: 100 orders in 10 requests", "handled: 100 orders; deleted: 100"],
    "redrive.py": ["failed: [23] times; in the dead-letter queue: 1", "handled: order 1"],
    "fifo_by_customer.py": ["customers: 5; orders of each: 20; in order: True"],
    "load_buffering.py": [
        "the burst: 200 messages in fewer requests: True",
        "the backend: 200 messages; within its rate: True",
    ],
    "lambda_handler.py": ["orders: 10; attempts at order 3: 2"],
}

FASTAPI = """
import time
from fastapi.testclient import TestClient
from fastapi_app import app

with TestClient(app) as client:
    assert client.post("/orders/one").json()["message"]
    while client.get("/handled").json() != ["one"]:
        time.sleep(0.01)
print("handled")
"""

DJANGO = """
import django_app
from django.test import Client

assert Client().get("/orders/one").json()["message"]
django_app.consume(max_messages=1)
"""

FLASK = """
import flask_app

with flask_app.app.test_client() as client:
    assert client.post("/orders/one").get_json()["message"]
result = flask_app.app.test_cli_runner().invoke(args=["consume", "--max-messages", "1"])
assert result.exit_code == 0, result.output
print(result.output, end="")
"""


def run(command: list[str | Path], **environment: str) -> list[str]:
    variables = {**os.environ, "PYTHONPATH": f"{PACKAGE}{os.pathsep}{EXAMPLES}", **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False, env=variables)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", SHOWN)
def test_an_example(name: str) -> None:
    import re

    lines = run([sys.executable, EXAMPLES / name])
    assert len(lines) == len(SHOWN[name]), lines
    for line, shown in zip(lines, SHOWN[name], strict=True):
        assert re.fullmatch(shown, line), lines


def test_the_tests() -> None:
    lines = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES / "test_orders.py"])
    assert lines[-1].startswith("3 passed"), lines


@pytest.mark.parametrize(
    ("program", "shown"),
    [(FASTAPI, ["handled"]), (DJANGO, ["handled: one"]), (FLASK, ["handled: one"])],
    ids=["fastapi", "django", "flask"],
)
def test_a_framework(server: Any, program: str, shown: list[str]) -> None:
    if not FRAMEWORKS.exists():
        pytest.fail(f"there is no {FRAMEWORKS}: `make python` makes it")
    settings = {
        "AWS_ENDPOINT_URL_SQS": server.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "ORDERS_QUEUE_URL": server.create_queue("orders"),
    }
    assert run([FRAMEWORKS, "-c", program], **settings) == shown


def test_every_example_is_tried() -> None:
    elsewhere = {"demo.py", "fastapi_app.py", "django_app.py", "flask_app.py", "test_orders.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SHOWN, *elsewhere}
