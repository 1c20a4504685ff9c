"""Peers that send what no client sends: the server refuses or bears it, holds little for it, and goes on serving.

``make fuzz`` tries more of the same at random (``tests/fuzz/local_http.py``), and the limits of time and memory have
tests of their own in ``src/local/limits/tests.rs``.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import needs
from support.waiting import until

pytestmark = needs.PROC

TARGET = b"X-Amz-Target: AmazonSQS.SendMessage\r\n"
START = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + TARGET

#: What the server may hold at once: its limit on unfinished requests, and what the allocator keeps beside them.
MOST_MEMORY = 192 << 20


class Target:
    """A server in a process of its own, and what it has needed."""

    def __init__(self, process: subprocess.Popen[str], connect: Any) -> None:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        self.process, self.port, self.sqs = process, int(endpoint.rsplit(":", 1)[1]), connect(endpoint)
        self.url = self.sqs.create_queue(QueueName="orders")["QueueUrl"]

    def peer(self) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port), 60)
        peer.settimeout(60)
        return peer

    def answers(self, *parts: bytes) -> list[int]:
        """The statuses of what comes back for these bytes, until the connection is closed."""
        with self.peer() as peer:
            # It may be refused while it is still being sent.
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    peer.sendall(part)
            got = bytearray()
            with contextlib.suppress(ConnectionError):
                while more := peer.recv(65536):
                    got += more
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]

    def serves(self) -> bool:
        self.sqs.send_message(QueueUrl=self.url, MessageBody="well")
        [message] = self.sqs.receive_message(QueueUrl=self.url)["Messages"]
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bool(message["Body"] == "well")

    def memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024


@pytest.fixture
def target(connect: Any) -> Iterator[Target]:
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Target(process, connect)
        finally:
            process.kill()


def with_length(body: bytes) -> bytes:
    return START + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(*chunks: bytes) -> bytes:
    return START + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


LEVELS = 100_000
DEEP = [
    b'{"MessageBody": ' + b"[" * LEVELS + b"]" * LEVELS + b"}",
    b'{"Nonsense": ' + b'{"a": ' * LEVELS + b"1" + b"}" * LEVELS + b"}",
    b'{"MessageAttributes": ' + b'{"a":' * LEVELS,
    b"[" * LEVELS,
]
CHUNKS = [
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"-1\r\n{}\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}XX0\r\n\r\n",
    b"2\n{}\n0\n\n",
    b"2;" + b"x" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
    b"1\r\n{\r\n" * 1_000 + b"0\r\n\r\n",
]
HEADERS = [
    b"X-A: b\r\n" * 10_000,
    b"X-A: " + b"b" * 1_000_000 + b"\r\n",
    b"".join(b"X-%d: b\r\n" % number for number in range(5_000)),
    b"X-A: b\r\n " + b"c\r\n " * 10_000 + b"\r\n",
]


def refused(statuses: list[int]) -> bool:
    """Whether that is a refusal, or the end of the connection without a word."""
    return statuses == [] or (len(statuses) == 1 and 400 <= statuses[0] < 500)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_it_bears_them_all_and_holds_little(target: Target) -> None:
    before = target.memory("VmRSS")
    for body in DEEP:
        assert target.answers(with_length(body)) == [400]
    for chunks in CHUNKS:
        assert refused(target.answers(in_chunks(chunks)))
    for headers in HEADERS:
        assert refused(target.answers(START + headers + b"Content-Length: 2\r\n\r\n{}"))
    # Two lengths: the request ends where the chunks do, and what follows is not taken for another.
    request = START + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert target.answers(request + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") == [400]
    for lengths in (b"2\r\nContent-Length: 3", b"-2", b"2, 2", b"0x2"):
        assert refused(target.answers(START + b"Content-Length: " + lengths + b"\r\n\r\n{}"))
    # 100 MB, with a length and without.
    megabyte = b" " * 1_000_000
    announced = START + b"Content-Length: 100000000\r\n\r\n"
    assert refused(target.answers(announced, *[megabyte] * 100))
    assert refused(target.answers(in_chunks(), *[b"F4240\r\n" + megabyte + b"\r\n"] * 100))
    assert target.serves()
    assert target.memory("VmHWM") - before < MOST_MEMORY


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_those_who_dawdle_hold_nobody_up(target: Target) -> None:
    """A hundred peers stop in the middle of a head, a hundred in the middle of a body of megabytes."""
    before = target.memory("VmRSS")
    whole = with_length(json.dumps({"QueueUrl": target.url, "MessageBody": "late"}).encode())
    beginnings: list[Callable[[], bytes]] = [
        lambda: whole[:40],
        lambda: START + b"Content-Length: 7000000\r\n\r\n" + b" " * 2_000_000,
    ]
    with contextlib.ExitStack() as stack:
        for number in range(200):
            peer = stack.enter_context(target.peer())
            # One that has been given up meanwhile takes no more.
            with contextlib.suppress(ConnectionError):
                peer.sendall(beginnings[number % 2]())
        assert target.serves()
        # A byte at a time is slow, and a request all the same.
        with target.peer() as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for position in range(len(whole)):
                peer.sendall(whole[position : position + 1])
            assert peer.recv(100).startswith(b"HTTP/1.1 200 ")
        assert target.memory("VmHWM") - before < MOST_MEMORY
    until(lambda: "Messages" in target.sqs.receive_message(QueueUrl=target.url))
