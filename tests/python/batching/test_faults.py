"""Whatever the service and the way to it do: every call ends in a reply or an exception, nothing that was reported as
sent is lost, and nothing is there twice unless a reply was lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any

import pytest
import turbosqs
from botocore.exceptions import BotoCoreError, ClientError
from support.fakes import Reply, Scripted, fault, ok
from support.observe import Outcome, Raised, Returned, describe
from support.relay import PASS, RESET, Dice, Passed, Relay
from support.together import held, in_threads, patient, refused, start, together, write
from support.waiting import until
from turbosqs.local import Server
from turbosqs.sqs import SQS

THREADS, EACH = 32, 12


def send_many(sqs: SQS, url: str) -> dict[str, Outcome]:
    """384 sends from 32 threads: what each came to, by body."""
    results: dict[str, Outcome] = {}
    # Without an interpreter lock a thread may have made all its calls before the next one is started.
    begin = Barrier(THREADS)

    def sender(number: int) -> None:
        begin.wait()
        for n in range(EACH):
            body = f"{number}-{n}"
            try:
                results[body] = Returned(sqs.send_message(QueueUrl=url, MessageBody=body))
            except (ClientError, BotoCoreError) as error:
                results[body] = Raised(error)

    ended = in_threads([partial(sender, number) for number in range(THREADS)])
    assert all(isinstance(result, Returned) for result in ended), describe(ended)
    assert len(results) == THREADS * EACH
    return results


def strike(server: Server, kind: Any, rate: float, **options: Any) -> None:
    """Faults by chance, and twice for certain."""
    server.faults.add(kind, actions=["SendMessage", "SendMessageBatch"], rate=rate, **options)
    # Of messages that leave alone none can fail in part, and the first ones may all leave so.
    certain = ["SendMessageBatch"] if kind == "partial_failure" else ["SendMessage", "SendMessageBatch"]
    server.faults.add(kind, actions=certain, times=2, **options)


def check_sends(results: dict[str, Outcome], found: Counter[str]) -> tuple[int, int]:
    """Nothing reported as sent is missing. How many were reported as failed, and how many are there more than once."""
    for body, result in results.items():
        if isinstance(result, Returned):
            assert found[body] >= 1, f"{body} was reported as sent and is not there"
    assert set(found) <= set(results)
    failed = sum(isinstance(result, Raised) for result in results.values())
    return failed, sum(count > 1 for count in found.values())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("partial_failure", {"rate": 0.05}),
        ("partial_failure", {"rate": 0.05, "sender_fault": True}),
        ("throttle", {"rate": 0.1}),
        ("server_error", {"rate": 0.1, "status": 500}),
        ("server_error", {"rate": 0.1, "status": 503}),
        ("reset", {"rate": 0.1}),
    ],
)
def test_faults_that_lose_no_reply(kind: Any, options: dict[str, Any], server: Server, boto: Any) -> None:
    """With these every refusal is known to be one: what is in the queue is what was reported as sent, once each."""
    url = server.create_queue("q")
    sqs = patient(server.endpoint_url)
    strike(server, kind, **options)
    results = send_many(sqs, url)
    server.faults.clear()
    found = held(boto, url)
    assert set(found.values()) == {1}
    assert set(found) == {body for body, result in results.items() if isinstance(result, Returned)}
    failed, _ = check_sends(results, found)
    if "sender_fault" in options:
        # Each was asked for once more alone, which these faults spare; that is no retry.
        assert failed == 0
        assert sqs.stats()["flushes"]["solo"] > 0
        assert sqs.stats()["retries"] == 0
    else:
        # With three attempts hardly any of them fails, and something was tried again.
        assert failed < THREADS
        assert sqs.stats()["retries"] > 0
    sqs.close()


@pytest.mark.parametrize(("kind", "options"), [("reset", {"performed": True}), ("half_reply", {})])
def test_faults_that_lose_replies(kind: Any, options: dict[str, Any], server: Server, boto: Any) -> None:
    """The service has taken them and nobody was told: they are asked for again and may be there twice, but never
    not."""
    url = server.create_queue("q")
    sqs = patient(server.endpoint_url)
    strike(server, kind, rate=0.1, **options)
    results = send_many(sqs, url)
    server.faults.clear()
    _, doubled = check_sends(results, held(boto, url))
    assert doubled > 0
    assert sqs.stats()["retries"] > 0
    sqs.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_faulty_way_to_the_service(seed: int, server: Server, boto: Any) -> None:
    """A relay resets connections before and after the service has seen a request, cuts replies in half, and delays. It
    knows what the service has taken, so that the account can be made exactly: each message is there as often as it was
    taken, and more than once only if the reply to it was lost."""
    url = server.create_queue("q")
    with Relay(server.port, Dice(seed, 0.15)) as relay:
        sqs = patient(relay.url)
        results = send_many(sqs, url)
        passed = relay.of("SendMessage", "SendMessageBatch")
        sqs.close()
    taken = Counter(entry["MessageBody"] for request in passed for entry in request.performed)
    lost = Counter(entry["MessageBody"] for request in passed if not request.delivered for entry in request.performed)
    found = held(boto, url)
    assert found == taken
    check_sends(results, found)
    for body, count in found.items():
        assert count - 1 <= lost[body], body
        # Told that it failed although it was taken: only if no reply came through.
        assert isinstance(results[body], Returned) or count == lost[body], body
    assert sum(lost.values()) > 0


def test_deletes_and_visibility_changes_on_a_faulty_way(server: Server, boto: Any) -> None:
    """Everything that was reported as deleted is gone; what was reported as given back is there."""
    url = server.create_queue("q", {"VisibilityTimeout": "600"})
    handles: dict[str, str] = {}
    for batch in range(20):
        boto.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"{batch}-{n}"} for n in range(10)]
        )
        for message in boto.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
            handles[message["Body"]] = message["ReceiptHandle"]
    results: dict[str, Any] = {}
    server.faults.add("partial_failure", rate=0.05)
    with Relay(server.port, Dice(3, 0.1)) as relay:
        sqs = patient(relay.url)

        def settle(bodies: list[str]) -> None:
            for body in bodies:
                delete = body.endswith(("0", "2", "4", "6", "8"))
                try:
                    if delete:
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=handles[body])
                    else:
                        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handles[body], VisibilityTimeout=0)
                    results[body] = Returned(None)
                except (ClientError, BotoCoreError) as error:
                    results[body] = Raised(error)

        bodies = list(handles)
        ended = in_threads([partial(settle, bodies[n::20]) for n in range(20)])
        assert all(isinstance(result, Returned) for result in ended), describe(ended)
        sqs.close()
    server.faults.clear()
    assert len(results) == 200
    assert sum(isinstance(result, Raised) for result in results.values()) < 20
    back = held(boto, url)
    server.advance(601)
    hidden = held(boto, url)
    for body, result in results.items():
        if isinstance(result, Returned):
            assert (body in back) is not body.endswith(("0", "2", "4", "6", "8")), body
            assert body not in hidden, body


@pytest.mark.parametrize("failing", [[1, 3], [2]])
def test_the_services_own_fault_is_tried_again_for_that_entry_alone(
    failing: list[int], relay: Relay, server: Server, boto: Any
) -> None:
    """Of five, some fail by the service's fault: they go again, the others do not, and each is counted once. One of
    them is a request of its own then, and an attempt that is not its first."""
    url = server.create_queue("q")
    sqs = patient(relay.url, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=failing, times=1)
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(5)]
    )
    assert all(isinstance(result, Returned) for result in results), describe(results)
    bodies = [[entry["MessageBody"] for entry in passed.entries] for passed in relay.passed]
    assert bodies == [["o"], ["0", "1", "2", "3", "4"], [str(number) for number in failing]]
    assert held(boto, url) == Counter(["o", "0", "1", "2", "3", "4"])
    assert sqs.stats()["retries"] == len(failing)
    sqs.close()


def test_retry_attempts_are_the_entrys_own(relay: Relay, server: Server) -> None:
    """What was tried twice says so, as boto3 says of a request; its neighbours were tried once."""
    url = server.create_queue("q")
    sqs = patient(relay.url, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=[1, 3], times=1)
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(5)]
    )
    assert all(isinstance(result, Returned) for result in results), describe(results)
    attempts = [result.value["ResponseMetadata"]["RetryAttempts"] for result in results]  # type: ignore[union-attr]
    assert attempts == [0, 1, 0, 1, 0]
    server.faults.clear()
    server.faults.add("throttle", actions=["SendMessageBatch"], times=1)
    relay.forget()
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(5)]
    )
    attempts = [result.value["ResponseMetadata"]["RetryAttempts"] for result in results]  # type: ignore[union-attr]
    assert attempts == [1] * 5
    sqs.close()


def test_an_entry_has_no_more_attempts_than_a_request(relay: Relay, server: Server) -> None:
    """Two attempts are allowed. One was made when the entry failed in a batch; asked for alone, it has one left."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=2, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=[1], times=1)

    def judge(passed: Passed) -> str:
        if passed.action == "SendMessageBatch":
            server.faults.add("server_error", actions=["SendMessage"])
        return PASS

    relay.judge = judge
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(3)]
    )
    assert [type(result) for result in results] == [Returned, Raised, Returned]
    assert [(passed.action, len(passed.entries)) for passed in relay.passed] == [
        ("SendMessage", 1),
        ("SendMessageBatch", 3),
        ("SendMessage", 1),
    ]
    sqs.close()


def test_the_services_own_fault_ends_with_the_attempts(relay: Relay, server: Server, boto: Any) -> None:
    """An entry that fails for ever is tried as often as a request would be, and then its caller is told, as boto3 tells
    of a fault of the service's."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=2, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=[1, 2])
    send = partial(sqs.send_message, QueueUrl=url)
    results = together(
        relay, sqs, partial(send, MessageBody="o"), [partial(send, MessageBody=f"{n}") for n in range(4)]
    )
    # Asked again, 1 and 2 are positions 0 and 1 of a batch of two: one of them fails once more, and no third time.
    assert [type(result) for result in results] == [Returned, Returned, Raised, Returned]
    error: Any = results[2].error  # type: ignore[union-attr]
    assert error.response["Error"]["Code"] == "InternalError"
    assert error.response["Error"]["Type"] == "Receiver"
    assert error.response["ResponseMetadata"]["RetryAttempts"] == 1
    assert [len(passed.entries) for passed in relay.passed] == [1, 4, 2]
    assert held(boto, url) == Counter(["o", "0", "1", "3"])
    sqs.close()


def test_an_entry_that_the_reply_does_not_mention_is_told_so() -> None:
    """A reply that says nothing of an entry, twice the same of another, and something of one that was never there: an
    attempt that has failed, here the last."""
    good = {"MessageId": "m", "MD5OfMessageBody": "x"}
    replies = [
        # Long enough for the others to come together behind it.
        replace(ok(**good), delay=0.3),
        ok(
            Successful=[{"Id": "0", **good}, {"Id": "0", **good}, {"Id": "7", **good}, {"Id": "01", **good}, None],
            Failed=[],
        ),
    ]
    with Scripted(*replies) as scripted:
        sqs = patient(scripted.url, attempts=1, batching=turbosqs.Batching(linger=60))
        results = in_threads([partial(sqs.send_message, QueueUrl="u", MessageBody=f"{n}") for n in range(4)])
        sqs.close()
    answered = [result for result in results if isinstance(result, Returned)]
    told = [result for result in results if isinstance(result, Raised)]
    assert len(answered) == 2
    assert len(told) == 2
    for result in told:
        assert isinstance(result.error, BotoCoreError), describe(result)
        assert "names entry" in str(result.error)


#: What proxies and other services say with a status of 200.
PAGES = [b"<html><body>Sign in</body></html>", b"OK", b"[]", b"null", b'"text"', b'{"MessageId": "m"', b"\xff\xfe"]
TAKEN = {"MessageId": "m", "MD5OfMessageBody": "x"}


@pytest.mark.parametrize("page", PAGES, ids=str)
@pytest.mark.parametrize("count", [1, 10, 11])
def test_a_page_is_no_reply_to_a_writer(count: int, page: bytes) -> None:
    """Nobody sees the replies of a writer's entries: what was answered with a page must not pass for sent, neither an
    entry that left alone nor ten that left together, of each action."""
    gives: dict[str, Any] = {
        "SendMessage": lambda batch, n: batch.send_message(MessageBody=f"{n}"),
        "DeleteMessage": lambda batch, n: batch.delete_message(ReceiptHandle=f"{n}"),
        "ChangeMessageVisibility": lambda batch, n: batch.change_message_visibility(
            ReceiptHandle=f"{n}", VisibilityTimeout=5
        ),
    }
    with Scripted(Reply(body=page, headers=[("Content-Type", "text/html")])) as scripted:
        for action, give in gives.items():
            scripted.play(*scripted.script)
            sqs = patient(scripted.url, attempts=2)
            error = refused(sqs, "u", lambda batch, give=give: [give(batch, n) for n in range(count)])  # type: ignore[misc]
            assert len(error.failures) == count
            assert {failure.operation for failure in error.failures} == {action}
            assert {failure.code for failure in error.failures} == {"HTTPClientError"}
            assert "not the body of SQS's replies" in str(error)
            assert len(scripted.requests) == 2 * (1 + (count > 10)), "each request was tried twice"
            sqs.close()


def test_an_attempt_that_was_answered_with_a_page_is_repeated() -> None:
    page = Reply(body=PAGES[0])
    sent = ok(Successful=[{"Id": f"{n}", **TAKEN} for n in range(10)])
    with Scripted(page, sent) as scripted:
        sqs = patient(scripted.url)
        write(sqs, "u", lambda batch: [batch.send_message(MessageBody=f"{n}") for n in range(10)])
        assert len(scripted.requests) == 2
        scripted.play(page, ok(MessageId="m"), ok(**TAKEN))
        write(sqs, "u", lambda batch: batch.send_message(MessageBody="x"))
        assert len(scripted.requests) == 3
        for body in (b"", b"{}"):
            scripted.play(page, Reply(body=body))
            write(sqs, "u", lambda batch: batch.delete_message(ReceiptHandle="x"))
            assert len(scripted.requests) == 2
        sqs.close()


def test_a_service_that_is_gone_ends_every_wait(relay: Relay, server: Server) -> None:
    """Calls in flight, calls that wait, and a writer: the service stops, and all of them hear of it."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=1, batching=turbosqs.Batching(linger=60))
    relay.hold()
    join = start([partial(sqs.send_message, QueueUrl=url, MessageBody=f"{n}") for n in range(25)])
    until(lambda: sqs.stats()["messages"].get("SendMessage") == 25)
    relay.judge = lambda _: RESET
    server.stop()
    relay.release()
    results = join()
    assert all(isinstance(result, Raised) for result in results)
    for result in results:
        assert isinstance(result.error, BotoCoreError), describe(result)  # type: ignore[union-attr]
    error = refused(sqs, url, lambda batch: [batch.send_message(MessageBody=f"{n}") for n in range(25)])
    assert [failed.params["MessageBody"] for failed in error.failures] == [str(n) for n in range(25)]
    sqs.close()


MALFORMED: list[Any] = [
    {"Id": "1", "Code": None, "SenderFault": True},
    {"Id": "1", "Code": "X", "SenderFault": "true"},
    {"Id": "1", "Code": "X", "SenderFault": None},
    {"Id": "1", "Code": "X", "Message": 5, "SenderFault": True},
    {"Id": 1},
    "x",
    None,
]


@pytest.mark.parametrize("failed", MALFORMED, ids=str)
def test_a_malformed_failure_is_nobody_elses(failed: Any) -> None:
    """Servers that stand for SQS say of a failed entry what they like; the others, which were sent, are told so."""
    good = {"MessageId": "m", "MD5OfMessageBody": "x"}
    batch = ok(Successful=[{"Id": "0", **good}, {"Id": "2", **good}], Failed=[failed])
    with Scripted(replace(ok(**good), delay=0.2), batch, fault(400, "com.amazonaws.sqs#Bad", "its own")) as scripted:
        sqs = patient(scripted.url, attempts=1, batching=turbosqs.Batching(linger=60))
        results = in_threads([partial(sqs.send_message, QueueUrl="u", MessageBody=f"{n}") for n in range(4)])
        sqs.close()
    assert sum(isinstance(result, Returned) for result in results) == 3
    assert sum(isinstance(result, Raised) for result in results) == 1
