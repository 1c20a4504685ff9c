"""A bad neighbour never hurts, and no request is larger than the service allows."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import turbosqs
from support.observe import Raised, Returned, describe
from support.relay import Passed, Relay
from support.together import connect, held, in_threads, start, together
from support.waiting import until
from turbosqs.local import Server
from turbosqs.sqs import SQS

MIB = 1 << 20


def check_limits(passed: list[Passed]) -> None:
    """No request above what SQS takes, but for an entry that is too large by itself; Ids are positions."""
    for request in passed:
        entries = request.entries
        assert 1 <= len(entries) <= 10
        assert request.size <= MIB or len(entries) == 1
        if request.action.endswith("Batch"):
            assert len(entries) > 1
            assert [entry["Id"] for entry in entries] == [str(place) for place in range(len(entries))]


POISONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bad character": ("q", {"MessageBody": "a\x0bb"}, "InvalidMessageContents"),
    "over-long": ("q", {"MessageBody": "x" * (MIB + 1)}, "InvalidParameterValue"),
    "over-long with attributes": (
        "q",
        {"MessageBody": "x" * MIB, "MessageAttributes": {"a": {"DataType": "String", "StringValue": "x"}}},
        "InvalidParameterValue",
    ),
    "half a surrogate pair": ("q", {"MessageBody": "\ud800"}, "SerializationException"),
    "missing group": ("q.fifo", {"MessageBody": "x", "MessageDeduplicationId": "poison"}, "MissingParameter"),
    "missing deduplication": ("q.fifo", {"MessageBody": "x", "MessageGroupId": "g1"}, "InvalidParameterValue"),
    "bad type": (
        "q",
        {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "None", "StringValue": "x"}}},
        "InvalidParameterValue",
    ),
}


@pytest.mark.parametrize("poison", POISONS)
def test_one_poisoned_entry_among_a_hundred(poison: str, relay: Relay, boto: Any, server: Server) -> None:
    """A hundred threads send at the same moment, while the service takes its time; one of them sends what cannot be
    taken. It proves that the others' sends are each taken once, and that the one alone is told."""
    name, bad, code = POISONS[poison]
    url = server.create_queue(name)
    sqs = connect(relay.url)
    fifo = name.endswith(".fifo")

    def good(n: int) -> dict[str, Any]:
        more = {"MessageGroupId": f"g{n % 7}", "MessageDeduplicationId": f"d{n}"} if fifo else {}
        return {"MessageBody": f"m{n}", **more}

    sends = [bad if n == 50 else good(n) for n in range(100)]
    relay.hold()
    join = start([partial(sqs.send_message, QueueUrl=url, **send) for send in sends])
    until(lambda: sqs.stats()["messages"].get("SendMessage") == 100)
    relay.release()
    results = join()
    failed = [n for n, result in enumerate(results) if isinstance(result, Raised)]
    assert failed == [50], describe([results[n] for n in failed])
    found = results[50].error.response["Error"]["Code"]  # type: ignore[union-attr]
    assert found == code
    assert held(boto, url) == Counter(f"m{n}" for n in range(100) if n != 50)
    check_limits(relay.passed)
    # They did travel together: otherwise there are no neighbours here.
    assert max(len(passed.entries) for passed in relay.passed) > 5
    sqs.close()


def test_a_stale_receipt_handle_among_good_ones(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    url = server.create_queue("q")
    boto.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"{n}"} for n in range(10)])
    handles = [m["ReceiptHandle"] for m in boto.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    delete = partial(sqs.delete_message, QueueUrl=url)
    calls = [partial(delete, ReceiptHandle=handle) for handle in handles[1:]]
    calls.insert(4, partial(delete, ReceiptHandle="nonsense"))
    results = together(relay, sqs, partial(delete, ReceiptHandle=handles[0]), calls)
    assert [n for n, result in enumerate(results) if isinstance(result, Raised)] == [4]
    assert isinstance(results[4].error, sqs.exceptions.ReceiptHandleIsInvalid)  # type: ignore[union-attr]
    names = ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessages"]
    assert set(boto.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()) == {"0"}


def sizes(seed: int) -> list[int]:
    """From 1 byte to 1 MiB, a few of the large ones and many of the small ones, and the borders themselves."""
    dice = random.Random(seed)
    borders = [1, 1, MIB, MIB - 1, MIB // 2, MIB // 2, MIB // 10, MIB // 10 + 1]
    found = borders + [int(2 ** dice.uniform(0, 20)) for _ in range(150)]
    dice.shuffle(found)
    return found


def body(n: int, size: int) -> str:
    """A text of so many bytes that is like no other, if there is room for that; some of it beyond ASCII."""
    mark = f"{n}:"
    rest = size - len(mark)
    if rest <= 0:
        return mark[:size]
    return mark + "é" * (rest // 4) + "x" * (rest - rest // 4 * 2)


def through_threads(sqs: SQS, url: str, bodies: list[str]) -> None:
    """16 threads that each take the next body until there is none."""
    left = iter(bodies)
    lock = threading.Lock()

    def send() -> None:
        while True:
            with lock:
                text = next(left, None)
            if text is None:
                return
            sqs.send_message(QueueUrl=url, MessageBody=text)

    assert all(isinstance(result, Returned) for result in in_threads([send] * 16))


def through_a_writer(sqs: SQS, url: str, bodies: list[str]) -> None:
    with sqs.batch_writer(QueueUrl=url) as batch:
        for text in bodies:
            batch.send_message(MessageBody=text)


@pytest.mark.parametrize("send", [through_threads, through_a_writer])
def test_bodies_of_every_size(
    send: Callable[[SQS, str, list[str]], None], relay: Relay, boto: Any, server: Server
) -> None:
    url = server.create_queue("q")
    bodies = [body(n, size) for n, size in enumerate(sizes(7))]
    assert all(len(text.encode()) == size for text, size in zip(bodies, sizes(7), strict=True))
    sqs = connect(relay.url, batching=turbosqs.Batching(max_in_flight=4, max_waiting_bytes=3 * MIB))
    send(sqs, url, bodies)
    check_limits(relay.passed)
    assert Counter(entry["MessageBody"] for passed in relay.passed for entry in passed.entries) == Counter(bodies)
    assert held(boto, url) == Counter(bodies)
    sqs.close()


@pytest.mark.parametrize(("size", "batches"), [(104_857, [10]), (104_858, [9, 1])])
def test_as_many_bytes_as_fit(size: int, batches: list[int], sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Ten times 104,857 bytes are six short of 1 MiB; one byte more in each, and the last does not fit."""
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url)
    calls = [partial(send, MessageBody=body(n, size)) for n in range(10)]
    results = together(relay, sqs, partial(send, MessageBody="o"), calls)
    assert all(isinstance(result, Returned) for result in results)
    assert [len(passed.entries) for passed in relay.passed] == [1, *batches]
    assert sum(held(boto, url).values()) == 11


ATTRIBUTE = {"név": {"DataType": "Binary.x", "BinaryValue": b"\xff" * 86}}
#: Name (4 bytes in UTF-8), type and value of the attribute.
WEIGHT = 4 + 8 + 86


@pytest.mark.parametrize(("more", "batches"), [(0, [2]), (1, [1, 1])])
def test_attributes_count(more: int, batches: list[int], sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Two messages that come to exactly 1 MiB with their attributes, and to a byte more."""
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url)
    half = MIB // 2 - WEIGHT
    calls = [
        partial(send, MessageBody="é" * (half // 2), MessageAttributes=ATTRIBUTE),
        partial(send, MessageBody="x" * (half + more), MessageAttributes=ATTRIBUTE),
    ]
    results = together(relay, sqs, partial(send, MessageBody="o"), calls)
    assert all(isinstance(result, Returned) for result in results), describe(results)
    assert [len(passed.entries) for passed in relay.passed] == [1, *batches]
    assert relay.passed[1].size + (relay.passed[2].size if more else 0) == MIB + more
    assert sum(held(boto, url).values()) == 3


def test_system_attributes_do_not_count(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    url = server.create_queue("q")
    trace: Any = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    send = partial(sqs.send_message, QueueUrl=url, MessageSystemAttributes=trace)
    calls = [partial(send, MessageBody="x" * (MIB // 2)), partial(send, MessageBody="y" * (MIB // 2))]
    results = together(relay, sqs, partial(send, MessageBody="o"), calls)
    assert all(isinstance(result, Returned) for result in results), describe(results)
    assert [len(passed.entries) for passed in relay.passed] == [1, 2]
    assert sum(held(boto, url).values()) == 3


def test_one_that_does_not_fit_starts_the_next_request(sqs: SQS, relay: Relay, server: Server) -> None:
    """Sizes in an order that would tempt to fill up a request with a later message: on a queue of any kind the order of
    the calls is kept."""
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url)
    lengths = [MIB - 10, 20, MIB, 5, 5, MIB - 5, MIB - 20, 10, 10]
    texts = [body(n, size) for n, size in enumerate(lengths)]
    results = together(relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=text) for text in texts])
    assert all(isinstance(result, Returned) for result in results)
    order = itertools.chain.from_iterable(passed.entries for passed in sorted_by_first(relay.passed[1:], texts))
    assert [entry["MessageBody"] for entry in order] == texts
    check_limits(relay.passed)
    assert [len(passed.entries) for passed in sorted_by_first(relay.passed[1:], texts)] == [1, 1, 1, 2, 1, 3]


def sorted_by_first(passed: list[Passed], texts: list[str]) -> list[Passed]:
    """Requests on several connections arrive in any order."""
    return sorted(passed, key=lambda request: texts.index(request.entries[0]["MessageBody"]))
