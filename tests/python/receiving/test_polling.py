"""``poll_messages``: everything comes, in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support import needs
from support.libraries import BOTO3, KEYS, SUBJECT
from support.queues import client, counts, send
from support.scripts import finish, run, start
from support.waiting import until
from turbosqs import aio
from turbosqs.local import Server


def requests(server: Server, action: str = "ReceiveMessage") -> int:
    return server.stats()["requests"].get(action, 0)


def aio_client(server: Server) -> Any:
    return aio.Session().client("sqs", region_name="us-east-1", endpoint_url=server.endpoint_url, **KEYS)


def test_a_whole_queue(server: Server, sqs: Any, url: str) -> None:
    """Every message once, in full requests, as boto3 has it."""
    sent = send(sqs, url, 1_000)
    sqs.send_message(
        QueueUrl=url, MessageBody="1000", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": b"x"}}
    )
    more: dict[str, Any] = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    with sqs.batch_writer(QueueUrl=url) as batch:
        messages = []
        for message in sqs.poll_messages(QueueUrl=url, max_messages=1_001, **more):
            messages.append(message)
            batch.delete_message(ReceiptHandle=message["ReceiptHandle"])
    assert sorted((message["Body"] for message in messages), key=int) == [*sent, "1000"]
    assert counts(sqs, url) == (0, 0)
    assert requests(server) <= 110
    sqs.send_message(
        QueueUrl=url, MessageBody="1000", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": b"x"}}
    )
    theirs = BOTO3.client(server.endpoint_url).receive_message(QueueUrl=url, **more)["Messages"][0]
    ours = next(message for message in messages if message["Body"] == "1000")
    assert list(ours) == list(theirs)
    assert ours["MessageAttributes"] == theirs["MessageAttributes"]
    assert list(ours["Attributes"]) == list(theirs["Attributes"])


@pytest.mark.parametrize("number", [0, 1, 7, 10, 25])
def test_max_messages(number: int, sqs: Any, url: str) -> None:
    """So many come, and no more are ever received."""
    send(sqs, url, 60)
    assert len(list(sqs.poll_messages(QueueUrl=url, max_messages=number))) == number
    assert counts(sqs, url) == (60 - number, number)


def test_idle_timeout(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 15)
    assert len(list(sqs.poll_messages(QueueUrl=url, idle_timeout=0))) == 15
    began = time.monotonic()
    assert list(sqs.poll_messages(QueueUrl=url, idle_timeout=1)) == []
    assert 0.9 < time.monotonic() - began < 15
    timer = threading.Timer(0.5, send, (client(server), url, 3))
    timer.start()
    began = time.monotonic()
    assert len(list(sqs.poll_messages(QueueUrl=url, idle_timeout=1))) == 3
    assert 1.3 < time.monotonic() - began < 15
    timer.join()


def leave_by_break(messages: Any) -> None:
    for number, _ in enumerate(messages, 1):
        if number == 5:
            break


def leave_by_exception(messages: Any) -> None:
    def loop() -> None:
        for number, _ in enumerate(messages, 1):
            print(1 / (5 - number))

    with pytest.raises(ZeroDivisionError):
        loop()


def leave_by_with(messages: Any) -> None:
    with messages:
        for _ in range(5):
            next(messages)


def leave_by_close(messages: Any) -> None:
    iterator = iter(messages)
    for _ in range(5):
        next(iterator)
    iterator.close()


def leave_by_forgetting(messages: Any) -> None:
    for _ in range(5):
        next(messages)


@pytest.mark.parametrize(
    "leave", [leave_by_break, leave_by_exception, leave_by_with, leave_by_close, leave_by_forgetting]
)
def test_leaving_gives_back(leave: Callable[[Any], None], server: Server, sqs: Any, url: str) -> None:
    """Nothing stays invisible but what was handed over, and it is visible as soon as the loop is left."""
    send(sqs, url, 100)
    leave(sqs.poll_messages(QueueUrl=url))
    if leave is leave_by_forgetting:
        until(lambda: counts(sqs, url) == (95, 5))
    assert counts(sqs, url) == (95, 5)
    assert requests(server, "ChangeMessageVisibility") + requests(server, "ChangeMessageVisibilityBatch") <= 10


def test_what_a_late_poll_brings_goes_back(server: Server, sqs: Any, url: str) -> None:
    """A poll under way when the loop ends has a second; what it brings is not stranded."""
    server.faults.add("delay", actions=["ReceiveMessage"], seconds=0.4)
    send(sqs, url, 1)
    messages = sqs.poll_messages(QueueUrl=url)
    next(messages)
    until(lambda: requests(server) == 2)
    send(sqs, url, 3)
    messages.close()
    assert messages.stats()["received"] == 4
    assert counts(sqs, url) == (3, 1)


def test_the_buffer_is_bounded(sqs: Any, url: str) -> None:
    send(sqs, url, 300)
    with sqs.poll_messages(QueueUrl=url, max_buffered=20) as messages:
        most = 0
        for _ in range(100):
            next(messages)
            most = max(most, messages.stats()["buffered"])
        until(lambda: messages.stats()["polls"] == 0)
        # Nobody takes any more: full, but for what would not have fitted with the next reply.
        most = max(most, messages.stats()["buffered"])
        assert counts(sqs, url)[1] <= 120
    assert 10 <= most <= 20


def test_the_bytes_are_bounded(sqs: Any, url: str) -> None:
    for _ in range(30):
        sqs.send_message(QueueUrl=url, MessageBody="x" * 200_000)
    with sqs.poll_messages(QueueUrl=url, max_buffered_bytes=1 << 20) as messages:
        next(messages)
        for _ in range(20):
            next(messages)
            # The first poll cannot know how large they are.
            assert messages.stats()["buffered"] <= 10
        assert messages.stats()["buffered"] <= 6


def test_what_waits_is_extended_and_then_given_back(sqs: Any, url: str) -> None:
    send(sqs, url, 5)
    with sqs.poll_messages(QueueUrl=url, VisibilityTimeout=2) as messages:
        next(messages)
        until(lambda: messages.stats()["extended"] >= 4)
        assert messages.stats()["given_back"] == 0
        until(lambda: messages.stats()["given_back"] == 4)
        assert messages.stats()["buffered"] == 0
        # And nothing is fetched for one who does not come.
        time.sleep(0.5)
        assert messages.stats()["polls"] == 0
        assert counts(sqs, url)[0] >= 4
        assert next(messages)
        assert messages.stats()["lost"] == 0


def test_the_least_life(server: Server, sqs: Any, url: str) -> None:
    """A slow loop, and somebody else who receives whatever is visible: what was handed over stays the loop's.

    For half of its visibility timeout at least.
    """
    send(sqs, url, 12)
    handed: dict[str, float] = {}
    stolen: list[tuple[str, float]] = []
    stop = threading.Event()

    def thief() -> None:
        other = client(server)
        while not stop.is_set():
            for message in other.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages", []):
                stolen.append((message["Body"], time.monotonic()))
            time.sleep(0.02)

    with sqs.poll_messages(QueueUrl=url, VisibilityTimeout=2) as messages:
        first = next(messages)
        handed[first["Body"]] = time.monotonic()
        thread = threading.Thread(target=thief)
        thread.start()
        # What nobody deletes comes again, before what came after it.
        for message in itertools.islice(messages, 5):
            handed[message["Body"]] = time.monotonic()
            time.sleep(0.6)
    time.sleep(1)
    stop.set()
    thread.join()
    early = [(body, at - handed[body]) for body, at in stolen if body in handed and 0 < at - handed[body] < 0.95]
    assert early == []


def test_fifo(server: Server, sqs: Any) -> None:
    """Each group in order, each message once, while several polls are under way."""
    url = server.create_queue("q.fifo")
    send(sqs, url, 600, groups=20)
    got: dict[str, list[int]] = {}
    with sqs.batch_writer(QueueUrl=url) as batch:
        for message in sqs.poll_messages(QueueUrl=url, max_messages=600):
            got.setdefault(message["Attributes"]["MessageGroupId"], []).append(int(message["Body"]))
            batch.delete_message(ReceiptHandle=message["ReceiptHandle"])
    assert got == {f"g{group}": list(range(group, 600, 20)) for group in range(20)}


def test_a_lost_reply_does_not_stop_a_group(server: Server, sqs: Any) -> None:
    """The attempt is repeated under its id, so the messages that nobody saw come again at once."""
    url = server.create_queue("q.fifo")
    send(sqs, url, 5, groups=1)
    server.faults.add("half_reply", actions=["ReceiveMessage"], times=1)
    got = [message["Body"] for message in sqs.poll_messages(QueueUrl=url, max_messages=5)]
    assert got == [str(number) for number in range(5)]


def test_a_queue_that_does_not_say(server: Server, url: str) -> None:
    """GetQueueAttributes may fail: then thirty seconds are asked for."""
    server.faults.add("server_error", actions=["GetQueueAttributes"], status=500)
    sqs = client(server)
    sqs.send_message(QueueUrl=url, MessageBody="m")
    assert [message["Body"] for message in sqs.poll_messages(QueueUrl=url, max_messages=1)] == ["m"]
    assert requests(server, "GetQueueAttributes") > 0


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_queue_that_may_not_be_asked(kind: str, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A timeout that is known is asked for, whatever the queue's is, and that is logged once."""
    url = server.create_queue("short", {"VisibilityTimeout": "2"})
    server.faults.add("access_denied", actions=["GetQueueAttributes"])
    sqs = client(server)
    send(sqs, url, 3)

    async def loop() -> None:
        async with aio_client(server).poll_messages(QueueUrl=url) as messages:
            assert (await messages.__anext__())["Body"]
            assert (await messages.__anext__())["Body"]

    if kind == "threads":
        with sqs.poll_messages(QueueUrl=url) as messages:
            assert next(messages)["Body"]
            assert next(messages)["Body"]
    else:
        asyncio.run(loop())
    [record] = caplog.records
    assert (record.name, record.levelname) == ("turbosqs.polling", "WARNING")
    assert "VisibilityTimeout=30" in record.message
    assert "AccessDenied" in record.message
    server.faults.clear()
    server.advance(20)
    assert counts(sqs, url) == (1, 2)
    server.advance(10)
    assert counts(sqs, url) == (3, 0)


def test_failures(server: Server, sqs: Any, url: str) -> None:
    """What had come is handed over, then receive_message's own exception, then nothing; a throttle is retried."""
    server.faults.add("throttle", actions=["ReceiveMessage"], times=1)
    send(sqs, url, 3)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as raised:
        list(sqs.poll_messages(QueueUrl=url + "x"))
    assert raised.value.operation_name == "ReceiveMessage"
    messages = sqs.poll_messages(QueueUrl=url)
    assert next(messages)
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        [next(messages) for _ in range(3)]
    with pytest.raises(StopIteration):
        next(messages)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"max_messages": -1}, ValueError),
        ({"max_messages": 1.0}, TypeError),
        ({"idle_timeout": -0.1}, ValueError),
        ({"idle_timeout": "1"}, TypeError),
        ({"min_life": 1}, ValueError),
        ({"max_buffered": 0}, ValueError),
        ({"max_buffered_bytes": True}, TypeError),
        ({"WaitTimeSeconds": 21}, ValueError),
        ({"VisibilityTimeout": -1}, ValueError),
        ({"MaxNumberOfMessages": 10}, TypeError),
        ({"VisibilityTimeout": "1"}, "ParamValidationError"),
        ({"AttributeNames": "All"}, "ParamValidationError"),
        ({"QueueUrl": None}, "ParamValidationError"),
    ],
)
def test_arguments(wrong: dict[str, Any], error: Any, sqs: Any, url: str) -> None:
    expected = getattr(SUBJECT.exceptions, error) if isinstance(error, str) else error
    with pytest.raises(expected, match=next(iter(wrong))):
        sqs.poll_messages(**{"QueueUrl": url, **wrong})


def test_no_pickle(sqs: Any, url: str) -> None:
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(sqs.poll_messages(QueueUrl=url))


def test_several_threads_share_one(sqs: Any, url: str) -> None:
    sent = send(sqs, url, 500)
    got: list[str] = []
    messages = sqs.poll_messages(QueueUrl=url, max_messages=500)

    def work() -> None:
        while (message := next(messages, None)) is not None:
            got.append(message["Body"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got, key=int) == sent


def test_the_interpreter_ends(server: Server, sqs: Any, url: str) -> None:
    """With a half consumed iterator at module level: what was buffered is visible again when the process is gone."""
    send(sqs, url, 50)
    script = f"messages = client().poll_messages(QueueUrl={url!r})\nfor _ in range(5): next(messages)\n"
    run(SUBJECT, server.endpoint_url, script)
    assert counts(sqs, url) == (45, 5)


@needs.FORK
def test_a_forked_child(server: Server, sqs: Any, url: str) -> None:
    """It is told that the messages are its parent's, and harms nothing when it ends."""
    send(sqs, url, 50)
    printed = run(
        SUBJECT,
        server.endpoint_url,
        f"""
        messages = client().poll_messages(QueueUrl={url!r})
        next(messages)
        pid = os.fork()
        if pid == 0:
            try:
                next(messages)
            except RuntimeError as error:
                say("child", str(error))
            messages.close()
            del messages
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        say("parent", str(sum(1 for _ in zip(range(9), messages))))
        messages.close()
        """,
    )
    assert "forked" in printed
    assert "parent 9" in printed
    assert counts(sqs, url) == (40, 10)


@needs.SIGNALS
def test_ctrl_c(server: Server, url: str) -> None:
    process = start(
        SUBJECT,
        server.endpoint_url,
        f"""
        say("ready")
        try:
            for message in client().poll_messages(QueueUrl={url!r}):
                say("?")
        except KeyboardInterrupt:
            say("interrupted")
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    until(lambda: requests(server) == 1)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    assert finish(process) == "interrupted\n"
    assert time.monotonic() - began < 15
