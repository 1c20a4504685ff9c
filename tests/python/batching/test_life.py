"""A client in use while it is closed, forked, re-entered, and asked of a thousand queues."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest
import turbosqs
from support import needs
from support.fakes import Scripted, ok
from support.libraries import SUBJECT
from support.observe import Returned, describe
from support.relay import Relay
from support.scripts import run
from support.together import connect, drain, given, held, in_threads, one_by_one, start
from support.waiting import until
from turbosqs.local import Server
from turbosqs.sqs import SQS


def test_close_while_it_is_used(relay: Relay, boto: Any, server: Server) -> None:
    """Eight threads send, a ninth closes the client over and over: as after boto3's ``close``, every call goes
    through, and each message is there once."""
    url = server.create_queue("q")
    sqs = connect(relay.url)
    ended = threading.Event()

    def send(number: int) -> None:
        for n in range(50):
            sqs.send_message(QueueUrl=url, MessageBody=f"{number}-{n}")

    def close() -> int:
        count = 0
        while not ended.is_set():
            sqs.close()
            count += 1
        return count

    closer = start([close])
    results = in_threads([partial(send, number) for number in range(8)])
    ended.set()
    [closed] = closer()
    assert all(isinstance(result, Returned) for result in results), describe(results)
    assert isinstance(closed, Returned), describe(closed)
    assert closed.value > 0
    assert held(boto, url) == Counter(f"{number}-{n}" for number in range(8) for n in range(50))


def test_close_sends_what_waits_and_answers_each(sqs: SQS, relay: Relay, boto: Any, server: Server) -> None:
    """Calls of three kinds on two queues linger; ``close`` returns when all of them are answered."""
    urls = [server.create_queue("a"), server.create_queue("b")]
    relay.hold()
    calls: list[Any] = [partial(sqs.send_message, QueueUrl=url, MessageBody=f"{n}") for url in urls for n in range(4)]
    calls += [partial(sqs.delete_message, QueueUrl=urls[0], ReceiptHandle="nonsense")] * 3
    joins = one_by_one(sqs, calls)
    until(lambda: len(relay.passed) == 3)
    closing = start([sqs.close])
    until(lambda: len(relay.passed) == 6)
    assert sqs.stats()["flushes"] == {"idle": 3, "flush": 3}
    relay.release()
    assert isinstance(closing()[0], Returned)
    results = [join()[0] for join in joins]
    assert [isinstance(result, Returned) for result in results] == [True] * 8 + [False] * 3
    assert [held(boto, url) for url in urls] == [Counter("0123")] * 2


def test_closing_what_was_never_used() -> None:
    sqs = connect("http://127.0.0.1:1")
    sqs.close()
    sqs.close()


class Reentrant:
    """A file whose ``read`` asks the client that reads it."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def read(self) -> bytes:
        self.call()
        return b"content"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("through", ["call", "writer"])
def test_an_argument_that_uses_the_client(through: str, relay: Relay, boto: Any, server: Server) -> None:
    """Arguments run Python code; no lock is held meanwhile."""
    url = server.create_queue("q")
    sqs = connect(relay.url)
    batch = sqs.batch_writer(QueueUrl=url)
    send: Any = partial(sqs.send_message, QueueUrl=url) if through == "call" else batch.send_message
    inner = Reentrant(lambda: (send(MessageBody="inner"), batch.flush(), sqs.stats(), sqs.close()))  # type: ignore[func-returns-value]
    with batch:
        send(MessageBody="outer", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": inner}})
    found = {message["Body"]: message for message in drain(boto, url)}
    assert set(found) == {"inner", "outer"}
    assert found["outer"]["MessageAttributes"]["a"]["BinaryValue"] == b"content"
    sqs.close()


def test_a_queue_with_calls_in_flight_is_not_forgotten_among_thousands() -> None:
    """A client forgets queues that have nothing to do when there are many; one with a request in flight keeps its
    window, so that the next call still finds that request."""
    with Scripted(ok(MessageId="m", MD5OfMessageBody="x")) as scripted, Relay(scripted.port) as relay:
        relay.holds = lambda passed: passed.json["QueueUrl"] == "held"
        sqs = connect(relay.url, batching=turbosqs.Batching(linger=60))
        relay.hold()
        joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl="held", MessageBody=f"{n}") for n in range(2)])
        until(lambda: relay.passed)
        for n in range(2100):
            sqs.send_message(QueueUrl=f"queue {n}", MessageBody="x")
        scripted.play(ok(Successful=[{"Id": f"{n}", "MessageId": "m", "MD5OfMessageBody": "x"} for n in range(2)]))
        count = given(sqs)
        joins += one_by_one(sqs, [partial(sqs.send_message, QueueUrl="held", MessageBody="2")])
        assert given(sqs) == count + 1
        relay.release()
        assert all(isinstance(join()[0], Returned) for join in joins)
        sizes = [len(passed.entries) for passed in relay.passed if passed.json["QueueUrl"] == "held"]
        assert sizes == [1, 2]
        sqs.close()


@needs.FORK
def test_forks_in_the_middle_of_sends(relay: Relay, boto: Any, server: Server) -> None:
    """Six threads send without pause while the process forks fifteen times; each child sends from two threads and by a
    writer. It proves that no lock of the batching is found held in a child, and that no message is sent by both."""
    url = server.create_queue("q")
    script = """
    sqs = client()
    url = sys.argv[2] + "/000000000000/q"
    ended = threading.Event()
    counts = [0] * 6
    def send(number):
        while not ended.is_set():
            sqs.send_message(QueueUrl=url, MessageBody=f"parent {number} {counts[number]}")
            counts[number] += 1
    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    children = []
    for fork in range(15):
        while sum(counts) < (fork + 1) * 20:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            def own(n):
                sqs.send_message(QueueUrl=url, MessageBody=f"child {fork} {n}")
            mine = [threading.Thread(target=own, args=(n,)) for n in range(2)]
            for thread in mine:
                thread.start()
            with sqs.batch_writer(QueueUrl=url) as batch:
                batch.send_message(MessageBody=f"child {fork} writer")
            for thread in mine:
                thread.join()
            os._exit(0)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    ended.set()
    for thread in threads:
        thread.join()
    say(str(statuses == [0] * 15), *map(str, counts))
    """
    good, *counts = run(SUBJECT, relay.url, script, timeout=40).split()
    assert good == "True"
    expected = Counter(f"parent {number} {n}" for number, count in enumerate(counts) for n in range(int(count)))
    expected += Counter(f"child {fork} {each}" for fork in range(15) for each in ("0", "1", "writer"))
    assert held(boto, url) == expected
