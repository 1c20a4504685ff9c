"""A relay between a client and the embedded server: it records what passes, holds it back, and damages it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.fakes import Request, _Listener, read_request

#: What a judge may say of a request: let it pass; reset the connection before or after the server has seen it; close
#: it in the middle of the reply. A number is a delay in seconds.
Fate = str | float
PASS, RESET, RESET_AFTER, HALF = "pass", "reset", "reset after", "half reply"

ENTRIES = "Entries"


@dataclass
class Passed:
    """A request, and what became of it."""

    action: str
    json: Any
    #: Of the server; None if it never saw the request, or has not answered yet.
    status: int | None = None
    reply: Any = None
    #: Whether the client can have read the reply.
    delivered: bool = False

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries of a batch; of a plain operation the one that it is."""
        found: list[dict[str, Any]] = self.json.get(ENTRIES, [self.json])
        return found

    @property
    def size(self) -> int:
        return sum(counted(entry) for entry in self.entries)

    @property
    def performed(self) -> list[dict[str, Any]]:
        """The entries that the server has accepted."""
        if self.status != 200:
            return []
        if ENTRIES not in self.json:
            return self.entries
        done = {entry["Id"] for entry in self.reply.get("Successful", ())}
        return [entry for entry in self.entries if entry["Id"] in done]


def counted(entry: dict[str, Any]) -> int:
    """The bytes of an entry as SQS counts them: body, and name, type and value of each attribute."""
    size = len(entry.get("MessageBody", "").encode("utf-8", "surrogatepass"))
    for name, attribute in entry.get("MessageAttributes", {}).items():
        size += len(name.encode()) + len(attribute["DataType"].encode())
        size += len(attribute.get("StringValue", "").encode())
        binary = attribute.get("BinaryValue", "")
        size += len(binary) * 3 // 4 - binary.count("=")
    return size


class Relay(_Listener):
    """``judge`` is asked about each request, one at a time, in the order of arrival."""

    def __init__(self, upstream_port: int, judge: Callable[[Passed], Fate] = lambda _: PASS) -> None:
        self.upstream_port = upstream_port
        self.judge = judge
        #: Which requests stay while the relay holds; all of them.
        self.holds: Callable[[Passed], bool] = lambda _: True
        self.passed: list[Passed] = []
        self._open_gate = threading.Event()
        self._open_gate.set()
        super().__init__()

    def __exit__(self, *_: object) -> None:
        self._open_gate.set()
        super().__exit__()

    def hold(self) -> None:
        """From now on requests arrive, and stay."""
        self._open_gate.clear()

    def release(self) -> None:
        self._open_gate.set()

    def forget(self) -> None:
        """Count from here."""
        with self._lock:
            self.passed = []

    def of(self, *actions: str) -> list[Passed]:
        with self._lock:
            return [passed for passed in self.passed if passed.action in actions]

    def handle(self, connection: socket.socket) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=20)
        try:
            with connection.makefile("rb") as stream:
                while (request := read_request(stream)) is not None:
                    if not self._pass_on(connection, upstream, request):
                        return
        finally:
            upstream.close()

    def _pass_on(self, connection: socket.socket, upstream: http.client.HTTPConnection, request: Request) -> bool:
        """Whether the connection goes on."""
        passed = Passed(request.headers["x-amz-target"].partition(".")[2], json.loads(request.body))
        with self._lock:
            self.passed.append(passed)
            fate = self.judge(passed)
        if self.holds(passed):
            self._open_gate.wait(30)
        if fate == RESET:
            _reset(connection)
            return False
        if isinstance(fate, float):
            time.sleep(fate)
        upstream.request(request.method, request.target, request.body, request.headers)
        reply = upstream.getresponse()
        body = reply.read()
        passed.status, passed.reply = reply.status, json.loads(body or b"{}")
        if fate == RESET_AFTER:
            _reset(connection)
            return False
        headers = "".join(f"{name}: {value}\r\n" for name, value in reply.getheaders())
        wire = f"HTTP/1.1 {reply.status} {reply.reason}\r\n{headers}\r\n".encode("latin-1") + body
        if fate == HALF:
            connection.sendall(wire[: len(wire) - len(body) // 2 - 1])
            return False
        passed.delivered = True
        connection.sendall(wire)
        return True


class Dice:
    """A judge that lets most pass."""

    def __init__(self, seed: int, share: float) -> None:
        self.dice, self.share = random.Random(seed), share

    def __call__(self, passed: Passed) -> Fate:
        if not passed.action.startswith(("SendMessage", "DeleteMessage", "ChangeMessage")):
            return PASS
        if self.dice.random() > self.share:
            return self.dice.choice([PASS, PASS, 0.002, 0.01])  # type: ignore[return-value]
        return self.dice.choice([RESET, RESET_AFTER, HALF])


def _reset(connection: socket.socket) -> None:
    """End it with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
