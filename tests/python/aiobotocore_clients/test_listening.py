"""A call takes aiobotocore's own path whenever somebody would miss it otherwise, and the counts say why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import aiobotocore.client
import aiobotocore.endpoint
import aiobotocore.httpsession
import aiobotocore.signers
import aiohttp
import botocore.endpoint
import botocore.handlers
import botocore.history
import pytest
import turbosqs
from aiobotocore.client import AioBaseClient
from aiobotocore.stub import AioStubber
from support.ways import gone
from turbosqs.patching.listeners import EVENTS

from .conftest import Connect

pytestmark = pytest.mark.usefixtures("patched")


async def listening(client: Any, way: str) -> None:
    """A call now goes that way, and arrives all the same."""
    before = gone(client)
    assert "ResponseMetadata" in await client.list_queues()
    assert {name for name, number in gone(client).items() if number != before.get(name, 0)} == {way}


def test_nobody_listens(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            await listening(client, "fast")

    asyncio.run(work())


@pytest.mark.parametrize("is_awaited", [False, True], ids=["plain", "awaited"])
@pytest.mark.parametrize("event", [event for event in EVENTS if event != "after-call-error"])
def test_a_handler(event: str, is_awaited: bool, connect: Connect) -> None:
    """It is called, and awaited if it wants to be; taken out, calls are fast again."""
    heard = []

    def plain(event_name: str, **_: Any) -> None:
        heard.append(event_name)

    async def awaited(event_name: str, **_: Any) -> None:
        heard.append(event_name)

    async def work() -> None:
        handler = awaited if is_awaited else plain
        async with connect() as client:
            await listening(client, "fast")
            client.meta.events.register(f"{event}.sqs", handler)
            await listening(client, "events")
            assert heard
            client.meta.events.unregister(f"{event}.sqs", handler)
            await listening(client, "fast")

    asyncio.run(work())


def test_a_handler_of_botocores_own_that_was_taken_out(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            client.meta.events.unregister("request-created", botocore.handlers.add_retry_headers)
            await listening(client, "events")

    asyncio.run(work())


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_the_retries_are_its_own(mode: str, connect: Connect) -> None:
    from aiobotocore.config import AioConfig

    async def work() -> None:
        async with connect(config=AioConfig(retries={"mode": mode})) as client:
            await listening(client, "fast")
            if mode != "adaptive":
                client.meta.events.unregister("needs-retry.sqs", unique_id="retry-config-sqs")
                await listening(client, "events")

    asyncio.run(work())


def test_a_stubber(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            with AioStubber(client) as stubber:
                stubber.add_response("get_queue_url", {"QueueUrl": "http://stubbed"}, {"QueueName": "q"})
                assert (await client.get_queue_url(QueueName="q"))["QueueUrl"] == "http://stubbed"
                stubber.add_client_error("get_queue_url", "QueueDoesNotExist")
                with pytest.raises(client.exceptions.QueueDoesNotExist):
                    await client.get_queue_url(QueueName="q")
            assert gone(client) == {"stubber": 2}
            await listening(client, "fast")

    asyncio.run(work())


@contextmanager
def attribute(owner: Any, name: str) -> Iterator[mock.MagicMock]:
    """A wrapper around a method, as instrumentation puts it."""
    original = getattr(owner, name)
    spy = mock.MagicMock(side_effect=lambda *args, **kwargs: original(*args, **kwargs))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return spy(*args, **kwargs)

    with mock.patch.object(owner, name, wrapper):
        yield spy


WRAPPED: dict[str, Callable[[Any], AbstractContextManager[Any]]] = {
    "AioBaseClient._make_api_call": lambda _: attribute(AioBaseClient, "_make_api_call"),
    "AioBaseClient._make_request": lambda _: attribute(AioBaseClient, "_make_request"),
    "AioEndpoint._send": lambda _: attribute(aiobotocore.endpoint.AioEndpoint, "_send"),
    "AioEndpoint.prepare_request, inherited": lambda _: attribute(aiobotocore.endpoint.AioEndpoint, "prepare_request"),
    "Endpoint.make_request, of botocore": lambda _: attribute(botocore.endpoint.Endpoint, "make_request"),
    "AIOHTTPSession.send": lambda _: attribute(aiobotocore.httpsession.AIOHTTPSession, "send"),
    "AioRequestSigner.sign": lambda _: attribute(aiobotocore.signers.AioRequestSigner, "sign"),
    "aiohttp's ClientSession._request": lambda _: attribute(aiohttp.ClientSession, "_request"),
    "convert_to_response_dict": lambda _: attribute(aiobotocore.endpoint, "convert_to_response_dict"),
    "the endpoint's own _send": lambda client: attribute(client._endpoint, "_send"),
    "the session's own send": lambda client: attribute(client._endpoint.http_session, "send"),
    "the client's own _make_request": lambda client: attribute(client, "_make_request"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapper(name: str, connect: Connect) -> None:
    """It is called; taken off, calls are fast again."""

    async def work() -> None:
        async with connect() as client:
            await listening(client, "fast")
            with WRAPPED[name](client) as spy:
                await listening(client, "wrapped")
                assert spy.call_count >= 1
            await listening(client, "fast")

    asyncio.run(work())


def test_a_mock(connect: Connect) -> None:
    """The recipe of many test suites."""
    original = AioBaseClient._make_api_call

    async def fake(self: Any, operation_name: str, kwargs: Any) -> Any:
        return {"faked": kwargs} if operation_name == "GetQueueUrl" else await original(self, operation_name, kwargs)

    async def work() -> None:
        async with connect() as client:
            with mock.patch("aiobotocore.client.AioBaseClient._make_api_call", new=fake):
                assert await client.get_queue_url(QueueName="q") == {"faked": {"QueueName": "q"}}
                assert "ResponseMetadata" in await client.list_queues()
            with mock.patch("aiobotocore.client.AioBaseClient._make_api_call", return_value=5) as whole:
                assert await client.list_queues() == 5
                whole.assert_called_once_with("ListQueues", {})
            await listening(client, "fast")

    asyncio.run(work())


def test_a_class_with_a_method_of_its_own(connect: Connect) -> None:
    async def work() -> None:
        async with connect() as client:
            calls = []

            class Own(type(client)):  # type: ignore[misc]
                async def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
                    calls.append(operation_name)
                    return await super()._make_api_call(operation_name, api_params)

            client.__class__ = Own
            await listening(client, "wrapped")
            assert calls == ["ListQueues"]

    asyncio.run(work())


def test_the_history(connect: Connect) -> None:
    recorder = botocore.history.get_global_history_recorder()
    handler = mock.Mock()

    async def work() -> None:
        async with connect() as client:
            recorder.add_handler(handler)
            recorder.enable()
            try:
                await listening(client, "history")
            finally:
                recorder.disable()
                recorder._handlers.remove(handler)
            assert handler.emit.call_args_list
            await listening(client, "fast")

    asyncio.run(work())


def test_other_services_and_botocores_own_clients(connect: Connect) -> None:
    """Each library's clients have seams of their own."""
    import botocore.session
    from aiobotocore.session import get_session

    settings = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}

    async def work() -> None:
        async with get_session().create_client("sns", **settings) as sns, connect() as sqs:
            url = sqs.meta.endpoint_url
            with pytest.raises(TypeError, match="about patched clients of SQS"):
                turbosqs.stats(sns)
            blocking = botocore.session.Session().create_client("sqs", endpoint_url=url, **settings)
            assert "ResponseMetadata" in await asyncio.to_thread(blocking.list_queues)
            blocking.close()
            assert gone(blocking) == {"fast": 1}
            await listening(sqs, "fast")

    asyncio.run(work())
