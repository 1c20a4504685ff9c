"""``Consumer``: every message handled, none twice without need, none left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import Any

import pytest
import turbosqs
from support.queues import client, consumer, counts, send
from support.waiting import until
from turbosqs.local import Server


def dead_messages(server: Server, sqs: Any, receives: int, name: str = "q") -> tuple[str, str]:
    suffix = ".fifo" if name.endswith(".fifo") else ""
    dead = server.create_queue("dead" + suffix)
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{receives}"}}'
    return server.create_queue(name, {"RedrivePolicy": policy}), dead


def test_everything_is_handled_and_deleted(server: Server, sqs: Any, url: str) -> None:
    sent = send(sqs, url, 2_000)
    got: list[str] = []
    consuming = consumer(sqs, url, lambda message: got.append(message["Body"]), max_messages=2_000)
    consuming.run()
    assert sorted(got, key=int) == sent
    assert counts(sqs, url) == (0, 0)
    stats = consuming.stats()
    counted = {name: number for name, number in stats.items() if number and not name.endswith("_seconds")}
    assert counted == dict.fromkeys(("received", "handled", "deleted"), 2_000)
    assert server.stats()["requests"]["DeleteMessageBatch"] <= 240


def test_a_handler_slower_than_the_visibility_timeout(server: Server, sqs: Any) -> None:
    """Handled once, thanks to the heartbeat, which is batched and knows the queue's own timeout."""
    url = server.create_queue("slow", {"VisibilityTimeout": "1"})
    send(sqs, url, 10)
    got: Counter[str] = Counter()
    release = threading.Event()

    def handle(message: Any) -> None:
        got[message["Body"]] += 1
        release.wait(20)

    with consumer(sqs, url, handle) as consuming:
        # Each of them twice: the first time was over by then.
        until(lambda: consuming.stats()["extended"] >= 20)
        release.set()
        until(lambda: consuming.stats()["deleted"] == 10)
    assert set(got.values()) == {1}
    assert len(got) == 10
    assert server.stats()["requests"]["ChangeMessageVisibilityBatch"] <= 14
    assert consuming.stats()["lost"] == 0


def test_the_buffer_is_kept_alive_as_well(server: Server, sqs: Any) -> None:
    """What waits for a handler is not received by anybody else meanwhile, nor handed over too late."""
    url = server.create_queue("slow", {"VisibilityTimeout": "2"})
    send(sqs, url, 6)
    got: Counter[str] = Counter()
    release = threading.Event()

    def handle(message: Any) -> None:
        got[message["Body"]] += 1
        release.wait(20)

    with consumer(sqs, url, handle, concurrency=1) as consuming:
        until(lambda: consuming.stats()["extended"] >= 4)
        release.set()
        until(lambda: len(got) == 6)
        until(lambda: consuming.stats()["deleted"] == 6)
    assert set(got.values()) == {1}


def test_a_failure_is_seen_again_after_its_delay_and_at_last_in_the_dead_letter_queue(server: Server) -> None:
    sqs = client(server)
    url, dead = dead_messages(server, sqs, 3)
    send(sqs, url, 1)
    errors: list[BaseException] = []

    def handle(message: Any) -> None:
        raise ValueError(message["Body"])

    with consumer(sqs, url, handle, retry_delay=100, on_error=lambda error, _: errors.append(error)) as consuming:
        for number in (1, 2, 3):
            until(lambda number=number: len(errors) == number)  # type: ignore[misc]
            changes = ("ChangeMessageVisibility", number)
            until(lambda changes=changes: server.stats()["requests"].get(changes[0]) == changes[1])  # type: ignore[misc]
            assert counts(sqs, url) == (0, 1)
            # The server's time goes on with the machine's, which may be slow.
            server.advance(40)
            time.sleep(0.1)
            assert len(errors) == number, "not before its delay is over"
            server.advance(60.5)
        until(lambda: counts(sqs, dead) == (1, 0))
    assert [str(error) for error in errors] == ["0"] * 3
    assert consuming.stats()["failed"] == 3
    assert consuming.stats()["deleted"] == 0


def test_without_a_delay_a_failure_waits_for_its_time(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    tries: list[float] = []

    def handle(_: Any) -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise ValueError

    with consumer(sqs, url, handle, on_error=lambda *_: None) as consuming:
        until(lambda: tries)
        time.sleep(0.2)
        assert counts(sqs, url) == (0, 1)
        assert len(tries) == 1
        server.advance(30)
        until(lambda: consuming.stats()["deleted"] == 1)
    assert len(tries) == 2


def test_delays_by_function_and_by_receive_count(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    seen: list[str] = []

    def handle(message: Any) -> None:
        seen.append(message["Attributes"]["ApproximateReceiveCount"])
        if len(seen) < 3:
            raise ValueError

    backoff = turbosqs.Backoff(0.0)
    with consumer(sqs, url, handle, retry_delay=backoff, on_error=lambda *_: None) as consuming:
        until(lambda: consuming.stats()["deleted"] == 1)
    assert seen == ["1", "2", "3"]
    asked: list[Any] = []

    def delay(message: Any, error: BaseException) -> float:
        asked.append((message["Body"], type(error)))
        return 0

    def fail(_: Any) -> None:
        if not asked:
            raise KeyError

    send(sqs, url, 1, first=7)
    with consumer(sqs, url, fail, retry_delay=delay, on_error=lambda *_: None) as consuming:
        until(lambda: consuming.stats()["deleted"] == 1)
    assert asked == [("7", KeyError)]


def test_backoff() -> None:
    def delays(backoff: turbosqs.Backoff) -> list[float]:
        counts = ("1", "2", "3", "4", "100000")
        return [backoff({"Attributes": {"ApproximateReceiveCount": count}}, ValueError()) for count in counts]  # type: ignore[typeddict-item]

    assert delays(turbosqs.Backoff(2, jitter=0)) == [2, 4, 8, 16, 900]
    assert delays(turbosqs.Backoff(1, factor=3, limit=20, jitter=0)) == [1, 3, 9, 20, 20]
    full = [2, 4, 8, 16, 900]
    for _ in range(50):
        assert all(part / 2 <= delay <= part for delay, part in zip(delays(turbosqs.Backoff(2)), full, strict=True))
    for wrong in ({"first": -1}, {"factor": 0.5}, {"limit": 50_000}, {"jitter": 2}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            turbosqs.Backoff(**wrong)


def test_stop_leaves_nothing_invisible(sqs: Any, url: str) -> None:
    send(sqs, url, 300)
    started = threading.Event()

    def handle(_: Any) -> None:
        started.set()
        time.sleep(0.05)

    consuming = consumer(sqs, url, handle, concurrency=4)
    consuming.start()
    assert started.wait(10)
    until(lambda: consuming.stats()["deleted"] > 0)
    assert consuming.stop()
    stats = consuming.stats()
    assert stats["handled"] == stats["deleted"] > 0
    assert counts(sqs, url) == (300 - stats["deleted"], 0)
    assert (stats["in_progress"], stats["buffered"]) == (0, 0)
    assert consuming.stop(), "twice is once"


def test_a_handler_that_never_ends(sqs: Any, url: str) -> None:
    """The deadline holds, and its message is somebody else's."""
    send(sqs, url, 1)
    release, entered = threading.Event(), threading.Event()

    def handle(_: Any) -> None:
        entered.set()
        release.wait(30)

    consuming = consumer(sqs, url, handle)
    consuming.start()
    entered.wait(10)
    began = time.monotonic()
    assert not consuming.stop(0.3)
    assert time.monotonic() - began < 15
    assert counts(sqs, url) == (1, 0)
    release.set()
    until(lambda: not any(thread.name.startswith("turbosqs-consumer") for thread in threading.enumerate()))
    assert counts(sqs, url) == (1, 0), "what it had is not its own to delete any more"


def test_stop_from_within(sqs: Any, url: str) -> None:
    send(sqs, url, 100)
    handled: list[str] = []

    def handle(message: Any) -> None:
        handled.append(message["Body"])
        if len(handled) == 10:
            consuming.stop()

    consuming = consumer(sqs, url, handle, concurrency=1)
    consuming.run()
    assert len(handled) == 10
    assert counts(sqs, url) == (90, 0)
    handled.clear()
    consuming.run()
    assert len(handled) == 10, "it runs again"
    assert counts(sqs, url) == (80, 0)


def test_deletes_that_fail(server: Server, sqs: Any, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each is told with the message that will come again; logged, if nobody wants to know."""
    # However the deletes share requests, entries of a batch fail, and what is asked for alone.
    server.faults.add("partial_failure", actions=["DeleteMessageBatch"], entries=[0], sender_fault=True)
    server.faults.add("access_denied", actions=["DeleteMessage"])
    send(sqs, url, 10)
    told: list[tuple[Any, Any]] = []
    options: dict[str, Any] = {"concurrency": 1, "max_messages": 10}
    consumer(sqs, url, lambda _: None, on_delete_failed=lambda *news: told.append(news), **options).run()
    assert {error.operation_name for error, _ in told} == {"DeleteMessage"}
    server.advance(31)
    again = [message["Body"] for message in sqs.poll_messages(QueueUrl=url, idle_timeout=0)]
    assert sorted(again) == sorted(message["Body"] for _, message in told) != []
    server.advance(31)
    with caplog.at_level(logging.ERROR, "turbosqs.consumer"):
        consumer(sqs, url, lambda _: None, **{**options, "max_messages": 1}).run()
    assert "could not be deleted" in caplog.text


def test_failures_are_logged(sqs: Any, url: str, caplog: pytest.LogCaptureFixture) -> None:
    send(sqs, url, 1)

    def handle(_: Any) -> None:
        raise ValueError("on purpose")

    def hook(*_: Any) -> None:
        raise KeyError("the hook")

    with caplog.at_level(logging.ERROR, "turbosqs.consumer"):
        consumer(sqs, url, handle, max_messages=1, retry_delay=0).run()
        assert "on purpose" in caplog.text
        consumer(sqs, url, handle, max_messages=1, retry_delay=0, on_error=hook).run()
        assert "on_error has failed" in caplog.text


def test_polls_that_fail_are_repeated(server: Server, url: str) -> None:
    sqs = client(server, config=turbosqs.Config(retries={"total_max_attempts": 1}))
    server.faults.add("server_error", actions=["ReceiveMessage"], times=1)
    send(sqs, url, 5)
    errors: list[Any] = []
    consumer(sqs, url, lambda _: None, max_messages=5, on_error=lambda *news: errors.append(news)).run()
    [(error, message)] = errors
    assert error.operation_name == "ReceiveMessage"
    assert message is None
    assert counts(sqs, url) == (0, 0)


def test_what_makes_no_sense_ends_it(sqs: Any, url: str) -> None:
    send(sqs, url, 1)
    handled = threading.Event()
    consuming = consumer(sqs, url, lambda _: handled.set())
    thread = threading.Thread(target=lambda: (handled.wait(10), sqs.delete_queue(QueueUrl=url)))
    thread.start()
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        consuming.run()
    thread.join()


def test_a_handler_that_wants_to_exit(sqs: Any, url: str) -> None:
    """SystemExit ends the consumer, and its message is tried again."""
    send(sqs, url, 1)

    def handle(_: Any) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        consumer(sqs, url, handle, retry_delay=0, on_error=lambda *_: None).run()
    assert counts(sqs, url) == (1, 0)


def test_the_rate(sqs: Any, url: str) -> None:
    send(sqs, url, 20)
    at: list[float] = []
    consumer(sqs, url, lambda _: at.append(time.monotonic()), max_messages=20, max_per_second=40).run()
    assert len(at) == 20
    assert 0.4 < at[-1] - at[0] < 15


def test_slow_handlers_hold_little(sqs: Any, url: str) -> None:
    """Little is fetched ahead before it is known how long a handler takes: beside what is being handled no more than a
    request's worth, though a hundred are there."""
    send(sqs, url, 100)
    release = threading.Event()
    consuming = consumer(sqs, url, lambda _: release.wait(20), concurrency=3)
    consuming.start()
    until(lambda: consuming.stats()["in_progress"] == 3)
    time.sleep(0.2)
    assert counts(sqs, url)[1] <= 3 + 10
    release.set()
    consuming.stop()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"handler": None}, TypeError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": 2.5}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 101}, ValueError),
        ({"batch_window": -1}, ValueError),
        ({"retry_delay": 50_000}, ValueError),
        ({"retry_delay": "1"}, TypeError),
        ({"on_error": 1}, TypeError),
        ({"on_delete_failed": 1}, TypeError),
        ({"max_per_second": 0}, ValueError),
        ({"shutdown_timeout": None}, TypeError),
        ({"VisibilityTimeout": 0}, ValueError),
        ({"nonsense": 0}, TypeError),
    ],
)
def test_arguments(wrong: dict[str, Any], error: type[Exception], sqs: Any, url: str) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        turbosqs.Consumer(sqs, **{"QueueUrl": url, "handler": print, **wrong})


def test_clients_of_others(url: str) -> None:
    with pytest.raises(TypeError, match=r"turbosqs\.client makes"):
        turbosqs.Consumer(object(), QueueUrl=url, handler=print)  # type: ignore[call-overload]
