"""``aio.Consumer`` and ``aio.poll_messages`` with patched clients of aiobotocore's and aioboto3's."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from typing import Any
from unittest import mock

import pytest
import turbosqs
import wrapt
from aiobotocore.client import AioBaseClient
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioDeferredRefreshableCredentials, AioRefreshableCredentials
from aiobotocore.session import AioSession, get_session
from aiobotocore.stub import AioStubber
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError
from support.fakes import Answering, Reply, Request, fault, ok
from support.libraries import KEYS
from support.waiting import until_awaiting
from support.ways import gone
from turbosqs import aio
from turbosqs.local import Server
from turbosqs.patching.awaited import signing

from .conftest import Connect, Run

pytestmark = pytest.mark.usefixtures("patched")


async def queue(client: Any, count: int = 0) -> str:
    """A queue with so many messages."""
    url: str = (await client.create_queue(QueueName="q"))["QueueUrl"]
    await asyncio.gather(*(client.send_message(QueueUrl=url, MessageBody=str(number)) for number in range(count)))
    return url


# --- on the core ----------------------------------------------------------------------------------------------------


def test_a_consumer(server: Server, connect: Connect, run: Run) -> None:
    """It receives, deletes and drains by the core, in which the client's own calls are made as well."""
    seen: list[str] = []

    async def work() -> None:
        async with connect() as client:
            url = await queue(client, 50)

            async def handle(message: Any) -> None:
                seen.append(message["Body"])
                await client.get_queue_url(QueueName="q")

            consumer = aio.Consumer(client, QueueUrl=url, handler=handle, concurrency=20, max_messages=50)
            await consumer.run()
            assert (consumer.stats()["handled"], consumer.stats()["deleted"]) == (50, 50)
            assert gone(client) == {"fast": 101}
            assert turbosqs.stats(client)["requests"]["GetQueueUrl"] == 50
            assert turbosqs.stats(client)["requests"]["DeleteMessageBatch"] >= 1
            assert set(server.stats()["requests"]) <= {
                *("CreateQueue", "GetQueueAttributes", "GetQueueUrl", "SendMessageBatch", "ReceiveMessage"),
                *("DeleteMessage", "DeleteMessageBatch"),
            }
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(work())
    assert sorted(seen, key=int) == [str(number) for number in range(50)]


def test_polling(connect: Connect, run: Run) -> None:
    async def work() -> None:
        async with connect() as client:
            url = await queue(client, 30)
            bodies = []
            async for message in aio.poll_messages(client, QueueUrl=url, max_messages=30):
                bodies.append(message["Body"])
                await client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            assert sorted(bodies, key=int) == [str(number) for number in range(30)]
            async with aio.poll_messages(client, QueueUrl=url, idle_timeout=0) as messages:
                assert [message async for message in messages] == []
            messages = aio.poll_messages(client, QueueUrl=url, idle_timeout=0)
            with pytest.raises(StopAsyncIteration):
                await messages.__anext__()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(work())


def test_polling_by_a_client_of_ours(server: Server) -> None:
    async def work() -> None:
        async with aio.Session().client(
            "sqs", region_name="us-east-1", endpoint_url=server.endpoint_url, **KEYS
        ) as client:
            url = await queue(client, 3)
            found = [message["Body"] async for message in aio.poll_messages(client, QueueUrl=url, max_messages=3)]
            assert sorted(found) == ["0", "1", "2"]

    asyncio.run(work())


@pytest.mark.skipif(find_spec("aioboto3") is None, reason="without aioboto3")
def test_aioboto3(server: Server) -> None:
    import aioboto3

    async def work() -> None:
        settings = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS}
        async with aioboto3.Session().client("sqs", **settings) as client:
            url = await queue(client, 5)
            seen = []

            async def handle(message: Any) -> None:
                seen.append(message["Body"])

            await aio.Consumer(client, QueueUrl=url, handler=handle, max_messages=5).run()
            assert sorted(seen) == ["0", "1", "2", "3", "4"]
        async with aioboto3.Session().resource("sqs", **settings) as resource:
            await queue(resource.meta.client, 2)
            messages = aio.poll_messages(resource.meta.client, QueueUrl=url, max_messages=2)
            assert sorted([message["Body"] async for message in messages]) == ["0", "1"]

    asyncio.run(work())


def test_the_clients_own_exceptions(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            url = f"{client.meta.endpoint_url}/000000000000/none"
            with pytest.raises(client.exceptions.QueueDoesNotExist):
                await aio.Consumer(client, QueueUrl=url, handler=_never).run()
            with pytest.raises(client.exceptions.QueueDoesNotExist):
                async for _ in aio.poll_messages(client, QueueUrl=url):
                    pass

    asyncio.run(work())


def test_a_handler_that_chooses_when_its_message_comes_again(connect: Connect) -> None:
    """By a call of the patched client: the consumer leaves it at that."""
    seen = []

    async def work() -> None:
        async with connect() as client:
            url = await queue(client, 1)

            async def handle(message: Any) -> None:
                seen.append(message["Body"])
                if len(seen) == 1:
                    handle = message["ReceiptHandle"]
                    await client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
                    raise RuntimeError("not yet")

            consumer = aio.Consumer(client, QueueUrl=url, handler=handle, retry_delay=40_000, on_error=lambda *_: None)
            async with consumer:
                await until_awaiting(lambda: consumer.stats()["deleted"] == 1)

    asyncio.run(work())
    assert seen == ["0", "0"]


def test_when_the_client_is_left(connect: Connect) -> None:
    """A consumer goes on without it: nothing that it has is closed."""
    seen = []

    async def handle(message: Any) -> None:
        seen.append(message["Body"])

    async def work() -> None:
        async with connect() as other:
            url = await queue(other)
            async with connect() as client:
                consumer = aio.Consumer(client, QueueUrl=url, handler=handle)
                await consumer.start()
                await client.send_message(QueueUrl=url, MessageBody="inside")
            await other.send_message(QueueUrl=url, MessageBody="outside")
            await until_awaiting(lambda: consumer.stats()["deleted"] == 2)
            assert await consumer.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(work())
    assert sorted(seen) == ["inside", "outside"]


# --- settings and credentials ---------------------------------------------------------------------------------------


class Keyed(Answering):
    """A server with a message that comes once, which takes some access keys and refuses others as expired.

    Attributes:
        expired: the keys that it does not take any more.
        accepted: which operations it has answered, by key.
    """

    def __init__(self) -> None:
        self.expired: set[str] = set()
        self.accepted: dict[str, Counter[str]] = {}
        self.agents: set[str] = set()
        self._messages = [{"MessageId": "m", "ReceiptHandle": "h", "Body": "b"}]
        self._ended = threading.Event()
        super().__init__(self._answer)

    def __exit__(self, *details: object) -> None:
        self._ended.set()
        super().__exit__(*details)

    def _answer(self, request: Request) -> Reply:
        key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        operation = request.headers["x-amz-target"].partition(".")[2]
        self.agents.add(request.headers["user-agent"])
        if key in self.expired:
            return fault(403, "com.amazonaws.sqs#ExpiredTokenException", "The security token has expired")
        self.accepted.setdefault(key, Counter())[operation] += 1
        if operation == "ReceiveMessage":
            if self._messages:
                found = [{**self._messages.pop(), "MD5OfBody": "92eb5ffee6ae2fec3ad71c777531578f"}]
                return ok(Messages=found)
            return Reply(body=b"{}", delay=0.05)
        if operation.endswith("Batch"):
            return ok(Successful=[{"Id": entry["Id"]} for entry in request.json["Entries"]], Failed=[])
        return ok()

    def handle(self, connection: Any) -> None:
        from support.fakes import read_request

        with connection.makefile("rb") as stream:
            while (request := read_request(stream)) is not None:
                with self._lock:
                    reply = self._answer(request)
                if reply.delay and self._ended.wait(reply.delay):
                    return
                connection.sendall(reply.wire())

    def has(self, key: str, *operations: str) -> bool:
        """Whether it has answered each of these, alone or of a batch, signed with a key."""
        found = self.accepted.get(key, Counter())
        return all(found[each] or found[f"{each}Batch"] for each in operations)


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyed]:
    monkeypatch.setattr(signing, "INTERVAL", 0.01)
    with Keyed() as running:
        yield running


def metadata(number: int, seconds: float = 3600) -> dict[str, str]:
    expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return {"access_key": f"key{number}", "secret_key": "b", "token": "t", "expiry_time": expiry.isoformat()}


def client_of(session: AioSession, server: Keyed, **options: Any) -> AbstractAsyncContextManager[Any]:
    return session.create_client("sqs", region_name="us-east-1", endpoint_url=server.url, **options)  # type: ignore[no-any-return]


async def _never(message: Any) -> None:
    raise AssertionError(message)


def refreshable(refresh: Callable[[], Any]) -> Any:
    return AioRefreshableCredentials.create_from_metadata(metadata(0), refresh_using=refresh, method="test")


def deferred(refresh: Callable[[], Any]) -> Any:
    return AioDeferredRefreshableCredentials(refresh_using=refresh, method="assume-role")


@pytest.mark.parametrize("kind", [refreshable, deferred])
def test_credentials_that_expire_while_it_runs(kind: Any, keyed: Keyed, run: Run) -> None:
    """Polls, extensions and the delete go on, signed with what aiobotocore has refreshed meanwhile."""
    first = 0 if kind is refreshable else 1
    asked = 0

    async def refresh() -> dict[str, str]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return metadata(asked)

    async def work() -> None:
        session = get_session()
        session._credentials = credentials = kind(refresh)
        release = asyncio.Event()
        old, new = f"key{first}", f"key{first + 1}"

        async def handle(_: Any) -> None:
            await release.wait()

        async with client_of(session, keyed) as client:
            url = f"{keyed.url}/1/q"
            consumer = aio.Consumer(client, QueueUrl=url, handler=handle, VisibilityTimeout=2)
            async with consumer:
                await until_awaiting(lambda: consumer.stats()["in_progress"] == 1)
                assert set(keyed.accepted) == {old}
                # Five minutes left: less than anybody waits with a refresh.
                credentials._expiry_time -= datetime.timedelta(seconds=3300)
                await until_awaiting(lambda: new in keyed.accepted)
                keyed.expired.add(old)
                await until_awaiting(lambda: keyed.has(new, "ReceiveMessage", "ChangeMessageVisibility"))
                release.set()
                await until_awaiting(lambda: keyed.has(new, "DeleteMessage"))
            assert consumer.stats()["deleted"] == 1
            assert consumer.stats()["lost"] == 0
            # The client's own calls are signed alike.
            await client.purge_queue(QueueUrl=url)
            assert keyed.has(new, "PurgeQueue")
            assert gone(client) == {"fast": 1}
        assert asked == first + 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(work())


def test_credentials_that_expire_while_it_polls(keyed: Keyed) -> None:
    async def work() -> None:
        session = get_session()
        session.set_credentials("key0", "b")
        async with (
            client_of(session, keyed) as client,
            aio.poll_messages(client, QueueUrl=f"{keyed.url}/1/q", VisibilityTimeout=30) as messages,
        ):
            await messages.__anext__()
            following = asyncio.ensure_future(messages.__anext__())
            await until_awaiting(lambda: keyed.accepted["key0"]["ReceiveMessage"] >= 2)
            client._request_signer._credentials.access_key = "key1"
            await until_awaiting(lambda: keyed.has("key1", "ReceiveMessage"))
            following.cancel()
            await asyncio.wait([following])

    asyncio.run(work())


def test_a_refresh_that_fails_while_it_runs(keyed: Keyed, caplog: pytest.LogCaptureFixture) -> None:
    """What there was is used on, a line says so, and the next time it is asked again."""
    failing = True
    asked = 0

    async def refresh() -> dict[str, str]:
        nonlocal asked
        asked += 1
        if failing:
            raise CredentialRetrievalError(provider="test", error_msg="lost")
        return metadata(1)

    async def handle(_: Any) -> None:
        pass

    async def work() -> None:
        nonlocal failing
        session = get_session()
        session._credentials = credentials = refreshable(refresh)
        async with (
            client_of(session, keyed) as client,
            aio.Consumer(client, QueueUrl=f"{keyed.url}/1/q", handler=handle, VisibilityTimeout=30) as consumer,
        ):
            await until_awaiting(lambda: consumer.stats()["deleted"] == 1)
            credentials._expiry_time -= datetime.timedelta(seconds=3300)
            await until_awaiting(lambda: asked >= 2)
            failing = False
            await until_awaiting(lambda: keyed.has("key1", "ReceiveMessage"))

    with caplog.at_level(logging.WARNING, "turbosqs"):
        asyncio.run(work())
    told = [record.getMessage() for record in caplog.records if record.name == "turbosqs"]
    assert told
    assert set(told) == {
        "credentials were not refreshed: CredentialRetrievalError: Error when retrieving credentials from test: lost"
    }


@pytest.mark.usefixtures("environment")
def test_no_credentials(keyed: Keyed) -> None:
    async def work() -> None:
        session = get_session()
        async with client_of(session, keyed) as client:
            consumer = aio.Consumer(client, QueueUrl=f"{keyed.url}/1/q", handler=_never)
            messages = aio.poll_messages(client, QueueUrl=f"{keyed.url}/1/q")
            for begin in (consumer.run, messages.__anext__):
                with pytest.raises(NoCredentialsError):
                    await begin()
            assert keyed.accepted == {}

    asyncio.run(work())


def test_its_settings(keyed: Keyed) -> None:
    """And those of a client with a consumer are those of its calls: on one core, which others do not share."""

    async def handle(_: Any) -> None:
        pass

    async def work() -> None:
        session = get_session()
        session.set_credentials("key0", "b")
        async with client_of(session, keyed, config=AioConfig(user_agent_extra="mine")) as client:
            consumer = aio.Consumer(client, QueueUrl=f"{keyed.url}/1/q", handler=handle, max_messages=1)
            again = aio.Consumer(client, QueueUrl=f"{keyed.url}/1/q", handler=handle)
            assert consumer._client._core is again._client._core
            await consumer.run()
            await client.purge_queue(QueueUrl=f"{keyed.url}/1/q")
        assert all("mine" in agent.split() for agent in keyed.agents)
        assert keyed.has("key0", "ReceiveMessage", "DeleteMessage", "PurgeQueue")

    asyncio.run(work())


# --- clients that will not do ---------------------------------------------------------------------------------------


def each_kind(client: Any) -> list[Callable[[], Any]]:
    url = "http://127.0.0.1/1/q"
    return [
        lambda: aio.Consumer(client, QueueUrl=url, handler=_never),
        lambda: aio.poll_messages(client, QueueUrl=url),
    ]


def refused(client: Any, error: type[Exception], *words: str) -> None:
    """By a sentence with these words in it."""
    for begin in each_kind(client):
        with pytest.raises(error) as caught:
            begin()
        for each in words:
            assert each in str(caught.value)


def test_what_is_not_patched(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            turbosqs.unpatch()
            with turbosqs.patched():
                pass
            refused(client, TypeError, "turbosqs.patch()", "turbosqs.aio.client")
            with turbosqs.patched():
                for begin in each_kind(client):
                    begin()

    with mock.patch.object(turbosqs.patching.hook._state, "_blocks", 0):
        asyncio.run(work())


def test_other_clients(server: Server) -> None:
    settings: Any = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS}

    async def work() -> None:
        async with get_session().create_client("sns", **settings) as sns:
            refused(sns, TypeError, "turbosqs.aio.client", "aiobotocore.client.SNS")
        refused(turbosqs.Session().client("sqs", **settings), TypeError, "turbosqs.aio.client", "not turbosqs.sqs.SQS")
        refused(5, TypeError, "not builtins.int")

    asyncio.run(work())


def test_settings_that_the_core_does_not_know(connect: Connect) -> None:
    async def work() -> None:
        async with connect(config=AioConfig(connector_args={"use_dns_cache": False})) as client:
            refused(client, RuntimeError, "connector_args has 'use_dns_cache'", "turbosqs.aio.client")

    asyncio.run(work())


def test_a_client_that_is_closed(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            pass
        if client._endpoint.http_session.__dict__.get("_sessions", 0) is None:
            refused(client, RuntimeError, "async with")

    asyncio.run(work())


def test_somebody_who_listens(connect: Connect) -> None:
    """As with clients of ours: who would hear nothing of it."""

    async def work() -> None:
        async with connect() as client:
            handler = mock.Mock(return_value=None)
            client.meta.events.register("before-call.sqs.ReceiveMessage", handler)
            refused(client, RuntimeError, "a handler of one of its events")
            client.meta.events.unregister("before-call.sqs.ReceiveMessage", handler)
            with AioStubber(client):
                refused(client, RuntimeError, "Stubber")
            with mock.patch("aiobotocore.client.AioBaseClient._make_api_call"):
                refused(client, RuntimeError, "the mock")
            for begin in each_kind(client):
                begin()

    asyncio.run(work())


def test_a_wrapper_that_calls_on(connect: Connect) -> None:
    """Instrumentation: it sees the client's calls, and what polls goes by."""
    calls = []

    async def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001
        calls.append(args[0])
        return await wrapped(*args, **kwargs)

    async def work() -> None:
        async with connect() as client:
            with mock.patch.object(
                AioBaseClient, "_make_api_call", wrapt.FunctionWrapper(vars(AioBaseClient)["_make_api_call"], wrapper)
            ):
                url = await queue(client, 1)
                found = [message["Body"] async for message in aio.poll_messages(client, QueueUrl=url, max_messages=1)]
                assert found == ["0"]
            assert calls == ["CreateQueue", "SendMessage"]

    asyncio.run(work())


def test_arguments_that_do_not_fit(connect: Connect) -> None:
    """They are told at once, as they are for a client of ours."""

    async def work() -> None:
        async with connect() as client:
            with pytest.raises(TypeError, match="no argument 'Nonsense'"):
                aio.poll_messages(client, QueueUrl="u", Nonsense=1)  # type: ignore[call-arg]
            with pytest.raises(ValueError, match="VisibilityTimeout"):
                aio.Consumer(client, QueueUrl="u", handler=_never, VisibilityTimeout=0)
            with pytest.raises(Exception, match="Invalid type for parameter QueueUrl"):
                aio.poll_messages(client, QueueUrl=json.loads("5"))

    asyncio.run(work())
