"""Credentials for what sends by itself: asked of aiobotocore's awaited providers again and again, in the event loop."""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from weakref import ref

from ..._exchange import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future, Task
    from typing import Any

    from .call_path import AwaitedPath

#: Between one time and the next, in seconds. aiobotocore refreshes from fifteen minutes before they expire.
INTERVAL = 30.0

_logger = logging.getLogger("turbosqs")


class Signing:
    """Hands a client's own core what it signs with from now on, for as long as somebody has this.

    It is nothing that the loop has to wait for: a loop that is closed drops it, and no task is there but while
    credentials are being asked for.
    """

    def __init__(self, path: AwaitedPath) -> None:
        """Begin, in the event loop that runs.

        Args:
            path: the client's, with a core of its own.
        """
        self._path = path
        self._asking: Task[None] | None = None
        self._weakly = current().weakly
        self._wait()

    def end(self) -> None:
        """No more of it."""
        if self._asking is not None:
            self._asking.cancel()
        if (exchange := self._weakly()) is not None:
            exchange.abandon(self._number)

    def _wait(self) -> None:
        self._number, over = current().sleep(self._path.core, INTERVAL)
        weakly = ref(self)

        def again(_: Future[Any]) -> None:
            if (signing := weakly()) is not None:
                signing._asking = get_running_loop().create_task(signing._ask(), name="turbosqs-credentials")

        over.add_done_callback(again)

    async def _ask(self) -> None:
        try:
            await self._path.hand_over()
        except Exception as error:  # noqa: BLE001 - of any kind that a user's credentials have
            # What is signed with the old ones tells its caller when they have expired.
            _logger.warning("credentials were not refreshed: %s: %s", type(error).__name__, error)
        self._asking = None
        self._wait()
