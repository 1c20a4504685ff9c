"""Programs whose threads are greenlets: what waits for the core lets the others go on."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import Any

import pytest
import turbosqs
from support import needs
from support.libraries import KEYS
from turbosqs.local import Server

PRELUDE = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    # It says of itself that it is deprecated.
    "eventlet": "import warnings; warnings.simplefilter('ignore'); import eventlet; eventlet.monkey_patch()",
}


@pytest.fixture(params=PRELUDE)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(library: str, script: str, server: Server, queue: str) -> str:
    """What a script prints that has a client ``sqs``, and the queue's ``url``."""
    prelude = f"""
        {PRELUDE[library]}
        import os, signal, threading, time, turbosqs
        sqs = turbosqs.client("sqs", endpoint_url={server.endpoint_url!r}, region_name="us-east-1", **{KEYS!r})
        url = {queue!r}

        def together(*functions):
            threads = [threading.Thread(target=function) for function in functions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """
    command = [sys.executable, "-X", "faulthandler", "-c", dedent(prelude) + dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def url(embedded: Server) -> str:
    embedded.reset()
    return embedded.create_queue("q")


def send(server: Server, url: str, count: int) -> None:
    sqs: Any = turbosqs.client("sqs", endpoint_url=server.endpoint_url, region_name="us-east-1", **KEYS)
    with sqs.batch_writer(QueueUrl=url) as batch:
        for number in range(count):
            batch.send_message(MessageBody=str(number))


def test_a_long_poll_lets_others_run(library: str, embedded: Server, url: str) -> None:
    """One greenlet waits for what another sends only while it waits."""
    script = """
        began = time.monotonic()
        def receive():
            reply = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
            print([message["Body"] for message in reply["Messages"]])
        def later():
            time.sleep(0.1)
            sqs.send_message(QueueUrl=url, MessageBody="hello")
        together(receive, later)
        print(time.monotonic() - began < 10)
        """
    assert run(library, script, embedded, url) == "['hello']\nTrue\n"


def test_calls_share_requests_and_errors_are_told(library: str, embedded: Server, url: str) -> None:
    script = """
        together(*[lambda n=n: sqs.send_message(QueueUrl=url, MessageBody=str(n)) for n in range(100)])
        print(sqs.stats()["requests"]["SendMessageBatch"] < 50)
        try:
            sqs.get_queue_url(QueueName="nope")
        except sqs.exceptions.QueueDoesNotExist as error:
            print(error.operation_name)
        try:
            sqs.send_message(QueueUrl=url)
        except Exception as error:
            print(type(error).__name__)
        print(sqs.generate_presigned_url("list_queues").startswith("http"))
        sqs.close()
        print(sqs.receive_message(QueueUrl=url)["ResponseMetadata"]["HTTPStatusCode"])
        """
    assert run(library, script, embedded, url) == "True\nGetQueueUrl\nParamValidationError\nTrue\n200\n"


def test_a_wait_that_is_given_up(library: str, embedded: Server, url: str) -> None:
    """By the library's own timeout; the next call is not disturbed by what may still come."""
    timeout = "gevent.Timeout(0.1)" if library == "gevent" else "eventlet.Timeout(0.1)"
    script = f"""
        import {library}
        for _ in range(3):
            try:
                with {timeout}:
                    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
            except {library}.Timeout:
                print("given up")
        sqs.send_message(QueueUrl=url, MessageBody="hello")
        print(sqs.get_queue_url(QueueName="q")["QueueUrl"] == url)
        """
    assert run(library, script, embedded, url) == "given up\n" * 3 + "True\n"


def test_writers_and_iterators(library: str, embedded: Server, url: str) -> None:
    """A writer that is full and an iterator that has nothing yet wait beside each other."""
    script = """
        small = turbosqs.Batching(max_waiting=20)
        other = turbosqs.client(
            "sqs", endpoint_url=sqs.meta.endpoint_url, region_name="us-east-1", batching=small,
            aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="wJalrXUtnFEMI",
        )
        got = []
        def write():
            with other.batch_writer(QueueUrl=url) as batch:
                for number in range(200):
                    batch.send_message(MessageBody=str(number))
        def read():
            with other.poll_messages(QueueUrl=url, max_messages=200) as messages:
                for message in messages:
                    got.append(int(message["Body"]))
        together(read, write)
        print(sorted(got) == list(range(200)))
        print(next(sqs.poll_messages(QueueUrl=url, idle_timeout=0), None))
        """
    assert run(library, script, embedded, url) == "True\nNone\n"


@needs.SIGNALS
def test_a_consumer(library: str, embedded: Server, url: str) -> None:
    """Its handlers are greenlets that run side by side; it starts, drains, runs again and heeds SIGTERM."""
    send(embedded, url, 60)
    script = """
        running = most = 0
        def handle(message):
            global running, most
            running += 1
            most = max(most, running)
            time.sleep(0.02)
            running -= 1
        consumer = turbosqs.Consumer(sqs, QueueUrl=url, handler=handle, concurrency=20, max_messages=60)
        consumer.start()
        while consumer.stats()["deleted"] < 60:
            time.sleep(0.01)
        print(consumer.stop(), most > 5)
        idle = turbosqs.Consumer(sqs, QueueUrl=url, handler=handle)
        def kill():
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGTERM)
        threading.Thread(target=kill).start()
        idle.run()
        print(idle.stats()["polls"])
        """
    assert run(library, script, embedded, url) == "True True\n0\n"


def test_what_calls_meet_with_is_logged(library: str, embedded: Server, url: str) -> None:
    """Without a thread, which would be a greenlet in which all of them wait."""
    embedded.faults.add("server_error", actions=["SendMessage"], times=1)
    printed = run(
        library,
        """
        import logging, sys
        logging.getLogger("turbosqs").addHandler(logging.StreamHandler(sys.stdout))
        logging.getLogger("turbosqs.retry").setLevel(logging.DEBUG)
        sqs.send_message(QueueUrl=url, MessageBody="b")
        print("sent")
        """,
        embedded,
        url,
    )
    first, second = printed.splitlines()
    assert first.startswith("SendMessage has failed with ")
    assert second == "sent"


def test_a_keeper_tells_of_what_is_lost(library: str, embedded: Server, url: str) -> None:
    send(embedded, url, 1)
    script = """
        [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=30)["Messages"]
        told = []
        hook = lambda handle, error: told.append((handle == message["ReceiptHandle"], type(error).__name__))
        with sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30, on_lost=hook) as keeper:
            # Its time is over.
            keeper.add(message["ReceiptHandle"], age=60)
            while not told:
                time.sleep(0.01)
        print(told, keeper.is_lost(message["ReceiptHandle"]))
        """
    assert run(library, script, embedded, url) == "[(True, 'RuntimeError')] False\n"
