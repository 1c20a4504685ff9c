"""How kombu finds the transport: by the alias ``turbosqs+sqs://``, and while clients are patched by ``sqs://`` too.

Nothing here imports kombu: until somebody has imported ``kombu.transport``, there is nothing to register with.
"""

from __future__ import annotations

import logging
import sys

from ._lock import lock
from ._when_imported import WhenImported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MODULE = "kombu.transport"
_TRANSPORT, _URL_TRANSPORT = "turbosqs.kombu:Transport", "turbosqs.kombu.transport:UrlTransport"

#: The oldest kombu whose transport ours can stand in for.
OLDEST = (5, 7)

_logger = logging.getLogger("turbosqs")

#: What kombu's names for SQS stood for, while they stand for ours.
_before: dict[str, str] = {}


def install() -> None:
    """Have ``sqs://`` stand for our transport, from now on or from when kombu is imported. Twice is once."""
    with lock():
        if _waiting.is_waiting:
            return
        module = sys.modules.get(_MODULE)
        if module is None or not hasattr(module, "TRANSPORT_ALIASES"):
            _waiting.wait()
        else:
            _register(module)


def uninstall() -> None:
    """Have ``sqs://`` stand for kombu's own again. Connections that are open keep what they have."""
    with lock():
        _waiting.stop()
        module: Any = sys.modules.get(_MODULE)
        if module is not None:
            for name, before in _before.items():
                # Unless somebody has put another there.
                if module.TRANSPORT_ALIASES.get(name) == _TRANSPORT:
                    _alias(module, name, before)
        _before.clear()


def register_alias() -> None:
    """Have ``turbosqs+sqs://`` stand for our transport; kombu is imported."""
    _alias(sys.modules[_MODULE], "turbosqs", _URL_TRANSPORT)


def _register(module: Any) -> None:
    version: str = sys.modules["kombu"].__version__
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        _logger.warning("Celery's messages move by kombu's own transport: turbosqs needs kombu 5.7, not %s", version)
        return
    for name in ("sqs", "SQS"):
        before = module.TRANSPORT_ALIASES.get(name)
        # Somebody else's stays, too.
        if isinstance(before, str) and before.startswith("kombu.transport."):
            _before[name] = before
            _alias(module, name, _TRANSPORT)


def _alias(module: Any, name: str, transport: str) -> None:
    module.TRANSPORT_ALIASES[name] = transport
    module._transport_cache.pop(name, None)


def _when_imported() -> None:
    with lock():
        # Unless it was called off meanwhile.
        if _waiting.is_waiting:
            _waiting.stop()
            _register(sys.modules[_MODULE])


_waiting = WhenImported(_MODULE, _when_imported)
