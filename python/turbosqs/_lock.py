"""The package's one lock, for what is made once. A forked child never finds it held: it gets a new one."""

from __future__ import annotations

import os
from _thread import RLock

_current = RLock()


def lock() -> RLock:
    """The lock of this process."""
    return _current


def _replace() -> None:
    global _current
    _current = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace)
