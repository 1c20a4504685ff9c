"""From when on aiobotocore's clients are on the core, and until when; whose clients; what keeps them off it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import subprocess
import sys
from importlib.util import find_spec
from textwrap import dedent
from typing import Any
from unittest import mock

import aiobotocore
import aiobotocore.context
import aiobotocore.session
import pytest
import turbosqs
from aiobotocore.client import AioBaseClient
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import DefaultResolver
from support.libraries import KEYS
from support.waiting import until_awaiting
from support.ways import gone
from turbosqs.patching import hook

from .conftest import Connect

NAMES = ["_make_api_call", "close", "__aexit__"]


def codes() -> list[Any]:
    return [vars(AioBaseClient)[name].__code__ for name in NAMES]


def test_clients_made_before_and_after(connect: Connect) -> None:
    async def work() -> None:
        before = codes()
        async with connect() as early:
            await early.list_queues()
            with turbosqs.patched():
                async with connect() as late:
                    await late.list_queues()
                    await early.list_queues()
                    assert (gone(early), gone(late)) == ({"fast": 1}, {"fast": 1})
                    assert "_turbosqs_call_path" in vars(early)
            assert codes() == before
            assert "_turbosqs_call_path" not in vars(early)
            await early.list_queues()
            with pytest.raises(TypeError, match="patched"):
                turbosqs.stats(early)

    asyncio.run(work())


def test_the_functions_look_as_they_were() -> None:
    before = [(inspect.getsource(f), inspect.signature(f), f.__qualname__) for f in map(vars(AioBaseClient).get, NAMES)]
    with turbosqs.patched():
        after = [
            (inspect.getsource(f), inspect.signature(f), f.__qualname__) for f in map(vars(AioBaseClient).get, NAMES)
        ]
        assert all(map(inspect.iscoroutinefunction, map(vars(AioBaseClient).get, NAMES)))
    assert before == after


def test_a_wrapper_from_before_patch(connect: Connect) -> None:
    """It is called, and somebody whom we do not know listens there."""
    original = AioBaseClient._make_api_call
    calls = []

    async def wrapper(self: Any, operation_name: str, api_params: Any) -> Any:
        calls.append(operation_name)
        return await original(self, operation_name, api_params)

    async def work() -> None:
        async with connect() as client:
            with mock.patch.object(AioBaseClient, "_make_api_call", wrapper), turbosqs.patched():
                await client.list_queues()
                assert gone(client) == {"wrapped": 1}
            assert calls == ["ListQueues"]

    asyncio.run(work())


def test_a_call_under_way_when_it_ends(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            with turbosqs.patched():
                url = (await client.create_queue(QueueName="q"))["QueueUrl"]
                poll = asyncio.create_task(client.receive_message(QueueUrl=url, WaitTimeSeconds=20))
                await until_awaiting(lambda: gone(client) == {"fast": 2})
            await client.send_message(QueueUrl=url, MessageBody="b")
            assert [message["Body"] for message in (await poll)["Messages"]] == ["b"]

    asyncio.run(work())


def test_sessions_of_a_class_of_their_own(server: Any) -> None:
    class Session(aiobotocore.session.AioSession):  # type: ignore[misc]
        pass

    async def work() -> None:
        settings = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS}
        with turbosqs.patched():
            async with Session().create_client("sqs", **settings) as client:
                await client.list_queues()
                assert gone(client) == {"fast": 1}

    asyncio.run(work())


@pytest.mark.skipif(find_spec("aioboto3") is None, reason="without aioboto3")
def test_aioboto3(server: Any) -> None:
    import aioboto3

    async def work() -> None:
        settings = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS}
        session = aioboto3.Session()
        with turbosqs.patched():
            async with session.client("sqs", **settings) as client, session.resource("sqs", **settings) as resource:
                await client.create_queue(QueueName="q")
                queue = await resource.get_queue_by_name(QueueName="q")
                await queue.send_message(MessageBody="b")
                [message] = await queue.receive_messages()
                assert await message.body == "b"
                await message.delete()
                assert [each.url async for each in resource.queues.all()] == [queue.url]
                assert gone(client) == {"fast": 1}
                assert gone(resource.meta.client) == {"fast": 5}

    asyncio.run(work())


SCRIPT = """
import asyncio, sys, warnings
import turbosqs
turbosqs.patch()
assert "aiobotocore" not in sys.modules
import {module}
from aiobotocore.session import get_session
async def work():
    settings = dict(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    async with get_session().create_client("sqs", endpoint_url=sys.argv[1], **settings) as client:
        await client.list_queues()
        left = [each.name for each in sys.meta_path if "turbosqs" in type(each).__module__]
        print(turbosqs.stats(client)["fast"], left)
asyncio.run(work())
"""


@pytest.mark.parametrize("module", ["aiobotocore.client", "aiobotocore.session", "botocore.client"])
def test_patch_before_it_is_imported(module: str, server: Any) -> None:
    command = [sys.executable, "-W", "error", "-c", dedent(SCRIPT).format(module=module), server.endpoint_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("1 ['kombu.transport']\n", "")


def test_an_aiobotocore_that_is_too_old(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(aiobotocore, "__version__", "2.24.9")
    monkeypatch.setattr(hook, "_state", hook._State())
    before = codes()
    for _ in range(2):
        with turbosqs.patched():
            assert codes() == before
    (record,) = caplog.records
    assert record.getMessage().endswith("needs aiobotocore 2.25 or newer, not 2.24.9")


def test_functions_that_are_not_to_be_found(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(hook, "_state", hook._State())
    monkeypatch.setattr(AioBaseClient, "close", 5)
    monkeypatch.setattr("turbosqs.patching.seam._is_botocores", lambda value, cls, _: value is None and cls is None)
    with turbosqs.patched():
        pass
    assert any("aiobotocore's SQS clients stay as they are" in record.getMessage() for record in caplog.records)


class OtherSession(AIOHTTPSession):  # type: ignore[misc]
    """A session class that nobody knows."""


def settings_that_stay() -> dict[str, AioConfig]:
    found = {
        "use_dns_cache": AioConfig(connector_args={"use_dns_cache": False}),
        "ttl_dns_cache": AioConfig(connector_args={"ttl_dns_cache": None}),
        "session class": AioConfig(http_session_cls=OtherSession),
        "forwarding": AioConfig(proxies_config={"proxy_use_forwarding_for_https": True}),
    }
    if aiobotocore.__version__ > "3":
        found["socket_factory"] = AioConfig(connector_args={"socket_factory": lambda info: socket.socket(*info[:3])})
    return found


@pytest.mark.parametrize("name", settings_that_stay())
def test_settings_that_the_core_does_not_know(
    name: str, connect: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says why, however many clients there are."""
    monkeypatch.setattr("turbosqs.patching.awaited.call_path._told", set())

    async def work() -> None:
        with turbosqs.patched():
            for _ in range(3):
                async with connect(config=settings_that_stay()[name]) as client:
                    assert "ResponseMetadata" in await client.list_queues()
                    assert gone(client) == {"settings": 1}

    with caplog.at_level(logging.WARNING, "turbosqs"):
        asyncio.run(work())
    assert [record.name for record in caplog.records] == ["turbosqs"]


def test_a_resolver(connect: Connect) -> None:
    async def work() -> None:
        with turbosqs.patched():
            config = AioConfig(connector_args={"resolver": DefaultResolver()})
            async with connect(config=config) as client:
                await client.list_queues()
                assert gone(client) == {"settings": 1}

    asyncio.run(work())


@pytest.mark.parametrize(
    "config",
    [
        AioConfig(connector_args={"keepalive_timeout": 30}),
        AioConfig(connector_args={"use_dns_cache": True, "ttl_dns_cache": 10, "force_close": False}),
        AioConfig(max_pool_connections=3, connect_timeout=2, read_timeout=40, retries={"max_attempts": 2}),
    ],
    ids=["keepalive", "defaults", "others"],
)
def test_settings_that_the_core_knows(config: AioConfig, connect: Connect) -> None:
    async def work() -> None:
        with turbosqs.patched():
            async with connect(config=config) as client:
                await client.list_queues()
                assert gone(client) == {"fast": 1}

    asyncio.run(work())


@pytest.mark.skipif(find_spec("httpx2") is None, reason="without httpx")
@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_httpx(kind: str, connect: Connect) -> None:
    """It is aiobotocore's alone, in asyncio and in trio."""
    from aiobotocore.httpxsession import HttpxSession

    async def work() -> None:
        with turbosqs.patched():
            async with connect(config=AioConfig(http_session_cls=HttpxSession)) as client:
                url = (await client.create_queue(QueueName="q"))["QueueUrl"]
                await client.send_message(QueueUrl=url, MessageBody="b")
                assert gone(client) == {"settings": 2}

    if kind == "asyncio":
        asyncio.run(work())
    else:
        import trio

        trio.run(work)


def test_a_client_that_is_not_open(connect: Connect) -> None:
    """What it comes to is aiobotocore's affair: an error since 3.0."""

    async def come_to(client: Any) -> str:
        try:
            await client.list_queues()
        except Exception as error:  # noqa: BLE001 - whatever it is
            return f"{type(error).__name__}: {error}"
        else:
            return "a reply"
        finally:
            await client.close()

    async def work() -> None:
        async with connect() as client:
            pass
        stock = await come_to(client)
        with turbosqs.patched():
            async with connect() as client:
                await client.list_queues()
            assert await come_to(client) == stock
            assert gone(client) == ({"fast": 1, "closed": 1} if stock != "a reply" else {"fast": 2})

    asyncio.run(work())
