"""How kombu finds the transport: by the alias ``turbosqs+sqs://``, and while clients are patched by ``sqs://`` too.

Nothing here imports kombu: until somebody has imported ``kombu.transport``, there is nothing to register with.
"""

from __future__ import annotations

import logging
import sys
from importlib.abc import Loader, MetaPathFinder

from ._lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
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
        if _finder in sys.meta_path:
            return
        module = sys.modules.get(_MODULE)
        if module is None or not hasattr(module, "TRANSPORT_ALIASES"):
            sys.meta_path.insert(0, _finder)
        else:
            _register(module)


def uninstall() -> None:
    """Have ``sqs://`` stand for kombu's own again. Connections that are open keep what they have."""
    with lock():
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
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


class _WhenImported(MetaPathFinder):
    """Waits for ``kombu.transport`` to be imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        for finder in sys.meta_path:
            # The import system passes over finders of the old kind, too.
            find_spec: Any = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find_spec is None else find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _ThenRegister(spec.loader)
                return spec
        return None


class _ThenRegister(Loader):
    """The loader of a module, and what is to be done when the module is there. The module keeps its own loader."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        with lock():
            # Unless it was called off meanwhile.
            if _finder in sys.meta_path:
                sys.meta_path.remove(_finder)
                _register(module)


_finder = _WhenImported()
