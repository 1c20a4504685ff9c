"""`turbosqs serve`: the queues that it begins with, its log, its port; the fixtures of the pytest plugin."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import turbosqs
from support import needs
from turbosqs._queues import in_order, parse_queue, read_queues
from turbosqs.local import Server

CONFIG = """\
# Comments stay out of it.
[queues.orders]
VisibilityTimeout = 5
SqsManagedSseEnabled = false
DeadLetterQueue = "orders-dead"
MaxReceiveCount = 3
tags = { team = "checkout", "cost centre" = 7 }

[queues.orders.Policy]
Version = "2012-10-17"
Statement = [{ Sid = "s", Effect = "Deny", Action = "sqs:*", Principal = "*" }]

[queues.orders-dead]

[queues."jobs.fifo"]
ContentBasedDeduplication = true
"""


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def test_queues_of_a_file_and_of_the_line(tmp_path: Path, connect: Any) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(CONFIG)
    with serving("--config", str(path), "--queue", "late.fifo,DelaySeconds=7,ContentBasedDeduplication=true") as (
        url,
        _,
    ):
        sqs = connect(url)
        urls = {found.rsplit("/", 1)[1]: found for found in sqs.list_queues()["QueueUrls"]}
        assert sorted(urls) == ["jobs.fifo", "late.fifo", "orders", "orders-dead"]
        attributes = {
            name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            for name, url in urls.items()
        }
        orders = attributes["orders"]
        assert (orders["VisibilityTimeout"], orders["SqsManagedSseEnabled"]) == ("5", "false")
        assert json.loads(orders["RedrivePolicy"]) == {
            "deadLetterTargetArn": attributes["orders-dead"]["QueueArn"],
            "maxReceiveCount": 3,
        }
        assert json.loads(orders["Policy"])["Statement"][0]["Sid"] == "s"
        assert sqs.list_queue_tags(QueueUrl=urls["orders"])["Tags"] == {"team": "checkout", "cost centre": "7"}
        assert attributes["jobs.fifo"]["ContentBasedDeduplication"] == "true"
        assert attributes["late.fifo"]["DelaySeconds"] == "7"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[queues.a]\nVisibilityTimout = 5", 2, "no attribute 'VisibilityTimout'; did you mean 'VisibilityTimeout'?"),
        ("[queues.a]\n\nvisibilitytimeout = 5", 3, "did you mean 'VisibilityTimeout'?"),
        ("[queues.b]\nx = 1\n", 2, "queue 'b' has no attribute 'x'; there are ContentBasedDeduplication, Dead"),
        ("[queues]\na = { DelaySecond = 1 }", 2, "did you mean 'DelaySeconds'?"),
        ("[queues.a]\n[queues.b]\nDelaySeconds = 1.5", 3, "DelaySeconds is to be a text, a whole number or true or"),
        ("[queues.a]\n\n\n[queue.b]", 4, "there is no 'queue' in such a file; did you mean 'queues'?"),
        ("queues = 5", 1, "queues are tables, [queues.NAME]"),
        ("[queues]\na = 5", 2, "a queue is a table, [queues.a], and not 5"),
        ('[queues.a]\nDeadLetterQueue = "a"', 1, "the dead-letter queue of 'a' leads back to it"),
        ("[queues.a]\nMaxReceiveCount = 3", 2, "MaxReceiveCount goes with a DeadLetterQueue"),
        ("[queues.a]\ntags = 5", 2, "tags is to be a table, not 5"),
        ("[queues.a]\nb = \n", 2, "Invalid value"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_where(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="queues") as caught:
        in_order(read_queues(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def failing(*arguments: str) -> str:
    command = [sys.executable, "-m", "turbosqs", "serve", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("turbosqs serve: ")
    return ended.stderr


def test_what_the_service_refuses_is_said_where(tmp_path: Path) -> None:
    path = tmp_path / "queues.toml"
    path.write_text("[queues.a]\n[queues.b]\nDelaySeconds = 901\n")
    assert f"{path}:2: InvalidAttributeValue: Invalid value for the parameter DelaySeconds." in failing(
        "--port", "0", "--config", str(path)
    )
    assert "No such file" in failing("--port", "0", "--config", str(tmp_path / "none.toml"))
    assert "--queue a,DelaySecond=5: queue 'a' has no attribute 'DelaySecond'; did you" in failing(
        "--port", "0", "--queue", "a,DelaySecond=5"
    )
    assert "'fast' is not of the form Attribute=value" in failing("--port", "0", "--queue", "a,fast")
    assert "queue 'a' is there twice" in failing("--port", "0", "--queue", "a", "--queue", "a")


def test_a_queue_of_the_line() -> None:
    spec = parse_queue("a,VisibilityTimeout=5,DeadLetterQueue=b,MaxReceiveCount=3")
    assert (spec.name, spec.attributes, spec.dead_letter_queue) == ("a", {"VisibilityTimeout": "5"}, "b")
    assert [each.name for each in in_order([spec, parse_queue("b")])] == ["b", "a"]


@needs.SIGNALS
def test_a_log_of_json(connect: Any) -> None:
    with serving("-v", "--log-format", "json", "--region", "eu-west-1") as (url, process):
        sqs = connect(url, region="ap-south-1")
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.send_message(QueueUrl=f"{url}/000000000000/orders", MessageBody="a")
        process.send_signal(signal.SIGTERM)
        [line] = process.communicate(timeout=60)[1].splitlines()
    told = json.loads(line)
    assert told.pop("milliseconds") >= 0
    assert told.pop("time").endswith("Z")
    assert told == {
        "region": "ap-south-1",
        "action": "SendMessage",
        "queue": "orders",
        "status": 400,
        "error": "AWS.SimpleQueueService.NonExistentQueue",
    }


def test_a_port_that_is_taken_is_named() -> None:
    with Server() as server:
        assert f"127.0.0.1:{server.port} is in use" in failing("--port", str(server.port))


def test_the_version() -> None:
    command = [sys.executable, "-m", "turbosqs", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == f"turbosqs {turbosqs.__version__}\n"


def test_the_module_is_an_attribute_of_the_package() -> None:
    code = "import turbosqs; turbosqs.local.Server(queues=['a']).stop(); print('well')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.stdout, ended.stderr) == ("well\n", "")


PLUGIN = """
import pytest

@pytest.mark.parametrize("number", range(8))
def test_each_has_its_own(sqs, sqs_queue, sqs_server, number):
    assert "Messages" not in sqs.receive_message(QueueUrl=sqs_queue)
    sqs.send_message(QueueUrl=sqs_queue, MessageBody="a")
    assert sqs.receive_message(QueueUrl=sqs_queue)["Messages"][0]["Body"] == "a"
    sqs_server.advance(30)
    assert sqs.receive_message(QueueUrl=sqs_queue)["Messages"]
    assert len(sqs.list_queues()["QueueUrls"]) == 1
"""


@pytest.mark.parametrize("side_by_side", [False, True])
def test_the_plugins_fixtures(tmp_path: Path, side_by_side: bool) -> None:
    (tmp_path / "test_it.py").write_text(PLUGIN)
    more = ["-n", "3"] if side_by_side else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *more, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False, cwd=tmp_path)
    assert "8 passed" in ended.stdout, ended.stdout + ended.stderr
