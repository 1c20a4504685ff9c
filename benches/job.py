"""What a work is given, in the process that does it. Only the standard library: it runs in every environment."""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEN = 10  # the most that SQS takes in one request

#: The client's settings, the same for every library.
SETTINGS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "bench", "aws_secret_access_key": "bench"}

#: Measures what it runs: seconds of CPU, seconds by the clock, resident megabytes, and when it was done.
FRESH = """
import resource, time
{before}
used, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
{code}
took, usage, ready = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
cpu = usage.ru_utime + usage.ru_stime - used.ru_utime - used.ru_stime
resident = int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) / 1024
print(cpu, took, resident, ready)
"""


@dataclass
class Job:
    """One round of a work.

    Args:
        endpoint_url: Where the server listens.
        queue_url: The queue; it is this job's alone.
        messages: How many messages to move while measured. A queue to be emptied holds ``warm`` more.
        warm: How many to move before: connections, caches.
        body: The body of each message.
        delay: How long the server takes over each request, in seconds.
        start: Called when all is ready; it returns when the measuring may begin.
    """

    endpoint_url: str
    queue_url: str
    messages: int
    warm: int
    body: str
    delay: float
    start: Callable[[], None] = field(repr=False)
    figures: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measures its block: CPU of this process with all its threads, user and system, and time by the clock.

        The garbage collector does not see what was imported and made before: going through all of boto3 takes it 30 ms,
        which would fall into one round and not into another.
        """
        self.start()
        gc.collect()
        gc.freeze()
        resident = _start_of_peak()
        before, began = cpu(), time.perf_counter()
        yield
        took, used = time.perf_counter() - began, cpu() - before
        grown = _resident("VmHWM") - resident
        self.figures |= {"cpu": used * 1e6, "wall": took * 1e6, "memory": _resident(), "grown": grown}

    def measure_start(self, code: str, before: str = "") -> None:
        """Measures a few lines in an interpreter that has loaded nothing else, after the lines ``before``."""
        self.start()
        script = FRESH.format(before=before, code=code)
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        cpu, wall, memory, ready = map(float, done.stdout.split())
        self.figures |= {"cpu": cpu * 1e6, "wall": wall * 1e6, "memory": memory, "start": (ready - began) * 1e6}

    @contextmanager
    def latencies(self, name: str) -> Iterator[Callable[[Callable[[], object]], None]]:
        """Yields a function that calls and times; the median in microseconds becomes a figure."""
        taken: list[float] = []

        def call(function: Callable[[], object]) -> None:
            began = time.perf_counter()
            function()
            taken.append(time.perf_counter() - began)

        yield call
        self.figures[name] = statistics.median(taken) * 1e6

    def entries(self) -> list[dict[str, str]]:
        """The entries of a batch of ten."""
        return [{"Id": str(number), "MessageBody": self.body} for number in range(TEN)]


def handles(messages: list[Any]) -> list[dict[str, str]]:
    """The entries that delete received messages."""
    return [{"Id": str(number), "ReceiptHandle": m["ReceiptHandle"]} for number, m in enumerate(messages)]


def all_succeeded(reply: Any) -> None:
    """Raises unless all ten entries of a batch succeeded."""
    if len(reply["Successful"]) != TEN:
        raise RuntimeError(f"not all entries succeeded: {reply}")


def share(count: int, parts: int) -> list[int]:
    """``count`` in parts as even as can be."""
    return [count // parts + (number < count % parts) for number in range(parts)]


def run_loop(main: Coroutine[Any, Any, None], uvloop: bool = False) -> None:
    """Runs a coroutine on asyncio's own event loop, or on uvloop's."""
    if uvloop:
        import uvloop as module

        module.run(main)
    else:
        asyncio.run(main)


def cpu() -> float:
    """Seconds of CPU that this process has used with all its threads, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _resident(name: str = "VmRSS") -> float:
    """Resident megabytes. Not ru_maxrss, which a child inherits from whatever forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def _start_of_peak() -> float:
    """Has the kernel look for the most that is resident from now on (``VmHWM``); what is now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _resident()
