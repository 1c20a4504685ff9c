"""The same work with batching, without it, and by boto3 leaves the same messages; a lone caller is left alone."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any

import pytest
from support.libraries import BOTO3
from support.observe import Returned, describe
from support.relay import Relay
from support.together import connect, drain, given, held, in_threads, start
from support.waiting import until
from turbosqs.local import Server
from turbosqs.sqs import SQS


def work(n: int) -> dict[str, Any]:
    """The arguments of the nth message of the work."""
    dice = random.Random(n)
    arguments: dict[str, Any] = {"MessageBody": f"{n}:" + 'é\n"\\🚀x'[: dice.randrange(6)] * dice.randrange(200)}
    attributes: dict[str, Any] = {}
    if n % 3 == 0:
        attributes["number"] = {"DataType": "Number", "StringValue": str(dice.random())}
    if n % 4 == 0:
        attributes["binary"] = {"DataType": "Binary", "BinaryValue": dice.randbytes(dice.randrange(1, 300))}
    if attributes:
        arguments["MessageAttributes"] = attributes
    if n % 5 == 0:
        trace = {"DataType": "String", "StringValue": f"Root=1-5759e988-bd862e3fe1be46a9942727{n % 90 + 10}"}
        arguments["MessageSystemAttributes"] = {"AWSTraceHeader": trace}
    if n % 7 == 0:
        arguments["DelaySeconds"] = n % 3
    return arguments


def do(sqs: Any, url: str, relay: Relay | None = None) -> None:
    """200 messages from 20 threads. A relay that is given stays closed until all of them have begun: the first 20 share
    three requests then, whatever else the machine has to do."""

    def sender(first: int) -> None:
        for n in range(first, 200, 20):
            sqs.send_message(QueueUrl=url, **work(n))

    if relay is not None:
        relay.hold()
    join = start([partial(sender, first) for first in range(20)])
    if relay is not None:
        until(lambda: given(sqs) == 20)
        relay.release()
    results = join()
    assert all(isinstance(result, Returned) for result in results), describe(results)


def left(boto: Any, url: str) -> Counter[str]:
    """What a receiver finds in each message, but for ids and times."""
    unlike = {"SentTimestamp", "ApproximateFirstReceiveTimestamp"}
    found: Counter[str] = Counter()
    for message in drain(boto, url):
        attributes = {name: value for name, value in message["Attributes"].items() if name not in unlike}
        found[describe({**message, "MessageId": "", "ReceiptHandle": "", "Attributes": attributes})] += 1
    return found


def test_the_same_messages_are_left(relay: Relay, server: Server, boto: Any) -> None:
    urls = [server.create_queue(name) for name in ("on", "off", "boto3", "writer")]
    on, off = connect(relay.url), connect(relay.url, batching=False)
    do(on, urls[0], relay)
    shared = len(relay.passed)
    do(off, urls[1])
    assert len(relay.passed) - shared == 200
    assert shared <= 183
    do(boto, urls[2])
    with on.batch_writer(QueueUrl=urls[3]) as batch:
        for n in range(200):
            batch.send_message(**work(n))
    server.advance(3)
    expected = left(boto, urls[2])
    assert sum(expected.values()) == 200
    for url in (urls[0], urls[1], urls[3]):
        assert left(boto, url) == expected, url
    on.close()
    off.close()


def test_the_same_messages_are_deleted(relay: Relay, server: Server, boto: Any) -> None:
    """Twenty threads that receive, give back what is odd and delete the rest."""
    urls = [server.create_queue(name) for name in ("on", "off", "boto3")]
    clients = [connect(relay.url), connect(relay.url, batching=False), BOTO3.client(relay.url)]
    for url, client in zip(urls, clients, strict=True):
        for batch in range(20):
            entries = [{"Id": str(n), "MessageBody": f"{batch * 10 + n}"} for n in range(10)]
            boto.send_message_batch(QueueUrl=url, Entries=entries)

        def settle(client: Any = client, url: str = url) -> None:
            for message in client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                handle = message["ReceiptHandle"]
                if int(message["Body"]) % 2:
                    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=500)
                else:
                    client.delete_message(QueueUrl=url, ReceiptHandle=handle)

        assert all(isinstance(result, Returned) for result in in_threads([settle] * 20))
        client.close()
    # Beyond the queue's own timeout, and short of the one that they were given.
    server.advance(40)
    assert [sum(held(boto, url).values()) for url in urls] == [0, 0, 0]
    server.advance(500)
    assert [held(boto, url) for url in urls] == [Counter(str(n) for n in range(1, 200, 2))] * 3


@pytest.mark.parametrize("batching", [None, True, False])
def test_a_lone_caller_makes_plain_requests(batching: bool | None, relay: Relay, server: Server) -> None:
    """One call at a time: each goes at once, as the plain operation, whatever the linger."""
    url = server.create_queue("q")
    options = {} if batching is None else {"batching": batching}
    sqs = connect(relay.url, **options)
    for n in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=f"{n}")
        [message] = sqs.receive_message(QueueUrl=url)["Messages"]
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=9)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    round_ = ["SendMessage", "ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"]
    assert [passed.action for passed in relay.passed] == round_ * 5
    stats = sqs.stats()
    if batching is False:
        assert (stats["messages"], stats["flushes"], stats["fill"]) == ({}, {}, {})
    else:
        assert stats["flushes"] == {"idle": 15}
    sqs.close()


def test_a_lone_caller_does_not_linger(sqs: SQS, server: Server) -> None:
    """With a linger of a minute, two hundred calls one after another end before the test's own minute is over."""
    url = server.create_queue("q")
    for n in range(200):
        sqs.send_message(QueueUrl=url, MessageBody=f"{n}")
    assert sqs.stats()["flushes"] == {"idle": 200}


def test_batching_off_is_a_request_for_each_call(relay: Relay, server: Server) -> None:
    url = server.create_queue("q")
    sqs = connect(relay.url, batching=False)
    results = in_threads([partial(sqs.send_message, QueueUrl=url, MessageBody=f"{n}") for n in range(30)])
    assert all(isinstance(result, Returned) for result in results)
    assert [passed.action for passed in relay.passed] == ["SendMessage"] * 30
    sqs.close()


def test_a_request_is_what_boto3_sends(relay: Relay, server: Server) -> None:
    """A batch of one, member for member and in the caller's order."""
    url = server.create_queue("q")
    arguments: Any = {
        "DelaySeconds": 0,
        "MessageAttributes": {"b": {"BinaryValue": b"\x00", "DataType": "Binary"}},
        "QueueUrl": url,
        "MessageBody": "é",
    }
    ours, theirs = connect(relay.url), BOTO3.client(relay.url)
    for client in (ours, theirs):
        client.send_message(**arguments)
    mine, other = (passed.json for passed in relay.passed)
    assert mine == other
    ours.close()
    theirs.close()
