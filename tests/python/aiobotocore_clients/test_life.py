"""Clients that live for a moment, calls that are given up, several event loops."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
from collections import Counter
from hashlib import md5
from typing import Any
from weakref import WeakSet

import pytest
import turbosqs
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from support.fakes import Answering, Reply, Request, Scripted, ok
from support.libraries import KEYS
from support.waiting import until_awaiting
from support.ways import gone
from turbosqs.local import Server
from turbosqs.patching.awaited import cores

from .conftest import Connect, Run

pytestmark = pytest.mark.usefixtures("patched")
newer = pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and task groups came with 3.11")


def everything(server: Server, url: str) -> list[str]:
    """The bodies in a queue, as they come."""
    bodies: list[str] = []
    sqs = turbosqs.Session().client("sqs", region_name="us-east-1", endpoint_url=server.endpoint_url, **KEYS)
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in messages]
    sqs.close()
    return bodies


async def queue(client: Any) -> str:
    url: str = (await client.create_queue(QueueName="q"))["QueueUrl"]
    return url


# --- clients that live for a moment ---------------------------------------------------------------------------------


def answering() -> tuple[Answering, list[str]]:
    """A server that takes messages, and their bodies."""
    bodies: list[str] = []

    def answer(request: Request) -> Reply:
        entries = request.json.get("Entries") or [request.json]
        bodies.extend(entry["MessageBody"] for entry in entries)
        taken = [
            {"MessageId": "m", "MD5OfMessageBody": md5(entry["MessageBody"].encode()).hexdigest()} for entry in entries
        ]
        if "Entries" not in request.json:
            return ok(**taken[0])
        return ok(Successful=[{"Id": entry["Id"], **each} for entry, each in zip(entries, taken, strict=True)])

    return Answering(answer), bodies


def test_a_client_for_each_message(run: Run) -> None:
    """They share connections and requests, and leave nothing."""
    server, bodies = answering()
    clients: WeakSet[Any] = WeakSet()

    async def work() -> None:
        session, limit = get_session(), asyncio.Semaphore(50)

        async def send(body: str) -> None:
            settings = {"region_name": "us-east-1", "endpoint_url": server.url, **KEYS}
            async with limit, session.create_client("sqs", **settings) as client:
                clients.add(client)
                await client.send_message(QueueUrl=f"{server.url}/1/q", MessageBody=body)
                assert gone(client) == {"fast": 1}

        await asyncio.gather(*(send(str(number)) for number in range(150)))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with server:
        run(work())
    assert sorted(bodies, key=int) == [str(number) for number in range(150)]
    assert server.connections <= 20
    assert len(server.requests) < 100
    gc.collect()
    assert len(clients) == 0


def test_what_they_share_is_kept_for_a_while(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(cores, "monotonic", lambda: now)
    monkeypatch.setattr(cores, "_kept", type(cores._kept)())

    async def core(**options: Any) -> Any:
        async with connect(**options) as client:
            await client.list_queues()
            return client._turbosqs_call_path._shared

    async def work() -> None:
        nonlocal now
        first = await core()
        number = id(first)
        assert await core() is first
        assert await core(aws_access_key_id="other") is not first
        assert await core(config=AioConfig(read_timeout=7)) is not first
        del first
        now += cores.KEPT_FOR - 1
        assert id(await core()) == number
        now += cores.KEPT_FOR + 1
        await core(aws_access_key_id="another")
        gc.collect()
        assert len(cores._kept) == 1
        for each in range(cores.MOST_KEPT + 5):
            await core(aws_access_key_id=f"many{each}")
        assert len(cores._kept) == cores.MOST_KEPT

    asyncio.run(work())


def test_leaving_waits_for_what_was_sent(server: Server, connect: Connect, run: Run) -> None:
    """And for nothing else: another client's call of the same core goes on, and is answered later."""

    async def work() -> None:
        async with connect() as other:
            url = await queue(other)
            poll = asyncio.create_task(other.receive_message(QueueUrl=f"{url}-2", WaitTimeSeconds=20))
            with pytest.raises(other.exceptions.QueueDoesNotExist):
                await poll
            await other.create_queue(QueueName="q-2")
            poll = asyncio.create_task(other.receive_message(QueueUrl=f"{url}-2", WaitTimeSeconds=20))
            await asyncio.sleep(0)
            server.faults.add("delay", actions=["SendMessage", "SendMessageBatch"], seconds=0.1, times=1)
            async with connect() as client:
                sends = [asyncio.create_task(client.send_message(QueueUrl=url, MessageBody=str(n))) for n in range(25)]
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert all(task.done() for task in sends)
            assert not poll.done()
            await other.send_message(QueueUrl=f"{url}-2", MessageBody="b")
            assert len((await poll)["Messages"]) == 1
        assert len(everything(server, url)) == 25

    run(work())


def test_close_waits_too(server: Server, connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            url = await queue(client)
            server.faults.add("delay", actions=["SendMessage"], seconds=0.1, times=1)
            send = asyncio.create_task(client.send_message(QueueUrl=url, MessageBody="b"))
            await asyncio.sleep(0)
            await client.close()
            await asyncio.sleep(0)
            assert send.done()

    asyncio.run(work())


def test_clients_that_share_do_not_wait_for_one_another(server: Server, connect: Connect) -> None:
    """Each may have a hundred requests on their way."""

    async def work() -> None:
        async with connect() as one, connect() as two:
            await queue(one)
            server.faults.add("delay", actions=["GetQueueUrl"], seconds=1.0)
            calls = [asyncio.create_task(each.get_queue_url(QueueName="q")) for each in (one, two) for _ in range(75)]
            await until_awaiting(lambda: server.stats()["connections"] >= 150)
            await asyncio.gather(*calls)
            assert one._turbosqs_call_path._shared is two._turbosqs_call_path._shared

    asyncio.run(work())


# --- who travels with whom, and who gives up ------------------------------------------------------------------------


def test_calls_of_one_tick_travel_together(server: Server, connect: Connect, run: Run) -> None:
    async def work() -> None:
        async with connect() as client:
            url = await queue(client)
            replies = await asyncio.gather(
                *(client.send_message(QueueUrl=url, MessageBody=str(number)) for number in range(1000))
            )
            assert len({reply["MessageId"] for reply in replies}) == 1000
            assert turbosqs.stats(client)["requests"] == {"CreateQueue": 1, "SendMessageBatch": 100}
        assert sorted(everything(server, url), key=int) == [str(number) for number in range(1000)]

    run(work())


def test_given_up_in_its_tick_it_does_not_leave(server: Server, connect: Connect, run: Run) -> None:
    async def work() -> None:
        async with connect() as client:
            url = await queue(client)
            for call in (client.send_message(QueueUrl=url, MessageBody="x"), client.purge_queue(QueueUrl=url)):
                call.send(None)
                call.close()
            assert client._turbosqs_call_path._unanswered == {}
            await client.send_message(QueueUrl=url, MessageBody="y")
            assert server.stats()["requests"] == {"CreateQueue": 1, "SendMessage": 1}
        assert everything(server, url) == ["y"]

    run(work())


def test_cancelled_at_any_moment(server: Server, connect: Connect, run: Run) -> None:
    """What was answered is in the queue, nothing is there twice, and the client is as good as new."""

    async def work() -> None:
        async with connect() as client:
            url = await queue(client)
            loop = asyncio.get_running_loop()
            tasks = []
            for number in range(200):
                task = asyncio.create_task(client.send_message(QueueUrl=url, MessageBody=str(number)))
                loop.call_later(number / 200 * 0.02, task.cancel)
                tasks.append(task)
            await asyncio.gather(*tasks, return_exceptions=True)
            answered = {str(number) for number, task in enumerate(tasks) if not task.cancelled()}
            await client.close()
        sent = everything(server, url)
        assert answered <= set(sent)
        assert len(sent) == len(set(sent))
        async with connect() as client:
            await asyncio.gather(*(client.send_message(QueueUrl=url, MessageBody=str(i)) for i in range(100)))
        assert len(everything(server, url)) == 100

    run(work())


@newer
def test_timeouts_and_task_groups(connect: Connect, run: Run) -> None:
    async def work() -> None:
        async with connect() as client:
            url = await queue(client)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):  # type: ignore[attr-defined]
                    await client.receive_message(QueueUrl=url, WaitTimeSeconds=20)
            poll: Any = None

            async def failing() -> None:
                nonlocal poll
                async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
                    poll = group.create_task(client.receive_message(QueueUrl=url, WaitTimeSeconds=20))
                    group.create_task(client.get_queue_url(QueueName="nowhere"))

            [caught] = await asyncio.gather(failing(), return_exceptions=True)
            assert [type(error) for error in caught.exceptions] == [client.exceptions.QueueDoesNotExist]  # type: ignore[union-attr]
            assert poll.cancelled()
            async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
                sent = [group.create_task(client.send_message(QueueUrl=url, MessageBody=str(n))) for n in range(20)]
            assert len({task.result()["MessageId"] for task in sent}) == 20

    run(work())


def test_the_callers_context(scripted: Scripted) -> None:
    """What is awaited for a call runs in its caller's task, with its context variables; they stay as they are."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody")
    seen = []

    async def work() -> None:
        session = get_session()
        session.set_credentials("a", "b")
        frozen = session._credentials.get_frozen_credentials

        async def get_frozen_credentials() -> Any:
            seen.append((variable.get(), asyncio.current_task()))
            return await frozen()

        session._credentials.get_frozen_credentials = get_frozen_credentials
        async with session.create_client("sqs", region_name="us-east-1", endpoint_url=scripted.url) as client:
            variable.set("caller")
            before = dict(contextvars.copy_context())
            await client.get_queue_url(QueueName="q")
            assert dict(contextvars.copy_context()) == before
            assert seen == [("caller", asyncio.current_task())]
            assert gone(client) == {"fast": 1}

    asyncio.run(work())


# --- several loops --------------------------------------------------------------------------------------------------


def test_loops_in_threads(server: Server, connect: Connect) -> None:
    """Each with a client of its own, on one core; nobody gets another's answer."""
    failures: list[BaseException] = []
    together = threading.Barrier(3)
    stats = []

    async def work(name: str) -> None:
        async with connect() as client:
            url = await queue(client)

            async def send(number: int) -> None:
                body = f"{name} {number}"
                reply = await client.send_message(QueueUrl=url, MessageBody=body)
                assert reply["MD5OfMessageBody"] == md5(body.encode()).hexdigest()

            for start in range(0, 200, 20):
                await asyncio.gather(*(send(number) for number in range(start, start + 20)))
            await asyncio.to_thread(together.wait)
            stats.append(turbosqs.stats(client)["messages"])

    def guarded(name: str) -> None:
        try:
            together.wait()
            asyncio.run(work(name))
        except BaseException as error:  # noqa: BLE001 - it is told by the test
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stats == [{"SendMessage": 600}] * 3
    assert Counter(body[0] for body in everything(server, f"{server.endpoint_url}/000000000000/q")) == {
        "a": 200,
        "b": 200,
        "c": 200,
    }
