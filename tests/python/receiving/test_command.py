"""``turbosqs consume``: a consumer as a command."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import turbosqs
from support import needs
from support.libraries import KEYS
from support.queues import counts, send
from support.waiting import until
from turbosqs import _consume, polling
from turbosqs._signals import RELOAD
from turbosqs.local import Server


class Command:
    """The command in a folder of its own, with a module ``handlers``, which writes what it handles to ``out``."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.out.touch()
        keys = {name.upper(): value for name, value in KEYS.items()}
        self.environment = {**os.environ, **keys, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment["TURBOSQS_ENDPOINT_URL"] = server.endpoint_url

    def write(self, code: str) -> None:
        (self.folder / "handlers.py").write_text(f"OUT = {str(self.out)!r}\n" + dedent(code))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-X", "faulthandler", "-m", "turbosqs", "consume", *arguments]
        variables = {**self.environment, **{f"TURBOSQS_{name}": value for name, value in environment.items()}}
        return subprocess.Popen(command, cwd=self.folder, env=variables, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        return finish(self.start(*arguments, **environment))

    def lines(self) -> list[str]:
        return self.out.read_text().split()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status, and what was logged."""
    try:
        _, logged = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        # faulthandler says where it hangs.
        process.send_signal(signal.SIGABRT)
        _, logged = process.communicate()
        raise AssertionError(f"it hangs:\n{logged}") from None
    return process.returncode, logged


@pytest.fixture
def command(tmp_path: Path, server: Server) -> Command:
    made = Command(tmp_path, server)
    made.write(
        """
        import asyncio, os, time

        def note(text):
            with open(OUT, "a") as out:
                out.write(text + "\\n")

        def handle(message):
            note(message["Body"])

        def slow(message):
            time.sleep(0.3)
            note(message["Body"])

        async def coroutine(message):
            await asyncio.sleep(0)
            note("coroutine-" + message["Body"])

        def batch(messages):
            note(f"batch-{len(messages)}")

        def function(event, context):
            note(f"{context.function_name}-{len(event['Records'])}-{event['Records'][0]['body']}")

        def fail(message):
            raise ValueError("on purpose")

        def on_error(error, message):
            note(f"{error}-{message['Body']}".replace(" ", "-"))

        class Namespace:
            handle = staticmethod(handle)
        """
    )
    return made


def test_options_and_the_environment(command: Command, sqs: Any, url: str) -> None:
    """From the one, from the other, the command line first; the queue by its URL or its name."""
    send(sqs, url, 9)
    assert command.run("handlers:handle", "--queue", url, "--max-messages", "3")[0] == 0
    names = {"HANDLER": "handlers:Namespace.handle", "QUEUE": "q", "MAX_MESSAGES": "4", "CONCURRENCY": "1"}
    status, logged = command.run(**names)
    assert (status, "consuming, 1 handlers at a time" in logged) == (0, True)
    assert command.run("--max-messages", "2", **names)[0] == 0
    assert sorted(command.lines()) == [str(number) for number in range(9)]
    assert counts(sqs, url) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["handlers:coroutine"], ["coroutine-0"]),
        (["handlers:batch", "--batch-size", "1"], ["batch-1"]),
        (["handlers:function", "--lambda"], ["function-1-0"]),
        (["handlers:fail", "--on-error", "handlers:on_error", "--retry-delay", "0"], ["on-purpose-0"]),
    ],
    ids=["coroutine", "batch", "lambda", "hook"],
)
def test_kinds_of_handlers(arguments: list[str], expected: list[str], command: Command, sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    assert command.run(*arguments, "--queue", url, "--max-messages", "1")[0] == 0
    assert command.lines() == expected


@needs.SIGNALS
def test_sigterm_drains(command: Command, sqs: Any, url: str) -> None:
    send(sqs, url, 200)
    process = command.start("handlers:slow", "--queue", url, "--concurrency", "2")
    until(command.lines)
    process.send_signal(signal.SIGTERM)
    status, logged = finish(process)
    assert status == 0
    done = len(command.lines())
    assert counts(sqs, url) == (200 - done, 0)
    assert re.findall(r"INFO turbosqs.consumer: \S+: (\w+)", logged) == ["consuming", "draining", "stopped"]
    assert f"stopped, {done} messages handled, 0 failed" in logged


@needs.SIGNALS
@pytest.mark.skipif(RELOAD is None, reason="there is no SIGHUP on every platform")
@pytest.mark.parametrize("kind", ["", "async "])
def test_sighup_begins_again(kind: str, command: Command, sqs: Any, url: str) -> None:
    """What is in hand is finished by the old code, what follows is done by the new one, in the same process."""
    code = """
        import asyncio, os, time

        def note(text):
            with open(OUT, "a") as out:
                out.write(text + "\\n")

        {kind}def handle(message):
            note("begun-{version}")
            {sleep}
            note(f"done-{version}-{{os.getpid()}}")

        note("imported-{version}")
        """
    sleep = "await asyncio.sleep(0.5)" if kind else "time.sleep(0.5)"
    command.write(code.format(kind=kind, version="old", sleep=sleep))
    send(sqs, url, 1)
    process = command.start("handlers:handle", "--queue", url)
    until(lambda: "begun-old" in command.lines())
    command.write(code.format(kind=kind, version="new", sleep="pass"))
    # The second one changes nothing.
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    # Not before: what comes while the old one's last poll is broken off is invisible for its time.
    until(lambda: "imported-new" in command.lines())
    send(sqs, url, 1, first=1)
    until(lambda: len(command.lines()) == 6)
    process.send_signal(signal.SIGTERM)
    status, logged = finish(process)
    assert status == 0
    old, new = (["imported-" + name, "begun-" + name, f"done-{name}-{process.pid}"] for name in ("old", "new"))
    assert command.lines() == [*old, *new]
    assert logged.count("beginning again") == 1
    assert counts(sqs, url) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "needs a handler"),
        (["handlers:handle"], "needs --queue"),
        (["handlers", "--queue", "q"], "not of the form module:name"),
        (["nothing:handle", "--queue", "q"], "no module 'nothing'"),
        (["handlers:nothing", "--queue", "q"], "handlers has no 'nothing'"),
        (["handlers:handle", "--queue", "nope"], "The specified queue does not exist"),
        (["handlers:handle", "--queue", "q", "--concurrency", "0"], "concurrency must be 1 or more"),
        (["handlers:handle", "--queue", "q", "--concurrency", "x"], "invalid int value"),
        (["handlers:handle", "--queue", "q", "--retry-delay", "x"], "--retry-delay is a number"),
        (["handlers:handle", "--queue", "q", "--wait-time-seconds", "21"], "WaitTimeSeconds must be"),
    ],
)
def test_mistakes(arguments: list[str], said: str, command: Command, server: Server) -> None:
    server.create_queue("q")
    status, printed = command.run(*arguments)
    assert status == 2
    assert said in printed
    assert "Traceback" not in printed


def test_a_mistake_in_the_environment(command: Command, url: str) -> None:
    status, printed = command.run("handlers:handle", "--queue", url, CONCURRENCY="many")
    assert status == 2
    assert "argument --concurrency: invalid int value: 'many'" in printed


def test_what_makes_no_sense_ends_it(command: Command, url: str) -> None:
    status, logged = command.run("handlers:handle", "--queue", url + "x")
    assert status == 1
    assert "QueueDoesNotExist" in logged
    assert "Traceback" not in logged


def test_no_option_is_forgotten() -> None:
    mine = {argument for _, argument, _, _ in _consume.OPTIONS}
    parameters = set(inspect.signature(turbosqs.Consumer.__init__).parameters)
    parameters -= {"self", "client", "QueueUrl", "handler", "lambda_handler", "polling", "AttributeNames"}
    receives = polling._RECEIVE - {"QueueUrl", "AttributeNames"}
    assert mine == parameters | receives | set(polling.DEFAULTS)
    for option, argument, _, _ in _consume.OPTIONS:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", argument).replace("_", "-").lower()
        assert option == "--" + words.replace("message-system-", "system-")
