"""``keep_invisible``: messages that a program has received by itself stay its own while it handles them."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
import threading
import time
from typing import Any

import pytest
import turbosqs
from support import needs
from support.libraries import KEYS
from support.loops import client as aio_client
from support.queues import client, counts, send
from support.waiting import until, until_awaiting
from turbosqs.local import Server

#: The shortest, so that extensions fall due: half a second after the receive, and again and again.
SHORT = 1


def receive(sqs: Any, url: str, count: int = 1, visibility: int = SHORT) -> list[str]:
    """The receipt handles of so many messages."""
    handles: list[str] = []
    while len(handles) < count:
        most = min(10, count - len(handles))
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=most, VisibilityTimeout=visibility)
        handles += [message["ReceiptHandle"] for message in reply["Messages"]]
    return handles


def test_a_message_is_kept_for_as_long_as_its_block_lasts(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    [handle] = receive(sqs, url)
    with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=SHORT) as keeper:
        until(lambda: keeper.stats()["extended"] >= 4)
        assert counts(sqs, url) == (0, 1), "several times as long as its visibility timeout"
        assert (len(keeper), keeper.is_lost(handle), bool(keeper)) == (1, False, True)
    assert (len(keeper), repr(keeper)) == (0, f"<turbosqs.keeping.Keeper of {url}: closed>")
    # It is not given back, and comes back when its time is over.
    until(lambda: counts(sqs, url) == (1, 0))


def test_many_threads_messages_share_requests(sqs: Any, url: str) -> None:
    """One keeper that they all have, or one for each of them: it makes no difference."""
    send(sqs, url, 40)
    handles = receive(sqs, url, 40, visibility=30)
    keeper = sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30)
    done = threading.Barrier(41)

    def work(number: int) -> None:
        mine = keeper if number % 2 else sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30)
        # It is not known since when it is held, so it is extended at once.
        mine.add(handles[number])
        until(lambda: mine.stats()["extended"] >= 1)
        done.wait()
        assert mine.remove(handles[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    done.wait()
    for thread in threads:
        thread.join()
    requests = sqs.stats()["requests"]
    made = requests.get("ChangeMessageVisibilityBatch", 0) + requests.get("ChangeMessageVisibility", 0)
    assert (sqs.stats()["messages"]["ChangeMessageVisibility"], made < 40) == (40, True), requests
    assert (len(keeper), counts(sqs, url)) == (0, (0, 40))
    keeper.close()


def test_what_is_over_in_time_costs_no_request(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    [handle] = receive(sqs, url, visibility=30)
    keeper = sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30)
    keeper.add(handle, age=0.5)
    keeper.add(handle, age=29)
    assert keeper.remove(handle)
    assert not keeper.remove(handle)
    assert not keeper.remove("no handle")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    keeper.close()
    assert not any("ChangeMessageVisibility" in action for action in sqs.stats()["requests"])


def test_the_queue_says_for_how_long(server: Server, sqs: Any) -> None:
    url = server.create_queue("long", {"VisibilityTimeout": "600"})
    send(sqs, url, 1)
    [handle] = receive(sqs, url, visibility=2)
    with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=[handle]) as keeper:
        until(lambda: keeper.stats()["extended"] == 1)
    server.advance(590)
    assert counts(sqs, url) == (0, 1)
    server.advance(20)
    assert counts(sqs, url) == (1, 0)


def test_a_queue_that_may_not_be_asked(server: Server, sqs: Any, url: str, caplog: Any) -> None:
    send(sqs, url, 1)
    server.faults.add("access_denied", actions=["GetQueueAttributes"], times=1)
    [handle] = receive(sqs, url)
    with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=handle) as keeper:
        until(lambda: keeper.stats()["extended"] == 1)
    # The next call logs what the core has to say.
    assert counts(sqs, url) == (0, 1)
    [record] = [record for record in caplog.records if "VisibilityTimeout" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert "for 30 seconds at a time" in record.getMessage()
    assert "AccessDenied (status 403)" in record.getMessage()
    server.advance(25)
    assert counts(sqs, url) == (0, 1)


@pytest.mark.parametrize("listens", [True, False])
def test_what_is_lost_is_told(listens: bool, server: Server, sqs: Any, url: str, caplog: Any) -> None:
    """To ``on_lost``, or in the log; and to whoever asks."""
    server.faults.add("access_denied", actions=["ChangeMessageVisibility"])
    send(sqs, url, 2)
    first, second = receive(sqs, url, 2)
    message = {"ReceiptHandle": first}
    told: list[tuple[str, Any, str]] = []

    def on_lost(handle: str, error: Exception) -> None:
        told.append((handle, error, threading.current_thread().name))
        raise LookupError("it is logged")

    hook = {"on_lost": on_lost} if listens else {}
    with sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=SHORT, **hook) as keeper:
        keeper.add(first, age=0)
        assert not turbosqs.lease_lost(message)
        until(lambda: keeper.is_lost(first))
        assert turbosqs.lease_lost(message)
        assert not keeper.is_lost(second)
        assert keeper.stats() == {"held": 1, "extended": 0, "lost": 1}
        assert not keeper.remove(first)
        assert not turbosqs.lease_lost(message)
        if listens:
            until(lambda: told)
    if listens:
        until(lambda: "on_lost has failed" in caplog.messages)
        [(handle, error, thread)] = told
        assert (handle, thread) == (first, "turbosqs-keeper")
        assert (type(error).__name__, error.operation_name) == ("ClientError", "ChangeMessageVisibility")
        assert error.response["Error"]["Code"] == "AccessDenied"
    else:
        sqs.list_queues()
        [record] = [record for record in caplog.records if "could not be extended" in record.getMessage()]
        assert record.getMessage().startswith(f"{url}: ")
        assert "AccessDenied (status 403)" in record.getMessage()


def test_what_the_program_does_with_its_messages_has_the_last_word(sqs: Any, url: str) -> None:
    """What it deletes is not lost, and what it changes is not extended."""
    send(sqs, url, 3)
    deleted, changed, kept = receive(sqs, url, 3)
    lost: list[str] = []
    keeper = sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=SHORT, on_lost=lambda handle, _: lost.append(handle))
    with keeper:
        for handle in (deleted, changed, kept):
            keeper.add(handle, age=0)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=deleted)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=changed, VisibilityTimeout=0)
        until(lambda: keeper.stats()["extended"] >= 3)
        assert counts(sqs, url) == (1, 1)
        assert (keeper.remove(deleted), keeper.remove(changed), keeper.remove(kept)) == (True, False, True)
    assert lost == []


def test_arguments_are_checked(sqs: Any, url: str) -> None:
    async def coroutine(*_: Any) -> None: ...

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"QueueUrl": 1}, "QueueUrl must be a str, not int"),
        ({"VisibilityTimeout": "30"}, "VisibilityTimeout must be an int, not str"),
        ({"VisibilityTimeout": True}, "VisibilityTimeout must be an int, not bool"),
        ({"ReceiptHandle": [b"a"]}, "a receipt handle must be a str, not bytes"),
        ({"on_lost": 1}, "on_lost must be callable, not int"),
        ({"on_lost": coroutine}, "on_lost must not be a coroutine function"),
    ]
    for arguments, wanted in wrong:
        with pytest.raises(TypeError, match=wanted):
            sqs.keep_invisible(**{"QueueUrl": url, **arguments})
    for seconds in (0, -1, 43_201):
        with pytest.raises(ValueError, match="VisibilityTimeout must be from 1 to 43200"):
            sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=seconds)
    with sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30) as keeper:
        with pytest.raises(TypeError, match="age must be a number"):
            keeper.add("a", age="1")
        for age in (-1, float("nan")):
            with pytest.raises(ValueError, match="age must be 0 or more"):
                keeper.add("a", age=age)
        with pytest.raises(pickle.PicklingError):
            pickle.dumps(keeper)
    with pytest.raises(RuntimeError, match="this keeper is closed"):
        keeper.add("a")
    keeper.close()
    assert not keeper.remove("a")


@needs.FORK
def test_a_forked_child_has_none(sqs: Any, url: str) -> None:
    keeper = sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30, on_lost=print)
    keeper.add("a", age=0)
    child = os.fork()
    if child == 0:
        failed = 0
        for call in (keeper.add, keeper.remove, keeper.is_lost):
            try:
                call("b")
            except RuntimeError as error:
                failed += "belongs to the process that made it" in str(error)
        keeper.close()
        failed += repr(keeper).endswith(": of another process>")
        failed += not turbosqs.lease_lost({"ReceiptHandle": "a"})
        with sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=30) as mine:
            mine.add("b", age=0)
            failed += mine.remove("b")
        os._exit(failed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    assert keeper.remove("a")
    keeper.close()


def test_one_that_is_forgotten_is_closed(sqs: Any, url: str) -> None:
    """Its thread ends, and its messages come back."""

    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "turbosqs-keeper"]

    until(lambda: not threads())
    send(sqs, url, 1)
    keeper = sqs.keep_invisible(QueueUrl=url, ReceiptHandle=receive(sqs, url), VisibilityTimeout=SHORT, on_lost=print)
    assert threads() == ["turbosqs-keeper"]
    del keeper
    until(lambda: not threads())
    until(lambda: counts(sqs, url) == (1, 0))


def test_in_an_event_loop(server: Server, url: str) -> None:
    send(client(server), url, 2)

    async def work() -> None:
        async with aio_client(server) as sqs:
            reply = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, VisibilityTimeout=SHORT)
            first, second = [message["ReceiptHandle"] for message in reply["Messages"]]
            async with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=first, VisibilityTimeout=SHORT) as keeper:
                await until_awaiting(lambda: keeper.stats()["extended"] >= 3)
                assert keeper.remove(first)
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=first)
            told: list[Any] = []

            async def on_lost(handle: str, error: Exception) -> None:
                await asyncio.sleep(0)
                told.append((handle, type(error).__name__))

            keeper = sqs.keep_invisible(QueueUrl=url, VisibilityTimeout=SHORT, on_lost=on_lost)
            # By now it is somebody else's, or may be.
            keeper.add(second, age=60)
            await keeper.close()
            assert told == [(second, "RuntimeError")]
            assert [task for task in asyncio.all_tasks() if task.get_name() == "turbosqs-keeper"] == []

    asyncio.run(work())
    with pytest.raises(RuntimeError, match="no running event loop"):
        aio_client(server).keep_invisible(QueueUrl=url, on_lost=print)


def test_while_pythons_threads_are_busy(sqs: Any, url: str) -> None:
    """The core extends, though the one thread of the program holds the interpreter."""
    send(sqs, url, 1)
    [handle] = receive(sqs, url)
    with sqs.keep_invisible(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=SHORT) as keeper:
        interval, began = sys.getswitchinterval(), time.monotonic()
        sys.setswitchinterval(100)
        try:
            while time.monotonic() < began + 2.5 * SHORT:
                pass
        finally:
            sys.setswitchinterval(interval)
        assert not keeper.is_lost(handle)
        assert keeper.stats()["extended"] >= 2


def test_a_client_that_is_listened_to_refuses(url: str) -> None:
    """As all that sends by itself does, past those who listen to the client's calls."""
    other: Any = turbosqs.client("sqs", region_name="us-east-1", **KEYS)
    other.meta.events.register("before-call.sqs.ChangeMessageVisibilityBatch", lambda **_: None)
    with pytest.raises(RuntimeError, match="keep_invisible"):
        other.keep_invisible(QueueUrl=url)
