"""``poll_messages`` and ``Consumer`` in event loops."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import needs
from support.libraries import SUBJECT
from support.loops import LOOPS, client
from support.queues import client as sync_client
from support.queues import counts, send
from support.scripts import finish, start
from support.waiting import until_awaiting
from turbosqs import aio
from turbosqs.local import Server


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Any]]:
    loop = LOOPS[request.param]()
    yield loop.run_until_complete
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert not asyncio.all_tasks(loop)
    loop.close()


def test_overlapping_receives_share(server: Server, sqs: Any, url: str, run: Any) -> None:
    send(sqs, url, 200)

    async def work() -> None:
        mine = client(server)
        replies = await asyncio.gather(*(mine.receive_message(QueueUrl=url, WaitTimeSeconds=20) for _ in range(200)))
        assert len({reply["Messages"][0]["Body"] for reply in replies}) == 200
        assert mine.stats()["requests"]["ReceiveMessage"] <= 25

    run(work())


def test_a_cancelled_receive_strands_nothing(server: Server, sqs: Any, url: str, run: Any) -> None:
    async def work() -> None:
        mine = client(server)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(mine.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=5), 0.2)
        send(sqs, url, 5)
        await until_awaiting(lambda: mine.stats()["requests"].get("ChangeMessageVisibilityBatch"))
        await until_awaiting(lambda: counts(sqs, url) == (5, 0))

    run(work())


def test_a_whole_queue(server: Server, sqs: Any, url: str, run: Any) -> None:
    sent = send(sqs, url, 1_000)

    async def work() -> list[str]:
        mine = client(server)
        got = []
        async with mine.batch_writer(QueueUrl=url) as batch:
            async for message in mine.poll_messages(QueueUrl=url, max_messages=1_000):
                got.append(message["Body"])
                await batch.delete_message(ReceiptHandle=message["ReceiptHandle"])
        return got

    assert sorted(run(work()), key=int) == sent
    assert counts(sqs, url) == (0, 0)


def test_leaving_gives_back(server: Server, sqs: Any, url: str, run: Any) -> None:
    send(sqs, url, 100)

    async def work() -> None:
        mine = client(server)
        async with mine.poll_messages(QueueUrl=url) as messages:
            for _ in range(5):
                await messages.__anext__()
        assert counts(sqs, url) == (95, 5)
        async for _ in mine.poll_messages(QueueUrl=url):
            break
        await until_awaiting(lambda: counts(sqs, url) == (94, 6))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(take_all(mine), 0.5)
        await until_awaiting(lambda: counts(sqs, url) == (0, 100))

    async def take_all(mine: Any) -> None:
        async for _ in mine.poll_messages(QueueUrl=url):
            pass

    run(work())


def test_others_have_their_turn(server: Server, sqs: Any, url: str, run: Any) -> None:
    """A loop that never waits for anything but messages does not stop the event loop."""
    send(sqs, url, 3_000)

    async def work() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        messages = client(server).poll_messages(QueueUrl=url, max_messages=3_000)
        assert len([message async for message in messages]) == 3_000
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return turns

    assert run(work()) >= 10


def test_idle_and_failures(server: Server, url: str, run: Any) -> None:
    async def work() -> None:
        mine = client(server)
        assert [message async for message in mine.poll_messages(QueueUrl=url, idle_timeout=0)] == []
        with pytest.raises(mine.exceptions.QueueDoesNotExist):
            async for _ in mine.poll_messages(QueueUrl=url + "x"):
                pass
        with pytest.raises(TypeError, match="nonsense"):
            mine.poll_messages(QueueUrl=url, nonsense=1)

    run(work())


@pytest.mark.parametrize("batch_size", [None, 10])
def test_everything_is_handled(batch_size: int | None, server: Server, sqs: Any, url: str, run: Any) -> None:
    """By many coroutines at a time, each message once; failures are seen again."""
    send(sqs, url, 1_000)
    seen: Counter[str] = Counter()
    running = most = 0

    async def handle(messages: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        several = messages if batch_size else [messages]
        seen.update(message["Body"] for message in several)
        if any(seen[message["Body"]] == 1 and message["Body"].endswith("7") for message in several):
            raise ValueError

    async def work() -> Any:
        errors: list[BaseException] = []

        async def on_error(error: BaseException, _: Any) -> None:
            await asyncio.sleep(0)
            errors.append(error)

        options: dict[str, Any] = {"concurrency": 50, "batch_size": batch_size, "retry_delay": 0, "on_error": on_error}
        async with aio.Consumer(client(server), QueueUrl=url, handler=handle, **options) as consuming:
            await until_awaiting(lambda: consuming.stats()["deleted"] == 1_000)
        assert len(errors) == consuming.stats()["failed"]

    run(work())
    assert len(seen) == 1_000
    assert most > (5 if batch_size else 20)
    if batch_size is None:
        assert seen == {str(number): 1 + (number % 10 == 7) for number in range(1_000)}
    assert counts(sqs, url) == (0, 0)


def test_a_slow_handler_is_kept_alive(server: Server, sqs: Any, run: Any) -> None:
    url = server.create_queue("slow", {"VisibilityTimeout": "1"})
    send(sqs, url, 5)
    got: Counter[str] = Counter()

    async def work() -> None:
        async def handle(message: Any) -> None:
            got[message["Body"]] += 1
            # Each of them twice: the first time was over by then.
            await until_awaiting(lambda: consuming.stats()["extended"] >= 10)

        consuming = aio.Consumer(client(server), QueueUrl=url, handler=handle, max_messages=5)
        await consuming.run()
        assert consuming.stats()["deleted"] == 5

    run(work())
    assert got == {str(number): 1 for number in range(5)}


def test_fifo(server: Server, sqs: Any, run: Any) -> None:
    url = server.create_queue("q.fifo")
    send(sqs, url, 200, groups=20)
    done: dict[str, list[int]] = {f"g{group}": [] for group in range(20)}
    running: set[str] = set()
    failed: set[str] = set()

    async def handle(message: Any) -> None:
        group, body = message["Attributes"]["MessageGroupId"], message["Body"]
        assert group not in running
        running.add(group)
        await asyncio.sleep(0.002)
        running.remove(group)
        if int(body) % 7 == 0 and body not in failed:
            failed.add(body)
            raise ValueError(body)
        done[group].append(int(body))

    async def work() -> None:
        options: dict[str, Any] = {"retry_delay": 0, "on_error": lambda *_: None}
        async with aio.Consumer(client(server), QueueUrl=url, handler=handle, concurrency=30, **options) as consuming:
            await until_awaiting(lambda: consuming.stats()["deleted"] == 200)

    run(work())
    assert done == {f"g{group}": list(range(group, 200, 20)) for group in range(20)}


def test_a_handler_that_never_ends(server: Server, sqs: Any, url: str, run: Any) -> None:
    """It is cancelled at the deadline, and its message is visible."""
    send(sqs, url, 1)
    entered, cancelled = asyncio.Event(), []

    async def handle(_: Any) -> None:
        entered.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def work() -> None:
        consuming = aio.Consumer(client(server), QueueUrl=url, handler=handle)
        await consuming.start()
        await entered.wait()
        assert not await consuming.stop(0.2)

    run(work())
    assert cancelled == [True]
    assert counts(sqs, url) == (1, 0)


def test_a_cancelled_run(server: Server, sqs: Any, url: str, run: Any) -> None:
    send(sqs, url, 50)

    async def work() -> None:
        consuming = aio.Consumer(client(server), QueueUrl=url, handler=lambda _: asyncio.sleep(60), concurrency=3)
        task = asyncio.create_task(consuming.run(handle_signals=False))
        await until_awaiting(lambda: consuming.stats()["in_progress"] == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())
    assert counts(sqs, url) == (50, 0)


def test_a_handler_that_meets_a_cancellation(server: Server, sqs: Any, url: str, run: Any) -> None:
    """What it waited for was cancelled, not it: a failure as any other."""
    send(sqs, url, 1)
    tries = []

    async def handle(_: Any) -> None:
        tries.append(True)
        if len(tries) == 1:
            task = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(task.cancel)
            await task

    async def work() -> None:
        options: dict[str, Any] = {"retry_delay": 0, "on_error": lambda *_: None}
        async with aio.Consumer(client(server), QueueUrl=url, handler=handle, **options) as consuming:
            await until_awaiting(lambda: consuming.stats()["deleted"] == 1)

    run(work())
    assert len(tries) == 2


def test_what_makes_no_sense_ends_it(server: Server, url: str, run: Any) -> None:
    async def work() -> None:
        mine = client(server)
        with pytest.raises(mine.exceptions.QueueDoesNotExist):
            await aio.Consumer(mine, QueueUrl=url + "x", handler=print).run()  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"aio\.client"):
            aio.Consumer(sync_client(server), QueueUrl=url, handler=print)  # type: ignore[arg-type]

    run(work())


@needs.SIGNALS
def test_a_signal_under_load(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 1_000)
    process = start(
        SUBJECT,
        server.endpoint_url,
        f"""
        import asyncio
        from turbosqs import aio

        async def main():
            sqs = aio.SQS(client())
            async def handle(message):
                await asyncio.sleep(0.05)
            consumer = aio.Consumer(sqs, QueueUrl={url!r}, handler=handle, concurrency=10)
            asyncio.get_running_loop().call_later(0.3, say, "ready")
            await consumer.run()
            stats = consumer.stats()
            say("ended", str(stats["handled"] == stats["deleted"]), str(stats["deleted"]))

        asyncio.run(main())
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, fate, deleted = finish(process).split()
    assert fate == "True"
    assert counts(sqs, url) == (1_000 - int(deleted), 0)
