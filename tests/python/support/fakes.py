"""Servers on loopback that say exactly what a test wants, and count what arrives.

``Scripted`` answers HTTP from a list of replies, byte for byte; ``Proxy`` relays and records; ``black_hole`` takes
no connection. Standard library only, a thread for each connection, every socket closed at the end of the block.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.waiting import until

JSON = ("Content-Type", "application/x-amz-json-1.0")


@dataclass(frozen=True)
class Reply:
    """One answer: a status line, headers and a body, unless ``raw`` replaces them all.

    ``keep`` bytes of it are sent (all by default), after ``delay`` seconds, and then the connection is closed if
    ``close`` says so (always when something was held back).
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Sequence[tuple[str, str]] = (JSON,)
    reason: str = "Whatever"
    raw: bytes | None = None
    keep: int | None = None
    delay: float = 0.0
    close: bool = False

    def wire(self) -> bytes:
        if self.raw is not None:
            return self.raw
        names = {name.lower() for name, _ in self.headers}
        lines = [f"HTTP/1.1 {self.status} {self.reason}", *(f"{name}: {value}" for name, value in self.headers)]
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


#: The connection is closed without a byte.
HANG_UP = Reply(keep=0)


def ok(**members: Any) -> Reply:
    """A success with these members."""
    return Reply(body=json.dumps(members).encode())


def fault(
    status: int = 400, type_: str | None = None, message: str | None = None, query: str | None = None, **members: Any
) -> Reply:
    """An error as SQS says it: ``__type``, ``message``, and the header of the query protocol's code."""
    body = dict(members)
    if type_ is not None:
        body["__type"] = type_
    if message is not None:
        body["message"] = message
    headers = [JSON] if query is None else [JSON, ("x-amzn-query-error", query)]
    return Reply(status, json.dumps(body).encode(), headers)


@dataclass
class Request:
    """What arrived: names of headers in lower case; the body as bytes and, when it is JSON, as Python."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class _Listener:
    """A listening socket on loopback, with a thread for each connection; ``handle`` is the subclass's."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.connections = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        # Only a shutdown wakes the thread that is in accept().
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def handle(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def until_closed(self) -> None:
        """Wait until no connection is open, as the peer sees it too."""
        until(lambda: not self._open)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # A peer that goes away in the middle, or refuses our certificate, is what these servers are for.
            with contextlib.suppress(OSError):
                if self.tls is None:
                    self.handle(connection)
                else:
                    with self.tls.wrap_socket(connection, server_side=True) as secure:
                        self.handle(secure)
        finally:
            _shut(connection)
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Scripted(_Listener):
    """An HTTP server that gives the script's replies in turn, the last one for ever."""

    def __init__(self, *script: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.script = script or (Reply(),)
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        super().__init__(tls)

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        super().__exit__()

    def play(self, *script: Reply) -> None:
        """Start again: this script, nothing counted."""
        with self._lock:
            self.script = script or (Reply(),)
            self.requests = []
            self.connections = 0

    def handle(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while (request := read_request(stream)) is not None:
                with self._lock:
                    reply = self.script[min(len(self.requests), len(self.script) - 1)]
                    self.requests.append(request)
                if reply.delay and self.stopped.wait(reply.delay):
                    return
                connection.sendall(reply.wire()[: reply.keep])
                if reply.close or reply.keep is not None:
                    return


class Answering(_Listener):
    """An HTTP server whose answers depend on what it is asked."""

    def __init__(self, answer: Callable[[Request], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        super().__init__(tls)

    def handle(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while (request := read_request(stream)) is not None:
                with self._lock:
                    self.requests.append(request)
                    reply = self.answer(request)
                connection.sendall(reply.wire()[: reply.keep])
                if reply.close or reply.keep is not None:
                    return


def read_request(stream: Any) -> Request | None:
    """The next request of a connection, or None at its end, or when what comes is not HTTP (TLS, as a rule)."""
    line = stream.readline().decode("latin-1").split(" ")
    if len(line) != 3 or not line[2].startswith("HTTP/"):
        return None
    method, target, _ = line
    headers: dict[str, str] = {}
    while (line := stream.readline().decode("latin-1")).strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


@dataclass
class Seen:
    """What a proxy was asked for."""

    method: str
    target: str
    authorization: str | None = field(default=None)


class Proxy(_Listener):
    """A forwarding proxy (absolute URLs and CONNECT) that sends everything to one address, whatever was asked for."""

    def __init__(self, upstream_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.upstream_port = upstream_port
        self.seen: list[Seen] = []
        super().__init__(tls)

    def handle(self, connection: socket.socket) -> None:
        with connection.makefile("rb", buffering=0) as stream:
            while (request := read_request(stream)) is not None:
                self.seen.append(Seen(request.method, request.target, request.headers.get("proxy-authorization")))
                with socket.create_connection(("127.0.0.1", self.upstream_port), timeout=5) as upstream:
                    if request.method == "CONNECT":
                        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        _relay(connection, upstream)
                        return
                    path = "/" + request.target.split("://", 1)[-1].partition("/")[2]
                    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
                    head = f"{request.method} {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n"
                    upstream.sendall(head.encode("latin-1") + request.body)
                    while chunk := upstream.recv(65536):
                        connection.sendall(chunk)
                    return


def _relay(left: socket.socket, right: socket.socket) -> None:
    other = {left: right, right: left}
    while True:
        for ready in select.select([left, right], [], [], 5)[0]:
            chunk = ready.recv(65536)
            if not chunk:
                return
            other[ready].sendall(chunk)


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """An address that neither accepts nor refuses: its backlog is full, so that the kernel drops every SYN."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listening.getsockname()
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(address)
        yield f"http://127.0.0.1:{address[1]}"


def refused_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
