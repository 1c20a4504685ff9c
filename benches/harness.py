"""Runs a work: its process on one core, the embedded SQS on another, and their figures from the operating system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benches.certificate import Certificate
from benches.environments import ROOT, interpreter, program, unpacked
from benches.job import SETTINGS, TEN
from benches.plan import Run

LONGEST = 60.0  # seconds that one round of a work may take


class FailedError(Exception):
    """A work could not be measured; the message says why."""


@dataclass(frozen=True)
class Figures:
    """What one round of a work cost.

    ``cpu``, ``wall`` and ``requests`` are per message (per start, where there are no messages), times in microseconds;
    ``client`` and ``server`` are CPU per request on either side. ``memory`` is the client's, in megabytes, at the end.
    ``start`` is the time from the start of the process, in microseconds, where that is what is measured; ``beyond``
    is what a call costs beyond its parts, ``beyond_loop`` the same with one of them measured in a loop.
    ``connections`` are those that were opened in all, and ``resumed`` those of them that took up an earlier TLS
    session. ``others`` are all that the work itself has counted, as it has.
    """

    library: str
    cpu: float
    wall: float
    memory: float
    requests: float
    client: float
    server: float
    latency: float = float("nan")
    latency_without: float = float("nan")
    start: float = float("nan")
    beyond: float = float("nan")
    beyond_loop: float = float("nan")
    connections: float = float("nan")
    resumed: float = float("nan")
    others: Mapping[str, float] = field(default_factory=dict)


class Server:
    """The embedded SQS in a process of its own, behind TLS if it has a certificate."""

    def __init__(self, core: int | None, certificate: Certificate | None) -> None:
        self.certificate = certificate
        command = [sys.executable, "-m", "benches.server", *([] if core is None else ["--core", str(core)])]
        if certificate is not None:
            command += ["--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment()
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._orders, self._answers = self.process.stdin, self.process.stdout
        self.endpoint_url = self._answers.readline().strip()
        if not self.endpoint_url:
            raise FailedError("the embedded server did not start")

    def order(self, **order: Any) -> dict[str, float]:
        """Gives an order (see ``benches.server``); what the server has done and used so far."""
        print(json.dumps(order), file=self._orders, flush=True)
        answer: dict[str, float] = json.loads(self._answers.readline())
        return answer


@contextmanager
def server(core: int | None, certificate: Certificate | None = None) -> Iterator[Server]:
    running = Server(core, certificate)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.communicate()


class Harness:
    """Does one round of a work at a time.

    Args:
        server: The server that all works meet.
        core: The core for the works' processes; ``None`` leaves them where they like.
    """

    def __init__(self, server: Server, core: int | None) -> None:
        # It only prepares the queues and counts what they hold, while nothing is measured.
        import turbosqs

        self._server, self._core = server, core
        verify = str(server.certificate.bundle) if server.certificate else None
        self._sqs: Any = turbosqs.client("sqs", endpoint_url=server.endpoint_url, verify=verify, **SETTINGS)

    def measure(self, run: Run, longest: float = LONGEST, meanwhile: Callable[[], None] | None = None) -> Figures:
        """Does one round.

        Args:
            run: What is done.
            longest: Seconds that it may take.
            meanwhile: Called when the measuring begins, in a thread that is waited for.

        Raises:
            MissingError: This machine has not what the work needs.
            FailedError: The work ended in an error, or took too long, or did not do what it should.
        """
        command = _command(run)
        self._server.order(reset=True)
        queue = self._sqs.create_queue(QueueName="bench", Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
        body = "x" * run.scenario.body
        if run.group.kind == "receive":
            self._fill(queue, run.messages + run.work.warm, body)
        if run.scenario.delay:
            self._server.order(delay=run.scenario.delay)
        job = {
            "endpoint_url": self._server.endpoint_url,
            "queue_url": queue,
            "messages": run.messages,
            "warm": run.work.warm,
            "body": run.scenario.body,
            "delay": run.scenario.delay,
        }
        task: dict[str, object] = {
            "core": self._core if run.group.pinned else None,
            "function": run.work.function,
            "options": dict(run.work.options),
            "job": job,
        }
        with _worker(command, task, self._server.certificate, longest) as worker:
            worker.expect("ready")
            held = self._held(queue)
            before = self._server.order()
            beside = threading.Thread(target=meanwhile or _nothing)
            beside.start()
            worker.go()
            answer = json.loads(worker.line())
            beside.join()
            after = self._server.order()
        moved = self._held(queue) - held
        wanted = {"send": 1, "receive": -1, "tasks": -1, "start": 0}[run.group.kind] * run.messages
        wanted *= bool(run.work.moves)
        if run.work.moves is not None and moved != wanted:
            raise FailedError(f"the queue should hold {wanted:+} messages, and holds {moved:+}")
        figures = answer["figures"]
        requests = after["requests"] - before["requests"]
        return Figures(
            library=answer["library"],
            cpu=figures["cpu"] / run.messages,
            wall=figures["wall"] / run.messages,
            memory=figures["memory"],
            requests=requests / run.messages,
            client=figures["cpu"] / requests if requests else float("nan"),
            server=(after["cpu"] - before["cpu"]) * 1e6 / requests if requests else float("nan"),
            latency=figures.get("latency", float("nan")),
            latency_without=figures.get("latency without batching", float("nan")),
            start=figures.get("start", float("nan")),
            beyond=figures.get("beyond", float("nan")),
            connections=after["connections"] - before["connections"],
            resumed=after["resumed"] - before["resumed"],
            beyond_loop=figures.get("beyond_loop", float("nan")),
            others=figures,
        )

    def _fill(self, queue: str, count: int, body: str) -> None:
        for start in range(0, count, TEN):
            entries = [{"Id": str(number), "MessageBody": body} for number in range(min(TEN, count - start))]
            self._sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    def _held(self, queue: str) -> int:
        """How many messages the queue holds, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        held = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(held[name]) for name in names)


class _Worker:
    """The process of a work, and the lines between it and us (see ``benches.worker``)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._errors: list[str] = []
        self._reason = ""
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    def line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._collector.join()
            complaint = [line for line in "".join(self._errors).splitlines() if line.strip()]
            raise FailedError(self._reason or (complaint[-1] if complaint else f"ended with status {status}"))
        return line.strip()

    def expect(self, wanted: str) -> None:
        if (line := self.line()) != wanted:
            raise FailedError(f"said {line!r} instead of {wanted!r}")

    def go(self) -> None:
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)

    def end(self, reason: str = "") -> None:
        """Ends the process; a reason is what its failure says."""
        self._reason = reason
        self._process.kill()
        self._process.wait()
        self._collector.join()

    def _collect(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)


def _command(run: Run) -> list[str]:
    """What does a run's work, when it is given the task: our module in the work's interpreter, or a program."""
    if run.work.environment == "rust":
        return [program()]
    return [interpreter(run.work.environment), "-m", "benches.worker"]


@contextmanager
def _worker(
    command: list[str], task: dict[str, object], certificate: Certificate | None, longest: float
) -> Iterator[_Worker]:
    command = [*command, json.dumps(task)]
    pipe = subprocess.PIPE
    environment = _environment()
    if certificate is not None:
        # Some libraries look at the one, some at the other.
        environment |= dict.fromkeys(("AWS_CA_BUNDLE", "SSL_CERT_FILE"), str(certificate.bundle))
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=environment)
    worker = _Worker(process)
    timer = threading.Timer(longest, worker.end, [f"took longer than {longest:.0f} s"])
    timer.start()
    try:
        with process:
            try:
                yield worker
            finally:
                worker.end()
    finally:
        timer.cancel()


def _nothing() -> None:
    """What there is to do beside most works."""


def _environment() -> dict[str, str]:
    """This environment, without what AWS clients read, with bytecode caches, and with the wheel's turbosqs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**kept, **nothing, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": str(unpacked())}
