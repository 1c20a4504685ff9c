"""Visibility timeouts: the longest delay, those that handlers change by themselves, those that are lost."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from typing import Any

import pytest
import turbosqs
from support.libraries import KEYS
from support.queues import client, consumer, counts, send
from support.waiting import until
from turbosqs import aio
from turbosqs.consuming.workers import _lost
from turbosqs.local import Server


def aio_client(server: Server) -> Any:
    return aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)


class Unlucky(Exception):  # noqa: N818 (it is on purpose)
    pass


def fail(_: Any) -> None:
    raise Unlucky


@pytest.mark.parametrize("delay", [43_200, 43_199, turbosqs.Backoff(43_200, limit=43_200, jitter=0)])
def test_the_longest_delay_is_what_the_service_permits(delay: Any, server: Server, sqs: Any, url: str) -> None:
    """Twelve hours count from the receive, so a little less is left; nothing is refused."""
    send(sqs, url, 1)
    errors: list[BaseException] = []
    options: dict[str, Any] = {"retry_delay": delay, "max_messages": 1}
    consumer(sqs, url, fail, on_error=lambda error, _: errors.append(error), **options).run()
    assert [type(error) for error in errors] == [Unlucky]
    server.advance(43_150)
    assert counts(sqs, url) == (0, 1)
    server.advance(50)
    assert counts(sqs, url) == (1, 0)


WAYS = ["call", "batch", "writer", "unbatched", "aio"]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_handler_changes_by_itself_holds(way: str, server: Server) -> None:
    """Neither the heartbeat nor a retry delay replaces it."""
    sqs = client(server, batching=way != "unbatched")
    url = server.create_queue("short", {"VisibilityTimeout": "1"})
    send(sqs, url, 2)
    handled: Counter[str] = Counter()
    release = threading.Event()

    def change(handle: str) -> None:
        if way == "batch":
            entry = {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 600}
            assert "Failed" not in sqs.change_message_visibility_batch(QueueUrl=url, Entries=[entry])
        elif way == "writer":
            with sqs.batch_writer(QueueUrl=url) as batch:
                batch.change_message_visibility(ReceiptHandle=handle, VisibilityTimeout=600)
        elif way == "aio":
            call = aio.SQS(sqs).change_message_visibility
            asyncio.run(call(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=600))
        else:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=600)

    def handle(message: Any) -> None:
        handled[message["Body"]] += 1
        if message["Body"] == "0":
            change(message["ReceiptHandle"])
            raise Unlucky
        release.wait(20)

    with consumer(sqs, url, handle, retry_delay=0, on_error=lambda *_: None) as consuming:
        # The heartbeat goes on for those that do nothing of the kind.
        until(lambda: consuming.stats()["extended"] >= 2)
        release.set()
        until(lambda: consuming.stats()["deleted"] == 1)
        until(lambda: handled["0"] == 1)
        assert handled == {"0": 1, "1": 1}
    server.advance(590)
    assert counts(sqs, url) == (0, 1)
    server.advance(10)
    assert counts(sqs, url) == (1, 0)


def test_a_message_that_its_handler_lets_go_is_not_extended(server: Server, sqs: Any) -> None:
    """Visibility 0, and the handler goes on for longer than a visibility timeout: others have it, and keep it."""
    url = server.create_queue("short", {"VisibilityTimeout": "2"})
    send(sqs, url, 1)
    changed, release = threading.Event(), threading.Event()

    def handle(message: Any) -> None:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        changed.set()
        release.wait(20)
        raise Unlucky

    options: dict[str, Any] = {"concurrency": 1, "max_messages": 1, "retry_delay": 0}
    lost: list[Any] = []
    hooks: dict[str, Any] = {"on_error": lambda *_: None, "on_lease_lost": lambda *told: lost.append(told)}
    consuming = consumer(sqs, url, handle, **hooks, **options)
    consuming.start()
    assert changed.wait(10)
    other = client(server)
    [taken] = other.receive_message(QueueUrl=url, VisibilityTimeout=300)["Messages"]
    time.sleep(1.2)
    assert consuming.stats()["extended"] == 0
    release.set()
    assert consuming.stop()
    assert (lost, consuming.stats()["lost"]) == ([], 0)
    assert counts(sqs, url) == (0, 1)
    other.delete_message(QueueUrl=url, ReceiptHandle=taken["ReceiptHandle"])


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_message_that_its_handler_lets_go_is_deleted_when_it_returns(seconds: int, server: Server, sqs: Any) -> None:
    """When it is visible again is for the handler to say, and that it is done too."""
    url = server.create_queue("short", {"VisibilityTimeout": "2"})
    send(sqs, url, 1)
    lost: list[Any] = []

    def handle(message: Any) -> None:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds)
        until(lambda: counts(sqs, url) == (1, 0))

    hooks: dict[str, Any] = {"on_lease_lost": lambda *told: lost.append(told)}
    consumer(sqs, url, handle, concurrency=1, max_messages=1, **hooks).run()
    assert (lost, counts(sqs, url)) == ([], (0, 0))


def lose(consuming: Any, message: Any) -> list[Any]:
    """What the core will report of a lease that is lost."""
    return consuming._calls(consuming._run, [(message, "lost", ValueError("gone"))])  # type: ignore[no-any-return]


@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_lost_lease_is_told_and_seen(batch_size: int | None, sqs: Any, url: str) -> None:
    """The hook hears of it, and the handler, whichever thread of it asks; when it is over nothing is remembered."""
    send(sqs, url, 1)
    told: list[Any] = []
    held: list[Any] = []
    seen = threading.Event()

    def handle(messages: Any) -> None:
        message = messages[0] if batch_size else messages
        assert not turbosqs.lease_lost(message)
        held.append(message)
        until(lambda: turbosqs.lease_lost(message))
        assert turbosqs.lease_lost({"receiptHandle": message["ReceiptHandle"]})
        seen.set()

    options: dict[str, Any] = {"batch_size": batch_size, "concurrency": 1, "max_messages": 1}
    consuming = consumer(sqs, url, handle, on_lease_lost=lambda *news: told.append(news), **options)
    consuming.start()
    until(lambda: held)
    consuming._run._tell(lose(consuming, held[0]))
    assert seen.wait(10)
    consuming.stop()
    [(message, error)] = told
    assert message == held[0]
    assert str(error) == "gone"
    assert not turbosqs.lease_lost(message)
    # One that comes too late is told, and not remembered for ever.
    consuming._run._tell(lose(consuming, held[0]))
    assert len(told) == 2
    assert not _lost


def test_a_lost_lease_is_logged(sqs: Any, url: str, caplog: pytest.LogCaptureFixture) -> None:
    consuming = consumer(sqs, url, print)
    consuming.start()
    consuming._run._tell(lose(consuming, {"MessageId": "m-1", "ReceiptHandle": "r"}))
    consuming.stop()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "m-1" in record.message
    assert "others may receive it: m-1: ValueError: gone" in record.message


def test_a_lost_lease_in_an_event_loop(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    told: list[Any] = []

    async def work() -> None:
        held: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def handle(message: Any) -> None:
            held.set_result(message)
            while not turbosqs.lease_lost(message):
                await asyncio.sleep(0.005)

        async def on_lease_lost(message: Any, error: Exception) -> None:
            await asyncio.sleep(0)
            told.append((message["Body"], str(error)))

        mine = aio_client(server)
        async with aio.Consumer(mine, QueueUrl=url, handler=handle, on_lease_lost=on_lease_lost) as consuming:
            await consuming._run._tell(lose(consuming, await held))

    asyncio.run(work())
    assert told == [("0", "gone")]
    assert not _lost


def test_background_errors_are_told_while_all_handlers_are_busy(server: Server, sqs: Any, url: str) -> None:
    """Deletes that fail while the only handler is at work on the next messages, for as long as it likes."""
    send(sqs, url, 20)
    server.faults.add("partial_failure", actions=["DeleteMessageBatch"], entries=list(range(10)), sender_fault=True)
    # Asked for alone, each is refused as well.
    server.faults.add("access_denied", actions=["DeleteMessage"])
    told = threading.Event()
    calls: list[int] = []

    def handle(messages: Any) -> None:
        calls.append(len(messages))
        if len(calls) == 2:
            assert told.wait(10)

    options: dict[str, Any] = {"concurrency": 1, "batch_size": 10, "batch_window": 5, "max_messages": 20}
    consuming = consumer(sqs, url, handle, on_delete_failed=lambda *_: told.set(), **options)
    consuming.run()
    assert calls == [10, 10]
    assert consuming.stats()["handled"] == 20, "the second call did not wait in vain"


def test_background_errors_are_told_while_all_coroutines_are_busy(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 20)
    server.faults.add("partial_failure", actions=["DeleteMessageBatch"], entries=list(range(10)), sender_fault=True)
    # Asked for alone, each is refused as well.
    server.faults.add("access_denied", actions=["DeleteMessage"])

    async def work() -> None:
        told = asyncio.Event()
        calls: list[int] = []

        async def handle(messages: Any) -> None:
            calls.append(len(messages))
            if len(calls) == 2:
                await asyncio.wait_for(told.wait(), 10)

        options: dict[str, Any] = {"concurrency": 1, "batch_size": 10, "batch_window": 5, "max_messages": 20}
        mine = aio_client(server)
        hook: dict[str, Any] = {"on_delete_failed": lambda *_: told.set()}
        consuming = aio.Consumer(mine, QueueUrl=url, handler=handle, **hook, **options)
        await consuming.run()
        assert calls == [10, 10]
        assert consuming.stats()["handled"] == 20

    asyncio.run(work())
