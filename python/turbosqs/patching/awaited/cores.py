"""What clients with the same settings share: connections, batches, and what requests are signed with.

Many programs make a client for each message, which would connect anew each time. So there is one of the core for all
clients with the same settings and credentials, and it stays for a while after the last of them is gone. Credentials are
a part of what it is known by: each call is signed with what its own client has, whoever else is refreshing theirs.
"""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from weakref import WeakValueDictionary

from ..._at_exit import flush_at_exit
from ..._core import Client
from ..._lock import lock
from ..._logs import install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

#: For so many seconds one is kept that nobody takes; connections do not stay open for longer either.
KEPT_FOR = 60.0
#: So many are kept that may be nobody's any more.
MOST_KEPT = 16


class SharedCore:
    """A client of the core for all clients with the same settings and credentials.

    Attributes:
        client: the core's.
    """

    __slots__ = ("__weakref__", "client")

    def __init__(self, arguments: dict[str, Any], credentials: Any) -> None:
        """Make the core's client.

        Args:
            arguments: of ``_core.Client``.
            credentials: what to sign with; None if nothing is signed.
        """
        self.client = Client(arguments, resolved=True)
        if credentials is not None:
            self.client.set_credentials(credentials.access_key, credentials.secret_key, credentials.token)


_all: WeakValueDictionary[Hashable, SharedCore] = WeakValueDictionary()
#: Those that were taken last, and when.
_kept: OrderedDict[Hashable, tuple[SharedCore, float]] = OrderedDict()


def take(arguments: dict[str, Any], credentials: Any) -> SharedCore:
    """The one for these settings and credentials; it lives for as long as somebody has it, and for a while longer.

    Args:
        arguments: of ``_core.Client``.
        credentials: what botocore calls frozen credentials; None if nothing is signed.

    Raises:
        Failure and others: the core does not take the arguments.
    """
    key = (_frozen(arguments), None if credentials is None else tuple(credentials))
    with lock():
        core = _all.get(key)
        if core is None:
            install()
            flush_at_exit()
            _all[key] = core = SharedCore(arguments, credentials)
        now = monotonic()
        _kept[key] = core, now
        _kept.move_to_end(key)
        while len(_kept) > MOST_KEPT or now - next(iter(_kept.values()))[1] > KEPT_FOR:
            _kept.popitem(last=False)
    return core


def _frozen(value: Any) -> Hashable:
    """Settings as a key."""
    if isinstance(value, dict):
        return tuple((name, _frozen(each)) for name, each in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    # True and 1 are two settings.
    frozen: Hashable = (type(value), value)
    return frozen
