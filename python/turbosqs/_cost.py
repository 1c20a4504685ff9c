"""``cost``: what calls are billed by SQS, and what boto3's would have been."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict


class Prices(NamedTuple):
    """What requests cost: by default as in most regions, in US dollars.

    A region's own prices are on https://aws.amazon.com/sqs/pricing/.

    Attributes:
        standard: of a million requests about messages of standard queues, or about no message (``list_queues``, say).
        fifo: of a million requests about messages of FIFO queues.
        free: how many requests of an account's month cost nothing.
    """

    standard: float = 0.40
    fifo: float = 0.50
    free: int = 1_000_000

    def _of(self, requests: Mapping[str, int], free: int) -> float:
        count = requests["standard"] + requests["fifo"]
        if count <= free:
            return 0.0
        price = (requests["standard"] * self.standard + requests["fifo"] * self.fifo) / 1_000_000
        # Which requests are the free ones is not said, so both kinds get their share.
        return price * (1 - free / count)


class Cost(TypedDict):
    """What ``cost`` answers. Requests are counted as SQS bills them: each 64 KiB of messages is one."""

    requests: int
    boto3_requests: int
    dollars: float
    boto3_dollars: float


#: The default of ``cost``.
PRICES = Prices()


def cost(stats: Mapping[str, Any] | None = None, prices: Prices = PRICES, *, free: int = 0) -> Cost:
    """What calls are billed, beside what boto3's would have been for the same.

    SQS bills requests, and each 64 KiB of the messages that one sends or brings as one request. A batch is one payload,
    and so is what a receive brings. Repeated attempts count, for boto3 too.

    Args:
        stats: whose: what ``sqs.stats()`` says of one client, or ``turbosqs.stats(client)`` of a patched one; without
            it, of all clients of this process.
        prices: others than those of ``Prices()``.
        free: how many of the account's free requests of the month are left for these; at its beginning
            ``prices.free``. They are taken off on both sides.

    Returns:
        A dict. ``requests`` and ``dollars``: what is billed; ``boto3_requests`` and ``boto3_dollars``: what would be
        billed if each call had been a request of its own, as boto3 sends it. Each message of a ``batch_writer``, each
        delete and each extension of a consumer counts as such a call, and so does each of its long polls.

    Raises:
        TypeError: ``stats`` is nothing that a client counts.
    """
    if stats is None:
        from ._core import process_stats

        counts: Mapping[str, Any] = process_stats()
    elif "billed" in stats and "unshared" in stats:
        counts = stats
    else:
        raise TypeError("cost() takes what sqs.stats() says, or turbosqs.stats(client) of a patched client")
    billed, unshared = counts["billed"], counts["unshared"]
    return {
        "requests": sum(billed.values()),
        "boto3_requests": sum(unshared.values()),
        "dollars": prices._of(billed, free),
        "boto3_dollars": prices._of(unshared, free),
    }


def report(botocore: Mapping[str, int]) -> str:
    """What this process has done and what that costs, in lines for people; empty if it has made no call.

    Args:
        botocore: calls that botocore has made, by the reason.
    """
    import os

    from ._core import process_stats

    requests = process_stats()["requests"]
    if not requests and not botocore:
        return ""
    found = cost()
    lines = [
        f"turbosqs, process {os.getpid()}",
        f"requests: {_listed(requests) or 'none'}",
        f"billed:   {found['requests']:,} requests, ${found['dollars']:.6f}",
        f"by boto3: {found['boto3_requests']:,} requests, ${found['boto3_dollars']:.6f}",
    ]
    if botocore:
        lines.append(f"made by botocore, and not counted here: {_listed(botocore)}")
    return "".join(f"{line}\n" for line in lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def tell_at_exit(botocore: Callable[[], Mapping[str, int]]) -> None:
    """Have the report printed to standard error when this process ends, and those that are forked from it.

    Args:
        botocore: says how many calls botocore has made, by the reason.
    """
    import atexit

    atexit.register(_tell, botocore)


def _tell(botocore: Callable[[], Mapping[str, int]]) -> None:
    import sys

    # Before its first call a process has no core.
    if f"{__package__}._core" in sys.modules and sys.stderr is not None:
        # In one piece: other processes may write there too.
        sys.stderr.write(report(botocore()))
        sys.stderr.flush()
