"""What a consumer tells those who run it: its log, its ``repr``, its statistics."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
import turbosqs
from support import needs
from support.libraries import KEYS, SUBJECT
from support.queues import client, consumer, counts, send
from support.scripts import run
from support.waiting import until, until_awaiting
from turbosqs import aio
from turbosqs.local import Server


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "turbosqs.consumer")
    return caplog


def lines(logged: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in logged.records if record.levelno == level]


def test_its_course_is_logged(sqs: Any, url: str, logged: pytest.LogCaptureFixture) -> None:
    send(sqs, url, 3)
    consumer(sqs, url, lambda _: None, concurrency=2, max_messages=3).run()
    assert lines(logged, logging.INFO) == [
        f"{url}: consuming, 2 handlers at a time",
        f"{url}: draining, 0 messages are being handled and 0 go back",
        f"{url}: stopped, 3 messages handled, 0 failed",
    ]


def test_the_course_of_coroutines_is_logged(server: Server, url: str, logged: pytest.LogCaptureFixture) -> None:
    mine = aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)
    asyncio.run(aio.Consumer(mine, QueueUrl=url, handler=print, idle_timeout=0, concurrency=2).run())  # type: ignore[arg-type]
    assert [line.split(",")[0].rpartition(" ")[2] for line in lines(logged, logging.INFO)] == [
        "consuming",
        "draining",
        "stopped",
    ]


def test_handlers_that_did_not_finish_are_logged(sqs: Any, url: str, logged: pytest.LogCaptureFixture) -> None:
    send(sqs, url, 1)
    entered, release = threading.Event(), threading.Event()
    consuming = consumer(sqs, url, lambda _: (entered.set(), release.wait(20)))  # type: ignore[func-returns-value]
    consuming.start()
    assert entered.wait(10)
    consuming.stop(0)
    release.set()
    assert "1 handlers have not finished in time, their messages go back" in lines(logged, logging.INFO)[-1]


def test_a_failure_is_logged_once_with_its_cause(sqs: Any, url: str, logged: pytest.LogCaptureFixture) -> None:
    send(sqs, url, 1)

    def handle(_: Any) -> None:
        raise ValueError("on purpose")

    consumer(sqs, url, handle, max_messages=1).run()
    [record] = [record for record in logged.records if record.levelno >= logging.WARNING]
    assert "a message was not handled" in record.getMessage()
    assert "on purpose" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[2] is not None


@pytest.mark.parametrize("raises", [True, False])
def test_a_batchs_failure_is_logged_once(raises: bool, sqs: Any, url: str, logged: pytest.LogCaptureFixture) -> None:
    """Not once for each of its messages."""
    send(sqs, url, 5)

    def handle(messages: Any) -> Any:
        if raises:
            raise ValueError("on purpose")
        return {"batchItemFailures": [{"itemIdentifier": message["MessageId"]} for message in messages]}

    consumer(sqs, url, handle, max_messages=5, concurrency=1, batch_size=5, batch_window=5).run()
    [record] = [record for record in logged.records if record.levelno >= logging.WARNING]
    assert "5 messages were not handled" in record.getMessage()
    # What was not raised has no way to show.
    assert (record.exc_info is not None) is raises


def test_polls_that_fail_are_logged_without_a_way(server: Server, url: str, logged: pytest.LogCaptureFixture) -> None:
    sqs = client(server, config=turbosqs.Config(retries={"total_max_attempts": 1}))
    server.faults.add("server_error", actions=["ReceiveMessage"], times=2)
    with consumer(sqs, url, print):
        until(lambda: len(lines(logged, logging.ERROR)) == 2)
    failures = [record for record in logged.records if record.levelno == logging.ERROR]
    assert all("a poll has failed and will be repeated: ClientError" in each.getMessage() for each in failures)
    assert not any(each.exc_info for each in failures)


def test_what_ends_it_is_logged(sqs: Any, url: str, logged: pytest.LogCaptureFixture) -> None:
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        consumer(sqs, url + "x", print).run()
    # What it asks for beside its polls is refused as well, before or after them.
    errors = lines(logged, logging.ERROR)
    assert [f"{url}x: cannot go on: QueueDoesNotExist" in line for line in errors].count(True) == 1
    assert not any("will be repeated" in line for line in errors)


def test_repr(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    entered, release = threading.Event(), threading.Event()
    consuming = consumer(sqs, url, lambda _: (entered.set(), release.wait(20)), max_messages=1)  # type: ignore[func-returns-value]
    none = "0 in progress, 0 buffered, 0 handled, 0 failed, 0 lost"
    assert repr(consuming) == f"<turbosqs.Consumer of {url}: not started, {none}>"
    consuming.start()
    assert entered.wait(10)
    assert repr(consuming) == f"<turbosqs.Consumer of {url}: running, {none.replace('0', '1', 1)}>"
    consuming.stop(wait=False)
    assert "draining" in repr(consuming)
    release.set()
    assert consuming.stop()
    assert repr(consuming) == f"<turbosqs.Consumer of {url}: stopped, {none.replace('0 handled', '1 handled')}>"
    mine = aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)
    assert repr(aio.Consumer(mine, QueueUrl=url, handler=print)).startswith("<turbosqs.aio.Consumer of ")  # type: ignore[arg-type]


@needs.FORK
def test_repr_in_a_forked_child(server: Server, url: str) -> None:
    script = f"""
        import turbosqs
        consumer = turbosqs.Consumer(client(), QueueUrl={url!r}, handler=print)
        if os.fork() == 0:
            say(repr(consumer))
            os._exit(0)
        os.wait()
    """
    assert run(SUBJECT, server.endpoint_url, script) == f"<turbosqs.Consumer of {url}: of another process>\n"


def test_times(sqs: Any, url: str) -> None:
    """How long handlers' threads wait and work, as it goes on and afterwards; and how old the oldest message is."""
    send(sqs, url, 1)
    entered, release = threading.Event(), threading.Event()
    consuming = consumer(sqs, url, lambda _: (entered.set(), release.wait(20)), concurrency=2)  # type: ignore[func-returns-value]
    assert {consuming.stats()[name] for name in ("oldest_in_hand", "waiting_seconds", "handling_seconds")} == {0.0}
    consuming.start()
    assert entered.wait(10)
    names = ("oldest_in_hand", "handling_seconds", "waiting_seconds")
    until(lambda: min(consuming.stats()[name] for name in names) >= 0.1)  # type: ignore[literal-required]
    release.set()
    assert consuming.stop()
    stats = consuming.stats()
    assert stats["oldest_in_hand"] == 0
    time.sleep(0.05)
    again = consuming.stats()
    assert again == stats, "nothing goes on"


def test_times_of_coroutines(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 1)

    async def work() -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def handle(_: Any) -> None:
            entered.set()
            await release.wait()

        mine = aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)
        async with aio.Consumer(mine, QueueUrl=url, handler=handle, concurrency=2) as consuming:
            await entered.wait()
            names = ("oldest_in_hand", "handling_seconds", "waiting_seconds")
            await until_awaiting(lambda: min(consuming.stats()[name] for name in names) >= 0.1)  # type: ignore[literal-required]
            release.set()
        assert consuming.stats()["oldest_in_hand"] == 0

    asyncio.run(work())
    assert counts(sqs, url) == (0, 0)


def test_receives_that_share_are_counted(server: Server, sqs: Any, url: str) -> None:
    """How many calls there were, beside the requests that they became."""

    def receive() -> None:
        assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]

    threads = [threading.Thread(target=receive) for _ in range(30)]
    for thread in threads:
        thread.start()
    until(lambda: sqs.stats()["messages"].get("ReceiveMessage") == 30)
    send(client(server), url, 30)
    for thread in threads:
        thread.join(20)
    stats = sqs.stats()
    assert stats["messages"]["ReceiveMessage"] == 30
    assert stats["requests"]["ReceiveMessage"] < 30
    # What shares with nobody is no such call.
    sqs.receive_message(QueueUrl=url)
    assert sqs.stats()["messages"]["ReceiveMessage"] == 30
