"""Whether somebody in the process may listen to the calls of our clients: botocore's functions replaced by mocks or
instrumentation, moto's mock, sockets that are not Python's.

It is looked at before each call, so the answer is a ``Watch`` over a state in which nobody did, and looked for anew
only when that state is no longer the one there is. Nothing here imports botocore; who has not imported it has not
replaced anything in it.
"""

from __future__ import annotations

import sys

from ._core import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_BOTOCORE, _MOTO = "botocore.client", "moto.core.models"
_STUBBER = "botocore_stubber"


def _never() -> bool:
    return False


#: Whether all is as it was when nobody listened.
is_quiet: Callable[[], bool] = _never
# Whether all is as it was when known tools were all that listened.
_is_traced: Callable[[], bool] = _never


def way() -> str | None:
    """Why calls have to go by way of botocore, in the words of ``turbosqs.stats``; None if nobody listens to all."""
    if is_quiet():
        return None
    return "traced" if _is_traced() else _look()


def _look() -> str | None:
    global is_quiet, _is_traced
    modules = sys.modules
    found: list[tuple[Mapping[str, Any], str, Any]] = []
    reasons: list[str | None] = []
    is_traced = False
    for name in ("socket", _BOTOCORE, _MOTO):
        found.append((modules, name, modules.get(name)))
    if modules.get(_BOTOCORE) is not None:
        from .patching import listeners

        replaced = listeners.replaced()
        found += replaced.found
        reasons.append(replaced.way)
        is_traced = replaced.tools is not None
        history = vars(listeners._history)
        found.append((history, "_enabled", history["_enabled"]))
        reasons.append("history" if history["_enabled"] else None)
    elif (socket := modules.get("socket")) is not None:
        sockets = vars(socket)
        for name in ("socket", "getaddrinfo", "create_connection"):
            value = sockets.get(name)
            found.append((sockets, name, value))
            reasons.append(None if _is_pythons(value) else "sockets")
    if (moto := modules.get(_MOTO)) is not None:
        stubber = vars(moto).get(_STUBBER)
        found.append((vars(moto), _STUBBER, stubber))
        if stubber is not None:
            found.append((vars(stubber), "enabled", stubber.enabled))
            # It goes before the sockets and so on that moto replaces as well.
            reasons.insert(0, "moto" if stubber.enabled else None)
    why = next(filter(None, reasons), None)
    if why is None and is_traced:
        _is_traced = Watch(found).is_same
        return "traced"
    if why is None:
        is_quiet = Watch(found, heeds_log=True).is_same
    return why


def _is_pythons(value: Any) -> bool:
    # Functions by where they were written, as decorators copy __module__.
    written = getattr(value, "__globals__", None)
    module = getattr(value, "__module__", None) if written is None else written.get("__name__")
    return module in ("socket", "_socket")


def stubber() -> Any:
    """moto's handler of ``before-send``, while its mock is on."""
    moto = sys.modules.get(_MOTO)
    found = None if moto is None else vars(moto).get(_STUBBER)
    return found if found is not None and found.enabled else None
