"""A server that the two libraries are asked on."""

from __future__ import annotations

from collections.abc import Callable


class Service:
    """A server that stands for SQS: where it is, how to empty it and, if it can, how to let time pass."""

    def __init__(self, name: str, url: str, reset: Callable[[], object], advance: Callable[[float], object] | None):
        self.name, self.url, self.reset, self.advance = name, url, reset, advance
