"""The machine on which something is measured, and what else it does meanwhile."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

DISTURBED = 0.2  # cores of other work from which on figures are said to be too high


def busy() -> float:
    """Seconds of CPU that the whole machine has used."""
    user, nice, system = (int(ticks) for ticks in Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own() -> float:
    """Seconds of CPU that this process has used, and its ended children."""
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def others(busy_before: float, own_before: float, took: float) -> float:
    """How many cores others have used since; what runs for us and has not ended is counted among them."""
    return max(busy() - busy_before - (own() - own_before), 0.0) / took
