"""Which client classes are put on the core, and when.

botocore makes a class for each client. Each class of an SQS client gets one base more, ``OnCore``, in front of
``BaseClient``: those that exist, with all clients and resources made from them, and, by way of
``ClientCreator._create_client_class``, those to come, whichever session makes them. Whatever others replace in
``BaseClient`` stays where it is, and to take the base away again restores the class exactly. aiobotocore's classes
derive from its own client, which has a ``_make_api_call`` of its own: they are left alone.
"""

import logging
import sys
from contextlib import contextmanager
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec

from .._lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_CREATE = "_create_client_class"

#: The oldest botocore whose clients are put on the core: that of boto3 1.28.
OLDEST = (1, 31)

_logger = logging.getLogger("turbosqs")


def patch() -> None:
    """Put boto3's own SQS clients on the Rust core, everywhere in this process and in children that it forks.

    Clients, resources and sessions made before are included, and so is a ``boto3.client`` that somebody imported by
    name. They stay boto3's objects; a call goes to the core unless somebody listens to it, see ``turbosqs.stats``.
    With a boto3 older than 1.28 everything stays as it is, and a line in the log ``turbosqs`` says so.
    Needs boto3 or botocore installed, but imports neither: what is imported later is patched then. Patching twice is
    patching once.

    Raises:
        ModuleNotFoundError: botocore is not installed.
    """
    _state.is_wanted = True
    _state.settle()


def unpatch() -> None:
    """Put everything back as it was before ``patch``; calls that are under way are finished.

    Within a ``with patched():`` block, that is when the block ends.
    """
    _state.is_wanted = False
    _state.settle()


@contextmanager
def patched() -> "Iterator[None]":
    """``with turbosqs.patched():`` patches for as long as the block lasts. Blocks may overlap and nest.

    Raises:
        ModuleNotFoundError: botocore is not installed.
    """
    _state.enter(1)
    try:
        yield
    finally:
        _state.enter(-1)


def patch_when_imported() -> None:
    """``patch`` for a process that may never use boto3, and may not even have it."""
    _state.is_wanted = True
    _state.settle(needed=False)


class _State:
    """What is wanted, and what is done about it."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._blocks = 0
        self._finder = _WhenImported()
        self._installed: tuple[Any, Any] | None = None
        # Of a botocore that is too old.
        self._is_told = False

    def enter(self, blocks: int) -> None:
        with lock():
            self._blocks += blocks
        try:
            self.settle()
        except ModuleNotFoundError:
            with lock():
                self._blocks -= blocks
            raise

    def settle(self, needed: bool = True) -> None:
        """Make what is done what is wanted."""
        # Imports may have to wait for another thread's, which may have to wait for our lock: so they come first.
        client = _imported_client()
        if client is None:
            with lock():
                is_wanted = self.is_wanted or self._blocks > 0
                if is_wanted and needed and find_spec("botocore") is None:
                    self.is_wanted = False
                    message = "patch() puts boto3's clients on the core and needs boto3: pip install boto3"
                    raise ModuleNotFoundError(message, name="botocore")
                if self._finder in sys.meta_path:
                    sys.meta_path.remove(self._finder)
                if is_wanted:
                    sys.meta_path.insert(0, self._finder)
            return
        if _is_too_old():
            with lock():
                if self._finder in sys.meta_path:
                    sys.meta_path.remove(self._finder)
                if (self.is_wanted or self._blocks > 0) and not self._is_told:
                    self._is_told = True
                    message = (
                        "boto3's SQS clients stay as they are: turbosqs needs boto3 1.28 or newer, not botocore %s"
                    )
                    _logger.warning(message, sys.modules["botocore"].__version__)
            return
        from .client import OnCore, close_call_paths

        with lock():
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            is_wanted = self.is_wanted or self._blocks > 0
            if is_wanted and self._installed is None:
                self._installed = _install(client, OnCore)
            elif not is_wanted and self._installed is not None:
                _uninstall(client, OnCore, *self._installed)
                self._installed = None
                close_call_paths()

    @property
    def is_installed(self) -> bool:
        return self._installed is not None


def _imported_client() -> "Any":
    """``botocore.client`` if somebody has imported it; if somebody is about to, once it is there."""
    if "botocore.client" not in sys.modules:
        return None
    from importlib import import_module

    return import_module("botocore.client")


def _is_too_old() -> bool:
    version: str = sys.modules["botocore"].__version__
    return tuple(int(part) for part in version.split(".")[:2]) < OLDEST


def _install(client: "Any", base: type) -> "tuple[Any, Any]":
    """Returns the function that was replaced, and what it was replaced with."""
    original = getattr(client.ClientCreator, _CREATE)

    @wraps(original)
    def create_client_class(*args: "Any", **kwargs: "Any") -> "Any":
        cls = original(*args, **kwargs)
        # Somebody may have wrapped this function and so keep it in use.
        if _state.is_installed:
            add_base(cls, base, client.BaseClient)
        return cls

    setattr(client.ClientCreator, _CREATE, create_client_class)
    for cls in client.BaseClient.__subclasses__():
        add_base(cls, base, client.BaseClient)
    return original, create_client_class


def _uninstall(client: "Any", base: type, original: "Any", replacement: "Any") -> None:
    if vars(client.ClientCreator).get(_CREATE) is replacement:
        setattr(client.ClientCreator, _CREATE, original)
    classes: list[Any] = base.__subclasses__()
    for cls in classes:
        cls.__bases__ = tuple(other for other in cls.__bases__ if other is not base)


def add_base(cls: "Any", base: type, base_client: type) -> None:
    is_sqs = cls._PY_TO_OP_NAME.get("send_message_batch") == "SendMessageBatch"
    # Who brings a way of calling along, keeps it.
    is_plain = next(each for each in cls.__mro__ if "_make_api_call" in vars(each)) is base_client
    if is_sqs and is_plain and base_client in cls.__bases__ and base not in cls.__bases__:
        at = cls.__bases__.index(base_client)
        cls.__bases__ = (*cls.__bases__[:at], base, *cls.__bases__[at:])


class _WhenImported(MetaPathFinder):
    """Sees to ``botocore.client`` when it is imported."""

    def find_spec(self, fullname: str, path: "Any", target: "Any" = None) -> "ModuleSpec | None":
        if fullname != "botocore.client":
            return None
        for finder in sys.meta_path:
            # The import system passes over finders of the old kind, too.
            find_spec: Any = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find_spec is None else find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _ThenSettle(spec.loader)
                return spec
        return None


class _ThenSettle(Loader):
    """The loader of a module, and what is to be done when the module is there. The module keeps its own loader."""

    def __init__(self, loader: "Any") -> None:
        self._loader = loader

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: "ModuleType") -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _state.settle()


_state = _State()
