"""Which way calls went."""

from __future__ import annotations

from typing import Any


def gone(client: Any) -> dict[str, int]:
    """The counts of a patched client, without the ways that no call went, and without what the core counts."""
    core = {"requests", "messages", "fill", "flushes", "retries"}
    return {way: number for way, number in client.stats().items() if number and way not in core}
