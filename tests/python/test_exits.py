"""An interpreter ends well whatever its daemon threads are doing: ``exits.py`` makes thousands, here are some."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.exits import IN_THE_CORE, KINDS, ends
from support.interpreters import OTHERS
from turbosqs.local import Server

PYTHONS = [sys.executable, *OTHERS.values()]
#: For each Python, as far as the time goes.
COUNT, SECONDS = 100 // len(PYTHONS), 12 / len(PYTHONS)


@pytest.mark.parametrize("python", PYTHONS)
def test_exit_with_eight_daemons_that_call(python: str, tmp_path: Path) -> None:
    """A thread that comes back to an interpreter which has ended would find its own state freed."""
    with Server(queues=["q", "q2"]) as server:
        until = time.monotonic() + SECONDS
        kinds = IN_THE_CORE if python == OTHERS.get("3.10") or sys.version_info < (3, 11) else KINDS
        found = Counter(ends(python, server.endpoint_url, tmp_path, COUNT, seed=1, until=until, kinds=kinds))
    assert set(found) == {"well"}
