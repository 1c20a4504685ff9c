"""Which way calls went."""

from __future__ import annotations

from typing import Any

import turbosqs


def gone(client: Any) -> dict[str, int]:
    """The counts of a patched client, without the ways that no call went, and without what the core counts. Whoever is
    named as the reason is left out."""
    core = {"requests", "messages", "fill", "flushes", "retries", "billed", "unshared", "cost"}
    found: dict[str, int] = {}
    for way, number in turbosqs.stats(client).items():
        if number and way not in core:
            name = way.partition(":")[0]
            found[name] = found.get(name, 0) + number
    return found
