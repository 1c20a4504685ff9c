"""The process that does one round of a work: ``python -m benches.worker TASK``, TASK as JSON.

It says ``ready`` on its standard output, begins to measure when it reads a line, and ends with its figures as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from benches.job import Job


def main() -> None:
    task = json.loads(sys.argv[1])
    if task["core"] is not None:
        os.sched_setaffinity(0, {task["core"]})
    # What a library prints must not get between the lines that the harness reads.
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)

        def start() -> None:
            print("ready", file=out, flush=True)
            sys.stdin.readline()

        subject, function = task["function"].split(".")
        # What a megabyte long is would not fit into a command line.
        given = task["job"]
        job = Job(**{**given, "body": "x" * given["body"]}, start=start)
        work = getattr(importlib.import_module(f"benches.work_{subject}"), function)
        work(job, **task["options"])
        library = {"instrumented": "boto3", "celery": "kombu", "scale": "turbosqs", "socket": "turbosqs"}.get(
            subject, subject.removesuffix("_aio")
        )
        module = importlib.import_module(library)
        if library == "turbosqs" and not Path(module.__file__ or "").is_relative_to(os.environ["PYTHONPATH"]):
            raise RuntimeError(f"turbosqs is not the wheel's, but {module.__file__}")
        # Not every library says its version itself.
        release = getattr(module, "__version__", None) or version(library)
        name = f"{library} {release} on CPython {platform.python_version()}"
        print(json.dumps({"library": name, "figures": job.figures}), file=out, flush=True)


if __name__ == "__main__":
    main()
