"""The base that SQS client classes get: one call, on the core or on botocore's own path."""

from weakref import WeakSet

from botocore.client import BaseClient  # type: ignore[import-untyped]

from .._lock import lock
from .counts import FAST
from .listeners import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .lane import Lane

#: Where a client keeps its lane.
_LANE = "_turbosqs_lane"

_clients: "WeakSet[Any]" = WeakSet()


class OnCore:
    """What a patched client does otherwise. ``BaseClient`` is the next base of every class that has this one."""

    def _make_api_call(self, operation_name: str, api_params: "dict[str, Any]") -> "Any":
        lane = self.__dict__.get(_LANE)
        if lane is None or lane.is_outdated(self):
            lane = _open(self)
        way = lane.choose(self, operation_name, api_params)
        lane.counts.add(way)
        if way != FAST:
            # Not super(): it would fail in a call that unpatch() overtakes.
            return call(self, operation_name, api_params)
        return lane.call(self, operation_name, api_params)

    def close(self) -> None:
        """Close idle connections, botocore's and the core's. The client stays usable."""
        BaseClient.close(self)
        lane = self.__dict__.get(_LANE)
        if lane is not None:
            lane.close()

    def stats(self) -> "dict[str, Any]":
        """How many of this client's calls went which way; the keys are those of ``turbosqs.stats()``."""
        lane = self.__dict__.get(_LANE)
        return (_open(self) if lane is None else lane).stats()


def _open(client: "Any") -> "Lane":
    """A lane for the client as it is now; the counts go on."""
    # Only now: a patched program may never make a call.
    from .lane import Lane

    with lock():
        previous = client.__dict__.get(_LANE)
        if previous is not None and not previous.is_outdated(client):
            # Another thread was first.
            return previous  # type: ignore[no-any-return]
        lane = Lane(client, OnCore._make_api_call, None if previous is None else previous.counts)
        client.__dict__[_LANE] = lane
        _clients.add(client)
        return lane


def close_lanes() -> None:
    """Clients keep nothing of ours. Calls that are under way have what they need."""
    for client in list(_clients):
        client.__dict__.pop(_LANE, None)
    _clients.clear()
