"""Scripts run by a Python of their own, with either library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from textwrap import dedent

from support.libraries import BOTO3, KEYS, Library

#: What every script begins with. ``client()`` makes a client of the library under test on the server given.
PRELUDE = f"""
import importlib, os, sys, threading, time, warnings
# From Python 3.12 on, of every fork of a process with threads; here it is what is tried.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
module, url = importlib.import_module(sys.argv[1]), sys.argv[2]

def client(**options):
    settings = {{**{KEYS!r}, "region_name": "us-east-1", "endpoint_url": url, **options}}
    return module.Session().client("sqs", **settings)

def url_of(sqs):
    return sqs.get_queue_url(QueueName="q")["QueueUrl"]

def say(*words):
    # In one write, whatever PYTHONUNBUFFERED says: the lines of two processes stay apart.
    os.write(1, (" ".join(words) + "\\n").encode())

"""


def start(
    library: Library, url: str, script: str, *, prelude: str = PRELUDE, python: Sequence[str] = (sys.executable,)
) -> subprocess.Popen[str]:
    """The script, started; under every warning that Python has, but for boto3, which has some of its own."""
    warnings = [] if library == BOTO3 else ["-W", "always"]
    command = [*python, "-X", "faulthandler", *warnings, "-c", prelude + dedent(script), library.name, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def finish(process: subprocess.Popen[str], timeout: float = 60) -> str:
    """What it printed; it must have ended by itself, well, and without a word on stderr."""
    try:
        printed, noise = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, noise = process.communicate()
        raise AssertionError(f"it hangs; so far it said:\n{printed}\n{noise}") from None
    assert (process.returncode, noise) == (0, ""), f"ended with {process.returncode}:\n{printed}\n{noise}"
    return printed


def run(
    library: Library,
    url: str,
    script: str,
    *,
    prelude: str = PRELUDE,
    python: Sequence[str] = (sys.executable,),
    timeout: float = 60,
) -> str:
    return finish(start(library, url, script, prelude=prelude, python=python), timeout)
