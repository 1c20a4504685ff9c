"""The tag of a call that botocore makes for a client of ours, on its way there and to the core."""

from __future__ import annotations

from contextvars import ContextVar

#: 0: it has none.
TAG: ContextVar[int] = ContextVar("turbosqs_tag", default=0)
