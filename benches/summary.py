"""The results in short: the table that README.md shows."""

from __future__ import annotations

from dataclasses import dataclass

from benches.plan import (
    AT_ONCE,
    CELERY,
    CELERY_DELAY,
    COROUTINES,
    DELAYED,
    INSTRUMENTED,
    ONE_BY_ONE,
    PATCHED,
    PATCHED_TENS,
    RECEIVING,
    STARTING,
    TENS,
    THREADS,
)
from benches.results import Results, known
from benches.tables import number, table


@dataclass(frozen=True)
class Row:
    """A comparison.

    Args:
        title: What is compared.
        group: The group of the two works, and
        rival: the label of theirs, and
        ours: of ours.
        figure: What is compared of them.
        unit: Its unit, and
        scale: how many of the figure's own make one.
        less: What it is to have less of it.
        scenario: The server.
    """

    title: str
    group: str
    rival: str
    ours: str
    figure: str = "cpu"
    unit: str = "µs"
    scale: float = 1.0
    less: str = "less"
    scenario: str = AT_ONCE


ROWS = (
    Row("`import` and the first client", STARTING, "boto3", "turbosqs", "wall", "ms", 1e3, "faster"),
    Row("memory after it", STARTING, "boto3", "turbosqs", "memory", "MB"),
    Row("`send_message_batch` of 10", TENS, "boto3", "turbosqs"),
    Row("the same by boto3's own client, patched", TENS, "boto3", "turbosqs, boto3 patched"),
    Row("`send_message`, one after another", ONE_BY_ONE, "boto3", "turbosqs"),
    *(
        Row(
            f"the same by boto3's own client, patched, under {tool}",
            INSTRUMENTED,
            f"boto3, {tool}",
            f"turbosqs, boto3 patched, {tool}",
        )
        for tool in ("OpenTelemetry", "Sentry")
    ),
    Row("its median latency, on loopback", ONE_BY_ONE, "boto3", "turbosqs", "latency", less="faster"),
    Row("`send_message` from 32 threads", THREADS, "boto3", "turbosqs"),
    Row("`batch_writer` instead of `send_message`", ONE_BY_ONE, "boto3", "turbosqs batch_writer"),
    Row(
        "the same, time with a server of 5 ms",
        ONE_BY_ONE,
        "boto3",
        "turbosqs batch_writer",
        "wall",
        less="faster",
        scenario=DELAYED,
    ),
    Row(
        "`send_message` from 1,000 coroutines (aiobotocore / `turbosqs.aio`)",
        COROUTINES,
        "aiobotocore",
        "turbosqs.aio",
    ),
    Row("the same by aiobotocore's own client, patched", COROUTINES, "aiobotocore", PATCHED),
    Row(
        "receive and delete, tens by hand / `poll_messages`", RECEIVING, "boto3, tens by hand", "turbosqs poll_messages"
    ),
    Row(
        "receive and delete, tens by hand / `Consumer`", RECEIVING, "boto3, tens by hand", "turbosqs Consumer, function"
    ),
    Row(
        "receive and delete, tens by hand, by aiobotocore's own client, patched",
        RECEIVING,
        "aiobotocore, tens by hand",
        PATCHED_TENS,
    ),
    *(
        Row(
            f"a Celery worker ({when} acknowledgement, prefetch limit 40, server of 5 ms), time",
            CELERY[late],
            "kombu, prefetch limit 40",
            "turbosqs, prefetch limit 40",
            "wall",
            less="faster",
            scenario=DELAYED,
        )
        for late, when in ((False, "early"), (True, "late"))
    ),
    Row(
        "Celery's `delay()` in `batch_publishing` (server of 5 ms), time",
        CELERY_DELAY,
        "kombu",
        "turbosqs, batch_publishing",
        "wall",
        less="faster",
        scenario=DELAYED,
    ),
)


def markdown(results: Results) -> str:
    """The table; nothing when none of its rows was measured."""
    rows = []
    for row in ROWS:
        theirs, ours = (
            results.median(row.scenario, row.group, work, row.figure) / row.scale for work in (row.rival, row.ours)
        )
        if known(theirs) and known(ours):
            times = f"{number(theirs / ours, 2)} times {row.less}"
            rows.append([row.title, f"{number(theirs)} {row.unit}", f"{number(ours)} {row.unit}", times])
    return table(["CPU per message, if not said otherwise", "boto3", "turbosqs", ""], rows) if rows else ""
