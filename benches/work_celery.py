"""Celery: a worker that does tasks which do nothing, and a program that publishes them, by one transport or another."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benches.job import Job

#: How a worker is started: as it is, or by turbosqs.
_RUN = {"kombu": ("-m",), "turbosqs": ("-m", "turbosqs", "run"), "redis": ("-m",)}

_TICKS = os.sysconf("SC_CLK_TCK")


def work(job: Job, transport: str, late: bool, multiplier: int) -> None:
    """Have a prefork worker of two processes do all tasks; CPU is its main process's, which moves the messages.

    The first tenth of the tasks is not measured: processes start, connections are made.
    """
    with tempfile.TemporaryDirectory() as folder, _broker(job, transport) as url:
        done = Path(folder, "done")
        done.touch()
        _publish(job, url)
        environment = {
            **os.environ,
            "BENCH_BROKER": url,
            "BENCH_DONE": str(done),
            "BENCH_LATE": str(int(late)),
            "BENCH_MULTIPLIER": str(multiplier),
        }
        quiet = ("--without-heartbeat", "--without-mingle", "--without-gossip", "-l", "ERROR")
        command = [sys.executable, *_RUN[transport], "celery", "-q", "-A", "benches.celery_app", "worker"]
        command += ["-P", "prefork", "-c", "2", "-Q", _queue(job), *quiet]
        job.start()
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            skipped, cpu, began = _wait(worker, done, job.messages // 10)
            count, cpu_after, ended = _wait(worker, done, job.messages)
            memory = _resident(worker.pid)
            if transport != "redis":
                # Whose worker has nothing to tell us by how it ends, and does not always do so.
                worker.send_signal(signal.SIGTERM)
                if worker.wait(20) != 0:
                    raise RuntimeError(f"the worker ended with status {worker.returncode}")
        finally:
            worker.kill()
            worker.wait()
        if done.stat().st_size != job.messages:
            raise RuntimeError(f"{done.stat().st_size} tasks were done instead of {job.messages}")
    measured = (count - skipped) / job.messages
    job.figures |= {
        "cpu": (cpu_after - cpu) / measured * 1e6,
        "wall": (ended - began) / measured * 1e6,
        "memory": memory,
    }


def publish(job: Job, transport: str, batches: bool) -> None:
    """``delay()``, one after another."""
    with _broker(job, transport) as url:
        task, app = _application(url, _queue(job))
        if transport == "turbosqs":
            import turbosqs

            turbosqs.patch()
        block: Any = nullcontext()
        for _ in range(job.warm):
            task.delay(job.body)
        if batches:
            from turbosqs.kombu import batch_publishing

            block = batch_publishing(app)
        with job.measured(), block:
            for _ in range(job.messages):
                task.delay(job.body)


def _application(url: str, queue: str) -> tuple[Any, Any]:
    from benches import celery_app

    celery_app.app.conf.update(broker_url=url, task_default_queue=queue)
    return celery_app.nothing, celery_app.app


def _queue(job: Job) -> str:
    return job.queue_url.rsplit("/", 1)[1]


def _publish(job: Job, url: str) -> None:
    """The tasks that a worker is to do."""
    import turbosqs
    from turbosqs.kombu import batch_publishing

    task, app = _application(url, _queue(job))
    if url.startswith("redis"):
        for _ in range(job.messages):
            task.delay(job.body)
        return
    turbosqs.patch()
    with batch_publishing(app):
        for _ in range(job.messages):
            task.delay(job.body)
    turbosqs.unpatch()


@contextmanager
def _broker(job: Job, transport: str) -> Iterator[str]:
    """The broker's URL."""
    if transport == "redis":
        with _redis() as url:
            yield url
    else:
        yield job.endpoint_url.replace("http://", "sqs://bench:bench@")


@contextmanager
def _redis() -> Iterator[str]:
    """A Redis of one's own, in memory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise RuntimeError("there is no redis-server: on Debian, apt-get install redis-server") from None
    with process:
        assert process.stdout is not None
        try:
            if not any("Ready to accept connections" in line for line in process.stdout):
                raise RuntimeError(f"redis-server ended with status {process.wait()}")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _wait(worker: subprocess.Popen[bytes], done: Path, count: int) -> tuple[int, float, float]:
    """Wait until so many tasks are done; how many are, the main process's CPU so far, and when, in seconds."""
    while (size := done.stat().st_size) < count:
        if worker.poll() is not None:
            raise RuntimeError(f"the worker ended with status {worker.returncode}")
        time.sleep(0.005)
    return size, _cpu(worker.pid), time.perf_counter()


def _cpu(process: int) -> float:
    """Seconds of CPU of a process, with all its threads, and without its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident(process: int) -> float:
    return int(Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
