"""``batch_writer``: what it sends, what it bounds, and how it is used."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest
import turbosqs
from support.observe import Raised, Returned, describe
from support.relay import Relay
from support.together import connect, held, in_threads, start
from support.waiting import until
from turbosqs.exceptions import BatchWriterError
from turbosqs.local import Server
from turbosqs.sqs import SQS


def put(batch: Any, count: int) -> None:
    for n in range(count):
        batch.send_message(MessageBody=f"{n}")


def test_full_requests(relay: Relay, boto: Any, server: Server) -> None:
    url = server.create_queue("q")
    sqs = connect(relay.url)
    with sqs.batch_writer(QueueUrl=url) as batch:
        for n in range(1003):
            assert batch.send_message(MessageBody=f"{n}") is None  # type: ignore[func-returns-value]
    assert sorted(len(passed.entries) for passed in relay.passed) == [3] + [10] * 100
    assert held(boto, url) == Counter(str(n) for n in range(1003))
    assert sqs.stats()["fill"]["SendMessage"] == pytest.approx(1003 / 101)
    assert sqs.stats()["requests"] == {"SendMessageBatch": 101}
    sqs.close()


def test_nothing_was_given(sqs: SQS, relay: Relay) -> None:
    with sqs.batch_writer(QueueUrl="http://nowhere.invalid/q"):
        pass
    assert relay.passed == []


def test_the_unanswered_are_bounded(relay: Relay, boto: Any, server: Server) -> None:
    """20,000 messages while the service is held up over and over: a second thread sees that never more than the bound
    is given and not answered."""
    url = server.create_queue("q")
    bound = 250
    sqs = connect(relay.url, batching=turbosqs.Batching(max_waiting=bound, max_in_flight=4))
    relay.hold()
    batch = sqs.batch_writer(QueueUrl=url)
    peaks: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.0005):
            given, answered = batch._writer.progress()
            peaks.append(given - answered)

    watch = threading.Thread(target=look)
    watch.start()

    def write() -> None:
        with batch:
            put(batch, 20_000)

    join = start([write])
    # It comes to a stop at the bound, and waits.
    until(lambda: peaks and peaks[-1] == bound)
    assert batch._writer.progress() == (bound, 0)
    until(lambda: len(relay.passed) == 4)
    relay.release()
    [result] = join()
    ended.set()
    watch.join()
    assert isinstance(result, Returned), describe(result)
    assert max(peaks) == bound
    assert batch._writer.progress() == (20_000, 20_000)
    attributes = boto.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert attributes == {"ApproximateNumberOfMessages": "20000"}
    sqs.close()


def test_their_bytes_are_bounded(relay: Relay, server: Server) -> None:
    """Two messages of half the room fit and a third does not; one larger than all the room gets in alone."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(max_waiting_bytes=400_000))
    relay.hold()
    batch = sqs.batch_writer(QueueUrl=url)
    join = start([lambda: [batch.send_message(MessageBody="x" * 150_000) for _ in range(5)]])  # type: ignore[func-returns-value]
    until(lambda: batch._writer.progress()[0] == 2)
    until(lambda: relay.passed)
    assert batch._writer.progress() == (2, 0)
    relay.release()
    assert isinstance(join()[0], Returned)
    batch.flush()
    batch.send_message(MessageBody="y" * 500_000)
    batch.flush()
    assert batch._writer.progress() == (6, 6)
    sqs.close()


def test_deletes_and_visibility_changes(relay: Relay, boto: Any, server: Server) -> None:
    url = server.create_queue("q")
    sqs = connect(relay.url)
    with sqs.batch_writer(QueueUrl=url) as batch:
        put(batch, 40)
    handles = {}
    for _ in range(4):
        for message in boto.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
            handles[int(message["Body"])] = message["ReceiptHandle"]
    relay.forget()
    with sqs.batch_writer(QueueUrl=url) as batch:
        for n, handle in handles.items():
            if n % 2:
                batch.delete_message(ReceiptHandle=handle)
            else:
                batch.change_message_visibility(ReceiptHandle=handle, VisibilityTimeout=0)
    assert sorted((passed.action, len(passed.entries)) for passed in relay.passed) == [
        ("ChangeMessageVisibilityBatch", 10),
        ("ChangeMessageVisibilityBatch", 10),
        ("DeleteMessageBatch", 10),
        ("DeleteMessageBatch", 10),
    ]
    assert held(boto, url) == Counter(str(n) for n in range(0, 40, 2))
    sqs.close()


def test_it_can_be_used_again_and_within_itself(relay: Relay, boto: Any, server: Server) -> None:
    urls = [server.create_queue("a"), server.create_queue("b")]
    sqs = connect(relay.url)
    outer = sqs.batch_writer(QueueUrl=urls[0])
    with outer:
        outer.send_message(MessageBody="1")
        with sqs.batch_writer(QueueUrl=urls[1]) as inner:
            inner.send_message(MessageBody="2")
            outer.send_message(MessageBody="3")
        with outer:
            outer.send_message(MessageBody="4")
        assert held(boto, urls[0]) == {"1": 1, "3": 1, "4": 1}
    with outer:
        outer.send_message(MessageBody="5")
    assert (held(boto, urls[0]), held(boto, urls[1])) == ({"5": 1}, {"2": 1})
    sqs.close()


def test_from_many_threads_at_once(relay: Relay, boto: Any, server: Server) -> None:
    """It is made for one thread; eight of them that also flush, under a bound that makes them wait, lose nothing and
    do not hang: every entry is either in the queue or told by one of the flushes."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(max_waiting=40))
    batch = sqs.batch_writer(QueueUrl=url)

    def write(number: int) -> list[str]:
        told: list[str] = []
        for n in range(200):
            batch.send_message(MessageBody=f"{number}-{n}" + ("\0" if n == 77 else ""))
            if n % 50 == 49:
                try:
                    batch.flush()
                except BatchWriterError as error:
                    told += [each.params["MessageBody"] for each in error.failures]
        return told

    results = in_threads([partial(write, number) for number in range(8)])
    assert all(isinstance(result, Returned) for result in results), describe(results)
    told = [body for result in results for body in result.value]  # type: ignore[union-attr]
    assert sorted(told) == sorted(f"{number}-77\0" for number in range(8))
    assert held(boto, url) == Counter(f"{number}-{n}" for number in range(8) for n in range(200) if n != 77)
    sqs.close()


def test_with_batching_off(relay: Relay, boto: Any, server: Server) -> None:
    """``batching=False`` is about calls; a batch_writer was asked for by name."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=False)
    with sqs.batch_writer(QueueUrl=url) as batch:
        put(batch, 20)
    assert [len(passed.entries) for passed in relay.passed] == [10, 10]
    assert sum(held(boto, url).values()) == 20
    sqs.close()


@pytest.mark.parametrize("when", ["before", "within", "while it waits"])
def test_the_client_is_closed(when: str, relay: Relay, boto: Any, server: Server) -> None:
    """A client can be used after ``close``, as boto3's can; so can a writer, and nothing that was given is lost."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(max_waiting=20))
    batch = sqs.batch_writer(QueueUrl=url)
    if when == "before":
        sqs.close()
    if when == "while it waits":
        relay.hold()

    def write() -> None:
        with batch:
            put(batch, 15)
            if when == "within":
                sqs.close()
            for n in range(15, 50):
                batch.send_message(MessageBody=f"{n}")
            batch.delete_message(ReceiptHandle="nonsense")

    join = start([write])
    if when == "while it waits":
        until(lambda: batch._writer.progress()[0] == 20)
        closed = start([sqs.close])
        relay.release()
        assert isinstance(closed()[0], Returned)
    [result] = join()
    assert isinstance(result, Raised)
    assert isinstance(result.error, BatchWriterError)
    assert [each.operation for each in result.error.failures] == ["DeleteMessage"]
    assert held(boto, url) == Counter(str(n) for n in range(50))
    sqs.close()


def test_close_sends_what_a_writer_was_given(sqs: SQS, boto: Any, server: Server) -> None:
    """``close()`` sends what lingers: what a writer holds as well, though its block has not ended."""
    url = server.create_queue("q")
    batch = sqs.batch_writer(QueueUrl=url)
    put(batch, 3)
    sqs.close()
    assert held(boto, url) == {"0": 1, "1": 1, "2": 1}
    batch.flush()


def test_a_writer_that_is_dropped_without_its_block(relay: Relay, boto: Any, server: Server) -> None:
    """What it was given is sent all the same; that nobody will know what became of it is said."""
    url = server.create_queue("q")
    sqs = connect(relay.url)
    with pytest.warns(ResourceWarning, match="whose block was never left"):
        put(sqs.batch_writer(QueueUrl=url), 13)
    until(lambda: sum(len(passed.entries) for passed in relay.passed if passed.delivered) == 13)
    assert sum(held(boto, url).values()) == 13
    sqs.close()
