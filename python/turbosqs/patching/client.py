"""Calls that have left botocore at its seam: which go to the core, and which go on as botocore's."""

from __future__ import annotations

from weakref import WeakSet

from .._lock import lock
from .counts import FAST
from .seam import Seam

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._core import Failure
    from .call_path import CallPath
    from .tracing import Tools

    #: A call path, and who goes on with a call of its client's.
    _Made = tuple[CallPath, Tools | Failure]

#: Where a client keeps its call path.
CALL_PATH = "_turbosqs_call_path"


def _nothing(*_: Any) -> None:
    """The shortcut of a client's call before there can be any."""


class Seams:
    """The seams in a library's clients, and the clients whose calls have come through.

    Attributes:
        base: the class of the library's clients.
        is_patched: calls of all SQS clients go to the core.
    """

    def __init__(self, base: type) -> None:
        """Find the library's functions.

        Args:
            base: the class of the library's clients.

        Raises:
            LookupError: they are not to be found.
        """
        self.base = base
        self.is_patched = False
        self._calls = self._seam_of_calls()
        self._closes = Seam(base, "close", self._close)
        self._seams = [self._calls, self._closes]
        # Those whose calls came through because all do.
        self._clients: WeakSet[Any] = WeakSet()
        # Some client is to come through whether or not all do.
        self._is_kept = False

    def patch(self) -> None:
        """All SQS clients come through."""
        self.is_patched = True
        self._install()

    def unpatch(self) -> None:
        """Clients keep nothing of ours. Calls that are under way have what they need."""
        self.is_patched = False
        if not self._is_kept:
            for seam in self._seams:
                seam.remove()
        for client in list(self._clients):
            client.__dict__.pop(CALL_PATH, None)
        self._clients.clear()

    def take(self, client: Any, make: Callable[[Any], CallPath] | None = None) -> CallPath:
        """Have one client come through, whether or not all do.

        Args:
            client: a client of SQS.
            make: makes its call path; None for a patched client's.
        """
        self._is_kept = True
        self._install()
        return self._open(client, make)

    def _install(self) -> None:
        for seam in self._seams:
            seam.install()

    def stats(self, client: Any) -> dict[str, Any]:
        """How many of a client's calls went which way, and what the core counts.

        Raises:
            TypeError: it is no client of SQS, or it is not patched.
        """
        call_path = self.path(client)
        if call_path is None:
            raise TypeError(f"stats() is about patched clients of SQS, not {client!r}")
        return call_path.stats()

    def path(self, client: Any) -> CallPath | None:
        """The call path of what may be a client; None if it is none of SQS, or its calls are the library's."""
        return self._path(client) if issubclass(type(client), self.base) else None

    def _seam_of_calls(self) -> Seam:
        return Seam(self.base, "_make_api_call", self._make_api_call, _nothing)

    def _make_api_call(self, client: Any, operation_name: str, api_params: dict[str, Any], made: _Made | None) -> Any:
        """A call that its shortcut has not made, or not alone: see ``_core.take_shortcut``."""
        if made is None:
            call_path = self._path(client)
            if call_path is None:
                return self._calls.original(client, operation_name, api_params)
            way, tools = call_path.choose(client, operation_name, api_params)
            call_path.counts.add(way, tools is not None)
            if way != FAST:
                return self._calls.original(client, operation_name, api_params)
        else:
            call_path, goes_on = made
            if isinstance(goes_on, Exception):
                raise call_path.error_of(client, goes_on)
            tools = goes_on
        return call_path.call(client, operation_name, api_params, tools)

    def _close(self, client: Any) -> None:
        self._closes.original(client)
        call_path = client.__dict__.get(CALL_PATH)
        if call_path is not None:
            call_path.close()

    def _path(self, client: Any) -> CallPath | None:
        """A client's call path; None if its calls are botocore's."""
        call_path: CallPath | None = client.__dict__.get(CALL_PATH)
        if call_path is not None:
            return call_path if not call_path.is_outdated(client) else self._open(client)
        if not self.is_patched or type(client)._PY_TO_OP_NAME.get("send_message_batch") != "SendMessageBatch":
            return None
        with lock():
            if not self.is_patched:
                # Not any more: nobody would take the call path away again.
                return None
            self._clients.add(client)
            return self._open(client)

    def _new(self, client: Any) -> CallPath:
        # Only now: a patched program may never make a call.
        from .._core import take_shortcut
        from .call_path import PatchedPath

        self._calls.begin_with(take_shortcut)
        return PatchedPath(client)

    def _open(self, client: Any, make: Callable[[Any], CallPath] | None = None) -> CallPath:
        """A call path for the client as it is now; the counts go on."""
        with lock():
            previous: CallPath | None = client.__dict__.get(CALL_PATH)
            if previous is None:
                call_path = (make or self._new)(client)
            elif make is None and not previous.is_outdated(client):
                # Another thread was first.
                return previous
            else:
                call_path = (make or previous.again)(client)
            client.__dict__[CALL_PATH] = call_path
            return call_path
