"""How many calls of patched clients went which way."""

from __future__ import annotations

import os
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The key of the calls on the core.
FAST = "fast"
#: The key of those among them that an instrumentation tool has traced. Every other key says why a call took botocore's
#: own path.
TRACED = "traced"


class Counts:
    """A number for each way. Threads may count at the same time; a forked child starts from nothing."""

    def __init__(self, is_patched: bool = True) -> None:
        """``is_patched``: they are a patched client's, and so count in the process's."""
        self._is_patched = is_patched
        self._process = _process
        self._numbers: dict[str, int] = {}

    def _of_this_process(self) -> dict[str, int]:
        if self._process is not _process:
            self._process, self._numbers = _process, {}
        return self._numbers

    def copy(self) -> dict[str, int]:
        with _lock:
            return {FAST: 0, **self._of_this_process()}

    def add(self, way: str, is_traced: bool) -> None:
        """One call more, here and in the process's own counts."""
        with _lock:
            counts = (self, _all) if self._is_patched else (self,)
            for numbers in [each._of_this_process() for each in counts]:
                numbers[way] = numbers.get(way, 0) + 1
                if is_traced:
                    numbers[TRACED] = numbers.get(TRACED, 0) + 1


def stats(client: Any = None) -> dict[str, Any]:
    """How many calls patched clients have made in this process, by the way they went.

    Args:
        client: a patched client, to have its own calls only, and beside them what its core counts: the keys of
            ``turbosqs.SQS.stats``. Clients of aiobotocore's with the same settings and credentials share a core.

    Returns:
        Under ``fast`` the calls on the Rust core, and under ``traced`` how many of those an instrumentation tool has
        recorded (Sentry, OpenTelemetry, Datadog, X-Ray, Elastic, New Relic). The others took botocore's own path, and
        their key says why:
            ``events: some.module.function``: that handler was registered for an event of the call; without a name,
                one of botocore's own was taken out.
            ``stubber``: a ``botocore.stub.Stubber`` was active.
            ``moto``: moto's mock was on.
            ``wrapped: some.module.function``: that function stood in the place of one of botocore's: of
                ``BaseClient._make_api_call``, say. A mock that does not call on to botocore's function is not
                counted.
            ``sockets``: Python's sockets were replaced (gevent, eventlet, pytest-socket).
            ``history``: botocore's history recorder was on.
            ``credentials``: there were none to sign with.
            ``model``: botocore's model of the operation is not the one that the core was built for.
            ``settings``: the client is set up in a way that the core does not know.
            ``closed``: a client of aiobotocore's was used outside of its ``async with``.

    Raises:
        TypeError: ``client`` is no patched client of SQS.
    """
    if client is None:
        return _all.copy()
    from .hook import of_client

    return of_client(client)


# A new one in a forked child, whose counts are its own. The lock is one that a signal handler of the same thread may
# take again, and that a child never finds held.
_process = object()
_lock = RLock()
_all = Counts()


def _begin_anew() -> None:
    global _process, _lock
    _process, _lock = object(), RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
