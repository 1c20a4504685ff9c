"""``batch_writer`` of the asyncio client: nothing lost, memory bounded, other coroutines have their turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.loops import Run, client, everything, queue
from turbosqs import Batching
from turbosqs.exceptions import BatchWriterError, ParamValidationError
from turbosqs.local import Server


def test_everything_is_sent_in_full_requests(server: Server, run: Run) -> None:
    async def work() -> None:
        async with client(server) as sqs:
            url = await queue(sqs)
            async with sqs.batch_writer(QueueUrl=url) as batch:
                for number in range(1005):
                    await batch.send_message(MessageBody=str(number))
            assert sorted(everything(server, url), key=int) == [str(number) for number in range(1005)]
            assert sqs.stats()["requests"]["SendMessageBatch"] == 101

    run(work())


def test_delete_and_change(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(i)) for i in range(10)))
        messages = (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"]
        async with sqs.batch_writer(QueueUrl=url) as batch:
            for message in messages[:5]:
                await batch.delete_message(ReceiptHandle=message["ReceiptHandle"])
            for message in messages[5:]:
                await batch.change_message_visibility(ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        assert sorted(everything(server, url)) == sorted(message["Body"] for message in messages[5:])

    run(work())


def test_it_waits_while_too_much_is_unanswered(server: Server, run: Run) -> None:
    """Fifty messages are taken while no answer comes; other coroutines run meanwhile."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=50))
        url = await queue(sqs)
        server.faults.add("delay", actions=["SendMessageBatch"], seconds=0.2, times=5)
        taken = 0

        async def write() -> None:
            nonlocal taken
            async with sqs.batch_writer(QueueUrl=url) as batch:
                for number in range(200):
                    await batch.send_message(MessageBody=str(number))
                    taken += 1

        writing = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        assert taken == 50
        await writing
        assert len(everything(server, url)) == 200

    run(work())


def test_several_coroutines_share_one(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=20))
        url = await queue(sqs)
        async with sqs.batch_writer(QueueUrl=url) as batch:

            async def write(name: int) -> None:
                for number in range(50):
                    await batch.send_message(MessageBody=f"{name} {number}")

            await asyncio.gather(*(write(name) for name in range(10)))
        assert len(set(everything(server, url))) == 500

    run(work())


def test_others_have_their_turn(server: Server, run: Run) -> None:
    """A writer that never has to wait does not keep the loop to itself."""

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(other())
        async with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(3000):
                await batch.send_message(MessageBody=str(number))
            assert turns >= 10
        beside.cancel()

    run(work())


def test_failures_are_raised_together(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        with pytest.raises(BatchWriterError) as caught:
            await write_twenty(sqs, url, refused=(2, 5, 12, 15))
        assert [failed.params["DelaySeconds"] for failed in caught.value.failures] == [2002, 2005, 2012, 2015]
        assert len(everything(server, url)) == 16

    run(work())


async def write_twenty(sqs: Any, url: str, refused: tuple[int, ...] = ()) -> None:
    async with sqs.batch_writer(QueueUrl=url) as batch:
        for number in range(20):
            late = 2000 + number if number in refused else 0
            await batch.send_message(MessageBody=str(number), DelaySeconds=late)


def test_when_too_much_has_failed_it_is_told_at_once(server: Server, run: Run) -> None:
    """The block ends long before all messages were given; every entry that was refused is told, once."""

    async def write(sqs: Any, url: str) -> None:
        async with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(100_000):
                await batch.send_message(MessageBody=str(number))

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting=50))
        url = await queue(sqs)
        with pytest.raises(BatchWriterError) as caught:
            await write(sqs, url + "-nowhere")
        bodies = [int(failed.params["MessageBody"]) for failed in caught.value.failures]
        assert sorted(bodies) == list(range(len(bodies)))
        assert 50 <= len(bodies) < 1000

    run(work())


def test_room_by_weight(server: Server, run: Run) -> None:
    """Entries of which hardly two fit: each waits until it does."""

    async def work() -> None:
        sqs = client(server, batching=Batching(max_waiting_bytes=1000))
        url = await queue(sqs)
        async with sqs.batch_writer(QueueUrl=url) as batch:
            for number in range(20):
                await batch.send_message(MessageBody=str(number) + "x" * 600)
        assert len(everything(server, url)) == 20

    run(work())


def test_an_exception_in_the_block_goes_on(server: Server, run: Run) -> None:
    """What was given before it is sent; what became of failed entries is a warning beside it."""

    async def write(sqs: Any, url: str) -> None:
        async with sqs.batch_writer(QueueUrl=url) as batch:
            await batch.send_message(MessageBody="x")
            raise KeyError("mine")

    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        with pytest.raises(KeyError, match="mine"):
            await write(sqs, url)
        assert everything(server, url) == ["x"]
        with pytest.raises(KeyError, match="mine"), pytest.warns(RuntimeWarning, match="ended the block"):
            await write(sqs, url + "-nowhere")

    run(work())


def test_wrong_arguments(server: Server, run: Run) -> None:
    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        async with sqs.batch_writer(QueueUrl=url) as batch:
            with pytest.raises(ParamValidationError):
                await batch.send_message(Nonsense=1)
            with pytest.raises(TypeError, match="has its QueueUrl already"):
                await batch.send_message(QueueUrl=url, MessageBody="x")
        assert everything(server, url) == []

    run(work())


def test_progress(server: Server, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        sqs = client(server)
        url = await queue(sqs)
        async with sqs.batch_writer(QueueUrl=url, progress=True) as batch:
            for number in range(300):
                await batch.send_message(MessageBody=str(number))

    run(work())
    assert "300" in capsys.readouterr().err
