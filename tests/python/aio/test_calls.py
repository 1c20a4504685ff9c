"""Calls in event loops: who travels with whom, order, room, cancellation, several loops and threads."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import turbosqs
from support.libraries import KEYS
from support.loops import Run, client, everything, queue
from support.waiting import until_awaiting
from turbosqs import Batching, aio
from turbosqs import _exchange as exchange
from turbosqs.exceptions import ParamValidationError
from turbosqs.local import Server

NewLoop = Callable[[], asyncio.AbstractEventLoop]


# --- who travels with whom -----------------------------------------------------------------------------------------


def test_calls_of_one_tick_travel_together(server: Server, run: Run) -> None:
    """A thousand sends gathered: a hundred requests, and each caller has a reply of its own."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        replies = await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(i)) for i in range(1000)))
        assert len({reply["MessageId"] for reply in replies}) == 1000
        assert all(reply["ResponseMetadata"]["HTTPStatusCode"] == 200 for reply in replies)
        assert sqs.stats()["requests"] == {"CreateQueue": 1, "SendMessageBatch": 100}
        assert sqs.stats()["flushes"] == {"full": 100}
        assert sorted(everything(server, url), key=int) == [str(i) for i in range(1000)]

    run(work())


def test_a_lone_call_is_the_plain_operation(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        for _ in range(3):
            await sqs.send_message(QueueUrl=url, MessageBody="x")
        assert sqs.stats()["requests"] == {"CreateQueue": 1, "SendMessage": 3}
        assert sqs.stats()["flushes"] == {"idle": 3}

    run(work())


def test_without_batching_each_call_is_a_request(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server, batching=False)
        url = await queue(sqs)
        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody="x") for _ in range(25)))
        assert sqs.stats()["requests"] == {"CreateQueue": 1, "SendMessage": 25}

    run(work())


def test_calls_leave_in_the_order_in_which_they_were_made(server: Server, run: Run) -> None:
    """A FIFO queue shows the order, that of calls which had to wait for room included."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=7))
        url = await queue(sqs, "q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
        one_group = {"QueueUrl": url, "MessageGroupId": "g"}
        await asyncio.gather(*(sqs.send_message(MessageBody=str(i), **one_group) for i in range(50)))
        assert everything(server, url) == [str(i) for i in range(50)]

    run(work())


def test_queues_actions_and_clients_are_kept_apart(server: Server, run: Run) -> None:
    """Everything in one tick; every queue gets its own, and every client counts its own."""

    async def work() -> None:
        clients = [client(server) for _ in range(2)]
        urls = [await queue(clients[0], f"q{number}") for number in range(3)]
        calls = [
            sqs.send_message(QueueUrl=url, MessageBody=f"{place} {i}")
            for i in range(10)
            for url in urls
            for place, sqs in enumerate(clients)
        ]
        await asyncio.gather(*calls)
        for sqs in clients:
            assert sqs.stats()["requests"]["SendMessageBatch"] == 3
        received = [
            (await clients[0].receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"] for url in urls
        ]
        handles = [
            (url, message["ReceiptHandle"]) for url, batch in zip(urls, received, strict=True) for message in batch
        ]
        await asyncio.gather(
            *(clients[0].delete_message(QueueUrl=url, ReceiptHandle=handle) for url, handle in handles[::2]),
            *(
                clients[0].change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
                for url, handle in handles[1::2]
            ),
        )
        requests = clients[0].stats()["requests"]
        assert requests["DeleteMessageBatch"] == requests["ChangeMessageVisibilityBatch"] == 3
        for url in urls:
            assert len(everything(server, url)) == 15

    run(work())


def test_each_caller_has_its_own_error(server: Server, run: Run) -> None:
    """Of calls that travel together some fail in validation, some at the service, the others do not notice."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        calls = [sqs.send_message(QueueUrl=url, MessageBody="" if i in (0, 3) else str(i)) for i in range(10)]
        calls.insert(5, sqs.send_message(QueueUrl=url))
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = {place: type(result) for place, result in enumerate(results) if isinstance(result, Exception)}
        assert failed.pop(5) is ParamValidationError
        assert set(failed) == {0, 3}
        assert set(failed.values()) == {sqs.exceptions.ClientError}
        assert sorted(everything(server, url)) == list("12456789")

    run(work())


def test_nothing_happens_before_a_call_is_awaited(server: Server, run: Run) -> None:
    """A call may be made where no loop runs; and one that is dropped unawaited is not sent."""
    sqs = client(server)
    made = sqs.create_queue(QueueName="q")
    assert asyncio.iscoroutine(made)

    async def work() -> None:
        url = (await made)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="x").close()
        assert everything(server, url) == []

    run(work())


# --- room ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"max_waiting": 50}, {"max_waiting_bytes": 50 * 100}], ids=["entries", "bytes"])
def test_calls_beyond_the_limit_wait_their_turn(server: Server, run: Run, limit: dict[str, int]) -> None:
    """While nothing is answered, fifty calls are in the core and the others are not."""

    async def work() -> None:
        sqs = client(server, batching=Batching(**limit))
        url = await queue(sqs)
        server.faults.add("delay", actions=["SendMessageBatch"], seconds=0.3, times=5)
        sending = asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody="x" * 100) for i in range(1000)))
        await until_awaiting(lambda: bool(sqs.stats()["messages"]))
        await asyncio.sleep(0.05)
        assert sqs.stats()["messages"] == {"SendMessage": 50}
        await sending
        assert sqs.stats()["messages"] == {"SendMessage": 1000}
        assert len(everything(server, url)) == 1000

    run(work())


def test_one_larger_than_all_the_room_goes_alone(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting_bytes=10))
        url = await queue(sqs)
        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody="x" * 100) for _ in range(5)))
        assert sqs.stats()["requests"]["SendMessage"] == 5

    run(work())


def test_a_refused_call_in_line_does_not_hold_up_the_others(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=1))
        url = await queue(sqs)
        calls = [sqs.send_message(QueueUrl=url, **({"MessageBody": "x"} if i % 2 else {})) for i in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [ParamValidationError, dict] * 5

    run(work())


def test_plain_requests_are_bounded_too(server: Server, run: Run) -> None:
    """Each may need a connection: of five hundred a hundred leave while none is answered."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        server.faults.add("delay", actions=["GetQueueAttributes"], seconds=0.3, times=100)
        asking = asyncio.gather(*(sqs.get_queue_attributes(QueueUrl=url) for _ in range(500)))
        await until_awaiting(lambda: bool(sqs.stats()["requests"].get("GetQueueAttributes")))
        await asyncio.sleep(0.05)
        assert sqs.stats()["requests"]["GetQueueAttributes"] == 100
        assert len(await asking) == 500

    run(work())


def test_a_call_in_line_can_be_cancelled(server: Server, run: Run) -> None:
    """Those behind it move up, and it is not sent."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=1))
        url = await queue(sqs)
        server.faults.add("delay", seconds=0.1, times=1)
        tasks = [asyncio.create_task(sqs.send_message(QueueUrl=url, MessageBody=str(i))) for i in range(5)]
        await asyncio.sleep(0.02)
        tasks[1].cancel()
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, dict) for result in results] == [True, False, True, False, True]
        assert sorted(everything(server, url)) == ["0", "2", "4"]

    run(work())


def test_room_that_a_cancelled_call_leaves_is_taken(server: Server, run: Run) -> None:
    """The one call that is not in line is given up in its tick: no answer will come that could move the line."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=1))
        url = await queue(sqs)
        calls = [sqs.send_message(QueueUrl=url, MessageBody=str(i)) for i in range(2)]
        for call in calls:
            call.send(None)
        calls[0].close()
        await until_awaiting(lambda: "SendMessage" in server.stats()["requests"])
        calls[1].close()
        await sqs.close()
        assert everything(server, url) == ["1"]

    run(work())


# --- cancellation --------------------------------------------------------------------------------------------------


def test_given_up_in_its_tick_it_does_not_leave(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        for call in (sqs.send_message(QueueUrl=url, MessageBody="x"), sqs.purge_queue(QueueUrl=url)):
            call.send(None)
            call.close()
        await sqs.send_message(QueueUrl=url, MessageBody="y")
        assert server.stats()["requests"] == {"CreateQueue": 1, "SendMessage": 1}
        assert everything(server, url) == ["y"]

    run(work())


def test_a_cancelled_gather(server: Server, run: Run) -> None:
    """Cancelled while some of it has been answered: those are in the queue, and of the others only what had left."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_in_flight=2))
        url = await queue(sqs)
        server.faults.add("delay", actions=["SendMessageBatch"], seconds=0.02)
        tasks = [asyncio.create_task(sqs.send_message(QueueUrl=url, MessageBody=str(i))) for i in range(1000)]
        sending = asyncio.gather(*tasks)
        await until_awaiting(lambda: sum(task.done() for task in tasks) >= 50)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.gather(*tasks, return_exceptions=True)
        reported = [str(i) for i, task in enumerate(tasks) if not task.cancelled()]
        await sqs.close()
        server.faults.clear()
        sent = Counter(everything(server, url))
        stats = sqs.stats()
        left = round(stats["fill"]["SendMessage"] * sum(stats["flushes"].values()))
        assert not set(reported) - set(sent)
        assert max(sent.values()) == 1
        assert len(sent) == left < 1000
        assert len(reported) >= 50
        # The client is as good as new.
        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(i)) for i in range(100)))
        assert len(everything(server, url)) == 100

    run(work())


def test_a_time_out_withdraws_what_has_not_left(server: Server, run: Run) -> None:
    """The first call is on its way when the time is up, and is sent; the second waits for it to return, and is not."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_in_flight=1, linger=60))
        url = await queue(sqs)
        server.faults.add("delay", seconds=0.2, times=1)
        first = asyncio.create_task(asyncio.wait_for(sqs.send_message(QueueUrl=url, MessageBody="1"), 0.1))
        await until_awaiting(lambda: bool(sqs.stats()["requests"].get("SendMessage")))
        second = asyncio.create_task(asyncio.wait_for(sqs.send_message(QueueUrl=url, MessageBody="2"), 0.05))
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.TimeoutError] * 2
        await sqs.close()
        assert everything(server, url) == ["1"]

    run(work())


def test_a_cancelled_poll_is_given_up(server: Server, run: Run) -> None:
    """What is sent after it was cancelled goes to somebody else."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20), 0.05)
        await asyncio.sleep(0.05)
        await sqs.send_message(QueueUrl=url, MessageBody="x")
        assert len((await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))["Messages"]) == 1

    run(work())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup and asyncio.timeout came with Python 3.11")
def test_task_groups(server: Server, run: Run) -> None:
    """A refusal in a group cancels the others; a time-out around one does so too."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)

        async def failing() -> None:
            nonlocal poll  # type: ignore[misc]
            async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
                poll = group.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
                group.create_task(sqs.get_queue_url(QueueName="nowhere"))

        poll: Any = None
        [caught] = await asyncio.gather(failing(), return_exceptions=True)
        assert [type(error) for error in caught.exceptions] == [sqs.exceptions.QueueDoesNotExist]  # type: ignore[union-attr]
        assert poll.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
                group.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
        async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
            sent = [group.create_task(sqs.send_message(QueueUrl=url, MessageBody=str(i))) for i in range(20)]
        assert len({task.result()["MessageId"] for task in sent}) == 20

    run(work())


def test_a_result_and_a_cancellation_in_one_tick(server: Server, run: Run) -> None:
    """Whichever way a race ends, the call ends and the next one works."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        loop = asyncio.get_running_loop()
        ends = Counter[str]()
        for number in range(200):
            task = asyncio.create_task(sqs.send_message(QueueUrl=url, MessageBody="x"))
            loop.call_later(number / 200 * 0.001, task.cancel)
            try:
                await task
                ends["answered"] += 1
            except asyncio.CancelledError:
                ends["cancelled"] += 1
        await sqs.close()
        assert ends["answered"] <= len(everything(server, url)) <= 200
        assert ends["answered"] + ends["cancelled"] == 200

    run(work())


# --- closing -------------------------------------------------------------------------------------------------------


def test_close_sends_what_waits(server: Server, run: Run) -> None:
    """Also what waited for room; and the client can be used afterwards."""

    async def work() -> None:
        async with client(server, batching=Batching(max_in_flight=1, linger=60, max_waiting=30)) as sqs:
            url = await queue(sqs)
            server.faults.add("delay", seconds=0.05, times=1)
            tasks = [asyncio.create_task(sqs.send_message(QueueUrl=url, MessageBody=str(i))) for i in range(105)]
            await asyncio.sleep(0)
        assert all(task.done() for task in tasks)
        assert len(everything(server, url)) == 105
        await sqs.send_message(QueueUrl=url, MessageBody="again")

    run(work())


def test_entering_gives_the_client_itself(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server)
        async with sqs as entered:
            assert entered is sqs

    run(work())


# --- several loops, and threads -----------------------------------------------------------------------------------


def test_one_loop_after_another(server: Server, run: Run) -> None:
    sqs = client(server)

    async def work(number: int) -> str:
        url = await queue(sqs)
        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=f"{number} {i}") for i in range(20)))
        return url

    urls = [run(work(number)) for number in range(5)]
    assert len(everything(server, urls[0])) == 100


def test_two_loops_at_once_and_a_thread(server: Server, new_loop: NewLoop) -> None:
    """One core for two event loops that run at the same time and a thread that blocks: nobody gets another's answer."""
    blocking = turbosqs.Session().client("sqs", region_name="us-east-1", endpoint_url=server.endpoint_url, **KEYS)
    sqs = aio.SQS(blocking)
    url = blocking.create_queue(QueueName="q")["QueueUrl"]
    together = threading.Barrier(3)
    failures: list[BaseException] = []

    def check(name: str, number: int, reply: Any) -> None:
        from hashlib import md5

        assert reply["MD5OfMessageBody"] == md5(f"{name} {number}".encode()).hexdigest()

    def in_a_loop(name: str) -> None:
        async def one(number: int) -> None:
            check(name, number, await sqs.send_message(QueueUrl=url, MessageBody=f"{name} {number}"))

        async def work() -> None:
            for start in range(0, 400, 40):
                await asyncio.gather(*(one(number) for number in range(start, start + 40)))

        loop = new_loop()
        loop.run_until_complete(work())
        loop.close()

    def in_a_thread(name: str) -> None:
        for number in range(100):
            check(name, number, blocking.send_message(QueueUrl=url, MessageBody=f"{name} {number}"))

    def guarded(work: Callable[[str], None], name: str) -> None:
        try:
            together.wait()
            work(name)
        except BaseException as error:  # noqa: BLE001 - it is told by the test
            failures.append(error)

    works = [(in_a_loop, "a"), (in_a_loop, "b"), (in_a_thread, "c")]
    threads = [threading.Thread(target=guarded, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(everything(server, url)) == 900
    assert blocking.stats() == sqs.stats()


def test_a_loop_inside_a_call_of_another(server: Server, run: Run) -> None:
    """A thread of ``asyncio.to_thread`` runs a loop of its own while the first one waits for it."""
    sqs = client(server)

    async def outer() -> None:
        url = await queue(sqs)

        def inner() -> None:
            async def send() -> None:
                await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody="in") for _ in range(5)))

            asyncio.run(send())

        await asyncio.gather(asyncio.to_thread(inner), sqs.send_message(QueueUrl=url, MessageBody="out"))
        assert Counter(everything(server, url)) == {"in": 5, "out": 1}

    run(outer())


# --- those who wait for room ----------------------------------------------------------------------------------------


def test_a_call_that_waits_for_room_keeps_nobody_busy(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one more than there is room for, the loop sleeps: its ticks are counted, not its time."""
    ticks = 0
    leave = exchange.Exchange._leave

    def counted(self: exchange.Exchange) -> None:
        nonlocal ticks
        ticks += 1
        leave(self)

    async def work() -> None:
        nonlocal ticks
        sqs = client(server, batching=False)
        url = await queue(sqs)
        polls = [asyncio.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)) for _ in range(101)]
        await asyncio.sleep(0.3)
        ticks = 0
        await asyncio.sleep(0.3)
        assert ticks < 5
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)

    monkeypatch.setattr(exchange.Exchange, "_leave", counted)
    run(work())


def test_one_operation_does_not_starve_another(server: Server, run: Run) -> None:
    """Senders that refill their line at once leave room for the one who came before."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=20))
        url = await queue(sqs)
        sent = 0

        async def sender() -> None:
            nonlocal sent
            while True:
                await sqs.send_message(QueueUrl=url, MessageBody="x")
                sent += 1

        senders = [asyncio.create_task(sender()) for _ in range(100)]
        await until_awaiting(lambda: sent > 500)
        before = sent
        with pytest.raises(sqs.exceptions.ClientError):
            await asyncio.wait_for(sqs.delete_message(QueueUrl=url, ReceiptHandle="nonsense"), 20)
        assert sent - before < 10_000
        for each in senders:
            each.cancel()
        await asyncio.gather(*senders, return_exceptions=True)

    run(work())


def test_arguments_are_those_of_the_call_however_long_it_waits(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=1))
        url = await queue(sqs)
        attributes = {"n": {"DataType": "String", "StringValue": "0"}}
        calls = []
        for number in range(5):
            attributes["n"]["StringValue"] = str(number)
            call = sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageAttributes=attributes)
            calls.append(asyncio.create_task(call))
            await asyncio.sleep(0)
        await asyncio.gather(*calls)
        found = []
        while messages := (
            await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        ).get("Messages"):
            found += [(each["Body"], each["MessageAttributes"]["n"]["StringValue"]) for each in messages]
        assert sorted(found) == [(str(number), str(number)) for number in range(5)]

    run(work())
