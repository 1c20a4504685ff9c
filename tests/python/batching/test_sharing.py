"""What shares a request with what, and what never does."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest
import turbosqs
from support.observe import Returned, describe
from support.relay import Relay
from support.together import connect, drain, given, held, in_threads, one_by_one, start, together
from support.waiting import until
from turbosqs.local import Server
from turbosqs.sqs import SQS


def test_equal_messages_in_one_request(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Ten calls with the same arguments are ten messages, each with an id of its own."""
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url, MessageBody="same")
    results = together(relay, sqs, send, [send] * 10)
    assert [len(passed.entries) for passed in relay.passed] == [1, 10]
    ids = {result.value["MessageId"] for result in results if isinstance(result, Returned)}
    assert len(ids) == 10
    assert ids <= {message["MessageId"] for message in drain(boto, url)}


def test_the_same_deduplication_id_in_one_request(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    url = server.create_queue("q.fifo")
    send = partial(
        sqs.send_message, QueueUrl=url, MessageBody="same", MessageGroupId="g", MessageDeduplicationId="once"
    )
    first = partial(sqs.send_message, QueueUrl=url, MessageBody="o", MessageGroupId="o", MessageDeduplicationId="o")
    results = together(relay, sqs, first, [send] * 4)
    assert [len(passed.entries) for passed in relay.passed] == [1, 4]
    assert len({result.value["MessageId"] for result in results if isinstance(result, Returned)}) == 1
    assert held(boto, url) == {"o": 1, "same": 1}


@pytest.mark.parametrize(
    ("method", "more"), [("delete_message", {}), ("change_message_visibility", {"VisibilityTimeout": 3})]
)
def test_the_same_receipt_handle_in_one_request(
    method: str, more: dict[str, Any], sqs: SQS, relay: Relay, boto: Any, server: Server
) -> None:
    url = server.create_queue("q")
    boto.send_message(QueueUrl=url, MessageBody="x")
    [message] = boto.receive_message(QueueUrl=url)["Messages"]
    call = partial(getattr(sqs, method), QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], **more)
    results = together(relay, sqs, call, [call] * 10)
    assert all(isinstance(result, Returned) for result in results), describe(results)
    assert [len(passed.entries) for passed in relay.passed] == [1, 10]


def test_ten_queues_at_once(relay: Relay, boto: Any, server: Server) -> None:
    """Four threads for each queue, all through one client: each queue gets what was sent to it, nothing else, and no
    queue's request waits behind another's. It proves that the windows are apart."""
    urls = [server.create_queue(f"q{n}") for n in range(9)] + [server.create_queue("q9.fifo")]
    sqs = connect(relay.url)

    def sender(url: str, number: int) -> None:
        for n in range(25):
            more: Any = (
                {"MessageGroupId": f"{number}", "MessageDeduplicationId": f"{number}-{n}"} if "fifo" in url else {}
            )
            sqs.send_message(QueueUrl=url, MessageBody=f"{url} {number} {n}", **more)

    results = in_threads([partial(sender, url, number) for url in urls for number in range(4)])
    assert all(isinstance(result, Returned) for result in results), describe(results)
    for passed in relay.passed:
        assert {entry["MessageBody"].split()[0] for entry in passed.entries} == {passed.json["QueueUrl"]}
    for url in urls:
        assert held(boto, url) == Counter(f"{url} {number} {n}" for number in range(4) for n in range(25))
    sqs.close()


def test_a_queue_that_hangs_holds_up_no_other(relay: Relay, boto: Any, server: Server) -> None:
    stuck, free = server.create_queue("stuck"), server.create_queue("free")
    sqs = connect(relay.url, batching=turbosqs.Batching(linger=60, max_in_flight=1))
    relay.hold()
    joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl=stuck, MessageBody=f"{n}") for n in range(15)])
    until(lambda: relay.passed)
    other = start([partial(sqs.send_message, QueueUrl=free, MessageBody="x")])
    until(lambda: any(passed.json["QueueUrl"] == free for passed in relay.passed))
    relay.release()
    assert isinstance(other()[0], Returned)
    assert all(isinstance(join()[0], Returned) for join in joins)
    assert sum(held(boto, stuck).values()) == 15
    sqs.close()


def test_actions_do_not_mix(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Sends, deletes and visibility changes of one queue, one after another in turn, share with their own kind only."""
    url = server.create_queue("q")
    boto.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"{n}"} for n in range(10)])
    handles = [m["ReceiptHandle"] for m in boto.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    relay.hold()
    calls: list[Any] = []
    for n in range(5):
        calls += [
            partial(sqs.send_message, QueueUrl=url, MessageBody=f"new {n}"),
            partial(sqs.delete_message, QueueUrl=url, ReceiptHandle=handles[n]),
            partial(
                sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handles[n + 5], VisibilityTimeout=100 + n
            ),
        ]
    joins = one_by_one(sqs, calls)
    until(lambda: len(relay.passed) == 3)
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)
    assert Counter((passed.action, len(passed.entries)) for passed in relay.passed) == {
        ("SendMessage", 1): 1,
        ("SendMessageBatch", 4): 1,
        ("DeleteMessage", 1): 1,
        ("DeleteMessageBatch", 4): 1,
        ("ChangeMessageVisibility", 1): 1,
        ("ChangeMessageVisibilityBatch", 4): 1,
    }
    [visibility] = relay.of("ChangeMessageVisibilityBatch")
    assert [entry["VisibilityTimeout"] for entry in visibility.entries] == [101, 102, 103, 104]
    [deleted] = relay.of("DeleteMessageBatch")
    assert [entry["ReceiptHandle"] for entry in deleted.entries] == handles[1:5]


def test_other_operations_go_alone(sqs: SQS, relay: Relay, server: Server) -> None:
    """Calls that are batches already, and calls of other kinds, pass by the windows."""
    url = server.create_queue("q")
    relay.hold()
    join = start(
        [
            partial(sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "mine", "MessageBody": "x"}]),
            partial(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["QueueArn"]),
            partial(sqs.list_queues),
            partial(sqs.receive_message, QueueUrl=url),
        ]
    )
    until(lambda: len(relay.passed) == 4)
    relay.release()
    results = join()
    assert all(isinstance(result, Returned) for result in results)
    assert results[0].value["Successful"][0]["Id"] == "mine"  # type: ignore[union-attr]
    assert given(sqs) == 0
    assert sqs.stats()["flushes"] == {}


def test_a_group_on_a_standard_queue_switches_no_order_on(sqs: SQS, relay: Relay, server: Server) -> None:
    """Fair queues: twenty messages of one tenant are two full requests in flight at once; FIFO rules would hold the
    second back."""
    url = server.create_queue("q")
    send = partial(sqs.send_message, QueueUrl=url, MessageGroupId="tenant")
    relay.hold()
    joins = one_by_one(sqs, [partial(send, MessageBody=f"{n}") for n in range(21)])
    until(lambda: len(relay.passed) == 3)
    assert sorted(len(passed.entries) for passed in relay.passed) == [1, 10, 10]
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)


def test_one_request_in_flight_for_a_group(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Twelve of a group behind one that is in flight wait for it, full batch or not; other groups pass them."""
    url = server.create_queue("q.fifo")
    number = itertools.count()

    def send(group: str) -> Any:
        n = next(number)
        return partial(
            sqs.send_message, QueueUrl=url, MessageBody=f"{n}", MessageGroupId=group, MessageDeduplicationId=f"{n}"
        )

    relay.hold()
    joins = one_by_one(sqs, [send("a") for _ in range(13)])
    until(lambda: relay.passed)
    joins += one_by_one(sqs, [send(f"b{n}") for n in range(10)])
    until(lambda: len(relay.passed) == 2)
    assert {entry["MessageGroupId"] for entry in relay.passed[1].entries} == {f"b{n}" for n in range(10)}
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)
    batches = [[entry["MessageBody"] for entry in passed.entries] for passed in relay.passed]
    assert [batch for batch in batches if int(batch[0]) <= 12] == [
        ["0"],
        [str(n) for n in range(1, 11)],
        ["11", "12"],
    ]
    order = [message["Body"] for message in drain(boto, url) if message["Attributes"]["MessageGroupId"] == "a"]
    assert order == [str(n) for n in range(13)]


def test_a_fifo_queue_by_another_spelling_of_its_url(sqs: SQS, relay: Relay, server: Server) -> None:
    """What the service takes for the queue's URL has the queue's order: here with a slash behind it."""
    url = server.create_queue("q.fifo") + "/"
    relay.hold()
    sends: list[Any] = [
        {"MessageBody": f"{n}", "MessageGroupId": "a", "MessageDeduplicationId": f"{n}"} for n in range(21)
    ]
    joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl=url, **send) for send in sends])
    # Whatever has left is counted by the time that a later request is back.
    relay.holds = lambda passed: passed.action.startswith("SendMessage")
    sqs.get_queue_url(QueueName="q.fifo")
    flushes = sqs.stats()["flushes"]
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)
    assert flushes == {"idle": 1}


def test_two_clients_share_nothing(relay: Relay, server: Server) -> None:
    url = server.create_queue("q")
    batching = turbosqs.Batching(linger=60)
    one, two = connect(relay.url, batching=batching), connect(relay.url, batching=batching)
    relay.hold()
    joins = one_by_one(one, [partial(one.send_message, QueueUrl=url, MessageBody="1")] * 3)
    joins += one_by_one(two, [partial(two.send_message, QueueUrl=url, MessageBody="2")] * 3)
    until(lambda: len(relay.passed) == 2)
    relay.release()
    assert all(isinstance(join()[0], Returned) for join in joins)
    for passed in relay.passed:
        assert len({entry["MessageBody"] for entry in passed.entries}) == 1
    one.close()
    two.close()


def test_a_client_is_shared_by_threads_that_begin_with_it(relay: Relay, boto: Any, server: Server) -> None:
    """The first use of a client and of a queue, from 32 threads at once, makes one window and not several: the first
    call finds nothing in flight, and no other does."""
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=turbosqs.Batching(linger=60))
    relay.hold()
    barrier = threading.Barrier(32)

    def send(n: int) -> None:
        barrier.wait()
        sqs.send_message(QueueUrl=url, MessageBody=f"{n}")

    join = start([partial(send, n) for n in range(32)])
    until(lambda: given(sqs) == 32)
    relay.release()
    assert all(isinstance(result, Returned) for result in join())
    assert sqs.stats()["flushes"]["idle"] == 1
    assert held(boto, url) == Counter(str(n) for n in range(32))
    sqs.close()
