"""Overlapping receives share requests, and nobody is the worse for it."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from support import needs
from support.fakes import Scripted, ok
from support.libraries import BOTO3, SUBJECT
from support.queues import client, counts, send
from support.waiting import until
from turbosqs.local import Server


def requests(server: Server, action: str = "ReceiveMessage") -> int:
    return server.stats()["requests"].get(action, 0)


def together(sqs: Any, number: int, **arguments: Any) -> list[Future[dict[str, Any]]]:
    """So many callers, each in a thread of its own, all at once."""
    pool = ThreadPoolExecutor(number)
    gate = threading.Barrier(number)

    def call() -> dict[str, Any]:
        gate.wait(10)
        reply: dict[str, Any] = sqs.receive_message(**arguments)
        return reply

    calls = [pool.submit(call) for _ in range(number)]
    pool.shutdown(wait=False)
    return calls


def bodies(calls: list[Future[dict[str, Any]]]) -> list[str]:
    return [message["Body"] for call in calls for message in call.result(30).get("Messages", [])]


def test_fifty_callers_share(server: Server, sqs: Any, url: str) -> None:
    """They wait in a fraction of the requests, and each gets one of fifty messages, in boto3's shape."""
    calls = together(sqs, 50, QueueUrl=url, WaitTimeSeconds=20, AttributeNames=["All"])
    until(lambda: requests(server) >= 5)
    sent = send(sqs, url, 50)
    assert sorted(bodies(calls), key=int) == sent
    assert all(len(call.result()["Messages"]) == 1 for call in calls)
    assert requests(server) <= 25
    send(sqs, url, 1)
    theirs = BOTO3.client(server.endpoint_url).receive_message(QueueUrl=url, AttributeNames=["All"])
    reply = calls[-1].result()
    assert list(reply) == list(theirs)
    assert list(reply["Messages"][0]) == list(theirs["Messages"][0])
    assert list(reply["ResponseMetadata"]) == list(theirs["ResponseMetadata"])


def test_a_lone_call_is_its_own() -> None:
    with Scripted(ok(Messages=[])) as server:
        sqs = SUBJECT.client(server.url)
        for arguments in (
            {"WaitTimeSeconds": 3, "MaxNumberOfMessages": 2, "QueueUrl": "http://localhost/1/q"},
            {"QueueUrl": "http://localhost/1/q", "VisibilityTimeout": 9, "MessageAttributeNames": ["All"]},
        ):
            sqs.receive_message(**arguments)
            assert server.requests[-1].json == arguments


@pytest.mark.parametrize("kind", ["fifo", "attempt", "unbatched"])
def test_who_does_not_share(kind: str, server: Server) -> None:
    sqs = client(server, batching=False) if kind == "unbatched" else client(server)
    url = server.create_queue("q" if kind == "unbatched" else "q.fifo")
    more = {"ReceiveRequestAttemptId": "a"} if kind == "attempt" else {}
    calls = together(sqs, 8, QueueUrl=url, WaitTimeSeconds=1, **more)
    assert [call.result(30).get("Messages") for call in calls] == [None] * 8
    assert requests(server) == 8


def test_those_who_want_ten_are_not_held_up(server: Server, sqs: Any, url: str) -> None:
    """Nothing is gained by sharing then: each has a request of its own, and none waits for another's."""
    send(sqs, url, 200)
    server.faults.add("delay", actions=["ReceiveMessage"], seconds=0.5)
    calls = together(sqs, 20, QueueUrl=url, MaxNumberOfMessages=10)
    assert len(bodies(calls)) == 200
    assert requests(server) == 20


def test_the_rest_goes_on_waiting(server: Server, sqs: Any, url: str) -> None:
    calls = together(sqs, 10, QueueUrl=url, WaitTimeSeconds=20)
    until(lambda: requests(server) >= 2)
    send(sqs, url, 3)
    until(lambda: sum(call.done() for call in calls) == 3)
    assert sum(len(call.result()["Messages"]) for call in calls if call.done()) == 3
    send(sqs, url, 7, first=3)
    assert sorted(bodies(calls)) == [str(number) for number in range(10)]


def test_nobody_waits_past_its_own_time(sqs: Any, url: str) -> None:
    """One with a second and those with twenty; also after a share that brought too little."""
    began = time.monotonic()
    patient = together(sqs, 5, QueueUrl=url, WaitTimeSeconds=20)
    impatient = together(sqs, 5, QueueUrl=url, WaitTimeSeconds=1)
    until(lambda: sqs.stats()["messages"].get("ReceiveMessage") == 10)
    send(sqs, url, 1)
    until(lambda: sum(call.done() for call in patient + impatient) == 1)
    for call in impatient:
        call.result(10)
    assert 0.9 < time.monotonic() - began < 10
    left = [call for call in patient if not call.done()]
    assert len(left) >= 4
    send(sqs, url, len(left))
    assert len(bodies(left)) == len(left)


@pytest.mark.parametrize(("wait", "most"), [({"WaitTimeSeconds": 0}, 12), ({}, 30)])
def test_short_polls(wait: dict[str, int], most: int, server: Server, sqs: Any, url: str) -> None:
    """With a backlog each gets something; with nothing each is told at once, whatever others got. Calls that say
    nothing of a wait do not share: the queue's own is not known."""
    server.faults.add("delay", actions=["ReceiveMessage"], seconds=0.05)
    send(sqs, url, 25)
    calls = together(sqs, 30, QueueUrl=url, **wait)
    assert len(bodies(calls)) == 25
    assert sum("Messages" not in call.result() for call in calls) == 5
    assert requests(server) <= most
    assert wait or requests(server) == most


def test_a_refusal_is_told_to_each(server: Server, sqs: Any, url: str) -> None:
    server.faults.add("delay", actions=["ReceiveMessage"], seconds=0.1)
    calls = together(sqs, 6, QueueUrl=url + "x", WaitTimeSeconds=1)
    for call in calls:
        error = call.exception(10)
        assert isinstance(error, sqs.exceptions.QueueDoesNotExist)
        assert error.operation_name == "ReceiveMessage"
    assert requests(server) < 6


class Enough(Exception):  # noqa: N818 (no error)
    pass


@needs.SIGNALS
def test_what_nobody_takes_goes_back(server: Server, sqs: Any, url: str) -> None:
    """The caller leaves; what comes for it within the grace is visible again at once."""

    def leave(*_: object) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, leave)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Enough):
            sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    other = client(server)
    other.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "m"} for n in range(5)])
    until(lambda: requests(server, "ChangeMessageVisibilityBatch") == 1)
    until(lambda: counts(other, url) == (5, 0))
    # And the request of the one who left does not go on for ever: what comes later stays where it is.
    time.sleep(1.2)
    other.purge_queue(QueueUrl=url)
    send(other, url, 1)
    assert counts(other, url) == (1, 0)


def test_many_threads_and_a_backlog(sqs: Any, url: str) -> None:
    """Each message comes once, nothing is left invisible and nobody gets more than it asked for."""
    sent = send(sqs, url, 2_000)
    got: list[str] = []

    def work(want: int) -> None:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=want, WaitTimeSeconds=1).get(
            "Messages"
        ):
            assert len(messages) <= want
            got.extend(message["Body"] for message in messages)
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work, 1 + number % 4) for number in range(16)]:
            done.result(50)
    assert sorted(got, key=int) == sent
    assert counts(sqs, url) == (0, 0)
