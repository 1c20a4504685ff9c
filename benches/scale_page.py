"""The page of docs/scale.json, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benches.machine import DISTURBED
from benches.tables import number, table

HEAD = """# Scale

One process of turbosqs's and more and more of one thing, against the embedded SQS in a process of its own; client and
server have a core each. `make scale` writes this page, its pictures and [the figures](scale.json); under each picture
is the command that measures it alone. Bodies have 200 bytes where nothing else is said. *Memory grown* is the most
that was resident while it was measured, beyond what was before. A *knee* is where the rate comes within a tenth of its
most; or, where it is not load that grows, the last place at which the rate is half of its most, or the cost half more
than its least.
"""

#: What a curve says, that its figures do not.
SAID = {
    "coroutines": (
        "Memory grows by what is unanswered: up to 10,000 entries for each queue (`Batching.max_waiting`); coroutines "
        "beyond that wait for their turn."
    ),
    "queues": (
        "Calls share a request with those to the same queue only: with more queues there are fewer in each request, "
        "and more requests."
    ),
    "distance": (
        "`batch_writer` and coroutines have up to 32 requests of ten on their way (`Batching.max_in_flight`), so "
        "beyond some distance the rate falls with it. Threads wait for their answers, so they have as many messages on "
        "their way as there are threads."
    ),
}


def _facts(part: Mapping[str, Any]) -> str:
    other = part["others"]
    disturbed = "; it makes every figure worse" if other > DISTURBED else ""
    return (
        f"`{part['command']}` on {part['date']}, {part['machine']}, CPython {part['python']}; {part['took']:.0f} s; "
        f"other work on the machine meanwhile: {other:.2f} cores{disturbed}."
    )


def _knees(series: list[Mapping[str, Any]], axis: str, more_load: bool) -> str:
    said = {"rate": "the rate grows up to" if more_load else "the rate is half of its most or more up to"}
    said["cpu"] = "CPU a message is much the same up to"
    found = [
        f"{one['label']}: {said[figure]} {place:,.10g} {axis}"
        for one in series
        for figure, place in one["knees"].items()
    ]
    return f"Knee: {'; '.join(found)}." if found else "No knee within what was tried."


def _curve(name: str, curve: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {curve['title']}"
    yield f"![{curve['title'].replace('`', '')}](scale-{name}.svg)"
    yield _facts(curve)
    if any("rate" in point for one in curve["series"] for point in one["points"]):
        yield _knees(curve["series"], curve["axis"], curve["more_load"])
        heads = [curve["axis"], "messages a second", "CPU, µs a message", "memory grown, MB", "requests a message"]
        figures = ("rate", "cpu", "memory", "requests")
        several = len(curve["series"]) > 1
        rows = [
            [
                f"{one['label']}, {point['x']:,.10g}" if several else f"{point['x']:,.10g}",
                *(number(point[f]) for f in figures),
            ]
            for one in curve["series"]
            for point in one["points"]
        ]
        yield table(heads, rows)
    else:
        yield _flat(curve["series"][0]["points"])
    if name in SAID:
        yield SAID[name]


def _flat(points: list[Mapping[str, float]]) -> str:
    """What a long run comes to: its first tenth beside its last."""
    tenth = max(1, len(points) // 10)
    first, last = points[:tenth], points[-tenth:]
    before, after = (sum(point["cpu"] for point in part) / len(part) for part in (first, last))
    end = points[-1]
    return (
        f"CPU in the first tenth {number(before)} µs a message, in the last {number(after)} µs "
        f"({(after / before - 1) * 100:+.0f} %); memory resident after {end['x']:,g} million messages "
        f"{end['memory']:+.1f} MB beside that after the first part."
    )


def _outage(part: Mapping[str, Any]) -> Iterator[str]:
    rows = part["rows"]
    yield f"## {rows[0]['messages']:,} queued sends, and the server gone for {rows[0]['seconds']:g} s"
    yield _facts(part)
    heads = [
        "the server is gone in that",
        "time in all, s",
        "told not to be accepted, sent again",
        "longest wait of a send, s",
        "memory grown, MB",
        "CPU, µs a message",
        "requests a message",
    ]
    figures = ("took", "told", "longest", "memory", "cpu", "requests")
    yield table(heads, [[row["way"], *(number(row[figure]) for figure in figures)] for row in rows])
    yield (
        "The queue held every message afterwards, once. `batch_writer` holds 10,000 unanswered entries, or 64 MiB of "
        "them, and lets the program wait then, so memory does not grow with the outage. While nothing is heard, "
        "requests wait for their read timeout (60 s), and nothing fails. Where connections are refused or reset, each "
        "request has its attempts (`Config(retries=...)`) and then its entries fail: the writer's `BatchWriterError` "
        "has each with its arguments, and is raised as soon as there are 10,000. To send those again is the program's "
        "affair; this one does, with half a second of rest after each."
    )


def markdown(parts: Mapping[str, Any]) -> str:
    """The page.

    Args:
        parts: What docs/scale.json holds.
    """
    pieces = [HEAD.rstrip()]
    for name, curve in parts["curves"].items():
        if name != "long":
            pieces += _curve(name, curve)
    if "outage" in parts:
        pieces += _outage(parts["outage"])
    if "long" in parts["curves"]:
        pieces += _curve("long", parts["curves"]["long"])
    return "\n\n".join(pieces) + "\n"
