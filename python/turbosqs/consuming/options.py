"""The options of consumers as type checkers know them; what they mean is said by ``common.Base``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..types import Message, PollingOptions

#: What a function may return that a thread calls. Nobody would wait for a coroutine.
Result = None | bool | int | float | str | bytes | Mapping[str, Any] | list[Any] | tuple[Any, ...] | set[Any]

#: Functions of one message, which is a dict; and of a batch of them.
Handler = Callable[[Message], Result] | Callable[[dict[str, Any]], Result]
BatchHandler = Callable[[list[Message]], Result] | Callable[[list[dict[str, Any]]], Result]
AsyncHandler = Callable[[Message], Awaitable[object]] | Callable[[dict[str, Any]], Awaitable[object]]
AsyncBatchHandler = Callable[[list[Message]], Awaitable[object]] | Callable[[list[dict[str, Any]]], Awaitable[object]]
LambdaHandler = Callable[[dict[str, Any], Any], Result]
AsyncLambdaHandler = Callable[[dict[str, Any], Any], Result | Awaitable[object]]

RetryDelay = Callable[[Message, BaseException], float | None]


class Polling(PollingOptions, total=False):
    """What a consumer's ``poll_messages`` takes."""

    max_messages: int | None
    idle_timeout: float | None


class Options(Polling, total=False):
    """What every consumer takes."""

    concurrency: int
    batch_window: float
    retry_delay: float | RetryDelay | None
    max_per_second: float | None
    shutdown_timeout: float


class ThreadOptions(Options, total=False):
    """What ``turbosqs.Consumer`` takes."""

    on_error: Callable[[BaseException, Message | None], Result] | None
    on_delete_failed: Callable[[Exception, Message], Result] | None
    on_lease_lost: Callable[[Message, Exception], Result] | None


class AsyncOptions(Options, total=False):
    """What ``turbosqs.aio.Consumer`` takes."""

    on_error: Callable[[BaseException, Message | None], Result | Awaitable[object]] | None
    on_delete_failed: Callable[[Exception, Message], Result | Awaitable[object]] | None
    on_lease_lost: Callable[[Message, Exception], Result | Awaitable[object]] | None
