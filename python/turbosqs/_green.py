"""Waiting in programs whose threads are greenlets: those that gevent or eventlet has patched.

There a call that blocks its thread blocks every greenlet of it. So what the core has to be waited for is begun as an
event loop begins it, and the greenlet waits for the core's descriptor, by the ``select`` of its own library: its hub
goes on meanwhile.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from ._core import CompletionQueue, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import _core


def find_select() -> Callable[..., Any] | None:
    """The ``select`` that lets other greenlets run; None where threads are threads.

    What counts is what is patched at this moment: a client or a consumer asks when it is made or started.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and any(monkey.is_module_patched(name) for name in ("threading", "socket")):
        from gevent.select import select as of_gevent  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return of_gevent  # type: ignore[no-any-return, unused-ignore]
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and any(patcher.is_monkey_patched(name) for name in ("thread", "socket")):
        from eventlet.green.select import select as of_eventlet  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return of_eventlet  # type: ignore[no-any-return, unused-ignore]
    return None


#: Mailboxes that nobody waits at. Each greenlet that waits has one of its own, so that it wakes for its own answer.
_free: list[CompletionQueue] = []

if hasattr(os, "register_at_fork"):
    # A child's answers must not come to its parent.
    os.register_at_fork(after_in_child=_free.clear)

#: Each mailbox has one call at a time.
_NUMBER = 0


class GreenClient:
    """The blocking methods of a core client, for greenlets."""

    def __init__(self, core: _core.Client, select: Callable[..., Any]) -> None:
        """Wrap a core client.

        Args:
            core: what sends.
            select: what ``find_select`` has found.
        """
        self._core = core
        self._select = select

    def call(self, operation: str, params: dict[str, Any]) -> Any:
        """See ``_core.Client.call``."""

        def begin(mailbox: CompletionQueue) -> None:
            # A mailbox with one call is never full.
            mailbox.begin(_NUMBER, self._core, operation, params)
            mailbox.leave()

        return self.ask(begin)

    def presign(self, *arguments: Any) -> str:
        """See ``_core.Client.presign``."""
        url: str = self.ask(lambda mailbox: mailbox.presign(_NUMBER, self._core, *arguments))
        return url

    def flush(self) -> None:
        """See ``_core.Client.flush``."""
        self.ask(lambda mailbox: mailbox.flush(_NUMBER, self._core))

    def ask(self, begin: Callable[[CompletionQueue], Any], timeout: float | None = None) -> Any:
        """What a call comes to; None when ``timeout``, in seconds, is over.

        Raises:
            Failure: the call has failed.
        """
        mailbox = _free.pop() if _free else CompletionQueue()
        begin(mailbox)
        answers: list[tuple[int, Any]] = []
        try:
            while not answers:
                readable, _, _ = self._select([mailbox.descriptor], [], [], timeout)
                answers = mailbox.drain()
                if not readable and not answers:
                    mailbox.abandon(_NUMBER)
                    return None
        except BaseException:
            # The greenlet is killed, or has been given a timeout. The mailbox goes with what may still come for it.
            mailbox.abandon(_NUMBER)
            raise
        _free.append(mailbox)
        [(_, answer)] = answers
        if isinstance(answer, BaseException):
            raise answer
        return answer


class GreenPoller:
    """The blocking methods of a poller, for greenlets."""

    def __init__(self, client: GreenClient, poller: _core.Poller) -> None:
        """Wrap a poller.

        Args:
            client: of the client that it was made with.
            poller: the core's.
        """
        self._client = client
        self._poller = poller

    def __iter__(self) -> GreenPoller:
        return self

    def __next__(self) -> Any:
        while (work := self.take(None, 0.0)) is not None:
            # What is taken for nobody's account brings messages or nothing.
            if work:
                return work[1]
        raise StopIteration

    def take(self, done: int | None, timeout: float) -> Any:  # noqa: ARG002
        """See ``_core.Poller.take``; it may come back with nothing before its time."""
        core, poller = self._client._core, self._poller
        work = poller.take(done, 0.0)
        if work is None or work:
            return work
        self._client.ask(lambda mailbox: mailbox.await_messages(_NUMBER, core, poller, 1))
        return poller.take(None, 0.0)

    def watch(self) -> bool:
        """See ``_core.Poller.watch``."""
        core, poller = self._client._core, self._poller
        self._client.ask(lambda mailbox: mailbox.await_background_errors(_NUMBER, core, poller))
        return poller.is_watched()

    def quiet(self, timeout: float) -> bool:
        """See ``_core.Poller.quiet``."""
        core, poller = self._client._core, self._poller
        deadline = monotonic() + timeout
        while not poller.quiet(0.0):
            left = deadline - monotonic()
            if left <= 0:
                return False
            self._client.ask(lambda mailbox: mailbox.await_quiet(_NUMBER, core, poller), left)
        return True


class GreenWriter:
    """The blocking methods of a writer, for greenlets."""

    def __init__(self, client: GreenClient, writer: _core.Writer) -> None:
        """Wrap a writer.

        Args:
            client: of the client that it was made with.
            writer: the core's.
        """
        self._client = client
        self._writer = writer

    def put(self, operation: str, params: dict[str, Any]) -> bool:
        """See ``_core.Writer.put``."""
        core, writer = self._client._core, self._writer
        while weight := writer.offer(operation, params):
            self._client.ask(
                partial(CompletionQueue.await_room, number=_NUMBER, client=core, writer=writer, weight=weight)
            )
        return writer.is_failing

    def wait(self, timeout: float) -> bool:
        """See ``_core.Writer.wait``."""
        core, writer = self._client._core, self._writer
        if writer.wait(0.0):
            return True
        self._client.ask(lambda mailbox: mailbox.await_answers(_NUMBER, core, writer), timeout)
        return writer.wait(0.0)
