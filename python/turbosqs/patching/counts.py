"""How many calls of patched clients went which way."""

import os
from _thread import RLock

#: The key of the calls on the core. Every other key says why a call took botocore's own path.
FAST = "fast"


class Counts:
    """A number for each way. Threads may count at the same time; a forked child starts from nothing."""

    def __init__(self) -> None:
        self._process = _process
        self._numbers: dict[str, int] = {}

    def _of_this_process(self) -> dict[str, int]:
        if self._process is not _process:
            self._process, self._numbers = _process, {}
        return self._numbers

    def copy(self) -> dict[str, int]:
        with _lock:
            return {FAST: 0, **self._of_this_process()}

    def add(self, way: str) -> None:
        """One call more, here and in the process's own counts."""
        with _lock:
            here, everywhere = self._of_this_process(), _all._of_this_process()
            here[way] = here.get(way, 0) + 1
            everywhere[way] = everywhere.get(way, 0) + 1


def stats() -> dict[str, int]:
    """How many calls of patched clients this process has made, by the way they went.

    Returns:
        Under ``fast`` the calls on the Rust core. The others took botocore's own path, and their key says why:
            ``events``: a handler was registered for an event of the call, or one of botocore's own was taken out.
            ``stubber``: a ``botocore.stub.Stubber`` was active.
            ``moto``: moto's mock was on.
            ``wrapped``: a function of botocore was replaced: ``BaseClient._make_api_call``, say, by instrumentation
                or by ``unittest.mock.patch``.
            ``sockets``: Python's sockets were replaced (gevent, eventlet, pytest-socket).
            ``history``: botocore's history recorder was on.
            ``credentials``: there were none to sign with.
            ``model``: botocore's model of the operation is not the one that the core was built for.
            ``settings``: the client is set up in a way that the core does not know.
    """
    return _all.copy()


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
