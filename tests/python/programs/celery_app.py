"""A Celery application as anybody would write it, but for the lines that tell the counts."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from celery import Celery, signals

app = Celery("app", broker=os.environ["BROKER"])
app.conf.update(
    broker_transport_options={"region": "us-east-1", "is_secure": False, "wait_time_seconds": 1, "polling_interval": 0},
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=10,
)


@app.task(name="work")  # type: ignore[untyped-decorator]
def work(number: int) -> None:
    # One write: lines of several processes stay whole.
    line = f"{number} {os.getpid()} {threading.get_ident()}\n"
    file = os.open(os.environ["DONE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def tell(**_: object) -> None:
    import turbosqs

    Path(os.environ["COUNTS"]).write_text(json.dumps(turbosqs.stats()))


if __name__ == "__main__":
    for number in range(int(os.environ["TASKS"])):
        work.delay(number)
