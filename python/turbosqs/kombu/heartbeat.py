"""Heartbeat: what a worker holds is kept invisible by the core for as long as it holds it.

So a short visibility timeout is enough for long tasks, and for tasks that wait for their ETA; those of a worker that
dies come back after one visibility timeout. The core needs no thread of Python's for it: not with ``-P solo`` either.
"""

from __future__ import annotations

import logging
import sys

from .._core import monotonic
from ..keeping import Keeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import _core
    from .channel import Channel
    from .exchange import Exchange

_logger = logging.getLogger("turbosqs.kombu")

_CHANGE = "ChangeMessageVisibility"

#: How often credentials are asked for anew, in seconds. botocore's are refreshed from fifteen minutes before they
#: expire.
PERIOD = 30.0


class Heartbeat:
    """The heartbeat of a channel."""

    def __init__(self, channel: Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._exchange = exchange
        # By queue URL: the queue's name in SQS, what sends, and who keeps.
        self._keepers: dict[str, tuple[str, _core.Client, Keeper]] = {}
        # By receipt handle: the queue's URL, and since when it may have been invisible, by the core's clock.
        self._held: dict[str, tuple[str, float]] = {}
        self._is_timed = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_wanted(self) -> bool:
        """Whether ``transport_options`` ask for it."""
        return bool(self._channel.transport_options.get("heartbeat"))

    @property
    def seconds(self) -> int:
        """The visibility timeout that messages are received with, and kept."""
        return max(1, min(43_200, int(self._channel.visibility_timeout)))

    def received(self, queue: str, url: str, handles: list[str], since: float) -> None:
        """Messages have come.

        Args:
            queue: The queue's name in SQS.
            url: Its URL.
            handles: Their receipt handles.
            since: From when on they may have been invisible, by the core's clock.
        """
        keeper = self._keeper_or_word(queue, url)
        if keeper is None:
            return
        age = monotonic() - since
        for handle in handles:
            self._held[handle] = url, since
            keeper.add(handle, age=age)

    def over(self, handle: str) -> None:
        """A message is not the worker's any more, or is about to be settled."""
        url, _ = self._held.pop(handle, (None, 0.0))
        if url is not None and self._exchange.is_mine:
            # It may have been stopped meanwhile, by another thread.
            found = self._keepers.get(url)
            if found is not None:
                found[2].remove(handle)

    def stop(self) -> None:
        """Keep nothing any more."""
        self._held.clear()
        while self._keepers:
            _, (_, _, keeper) = self._keepers.popitem()
            keeper.close()
        # The timer finds nothing.

    def _keeper_or_word(self, queue: str, url: str) -> Keeper | None:
        """The keeper; the one that there was, and a word in the log, if there are no credentials now.

        Messages are delivered all the same.
        """
        try:
            return self._keeper(queue, url)
        except Exception as error:  # noqa: BLE001 - of any kind that credentials have
            before = self._keepers.get(url)
            _logger.warning(
                "what is received from %s %s: %s",
                url,
                "is not kept invisible" if before is None else "is kept with older credentials",
                error,
            )
            return None if before is None else before[2]

    def _keeper(self, queue: str, url: str) -> Keeper | None:
        clients = self._channel.core_clients(queue)
        core = None if clients is None else clients.core(_CHANGE)
        if clients is None or core is None:
            return None
        before = self._keepers.get(url)
        if before is not None and before[1] is core:
            return before[2]
        keeper = Keeper(core, QueueUrl=url, VisibilityTimeout=self.seconds)
        self._keepers[url] = queue, core, keeper
        if "celery.concurrency.prefork" not in sys.modules:
            # Tasks may keep the hub's own thread busy. With processes it is free, and forks want no other thread.
            clients.keep_handing_over(_CHANGE)
        if before is not None:
            # kombu has made another client, since a role's credentials are about to expire.
            now = monotonic()
            for handle, (its_url, since) in list(self._held.items()):
                if its_url == url:
                    keeper.add(handle, age=now - since if now - since < self.seconds else None)
            before[2].close()
        self._await_period(core)
        return keeper

    def _await_period(self, core: _core.Client) -> None:
        if not self._is_timed:
            self._is_timed = True
            self._exchange.after(core, PERIOD, self._renew)

    def _renew(self, _: object) -> None:
        """Hand over the credentials of now; to another client, if there is one now."""
        self._is_timed = False
        for url, (queue, core, _keeper) in list(self._keepers.items()):
            self._await_period(core)
            self._keeper_or_word(queue, url)
