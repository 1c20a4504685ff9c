"""What a consumer is given to call: functions of the wrong kind never cost a message."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
import turbosqs
from support.libraries import KEYS
from support.queues import consumer, counts, send
from turbosqs import aio
from turbosqs.local import Server


async def coroutine(*_: Any) -> None:
    raise AssertionError("it must not run")


async def asynchronous_generator(*_: Any) -> Any:
    yield


def generator(*_: Any) -> Iterator[None]:
    yield


class Called:
    async def __call__(self, *_: Any) -> None:
        pass

    async def method(self, *_: Any) -> None:
        pass


@types.coroutine
def old_coroutine(*_: Any) -> Any:
    yield


NEVER: dict[str, Any] = {
    "generator": generator,
    "partial of a generator": partial(generator, 1),
    "asynchronous generator": asynchronous_generator,
}
COROUTINES: dict[str, Any] = {
    "coroutine": coroutine,
    "partial": partial(coroutine),
    "partial of a partial": partial(partial(coroutine, 1), 2),
    "object": Called(),
    "partial of an object": partial(Called()),
    "method": Called().method,
    "old coroutine": old_coroutine,
    "mock": AsyncMock(),
}
ALL = {**NEVER, **COROUTINES}


@pytest.mark.parametrize("option", ["handler", "lambda_handler", "on_error", "on_delete_failed", "on_lease_lost"])
@pytest.mark.parametrize("kind", ALL)
def test_what_threads_cannot_run_is_refused(kind: str, option: str, sqs: Any, url: str) -> None:
    options = {"handler": print, option: ALL[kind]}
    if option == "lambda_handler":
        del options["handler"]
    advice = "generator function" if kind in NEVER else r"aio\.Consumer"
    with pytest.raises(TypeError, match=f"^{option} .*{advice}"):
        turbosqs.Consumer(sqs, QueueUrl=url, **options)


@pytest.mark.parametrize("kind", ALL)
def test_a_retry_delay_is_a_plain_function(kind: str, server: Server, sqs: Any, url: str) -> None:
    with pytest.raises(TypeError, match=r"^retry_delay "):
        turbosqs.Consumer(sqs, QueueUrl=url, handler=print, retry_delay=ALL[kind])
    with pytest.raises(TypeError, match=r"^retry_delay "):
        aio.Consumer(aio_client(server), QueueUrl=url, handler=coroutine, retry_delay=ALL[kind])


def aio_client(server: Server) -> Any:
    return aio.client("sqs", region_name="us-east-1", **KEYS, endpoint_url=server.endpoint_url)


@pytest.mark.parametrize("kind", ALL)
def test_what_event_loops_can_run(kind: str, server: Server, url: str) -> None:
    def make() -> None:
        aio.Consumer(aio_client(server), QueueUrl=url, handler=ALL[kind], on_error=ALL[kind])

    if kind in NEVER:
        with pytest.raises(TypeError, match=r"^handler .*generator function"):
            make()
    else:
        make()


def test_handlers_are_named_once(sqs: Any, url: str) -> None:
    for options in ({}, {"handler": print, "lambda_handler": print}):
        with pytest.raises(TypeError, match="either a handler or a lambda_handler"):
            turbosqs.Consumer(sqs, QueueUrl=url, **options)  # type: ignore[call-overload]


#: What says that nothing is done yet, whoever returns it.
UNFINISHED: dict[str, Callable[[], Any]] = {
    "generator": generator,
    "asynchronous generator": asynchronous_generator,
    "future": Future,
}


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("kind", [*UNFINISHED, "coroutine", "old coroutine"])
def test_unfinished_work_is_a_failure(kind: str, batch_size: int | None, sqs: Any, url: str) -> None:
    """Not a delete; and no warning of a coroutine that was never awaited, which would be an error here."""
    send(sqs, url, 1)
    made = {**UNFINISHED, "coroutine": coroutine, "old coroutine": old_coroutine}[kind]
    errors: list[BaseException] = []
    options: dict[str, Any] = {"max_messages": 1, "retry_delay": 0, "batch_size": batch_size}
    consumer(sqs, url, lambda _: made(), on_error=lambda error, _: errors.append(error), **options).run()
    [error] = errors
    assert isinstance(error, TypeError)
    advice = {"coroutine": "aio.Consumer", "future": "result()"}.get(kind, "before you return")
    assert kind == "old coroutine" or advice in str(error)
    assert counts(sqs, url) == (1, 0)


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize(
    ("kind", "awaited"), [*((kind, awaited) for kind in UNFINISHED for awaited in (True, False)), ("coroutine", True)]
)
def test_unfinished_work_of_coroutines(
    kind: str, awaited: bool, batch_size: int | None, server: Server, sqs: Any, url: str
) -> None:
    send(sqs, url, 1)
    made = {**UNFINISHED, "coroutine": coroutine}[kind]
    errors: list[BaseException] = []

    async def handle(_: Any) -> Any:
        return made()

    async def on_error(error: BaseException, _: Any) -> None:
        errors.append(error)

    options: dict[str, Any] = {"max_messages": 1, "retry_delay": 0, "batch_size": batch_size, "on_error": on_error}
    handler = handle if awaited else lambda _: made()
    asyncio.run(aio.Consumer(aio_client(server), QueueUrl=url, handler=handler, **options).run())
    assert [type(error).__name__ for error in errors] == ["UnfinishedError"]
    assert counts(sqs, url) == (1, 0)


@pytest.mark.parametrize("result", [Mock(), "done", 0, object()], ids=["mock", "text", "zero", "object"])
def test_other_results_are_passed_over(result: Any, server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 2)
    consumer(sqs, url, lambda _: result, max_messages=1).run()

    async def handle(_: Any) -> Any:
        return result

    asyncio.run(aio.Consumer(aio_client(server), QueueUrl=url, handler=handle, max_messages=1).run())
    assert counts(sqs, url) == (0, 0)


def test_plain_functions_and_futures_in_an_event_loop(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 3)
    handled: list[str] = []

    async def work(body: str) -> None:
        await asyncio.sleep(0)
        handled.append(body)

    def handle(message: Any) -> Any:
        if message["Body"] == "0":
            return asyncio.ensure_future(work("0"))
        return work("1") if message["Body"] == "1" else handled.append("2")

    asyncio.run(aio.Consumer(aio_client(server), QueueUrl=url, handler=handle, max_messages=3).run())
    assert sorted(handled) == ["0", "1", "2"]
    assert counts(sqs, url) == (0, 0)


def test_a_hook_that_returns_a_coroutine_is_logged(sqs: Any, url: str, caplog: pytest.LogCaptureFixture) -> None:
    send(sqs, url, 1)

    def fail(_: Any) -> None:
        raise ValueError

    consumer(sqs, url, fail, max_messages=1, retry_delay=0, on_error=lambda *_: coroutine()).run()
    assert "on_error has failed" in caplog.text
    assert "aio.Consumer runs coroutines" in caplog.text


def test_a_batch_of_one_is_a_list(server: Server, sqs: Any, url: str) -> None:
    send(sqs, url, 2)
    seen: list[Any] = []
    consumer(sqs, url, seen.append, batch_size=1, max_messages=1).run()

    async def handle(messages: Any) -> None:
        seen.append(messages)

    asyncio.run(aio.Consumer(aio_client(server), QueueUrl=url, handler=handle, batch_size=1, max_messages=1).run())
    assert [type(messages) for messages in seen] == [list, list]
    assert sorted(messages[0]["Body"] for messages in seen) == ["0", "1"]
    assert counts(sqs, url) == (0, 0)
