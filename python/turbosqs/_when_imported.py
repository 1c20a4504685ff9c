"""Something to be done once a module is imported that may never be, without importing it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.abc import Loader, MetaPathFinder
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any
else:
    # What counts is their methods; the module that has these classes takes longer to import than all of ours.
    Loader = MetaPathFinder = object


class WhenImported(MetaPathFinder):
    """Waits for a module to be imported, while it stands on ``sys.meta_path``.

    Attributes:
        name: the module's.
    """

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        """Nothing is waited for yet.

        Args:
            name: the module's.
            then: what is done when the module has been executed. It is still waited for then: ``stop``.
        """
        self.name = name
        self._then = then

    @property
    def is_waiting(self) -> bool:
        """Whether the module is waited for."""
        return self in sys.meta_path

    def wait(self) -> None:
        """Wait from now on. Twice is once."""
        if not self.is_waiting:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Wait no more."""
        if self.is_waiting:
            sys.meta_path.remove(self)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        for finder in sys.meta_path:
            # The import system passes over finders of the old kind, too.
            find_spec: Any = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find_spec is None else find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Then(spec.loader, self._then)
                return spec
        return None


class _Then(Loader):
    """The loader of a module, and what is to be done when the module is there. The module keeps its own loader."""

    def __init__(self, loader: Any, then: Callable[[], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()
