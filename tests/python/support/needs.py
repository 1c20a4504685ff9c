"""Marks of tests that need what not every platform has. ``test_platforms.py`` finds those that lack one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

WINDOWS = sys.platform == "win32"

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process forks on this platform")
SIGNALS = pytest.mark.skipif(WINDOWS, reason="no program can be sent a signal that it handles on this platform")
PROC = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc on this platform")
RESOURCE = pytest.mark.skipif(WINDOWS, reason="no limits are set to a process on this platform")
SCRIPTS = pytest.mark.skipif(WINDOWS, reason="no text is a program on this platform")
#: More addresses of this machine than 127.0.0.1.
LOOPBACK = pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.1 alone is this machine on this platform")
#: A listener whose backlog is full says nothing to who comes.
BACKLOG = pytest.mark.skipif(WINDOWS, reason="who comes to a full backlog is refused on this platform")
