"""A blocking socket that writes and reads the same bytes as a lone turbosqs call: what no client can go below."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from benches.job import SETTINGS, TEN, Job

#: What the recorder says: something that is not asked for again.
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"


def send(job: Job) -> None:
    request = recorded(job, lambda sqs: sqs.send_message(QueueUrl=job.queue_url, MessageBody=job.body))
    connection = connected(job)
    for _ in range(job.warm):
        exchange(connection, request)
    with job.latencies("latency") as call, job.measured():
        for _ in range(job.messages):
            call(lambda: exchange(connection, request))


def send_tens(job: Job) -> None:
    request = recorded(job, lambda sqs: sqs.send_message_batch(QueueUrl=job.queue_url, Entries=job.entries()))
    connection = connected(job)

    def some(count: int) -> None:
        for _ in range(0, count, TEN):
            exchange(connection, request)

    some(job.warm)
    with job.measured():
        some(job.messages)


def recorded(job: Job, call: Callable[[Any], object]) -> bytes:
    """The request that turbosqs makes for a call, for the job's server."""
    import turbosqs

    kept = bytearray()

    def record(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            kept.extend(message(connection))
            connection.sendall(REFUSAL)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorder = threading.Thread(target=record, args=[listener])
        recorder.start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with suppress(turbosqs.exceptions.ClientError):
            call(turbosqs.client("sqs", endpoint_url=f"http://{host}", **SETTINGS))
        recorder.join()
    return bytes(kept).replace(host.encode(), urlsplit(job.endpoint_url).netloc.encode())


def connected(job: Job) -> socket.socket:
    place = urlsplit(job.endpoint_url)
    assert place.hostname is not None
    connection = socket.create_connection((place.hostname, place.port or 443))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if place.scheme == "http":
        return connection
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    return context.wrap_socket(connection, server_hostname=place.hostname)


def exchange(connection: socket.socket, request: bytes) -> None:
    connection.sendall(request)
    reply = message(connection)
    if not reply.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the server has refused: {reply!r}")


def message(connection: socket.socket) -> bytes:
    """A head and what it says that follows."""
    come = connection.recv(16 << 10)
    while (end := come.find(b"\r\n\r\n")) < 0:
        come += connection.recv(16 << 10)
    length = int(come[:end].lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
    while len(come) < end + 4 + length:
        come += connection.recv(16 << 10)
    return come
