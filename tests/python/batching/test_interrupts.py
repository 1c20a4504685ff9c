"""Ctrl-C: in a call that lingers, and in a writer that waits for room or for its last answers."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support import needs
from support.libraries import SUBJECT
from support.relay import Relay
from support.scripts import finish, start
from support.together import held
from support.waiting import until
from turbosqs.local import Server

pytestmark = needs.SIGNALS

#: A wait comes up for air every 50 ms; the rest is the machine's, which tests share with others.
PROMPT = 1.0

LINGERING = """
    import turbosqs
    sqs = client(batching=turbosqs.Batching(linger=60, max_waiting=30))
    url = sys.argv[2] + "/000000000000/q"
    def interrupted(act):
        say("ready")
        try:
            act()
        except KeyboardInterrupt:
            say("interrupted")
"""


@pytest.fixture(autouse=True)
def url(server: Server) -> str:
    return server.create_queue("q")


def begin(relay: Relay, script: str) -> tuple[subprocess.Popen[str], Callable[[], str]]:
    """A script with a client of the relay, once it is ready; and what reads its next line."""
    process = start(SUBJECT, relay.url, LINGERING + script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process, process.stdout.readline


def interrupt(process: subprocess.Popen[str]) -> float:
    """Send SIGINT; how long it took the script to say so."""
    assert process.stdout is not None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    return time.monotonic() - began


def test_a_call_that_lingers_is_withdrawn(relay: Relay, boto: Any, url: str) -> None:
    """One is in flight, the next waits; interrupted, it is never sent, though the program goes on to send others."""
    relay.hold()
    process, said = begin(
        relay,
        """
    first = threading.Thread(target=sqs.send_message, kwargs=dict(QueueUrl=url, MessageBody="first"))
    first.start()
    while not sqs.stats()["requests"]:
        time.sleep(0.001)
    def watch():
        while sqs.stats()["messages"]["SendMessage"] < 2:
            time.sleep(0.001)
        say("waiting")
    threading.Thread(target=watch).start()
    interrupted(lambda: sqs.send_message(QueueUrl=url, MessageBody="withdrawn"))
    first.join()
    sqs.send_message(QueueUrl=url, MessageBody="last")
    sqs.close()
    """,
    )
    assert said() == "waiting\n"
    assert interrupt(process) < PROMPT
    relay.release()
    assert finish(process) == ""
    bodies = [entry["MessageBody"] for passed in relay.passed for entry in passed.entries]
    assert bodies == ["first", "last"]
    assert held(boto, url) == {"first": 1, "last": 1}


def test_a_call_that_has_left_stays_sent(relay: Relay, boto: Any, url: str) -> None:
    """Its neighbours in the request are not given up with it."""
    relay.hold()
    process, _ = begin(
        relay,
        """
    def send(n):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
        say("sent", str(n))
    threads = []
    for n in range(10):
        threads.append(threading.Thread(target=send, args=(n,)))
        threads[-1].start()
        while sqs.stats()["messages"].get("SendMessage", 0) <= n:
            time.sleep(0.001)
    # The tenth behind the first, so that they leave.
    interrupted(lambda: sqs.send_message(QueueUrl=url, MessageBody="left"))
    """,
    )
    until(lambda: len(relay.passed) == 2)
    assert interrupt(process) < PROMPT
    relay.release()
    assert sorted(finish(process).splitlines()) == [f"sent {n}" for n in range(10)]
    assert held(boto, url) == Counter([*"0123456789", "left"])


@pytest.mark.parametrize("where", ["room", "answers"])
def test_a_writer_that_waits(where: str, relay: Relay, boto: Any, url: str) -> None:
    """For room in the block, or for answers at its end: the interrupt ends the wait, and what was given is sent all the
    same when the service comes back."""
    relay.hold()
    count = 100 if where == "room" else 7
    process, said = begin(
        relay,
        f"""
    batch = sqs.batch_writer(QueueUrl=url)
    def write():
        for n in range({count}):
            batch.send_message(MessageBody=str(n))
        batch.flush()
    interrupted(write)
    say(str(batch._writer.progress()))
    """,
    )
    expected = 30 if where == "room" else 7
    until(lambda: sum(len(passed.entries) for passed in relay.passed) == expected)
    assert interrupt(process) < PROMPT
    assert said() == f"({expected}, 0)\n"
    relay.release()
    assert finish(process) == ""
    assert held(boto, url) == Counter(str(n) for n in range(expected))


def test_leaving_the_block_by_an_interrupt(relay: Relay, boto: Any, url: str) -> None:
    """The first Ctrl-C ends the block, which then waits for its answers; the second ends that wait too. It is a
    KeyboardInterrupt in the end, and at the program's end what was accepted is sent."""
    relay.hold()
    process, said = begin(
        relay,
        """
    def write():
        with sqs.batch_writer(QueueUrl=url) as batch:
            for n in range(7):
                batch.send_message(MessageBody=str(n))
            try:
                say("sleep")
                for _ in range(300):  # a signal just before a long sleep would be noticed after it
                    time.sleep(0.1)
            finally:
                say("interrupted")
    interrupted(write)
    """,
    )
    assert said() == "sleep\n"
    assert interrupt(process) < PROMPT
    until(lambda: relay.passed)
    assert interrupt(process) < PROMPT
    relay.release()
    assert finish(process) == ""
    assert held(boto, url) == Counter("0123456")


def test_an_interrupt_in_close(relay: Relay, boto: Any, url: str) -> None:
    relay.hold()
    process, _ = begin(
        relay,
        """
    for n in range(3):
        threading.Thread(target=sqs.send_message, kwargs=dict(QueueUrl=url, MessageBody=str(n)), daemon=True).start()
        while sqs.stats()["messages"].get("SendMessage", 0) <= n:
            time.sleep(0.001)
    interrupted(sqs.close)
    """,
    )
    until(lambda: sum(len(passed.entries) for passed in relay.passed) == 3)
    assert interrupt(process) < PROMPT
    relay.release()
    assert finish(process) == ""
    assert held(boto, url) == Counter("012")


def test_a_signal_handler_that_returns_does_not_end_a_wait(relay: Relay) -> None:
    relay.hold()
    process, said = begin(
        relay,
        """
    import signal
    signal.signal(signal.SIGUSR1, lambda *_: say("handled"))
    say("ready")
    say(str(sqs.send_message(QueueUrl=url, MessageBody="x")["ResponseMetadata"]["HTTPStatusCode"]))
    """,
    )
    until(lambda: relay.passed)
    process.send_signal(signal.SIGUSR1)
    assert said() == "handled\n"
    relay.release()
    assert re.fullmatch("200\n", finish(process))
