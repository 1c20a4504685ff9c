"""The base that SQS client classes get: one call, on the core or on botocore's own path."""

from weakref import WeakSet

from botocore.client import BaseClient  # type: ignore[import-untyped]

from .._lock import lock
from .counts import FAST
from .listeners import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .call_path import CallPath

#: Where a client keeps its lane.
_CALL_PATH = "_turbosqs_call_path"

_clients: "WeakSet[Any]" = WeakSet()


class OnCore:
    """What a patched client does otherwise. ``BaseClient`` is the next base of every class that has this one."""

    def _make_api_call(self, operation_name: str, api_params: "dict[str, Any]") -> "Any":
        call_path = self.__dict__.get(_CALL_PATH)
        if call_path is None or call_path.is_outdated(self):
            call_path = _open(self)
        way = call_path.choose(self, operation_name, api_params)
        call_path.counts.add(way)
        if way != FAST:
            # Not super(): it would fail in a call that unpatch() overtakes.
            return call(self, operation_name, api_params)
        return call_path.call(self, operation_name, api_params)

    def close(self) -> None:
        """Close idle connections, botocore's and the core's. The client stays usable."""
        BaseClient.close(self)
        call_path = self.__dict__.get(_CALL_PATH)
        if call_path is not None:
            call_path.close()

    def stats(self) -> "dict[str, Any]":
        """How many of this client's calls went which way; the keys are those of ``turbosqs.stats()``."""
        call_path = self.__dict__.get(_CALL_PATH)
        return (_open(self) if call_path is None else call_path).stats()


def _open(client: "Any") -> "CallPath":
    """A lane for the client as it is now; the counts go on."""
    # Only now: a patched program may never make a call.
    from .call_path import CallPath

    with lock():
        previous = client.__dict__.get(_CALL_PATH)
        if previous is not None and not previous.is_outdated(client):
            # Another thread was first.
            return previous  # type: ignore[no-any-return]
        call_path = CallPath(client, OnCore._make_api_call, None if previous is None else previous.counts)
        client.__dict__[_CALL_PATH] = call_path
        _clients.add(client)
        return call_path


def close_call_paths() -> None:
    """Clients keep nothing of ours. Calls that are under way have what they need."""
    for client in list(_clients):
        client.__dict__.pop(_CALL_PATH, None)
    _clients.clear()
