"""Connections to peers that keep to no rule: nothing is believed of them that costs memory or time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.libraries import BOTO3, LIBRARIES, Library
from support.waiting import until

#: Those whose requests the core makes.
ON_THE_CORE = [library for library in LIBRARIES if library != BOTO3]

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 16\r\n\r\n{"QueueUrl":"u"}'


@contextmanager
def peer(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that treats each connection as it likes; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def head_of(connection: socket.socket) -> bytes:
    """What came up to the end of the head, at least."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    return data


@pytest.fixture(params=ON_THE_CORE, ids=lambda library: library.name)
def library(request: pytest.FixtureRequest) -> Library:
    chosen: Library = request.param
    return chosen


def client(library: Library, url: str, **options: Any) -> Any:
    return library.client(url, config=library.config(retries={"total_max_attempts": 1}, **options))


@pytest.mark.parametrize(
    "announced",
    ["Content-Length: 1099511627776\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n10000000000\r\n"],
    ids=["length", "chunk"],
)
def test_an_announced_terabyte_is_refused_before_it_comes(announced: str, library: Library) -> None:
    """Nothing is reserved for it, no more of it is read, and the connection is closed with the peer still to send."""
    closed = []

    def serve(connection: socket.socket) -> None:
        with connection:
            head_of(connection)
            connection.sendall(f"HTTP/1.1 200 OK\r\n{announced}".encode())
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
            closed.append(True)

    with peer(serve) as url:
        sqs = library.client(url)
        with pytest.raises(
            library.exceptions.HTTPClientError, match=r"109951162777[67] bytes or more.*than SQS can send"
        ):
            sqs.get_queue_url(QueueName="q")
        until(lambda: closed)
    assert closed == [True]


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
def test_a_reply_without_end_is_given_up(framing: str, library: Library) -> None:
    """It is asked for once, and read up to more than SQS can send; boto3 would take all the memory there is."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    sent = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head_of(connection)
            connection.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
            sent.append(0)
            while sent[-1] < 1000:
                connection.sendall(chunk)
                sent[-1] += 1

    with peer(serve) as url, pytest.raises(library.exceptions.HTTPClientError, match="more than SQS can send"):
        library.client(url).get_queue_url(QueueName="q")
    assert len(sent) == 1
    assert 119 < sent[0] < 240


def test_a_connection_with_an_unread_request_is_not_used_again(library: Library) -> None:
    """The peer answers before it has read the body, keeps the connection open and reads no more."""
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        head_of(connection)
        connection.sendall(OK)

    with peer(serve) as url:
        sqs = client(library, url, read_timeout=20)
        sqs.send_message(QueueUrl="u", MessageBody="x" * 12_000_000)
        assert sqs.get_queue_url(QueueName="q")["QueueUrl"] == "u"
        assert len(connections) == 2
    for connection in connections:
        connection.close()
