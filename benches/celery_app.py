"""The Celery application of the benches, as its worker imports it: ``benches.work_celery`` sets its environment."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals

SETTINGS: dict[str, Any] = {
    "broker_transport_options": {
        "region": "us-east-1",
        "is_secure": False,
        "wait_time_seconds": 1,
        # kombu's own worker looks away for so long whenever its prefetch limit is reached: a second, by default.
        "polling_interval": 0,
    },
    "broker_connection_retry_on_startup": True,
    "task_ignore_result": True,
    "task_acks_late": os.environ.get("BENCH_LATE") == "1",
    "worker_enable_remote_control": False,
    "worker_prefetch_multiplier": int(os.environ.get("BENCH_MULTIPLIER", "4")),
}

app = Celery("bench", broker=os.environ.get("BENCH_BROKER"))
app.conf.update(SETTINGS)

_done = -1


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _open(**_: object) -> None:
    global _done
    _done = os.open(os.environ["BENCH_DONE"], os.O_WRONLY | os.O_APPEND)


@app.task(name="bench.nothing")  # type: ignore[untyped-decorator]
def nothing(body: str) -> None:  # noqa: ARG001
    """A task that does nothing but say that it was done: a byte in a file."""
    os.write(_done, b".")
