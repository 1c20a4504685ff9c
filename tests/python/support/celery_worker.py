"""A Celery worker as a program of its own, on the embedded SQS, and those who give it tasks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from programs.celery_kinds import BACKEND, BROKER, DONE, OPTIONS, make
from turbosqs.local import Server

from support.queues import client, counts
from support.waiting import until

PROGRAMS = Path(__file__).parents[1] / "programs"
#: How long a worker may take to begin, to end and to do anything, in seconds: the machine may be busy.
PATIENCE = 45.0


class Fleet:
    """Workers of one application, and what they have done.

    Args:
        server: the broker.
        folder: where files are kept.
        options: ``broker_transport_options``.
        backend: where results are kept.
        settings: the application's others.
    """

    def __init__(
        self, server: Server, folder: Path, options: dict[str, Any], backend: str | None = None, **settings: Any
    ) -> None:
        self.server, self.folder = server, folder
        self.observer = client(server)
        self._done = folder / "done"
        self._done.touch()
        # What was read of it: how far, by kind and number, and by whom.
        self._read = 0
        self._times: dict[str, Counter[int]] = {}
        self._processes: set[str] = set()
        broker = server.endpoint_url.replace("http://", "sqs://key:secret@")
        self._environment = {BROKER: broker, DONE: str(self._done), OPTIONS: json.dumps(options)}
        if backend is not None:
            self._environment[BACKEND] = backend
        self.app = make(broker, backend, options, broker_transport="turbosqs.kombu:Transport", **settings)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, pool: str, concurrency: int, queues: list[str], *options: str) -> subprocess.Popen[bytes]:
        """A worker, which has begun when it does tasks."""
        command = [sys.executable, "-m", "turbosqs", "run", "celery", "-q", "-A", "celery_kinds", "worker"]
        command += ["-P", pool, "-c", str(concurrency), "-Q", ",".join(queues), "-l", "WARNING", *options]
        command += ["--without-heartbeat", "--without-mingle", "--without-gossip", "-n", f"w{len(self.workers)}@%h"]
        with (self.folder / f"log{len(self.workers)}").open("wb") as log:
            environment = {**os.environ, **self._environment}
            worker = subprocess.Popen(command, cwd=PROGRAMS, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def send(self, task: str, *arguments: Any, **options: Any) -> None:
        """Publish a task."""
        self.app.tasks[task].apply_async(arguments, **options)

    def done(self, kind: str) -> Counter[int]:
        """How often each number of a kind was done."""
        self._look()
        return self._times.get(kind, Counter()).copy()

    def _look(self) -> None:
        with self._done.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            kind, number, process = line.split()
            self._times.setdefault(kind, Counter())[int(number)] += 1
            self._processes.add(process)

    def has_begun(self, worker: subprocess.Popen[bytes]) -> bool:
        """Whether one of its processes has done something."""
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        self._look()
        return not self._processes.isdisjoint({str(worker.pid), *children})

    def held(self, queues: list[str]) -> tuple[int, int]:
        """How many messages are visible, and how many in flight, in all of the queues."""
        found = [counts(self.observer, self.observer.get_queue_url(QueueName=name)["QueueUrl"]) for name in queues]
        return sum(visible for visible, _ in found), sum(hidden for _, hidden in found)

    def log(self) -> str:
        """What the workers have said."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("log*")))

    def until(self, condition: Any, timeout: float = PATIENCE) -> None:
        """Wait for it as long as the workers run."""

        def holds() -> bool:
            ended = [worker.returncode for worker in self.workers if worker.poll() is not None]
            assert not ended, f"a worker has ended with {ended}: {self.log()}"
            return bool(condition())

        try:
            until(holds, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._done.read_text()[-2000:]}\n{self.log()[-4000:]}") from None

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the worker that was started last; its exit status."""
        worker = self.workers.pop()
        worker.send_signal(number)
        return worker.wait(PATIENCE)

    def close(self) -> None:
        """Whatever has become of it."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.app.close()


class Watch:
    """Looks at how many messages are in flight, as the server counts them, again and again."""

    def __init__(self, fleet: Fleet, queues: list[str]) -> None:
        self.most = 0
        self._over = threading.Event()

        def look() -> None:
            while not self._over.is_set():
                self.most = max(self.most, fleet.held(queues)[1])

        self._thread = threading.Thread(target=look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def redis() -> Iterator[str | None]:
    """A Redis of one's own, in memory; None where there is no redis-server."""
    program = which("redis-server")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", "/"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any("Ready to accept connections" in line for line in process.stdout)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
