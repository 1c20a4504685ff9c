"""``keep_invisible`` for coroutines."""

from __future__ import annotations

import asyncio
import os
from inspect import isawaitable

from .._exchange import Exchange
from ..consuming import logs
from ..consuming.functions import check_done
from ..keeping import BaseKeeper, lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from .._core import Keeper as Core
    from .sqs import SQS


class Keeper(BaseKeeper):
    """Keeps messages invisible for those who handle them; ``client.keep_invisible`` makes one.

    It is an asynchronous context manager; its other methods wait for nothing and are not awaited. They may be called
    from any thread and event loop.
    """

    _awaits = True

    def __init__(self, client: SQS, **arguments: Any) -> None:
        """See ``turbosqs.sqs.SQS.keep_invisible``; with ``on_lost``, within an event loop.

        Raises:
            TypeError, ValueError: as there.
            RuntimeError: there is an ``on_lost``, and no event loop that runs.
        """
        if arguments.get("on_lost") is not None:
            asyncio.get_running_loop()
        super().__init__(client._core, **arguments)
        self._client = client
        self._watcher: asyncio.Task[None] | None = None
        if self._on_lost is not None:
            self._watcher = asyncio.create_task(_watch(client, self._core, self._on_lost), name="turbosqs-keeper")

    async def close(self) -> None:
        """Keep nothing any more. Nothing is given back: what was kept comes back when its time is over.

        It waits until ``on_lost`` has been told of what was lost before. In a forked child it does nothing.
        """
        if self._pid != os.getpid():
            return
        self._core.close()
        watcher = self._watcher
        if watcher is not None and watcher is not asyncio.current_task() and not watcher.done():
            await asyncio.wait([watcher])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


async def _watch(client: SQS, core: Core, on_lost: Callable[[str, Exception], Any]) -> None:
    """Tell of what is lost until the keeper is closed."""
    watched = True
    while watched:
        await client._ask(Exchange.await_lost, core)
        watched = not core.is_closed
        for handle, error in lost(core):
            try:
                told = on_lost(handle, error)
                check_done("on_lost", await told if isawaitable(told) else told, awaits=True)
            except Exception:  # noqa: BLE001 (it is logged)
                logs.hook_failed("on_lost")
