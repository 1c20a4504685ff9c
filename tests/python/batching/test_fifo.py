"""In each message group the order of the calls is the order in the queue, whatever goes wrong on the way."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import pytest
import turbosqs
from botocore.exceptions import BotoCoreError, ClientError
from support.observe import Raised, Returned, describe
from support.relay import Dice, Relay
from support.together import drain, given, one_by_one, patient, start, together
from support.waiting import until
from turbosqs.local import Server


def message(group: str, n: int) -> dict[str, Any]:
    return {"MessageBody": f"{n}", "MessageGroupId": group, "MessageDeduplicationId": f"{group}-{n}"}


def received(boto: Any, url: str) -> dict[str, list[str]]:
    """The bodies in a queue, by group, in order."""
    groups: dict[str, list[str]] = {}
    for each in drain(boto, url):
        groups.setdefault(each["Attributes"]["MessageGroupId"], []).append(each["Body"])
    return groups


def test_groups_keep_their_order_through_faults(server: Server, boto: Any) -> None:
    """100 threads, each with a group of its own and eight messages one after another; the way to the service is
    faulty and the service fails entries. It proves that nothing of a group overtakes: what was reported as sent
    stands in the queue in the order of the calls, once."""
    url = server.create_queue(
        "q.fifo", {"FifoThroughputLimit": "perMessageGroupId", "DeduplicationScope": "messageGroup"}
    )
    server.faults.add("partial_failure", actions=["SendMessageBatch"], rate=0.03)
    server.faults.add("throttle", actions=["SendMessage", "SendMessageBatch"], rate=0.03)
    sent: dict[str, list[str]] = {f"g{group}": [] for group in range(100)}
    with Relay(server.port, Dice(5, 0.06)) as relay:
        sqs = patient(relay.url, attempts=4)

        def sender(group: str) -> None:
            for n in range(8):
                with contextlib.suppress(ClientError, BotoCoreError):
                    sqs.send_message(QueueUrl=url, **message(group, n))
                    sent[group].append(f"{n}")

        relay.hold()
        join = start([partial(sender, group) for group in sent])
        until(lambda: given(sqs) == 100)
        relay.release()
        results = join()
        assert all(isinstance(result, Returned) for result in results), describe(results)
        sqs.close()
    server.faults.clear()
    for group, order in received(boto, url).items():
        assert order == sorted(set(order), key=int), group
        assert set(sent[group]) <= set(order), group
    assert sum(map(len, sent.values())) > 700
    # They shared requests.
    assert any(len(passed.entries) > 5 for passed in relay.passed)


def test_a_group_sent_all_at_once_keeps_its_order_through_faults(server: Server, boto: Any) -> None:
    """Thirty calls of one group, made one after the other without waiting, and entries that the service fails: they
    leave in the order in which they were made, and what is tried again is not overtaken."""
    url = server.create_queue("q.fifo")
    with Relay(server.port) as relay:
        sqs = patient(relay.url, attempts=5, batching=turbosqs.Batching(linger=0))
        relay.hold()
        server.faults.add("partial_failure", entries=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], times=2)
        joins = one_by_one(sqs, [partial(sqs.send_message, QueueUrl=url, **message("g", n)) for n in range(30)])
        until(lambda: relay.passed)
        relay.release()
        results = [join()[0] for join in joins]
        assert all(isinstance(result, Returned) for result in results), describe(results)
        assert sqs.stats()["retries"] > 0
        sqs.close()
    assert received(boto, url) == {"g": [str(n) for n in range(30)]}


def test_a_failure_that_the_rest_of_its_group_has_overtaken_is_told(relay: Relay, server: Server, boto: Any) -> None:
    """The service fails one of a group by its own fault and takes the next: to ask again would turn their order
    round, so its caller is told."""
    url = server.create_queue("q.fifo")
    sqs = patient(relay.url, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=[1], times=1)
    send = partial(sqs.send_message, QueueUrl=url)
    calls = [partial(send, **message("g", n)) for n in range(3)]
    results = together(relay, sqs, partial(send, **message("o", 9)), calls)
    assert [type(result) for result in results] == [Returned, Raised, Returned], describe(results)
    assert results[1].error.response["Error"]["Code"] == "InternalError"  # type: ignore[union-attr]
    assert [len(passed.entries) for passed in relay.passed] == [1, 3]
    assert received(boto, url) == {"o": ["9"], "g": ["0", "2"]}
    sqs.close()


def test_a_failure_holds_up_its_own_group_alone(relay: Relay, server: Server, boto: Any) -> None:
    """The last of one group and the middle of another fail by the service's fault: the first is asked for again and
    what comes after it waits for it."""
    url = server.create_queue("q.fifo")
    sqs = patient(relay.url, batching=turbosqs.Batching(linger=60))
    server.faults.add("partial_failure", entries=[1, 2], times=1)
    send = partial(sqs.send_message, QueueUrl=url)
    # One more of "a" than fits the request: 11 entries, of which the last stays behind.
    calls = [partial(send, **message("a", n)) for n in range(3)]
    calls += [partial(send, **message(f"b{n}", n)) for n in range(7)]
    calls += [partial(send, **message("a", 3))]
    results = together(relay, sqs, partial(send, **message("o", 9)), calls)
    assert all(isinstance(result, Returned) for result in results), describe(results)
    assert received(boto, url)["a"] == ["0", "1", "2", "3"]
    again = [[entry["MessageBody"] for entry in passed.entries] for passed in relay.passed[2:]]
    assert again in ([["1", "2"], ["3"]], [["1", "2", "3"]])
    sqs.close()


def test_taken_apart_a_group_keeps_its_order(relay: Relay, server: Server, boto: Any) -> None:
    """One entry spoils the whole request; asked for alone, those of a group still go one after another, and those that
    came later behind them."""
    url = server.create_queue("q.fifo")
    sqs = patient(relay.url, batching=turbosqs.Batching(linger=60))
    send = partial(sqs.send_message, QueueUrl=url)
    calls = [partial(send, **message("g", n)) for n in range(15)]
    calls[4] = partial(send, **{**message("g", 4), "MessageBody": "\ud800"})
    results = together(relay, sqs, partial(send, **message("g", 99)), calls)
    assert [n for n, result in enumerate(results) if isinstance(result, Raised)] == [4], describe(results)
    assert [passed.status for passed in relay.passed[:2]] == [200, 400]
    assert received(boto, url) == {"g": ["99", *(str(n) for n in range(15) if n != 4)]}
    sqs.close()


@pytest.mark.parametrize("faulty", ["way", "service"])
def test_a_writer_keeps_the_order_of_groups_through_faults(faulty: str, server: Server, boto: Any) -> None:
    """400 messages of 15 groups in turn, many requests at a time: whatever was not accepted is named, and the rest
    stands in order. Not both faults at once: when the service takes the second of a group and not the first, and its
    reply to that is lost, no client can keep them in order."""
    url = server.create_queue(
        "q.fifo", {"FifoThroughputLimit": "perMessageGroupId", "DeduplicationScope": "messageGroup"}
    )
    if faulty == "service":
        server.faults.add("partial_failure", actions=["SendMessageBatch"], rate=0.03)
    failed: set[tuple[str, str]] = set()
    with Relay(server.port, Dice(4, 0.1 if faulty == "way" else 0)) as relay:
        sqs = patient(relay.url, attempts=4)
        try:
            with sqs.batch_writer(QueueUrl=url) as batch:
                for n in range(400):
                    batch.send_message(**message(f"g{n % 15}", n))
        except turbosqs.exceptions.BatchWriterError as error:
            failed = {(each.params["MessageGroupId"], each.params["MessageBody"]) for each in error.failures}
        sqs.close()
    server.faults.clear()
    for group, order in received(boto, url).items():
        assert order == sorted(set(order), key=int), group
        number = int(group[1:])
        missing = {str(n) for n in range(number, 400, 15)} - set(order)
        assert missing <= {body for at, body in failed if at == group}, group
    assert len(failed) < 100
