"""Which way calls went."""

from __future__ import annotations

from typing import Any

import botocore
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


def does_not_exist(client: Any) -> type[Exception]:
    """What a client of this botocore raises for a queue that is not there.

    The first botocores that spoke JSON with SQS did not read an error's class.
    """
    has_classes = botocore.__version__ not in {"1.31.81", "1.31.82", "1.31.83", "1.31.84"}
    found: type[Exception] = getattr(client.exceptions, "QueueDoesNotExist" if has_classes else "ClientError")
    return found
