"""How turbosqs scales: one process, more and more of one thing, and what a message costs then.

Threads, coroutines, queues, sizes of bodies, distance of the server; a million sends with the server gone for half a
minute; CPU and memory over ten million messages. Client and server have a core each, and each point is a process.

Writes docs/scale.json, and from it docs/scale.md and its pictures: all of it, or what ``--only`` names, beside what is
there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benches import scale_page
from benches.environments import ROOT, interpreter
from benches.harness import Figures, Harness, Server, server
from benches.machine import busy, others, own, processor
from benches.plan import Group, Run, Scenario, Work

ROUNDS, QUICK_ROUNDS = 3, 1
DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Point:
    """What is measured at one place of a curve.

    Args:
        x: The place.
        function: The work, and
        messages: how many messages it moves, and
        options: what it is given.
        body: The bytes of each body.
        delay: Seconds that the server takes for each request.
        counted: Whether the harness can count what one queue holds; otherwise the work does.
    """

    x: float
    function: str
    messages: int
    options: Mapping[str, object] = field(default_factory=dict)
    body: int = 200
    delay: float = 0.0
    counted: bool = True

    def run(self) -> Run:
        work = Work("turbosqs", self.function, self.messages, self.messages, self.options, moves=self.counted or None)
        title = f"{self.function} at {self.x:g}"
        return Run(Scenario(title, self.delay, self.body), Group(title, "send", (work,)), work)


@dataclass(frozen=True)
class Curve:
    """What is measured along one axis.

    Args:
        title: What it is about.
        axis: What grows.
        log: The base of a logarithmic axis; none for one that is not.
        more_load: Whether what grows is load: then the knee is where the rate stops growing, else where the cost begins
            to.
        series: Points by the label of their line.
    """

    title: str
    axis: str
    log: int | None
    more_load: bool
    series: Mapping[str, Sequence[Point]]


def _sizes() -> Iterator[Point]:
    for size in (1, 100, 1_000, 10_000, 100_000, 1 << 20):
        count = max(100, min(50_000, (100 << 20) // size))
        yield Point(size, "turbosqs.send_by_batch_writer", count, body=size)


def _distances(function: str, count: int, far: int, options: Mapping[str, object]) -> list[Point]:
    delays = (0.0, 0.005, 0.02, 0.05, 0.1)
    return [Point(delay * 1_000, function, far if delay else count, options, delay=delay) for delay in delays]


COROUTINES = "turbosqs_aio.send"
AT_ONCE = {"coroutines": 1_000, "uvloop": False}

CURVES = {
    "threads": Curve(
        "`send_message` from threads",
        "threads",
        2,
        True,
        {
            "turbosqs": [
                Point(count, "turbosqs.send_by_threads", 3_000 if count == 1 else 12_000, {"threads": count})
                for count in (1, 2, 4, 8, 16, 32, 64)
            ]
        },
    ),
    "coroutines": Curve(
        "`send_message` from coroutines",
        "coroutines",
        10,
        True,
        {
            "turbosqs.aio": [
                Point(count, COROUTINES, 3_000 if count == 1 else 30_000, {"coroutines": count, "uvloop": False})
                for count in (1, 10, 100, 1_000, 10_000)
            ]
        },
    ),
    "queues": Curve(
        "`send_message` from 1,000 coroutines, to queues in turn",
        "queues",
        10,
        False,
        {
            "turbosqs.aio": [
                Point(count, "scale.send_to_queues", 20_000, {"queues": count, "coroutines": 1_000}, counted=False)
                for count in (1, 10, 100, 1_000)
            ]
        },
    ),
    "bodies": Curve("`batch_writer`, by the size of bodies", "bytes", 10, False, {"batch_writer": list(_sizes())}),
    "distance": Curve(
        "How far away the server is",
        "ms that a request takes beside its own",
        None,
        False,
        {
            "batch_writer": _distances("turbosqs.send_by_batch_writer", 30_000, 6_400, {}),
            "32 threads": _distances("turbosqs.send_by_threads", 12_000, 640, {"threads": 32}),
            "1,000 coroutines": _distances(COROUTINES, 30_000, 6_400, AT_ONCE),
        },
    ),
}
OUTAGE, LONG = "outage", "long"


def knee(points: Sequence[Mapping[str, Any]], more_load: bool) -> dict[str, float]:
    """Where a curve bends, if it does before its end.

    Returns:
        ``rate``, from where on it is within a tenth of the most. Where it is not load that grows: ``rate``, up to where
        it is half of the most, and ``cpu``, up to where it is half more than the least.
    """
    places = [point["x"] for point in points]
    if more_load:
        most = max(point["rate"] for point in points)
        bend = next(point["x"] for point in points if point["rate"] >= 0.9 * most)
        return {"rate": bend} if bend != places[-1] else {}
    least, most = min(point["cpu"] for point in points), max(point["rate"] for point in points)
    bends = {
        "cpu": max((point["x"] for point in points if point["cpu"] <= 1.5 * least), default=places[-1]),
        "rate": max(point["x"] for point in points if point["rate"] >= most / 2),
    }
    # What bends from its first place on has no flat part to end.
    return {figure: place for figure, place in bends.items() if place not in (places[0], places[-1])}


def measure(harness: Harness, point: Point, rounds: int) -> dict[str, float]:
    """The medians of a point's rounds."""
    all_rounds = [harness.measure(point.run(), longest=300) for _ in range(rounds)]

    def median(of: Callable[[Figures], float]) -> float:
        return statistics.median(map(of, all_rounds))

    return {
        "x": point.x,
        "rate": 1e6 / median(lambda figures: figures.wall),
        "cpu": median(lambda figures: figures.cpu),
        "memory": median(lambda figures: figures.others["grown"]),
        "requests": median(lambda figures: figures.requests),
    }


def curve(harness: Harness, wanted: Curve, quick: bool) -> dict[str, Any]:
    """A curve, measured."""
    series = []
    for label, points in wanted.series.items():
        # The first and the last are what it is about.
        chosen = [points[0], points[len(points) // 2], points[-1]] if quick else points
        measured = [measure(harness, point, QUICK_ROUNDS if quick else ROUNDS) for point in chosen]
        series.append({"label": label, "points": measured, "knees": knee(measured, wanted.more_load)})
    return {
        "title": wanted.title,
        "axis": wanted.axis,
        "log": wanted.log,
        "more_load": wanted.more_load,
        "series": series,
    }


def outage(harness: Harness, service: Server, count: int, seconds: float) -> list[dict[str, Any]]:
    """Sends that go on while the server is gone, in two ways; each row has what became of them.

    The harness fails unless the queue holds as many messages as were given.
    """

    def after_a_moment(go: Callable[[], object], come_back: Callable[[], object]) -> Callable[[], None]:
        def happen() -> None:
            time.sleep(min(1.0, seconds / 10))
            go()
            time.sleep(seconds)
            come_back()

        return happen

    process = service.process
    ways = {
        "it says nothing": after_a_moment(
            lambda: process.send_signal(signal.SIGSTOP), lambda: process.send_signal(signal.SIGCONT)
        ),
        "it resets each connection": after_a_moment(
            lambda: service.order(gone=True), lambda: service.order(gone=False)
        ),
    }
    rows = []
    for way, meanwhile in ways.items():
        run = Point(seconds, "scale.send_through_outage", count).run()
        figures = harness.measure(run, longest=600, meanwhile=meanwhile)
        rows.append(
            {
                "way": way,
                "seconds": seconds,
                "messages": count,
                "took": figures.wall * count / 1e6,
                "told": figures.others["told"],
                "longest": figures.others["longest"],
                "memory": figures.others["grown"],
                "cpu": figures.cpu,
                "requests": figures.requests,
            }
        )
    return rows


def long(harness: Harness, count: int, steps: int) -> dict[str, Any]:
    """A long run, as a curve over the messages sent so far."""
    run = Point(count, "scale.send_long", count, {"steps": steps}, counted=False).run()
    figures = harness.measure(run, longest=1_800)
    points = [
        {
            "x": (number + 1) * count / steps / 1e6,
            "cpu": figures.others[f"cpu {number}"],
            "memory": figures.others[f"memory {number}"] - figures.others["memory 0"],
        }
        for number in range(steps)
    ]
    series = [{"label": "batch_writer", "points": points, "knees": {}}]
    axis = "millions of messages sent"
    title = "`batch_writer`, one message after another"
    return {"title": title, "axis": axis, "log": None, "more_load": False, "series": series}


def arguments() -> argparse.Namespace:
    names = [*CURVES, OUTAGE, LONG]
    parser = argparse.ArgumentParser(
        prog="python -m benches.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of it, one round; a try, not figures to keep")
    parser.add_argument("--only", action="append", choices=names, help="this part alone; repeatable")
    parser.add_argument("--messages", type=int, default=10_000_000, help="of the long run (default: %(default)s)")
    parser.add_argument("--to", type=Path, default=DOCS, metavar="FOLDER", help="where to write (default: docs)")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    python = interpreter("curves")
    available = sorted(os.sched_getaffinity(0))
    cores = (available[0], available[1]) if len(available) > 1 else (None, None)
    stored = chosen.to / "scale.json"
    parts: dict[str, Any] = json.loads(stored.read_text()) if stored.exists() else {"curves": {}}
    options = [*(["--quick"] if chosen.quick else [])]
    with server(cores[1]) as service:
        harness = Harness(service, cores[0])
        for name in chosen.only or [*CURVES, OUTAGE, LONG]:
            began, busy_before, own_before = time.monotonic(), busy(), own()
            served = service.order()["cpu"]
            more: list[str] = []
            if name == OUTAGE:
                rows = outage(harness, service, *((100_000, 5.0) if chosen.quick else (1_000_000, 30.0)))
                part = parts[OUTAGE] = {"rows": rows}
            elif name == LONG:
                count = min(chosen.messages, 500_000) if chosen.quick else chosen.messages
                more = ["--messages", str(count)]
                part = parts["curves"][LONG] = long(harness, count, 20)
            else:
                part = parts["curves"][name] = curve(harness, CURVES[name], chosen.quick)
            took = time.monotonic() - began
            served = service.order()["cpu"] - served
            part |= {
                "command": " ".join(["python -m benches.scale", *options, "--only", name, *more]),
                "date": f"{date.today()}",
                "machine": f"{platform.system()}, {processor()}, {os.cpu_count()} cores",
                "python": platform.python_version(),
                "others": max(others(busy_before, own_before, took) - served / took, 0.0),
                "took": took,
            }
            print(f"{name}: {took:.0f} s", file=sys.stderr)
            chosen.to.mkdir(exist_ok=True)
            stored.write_text(json.dumps(parts, indent=1) + "\n")
    (chosen.to / "scale.md").write_text(scale_page.markdown(parts))
    subprocess.run([python, ROOT / "benches" / "curves.py", stored, chosen.to], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
