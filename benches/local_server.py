"""What the embedded SQS costs: requests a second on one core, cost by queue depth, memory, start-up.

The server runs as a process of its own, pinned to one core; this process, on another, sends requests that were
written before the clock starts, so that it is not what is measured. CPU is the server's own (user and system), which
other load on the machine disturbs little; the rate is by the wall clock, which it does disturb.

    python benches/local_server.py [--quick]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
BODY = "x" * 200


class Peer:
    """One keep-alive connection that sends ready-made requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, action: str, members: dict[str, object]) -> bytes:
        body = json.dumps(members, separators=(",", ":")).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nX-Amz-Target: AmazonSQS.{action}\r\n"
            "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20260101T000000Z\r\n"
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/sqs/aws4_request, "
            f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def receive(self) -> bytes:
        """The body of the next reply."""
        data = self.socket.recv(1 << 18)
        head, separator, body = data.partition(b"\r\n\r\n")
        while not separator:
            data += self.socket.recv(1 << 18)
            head, separator, body = data.partition(b"\r\n\r\n")
        at = head.index(b"content-length: ") + 16
        length = int(head[at : at + 10].split(b"\r", 1)[0])
        while len(body) < length:
            body += self.socket.recv(1 << 18)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(body.decode())
        return body

    def call(self, action: str, members: dict[str, object]) -> dict[str, object]:
        self.socket.sendall(self.request(action, members))
        reply: dict[str, object] = json.loads(self.receive())
        return reply


class ServerProcess:
    def __init__(self, core: int | None) -> None:
        pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
        command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def resident(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024


@contextmanager
def server(core: int | None) -> Iterator[ServerProcess]:
    running = ServerProcess(core)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(10)


def entries(count: int, start: int = 0) -> list[dict[str, object]]:
    return [{"Id": str(i), "MessageBody": f"{start + i:010d}{BODY[10:]}"} for i in range(count)]


def drive(
    running: ServerProcess, peers: list[Peer], action: str, members: dict[str, object], rounds: int
) -> tuple[float, float]:
    """Sends `rounds` requests on every peer; requests a second, and microseconds of server CPU for each."""
    requests = [peer.request(action, members) for peer in peers]
    cpu, start = running.cpu(), time.perf_counter()
    for _ in range(rounds):
        for peer, request in zip(peers, requests, strict=True):
            peer.socket.sendall(request)
        for peer in peers:
            peer.receive()
    count = rounds * len(peers)
    wall, cpu = time.perf_counter() - start, running.cpu() - cpu
    return count / wall, cpu / count * 1e6


def report(name: str, rate: float | None, cpu: float | None, note: str = "") -> None:
    figures = " " * 37 if rate is None or cpu is None else f"{rate:>9,.0f} req/s {cpu:>8.1f} µs CPU/req"
    print(f"{name:<58} {figures}  {note}")


@contextmanager
def console(port: int) -> Iterator[None]:
    """An open console: it asks for its overview each second."""
    closed = threading.Event()

    def look() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            connection.request("GET", "/_turbosqs/overview?search=&offset=0&limit=50")
            connection.getresponse().read()
            if closed.wait(1):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join()


def throughput(core: int, rounds: int) -> None:
    with server(core) as running:
        peers = [Peer(running.port) for _ in range(16)]
        first = peers[0]
        url = first.call("CreateQueue", {"QueueName": "bench"})["QueueUrl"]
        ten = {"QueueUrl": url, "Entries": entries(10)}
        report("SendMessageBatch of 10", *drive(running, peers, "SendMessageBatch", ten, rounds))
        with console(running.port):
            figures = drive(running, peers, "SendMessageBatch", ten, rounds)
        report("SendMessageBatch of 10, with a console open", *figures)
        one = {"QueueUrl": url, "MessageBody": BODY}
        report("SendMessage", *drive(running, peers, "SendMessage", one, rounds))
        take = {"QueueUrl": url, "MaxNumberOfMessages": 10}
        report("ReceiveMessage of 10", *drive(running, peers, "ReceiveMessage", take, rounds // 4))


def drain(running: ServerProcess, peer: Peer, url: object, rounds: int) -> tuple[float, float]:
    """Receives ten and deletes them; microseconds of server CPU for each of the two."""
    receiving = deleting = 0.0
    take = peer.request("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10})
    for _ in range(rounds):
        before = running.cpu()
        peer.socket.sendall(take)
        messages = json.loads(peer.receive())["Messages"]
        between = running.cpu()
        gone = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        peer.call("DeleteMessageBatch", {"QueueUrl": url, "Entries": gone})
        receiving += between - before
        deleting += running.cpu() - between
    return receiving / rounds * 1e6, deleting / rounds * 1e6


def depth(core: int, sizes: list[int], in_flight: int, fifo: bool) -> None:
    kind = "FIFO" if fifo else "standard"
    for size in sizes:
        with server(core) as running:
            peers = [Peer(running.port) for _ in range(8)]
            first = peers[0]
            name, attributes = ("d.fifo", {"FifoQueue": "true"}) if fifo else ("d", {})
            attributes["VisibilityTimeout"] = "43200"
            url = first.call("CreateQueue", {"QueueName": name, "Attributes": attributes})["QueueUrl"]
            before = running.resident()
            fill(peers, url, size, fifo)
            overhead = (running.resident() - before) / size - len(BODY)
            probe = {"QueueUrl": url, "Entries": [{"Id": "0", "MessageBody": BODY}]}
            name = f"{kind}, {size:,} messages held"
            if fifo:
                # The same send again would be a duplicate; its cost is in the filling.
                rate = cpu = None
            else:
                rate, cpu = drive(running, peers, "SendMessageBatch", probe, 200)
            receive, delete = drain(running, first, url, min(300, size // 20))
            note = (
                f"receive 10: {receive:.1f} µs, delete 10: {delete:.1f} µs, {overhead:,.0f} bytes/message beyond bodies"
            )
            report(name if fifo else f"{name}: SendMessageBatch of 1", rate, cpu, note)
            if size >= in_flight * 2 and not fifo:
                take = {"QueueUrl": url, "MaxNumberOfMessages": 10}
                drive(running, peers, "ReceiveMessage", take, in_flight // 80)
                receive, delete = drain(running, first, url, 300)
                rate, cpu = drive(running, peers, "SendMessageBatch", probe, 200)
                note = f"receive 10: {receive:.1f} µs, delete 10: {delete:.1f} µs"
                report(f"  and {in_flight:,} of them in flight", rate, cpu, note)


def fill(peers: list[Peer], url: object, size: int, fifo: bool) -> None:
    for start in range(0, size, 10 * len(peers)):
        for i, peer in enumerate(peers):
            batch = entries(10, start + i * 10)
            if fifo:
                for j, entry in enumerate(batch):
                    entry["MessageGroupId"] = f"g{(start + i * 10 + j) % 1000}"
                    entry["MessageDeduplicationId"] = f"{start + i * 10 + j}"
            peer.socket.sendall(peer.request("SendMessageBatch", {"QueueUrl": url, "Entries": batch}))
        for peer in peers:
            peer.receive()


def start_up() -> None:
    from turbosqs.local import Server

    times = []
    for _ in range(20):
        start = time.perf_counter()
        with Server() as running:
            times.append(time.perf_counter() - start)
            del running
    times.sort()
    print(f"start-up in process: median {times[10] * 1e3:.2f} ms, slowest {times[-1] * 1e3:.2f} ms of {len(times)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the embedded SQS.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, no million")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the server, one for the client")
    os.sched_setaffinity(0, {cores[1]})
    print(f"server on core {cores[0]}, client on core {cores[1]}; bodies of {len(BODY)} bytes")
    start_up()
    throughput(cores[0], 200 if arguments.quick else 2_000)
    depth(cores[0], [1_000, 100_000] if arguments.quick else [1_000, 100_000, 1_000_000], 100_000, fifo=False)
    depth(cores[0], [1_000, 100_000], 100_000, fifo=True)


if __name__ == "__main__":
    main()
