"""A Celery application with tasks of every kind: how they are acknowledged, fail, are tried again, wait and follow."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery, chord

#: What a worker has of its environment.
BROKER, BACKEND, DONE, OPTIONS = "BROKER", "BACKEND", "DONE", "OPTIONS"


def make(broker: str, backend: str | None, options: dict[str, Any], **settings: Any) -> Any:
    """The application, with tasks of its own: more than one may be in a process."""
    app = Celery("kinds", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(
        broker_transport_options={"region": "us-east-1", "is_secure": False, "polling_interval": 0, **options},
        broker_connection_retry_on_startup=True,
        task_ignore_result=True,
        worker_enable_remote_control=False,
        **settings,
    )

    @app.task(name="early", shared=False)  # type: ignore[untyped-decorator]
    def early(number: int) -> None:
        note("early", number)

    @app.task(name="late", shared=False, acks_late=True)  # type: ignore[untyped-decorator]
    def late(number: int) -> None:
        note("late", number)

    @app.task(name="slow", shared=False, acks_late=True)  # type: ignore[untyped-decorator]
    def slow(number: int, seconds: float) -> None:
        note("begun", number)
        time.sleep(seconds)
        note("slow", number)

    @app.task(name="again", shared=False, bind=True, acks_late=True, max_retries=2)  # type: ignore[untyped-decorator]
    def again(task: Any, number: int) -> None:
        note("again", number)
        if task.request.retries < 2:
            raise task.retry(countdown=0)

    @app.task(name="kept", shared=False, acks_late=True, acks_on_failure_or_timeout=False)  # type: ignore[untyped-decorator]
    def kept(number: int) -> None:
        note("kept", number)
        raise ValueError("it stays in the queue")

    @app.task(name="lost", shared=False, acks_late=True, reject_on_worker_lost=True)  # type: ignore[untyped-decorator]
    def lost(number: int) -> None:
        note("lost", number)
        if Path(os.environ[DONE]).read_text().count(f"lost {number} ") == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    @app.task(name="part", shared=False, ignore_result=False)  # type: ignore[untyped-decorator]
    def part(number: int) -> int:
        return number

    @app.task(name="whole", shared=False, ignore_result=False)  # type: ignore[untyped-decorator]
    def whole(numbers: list[int]) -> None:
        note("whole", sum(numbers))

    @app.task(name="parts", shared=False)  # type: ignore[untyped-decorator]
    def parts(count: int) -> None:
        chord([part.s(number) for number in range(count)])(whole.s())

    return app


def note(kind: str, number: int) -> None:
    """A line of its own in the file: what several processes write stays apart."""
    file = os.open(os.environ[DONE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{kind} {number} {os.getpid()}\n".encode())
    os.close(file)


if BROKER in os.environ:
    app = make(os.environ[BROKER], os.environ.get(BACKEND), json.loads(os.environ[OPTIONS]))
