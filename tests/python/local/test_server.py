"""The embedded SQS as a server: faults, bad HTTP, several at once, forks, the command."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import turbosqs.local
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from support import needs
from turbosqs.local import Server

BATCH = [{"Id": str(i), "MessageBody": f"m{i}"} for i in range(4)]


def code(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    found: str = caught.value.response["Error"]["Code"]
    return found


def test_throttling_strikes_the_next_two_sends_alone(server: Server, sqs: Any, url: str) -> None:
    server.faults.add("throttle", actions=["SendMessage"], times=2)
    sqs.receive_message(QueueUrl=url)
    assert [code(sqs.send_message, QueueUrl=url, MessageBody="a") for _ in range(2)] == ["RequestThrottled"] * 2
    sqs.send_message(QueueUrl=url, MessageBody="a")
    assert server.stats()["requests"]["SendMessage"] == 3


@pytest.mark.parametrize("status", [500, 503])
def test_server_errors_are_retried_by_the_client(server: Server, connect: Any, url: str, status: int) -> None:
    server.faults.add("server_error", status=status, times=1)
    patient = connect(server, config=Config(retries={"total_max_attempts": 2, "mode": "standard"}))
    reply = patient.send_message(QueueUrl=url, MessageBody="a")
    assert reply["ResponseMetadata"]["RetryAttempts"] == 1
    server.faults.add("server_error", status=status)
    with pytest.raises(ClientError) as caught:
        connect(server).send_message(QueueUrl=url, MessageBody="a")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    server.faults.clear()
    connect(server).send_message(QueueUrl=url, MessageBody="a")


@pytest.mark.parametrize("performed", [False, True])
def test_connections_that_are_reset(server: Server, sqs: Any, url: str, performed: bool) -> None:
    server.faults.add("reset", times=1, performed=performed, actions=["SendMessage"])
    with pytest.raises(ConnectionClosedError):
        sqs.send_message(QueueUrl=url, MessageBody="a")
    assert ("Messages" in sqs.receive_message(QueueUrl=url)) is performed


def test_a_reply_that_ends_early(server: Server, sqs: Any, url: str) -> None:
    server.faults.add("half_reply", times=1)
    # boto3 takes what it got for all there is.
    assert "MessageId" not in sqs.send_message(QueueUrl=url, MessageBody="a")
    assert "Messages" in sqs.receive_message(QueueUrl=url)


def test_a_reset_is_a_reset(server: Server, url: str) -> None:
    assert url
    server.faults.add("reset")
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(ConnectionResetError):
            peer.recv(100)


def test_half_a_reply_is_half_a_reply(server: Server, url: str) -> None:
    assert url
    server.faults.add("half_reply", times=1)
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 2\r\n\r\n{}")
        got = peer.recv(10_000)
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        announced = int(re.findall(rb"content-length: (\d+)", head)[0])
        assert len(body) == announced // 2
        assert peer.recv(10_000) == b""


def test_a_delay_delays(server: Server, sqs: Any, url: str) -> None:
    server.faults.add("delay", seconds=0.2, times=1)
    start = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody="a")
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("sender_fault", [False, True])
def test_entries_that_fail(server: Server, sqs: Any, url: str, sender_fault: bool) -> None:
    server.faults.add("partial_failure", entries=[1, 3], sender_fault=sender_fault, times=1)
    reply = sqs.send_message_batch(QueueUrl=url, Entries=BATCH)
    assert [entry["Id"] for entry in reply["Successful"]] == ["0", "2"]
    failed = [(entry["Id"], entry["SenderFault"]) for entry in reply["Failed"]]
    assert failed == [("1", sender_fault), ("3", sender_fault)]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in messages] == ["m0", "m2"]
    server.faults.add("partial_failure", rate=1.0, actions=["DeleteMessageBatch"])
    entries = [{"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]} for message in messages]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Failed"]) == 2


def test_faults_that_cannot_be(server: Server) -> None:
    wrong: list[dict[str, Any]] = [
        {"kind": "earthquake"},
        {"kind": "throttle", "rate": 1.5},
        {"kind": "throttle", "actions": ["Send"]},
        {"kind": "server_error", "status": 404},
        {"kind": "server_error", "status": 70000},
        {"kind": "server_error", "status": -1},
        {"kind": "throttle", "times": -1},
        {"kind": "throttle", "actions": "SendMessage"},
        {"kind": "partial_failure", "entries": [-1]},
        {"kind": "partial_failure", "entries": [10]},
        {"kind": "delay", "seconds": -1},
        {"kind": "delay", "seconds": 86_401},
        {"kind": "delay", "seconds": float("nan")},
    ]
    for members in wrong:
        with pytest.raises(ValueError, match=r"."):
            server.faults.add(**members)


def test_reset_forgets(server: Server, sqs: Any, url: str) -> None:
    server.faults.add("throttle")
    server.reset()
    assert "QueueUrls" not in sqs.list_queues()
    assert server.stats()["requests"] == {"ListQueues": 1}
    assert code(sqs.send_message, QueueUrl=url, MessageBody="a") == "AWS.SimpleQueueService.NonExistentQueue"


def test_several_servers_in_one_process(connect: Any) -> None:
    with Server(queues=["one"]) as first, Server(queues=["two", "three.fifo"]) as second:
        assert first.port != second.port
        assert [url.rsplit("/", 1)[1] for url in connect(first).list_queues()["QueueUrls"]] == ["one"]
        assert [url.rsplit("/", 1)[1] for url in connect(second).list_queues()["QueueUrls"]] == ["three.fifo", "two"]


def test_stopping(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(10_000).startswith(b"HTTP/1.1 200 ")
        server.stop()
        server.stop()
        assert peer.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    for call in (server.reset, server.stats, server.faults.clear):
        with pytest.raises(RuntimeError, match="stopped"):
            call()


def test_arguments_that_cannot_be(server: Server) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"host": "example.com"}, "host"),
        ({"clock": "fast"}, "clock"),
        ({"account": "1"}, "12 digits"),
        ({"region": ""}, "region"),
        ({"region": "eu west"}, "region"),
        ({"queues": ["a b"]}, "alphanumeric"),
        ({"queues": "orders"}, "queues must be several"),
        ({"allow_hosts": "sqs.test"}, "allow_hosts must be several"),
        ({"allow_hosts": ["http://sqs.test"]}, "without scheme or port"),
        ({"port": 70000}, "port must be"),
        ({"port": -1}, "port must be"),
    ]
    for members, text in wrong:
        with pytest.raises(ValueError, match=text):
            Server(**members)
    with pytest.raises(OSError, match=r"(?i)in use"):
        Server(server.port)
    with pytest.raises(ValueError, match="seconds"):
        server.advance(-1)


@needs.PROC
def test_it_listens_on_loopback_alone(server: Server) -> None:
    found = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True).stdout
    addresses = re.findall(rf"^ *\d+: ([0-9A-F]{{8}}):{server.port:04X} 00000000:0000 0A", found, re.MULTILINE)
    assert addresses == ["0100007F"]


def ask(server: Server, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Sends bytes and reads one reply: status, headers, body."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as peer:
        # It may be refused while it is still being sent; the reply says why.
        with contextlib.suppress(ConnectionError):
            peer.sendall(data)
        got = b""
        while b"\r\n\r\n" not in got:
            more = peer.recv(65536)
            assert more, got
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        while len(body) < int(headers.get("content-length", "0")):
            body += peer.recv(65536)
        return int(status.split()[1]), headers, body


def post(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["POST / HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


LIST = "X-Amz-Target: AmazonSQS.ListQueues"
SEND = "X-Amz-Target: AmazonSQS.SendMessage"
FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (post(b"{}"), 400, b"X-Amz-Target is missing"),
        (post(b"{}", "X-Amz-Target: AmazonSQS.Dance"), 400, b"AmazonSQS.Dance is not one of SQS"),
        (post(b"{}", "X-Amz-Target: DynamoDB_20120810.ListTables"), 400, b"is not one of SQS"),
        (post(b"{", SEND), 400, b"SerializationException"),
        (post(b"[]", SEND), 400, b"SerializationException"),
        (post(b'{"QueueUrl": 5}', SEND), 400, b"SerializationException"),
        (post(b"\xff\xfe", SEND), 400, b"SerializationException"),
        (post(b'{"QueueUrl": "\\ud800"}', SEND), 400, b"SerializationException"),
        (post(b"", SEND), 400, b"The request must contain the parameter QueueUrl."),
        (post(b"Action=SendMessage&Version=2012-11-05", FORM), 400, b"query protocol"),
        (b"GET /?Action=ListQueues HTTP/1.1\r\nHost: x\r\n\r\n", 400, b"query protocol"),
        (b"GET /000000000000/q HTTP/1.1\r\nHost: x\r\n\r\n", 404, b"<UnknownOperationException><Message>This is"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, b"takes POST requests"),
        (b"NONSENSE\r\n\r\n", 400, b""),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, b""),
    ],
)
def test_bad_requests_get_a_clear_answer(server: Server, sqs: Any, data: bytes, status: int, text: bytes) -> None:
    got, _, body = ask(server, data)
    assert got == status
    assert text in body
    sqs.list_queues()


def test_errors_carry_both_protocols_codes(server: Server) -> None:
    _, headers, body = ask(server, post(b'{"QueueUrl": "http://localhost/000000000000/q", "MessageBody": "a"}', SEND))
    assert headers["x-amzn-query-error"] == "aws.simplequeueservice.nonexistentqueue;sender"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert len(headers["x-amzn-requestid"]) == 36
    assert json.loads(body) == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }


@pytest.mark.parametrize("region", ["eu west", "a:b", "", "r" * 65, "r" * 50_000])
def test_a_region_that_is_none_is_the_servers_own(server: Server, url: str, region: str) -> None:
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/{region}/sqs/aws4_request"
    [found] = json.loads(ask(server, post(b"{}", LIST, signed))[2])["QueueUrls"]
    assert found.rsplit("/", 2)[1:] == url.rsplit("/", 2)[1:]


def post_to(host: str, *headers: str) -> bytes:
    return post(b"{}", LIST, *headers).replace(b"Host: localhost", b"Host: " + host.encode())


def test_a_web_page_is_refused(server: Server) -> None:
    """By the name that it was reached by (DNS rebinding), or by what its browser says of it."""
    for request in (
        post_to("evil.example"),
        post_to("evil.example:80"),
        post_to("127.0.0.1.evil.example"),
        post_to("localhost", "Origin: http://evil.example"),
        post_to("localhost", "Origin: null"),
        post_to("localhost:9324", "Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"),
        post_to("localhost", "Sec-Fetch-Site: cross-site"),
    ):
        status, headers, body = ask(server, request)
        assert (status, headers["connection"]) == (403, "close")
        assert headers["x-amzn-query-error"] == "accessdenied;sender"
        assert json.loads(body)["__type"] == "com.amazon.coral.service#AccessDeniedException"
    assert server.stats()["requests"] == {}
    _, _, body = ask(server, post_to("evil.example:80"))
    assert "start it with --allow-host evil.example, or Server(allow_hosts=[" in json.loads(body)["message"]


def test_who_is_no_web_page_is_served(server: Server) -> None:
    for host in ("localhost", "sqs", "sqs:9324", "127.0.0.1:80", "[::1]:9324", "10.0.0.5", "q.localhost"):
        assert ask(server, post_to(host))[0] == 200
    assert ask(server, post_to("localhost:80", "Origin: http://localhost:80", "Sec-Fetch-Site: same-origin"))[0] == 200


def test_allowed_hosts(connect: Any) -> None:
    with Server(allow_hosts=["sqs.test"], queues=["orders"]) as server:
        assert ask(server, post_to("SQS.test:9324"))[0] == 200
        assert ask(server, post_to("localhost", "Origin: http://sqs.test"))[0] == 200
        assert ask(server, post_to("other.test"))[0] == 403
        assert connect(server).list_queues()["QueueUrls"] == [f"{server.endpoint_url}/000000000000/orders"]


def test_a_body_over_the_limit_is_refused_unread(server: Server, sqs: Any) -> None:
    announced = f"POST / HTTP/1.1\r\nHost: x\r\n{SEND}\r\nContent-Length: 100000000\r\n\r\n".encode()
    status, headers, body = ask(server, announced)
    assert (status, headers["connection"]) == (413, "close")
    assert b"longer than" in body
    # One that does not say how long it will be is refused while it is read.
    head = f"POST / HTTP/1.1\r\nHost: x\r\n{SEND}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 10) as peer:
        peer.sendall(head)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 64:
                peer.sendall(chunk)
                sent += 1
        assert sent < 64
    sqs.list_queues()


def test_the_largest_batch_written_the_longest_way(server: Server, url: str) -> None:
    body = '{"QueueUrl": "%s", "MessageBody": "%s"}' % (url, "\\u0061" * 1_048_576)  # noqa: UP031
    status, _, reply = ask(server, post(body.encode(), SEND))
    assert (status, len(json.loads(reply)["MessageId"])) == (200, 36)


def test_many_idle_connections(server: Server, sqs: Any) -> None:
    peers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        sqs.list_queues()
        assert server.stats()["connections"] >= 200
    finally:
        for peer in peers:
            peer.close()


def refusals(server: Server) -> list[str]:
    """What every call that would act on a parent's server says in a forked child."""
    calls: list[Callable[[], object]] = [
        lambda: server.advance(1),
        server.reset,
        lambda: server.create_queue("child"),
        lambda: server.faults.add("throttle"),
        server.faults.clear,
        server.stats,
    ]
    said = []
    for call in calls:
        try:
            call()
            said.append("nothing")
        except RuntimeError as error:
            said.append(str(error))
    return said


def in_child(act: Callable[[], bool]) -> int:
    """The exit status of a forked child: 0 when ``act`` is true there, of a signal when it does not end."""
    child = os.fork()
    if child == 0:
        status = 4
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            status = 0 if act() else 3
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


FORKED = ["the server belongs to the parent of this forked process"] * 6


@needs.FORK
def test_a_forked_child_neither_serves_nor_stops_its_parents_server(server: Server, sqs: Any, url: str) -> None:
    def act() -> bool:
        said = refusals(server)
        server.stop()
        server.__exit__(None, None, None)
        with Server(queues=["child"]) as own:
            return said == FORKED and refusals(server) == FORKED and own.stats()["requests"] == {}

    assert in_child(act) == 0
    assert sqs.list_queues()["QueueUrls"] == [url]


@needs.FORK
def test_a_child_forked_under_load_is_refused_and_never_waits(server: Server) -> None:
    done = threading.Event()

    def work(number: int) -> None:
        while not done.is_set():
            server.create_queue(f"q{number}")
            server.advance(0.001)
            server.stats()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert [in_child(lambda: refusals(server) == FORKED) for _ in range(20)] == [0] * 20
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def serving() -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "turbosqs",
        "serve",
        "--port",
        "0",
        "--queue",
        "orders",
        "--queue",
        "jobs.fifo",
        "-v",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


@needs.SIGNALS
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command(serving: subprocess.Popen[str], connect: Any, stop: signal.Signals) -> None:
    assert serving.stdout is not None
    endpoint = serving.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", endpoint)
    sqs = connect(endpoint)
    urls = sqs.list_queues()["QueueUrls"]
    assert urls == [f"{endpoint}/000000000000/jobs.fifo", f"{endpoint}/000000000000/orders"]
    sqs.send_message(QueueUrl=urls[1], MessageBody="a")
    serving.send_signal(stop)
    _, log = serving.communicate(timeout=60)
    assert serving.returncode == 0
    first, second = log.splitlines()
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z us-east-1"
    assert re.fullmatch(when + r" ListQueues - 200 - \d+\.\d ms", first)
    assert re.fullmatch(when + r" SendMessage orders 200 - \d+\.\d ms", second)


def run_serve(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().rsplit(":", 1)[1])


def log_of(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=60)[1]


@needs.SIGNALS
def test_a_log_line_is_one_line_and_drives_no_terminal() -> None:
    with contextlib.contextmanager(run_serve)("-v") as process:
        port = port_of(process)
        url = "http://h/1/q\n2026 ListQueues - 200 0.1 ms\x1b[2J\x9b31m\u202e" + "x" * 5000
        with socket.create_connection(("127.0.0.1", port), 10) as peer:
            peer.sendall(post(json.dumps({"QueueUrl": url}).encode(), SEND))
            assert peer.recv(100).startswith(b"HTTP/1.1 404")
        [line] = log_of(process).splitlines()
        assert re.fullmatch(r"\S+ us-east-1 SendMessage [!-~]{1,400}\.\.\. 404 InvalidAddress \d+\.\d ms", line)
        assert r"q\n2026\u{20}ListQueues\u{20}-\u{20}200" in line


@needs.SIGNALS
@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("0.0.0.0", "every address of this machine"),
        pytest.param("127.0.0.2", None, marks=needs.LOOPBACK),
        ("localhost", None),
    ],
)
def test_the_command_says_who_can_reach_it(host: str, said: str | None) -> None:
    with contextlib.contextmanager(run_serve)("--host", host, "--allow-host", "sqs.test") as process:
        with socket.create_connection((host if said is None else "127.0.0.1", port_of(process)), 10) as peer:
            peer.sendall(post_to("sqs.test"))
            assert peer.recv(100).startswith(b"HTTP/1.1 200")
        log = log_of(process)
        assert (log == "") if said is None else (said in log and "over the network" in log)


@pytest.mark.parametrize(("port", "text"), [(None, "in use"), ("70000", "port must be from 0 to 65535, not 70000")])
def test_the_command_says_why_it_cannot_start(server: Server, port: str | None, text: str) -> None:
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", port or str(server.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("turbosqs serve: ")
    assert text in ended.stderr


FIXTURE = """
import boto3, pytest, turbosqs.local

{fixture}

def test_it(sqs_server):
    sqs = boto3.client("sqs", endpoint_url=sqs_server.endpoint_url, region_name="us-east-1",
                       aws_access_key_id="test", aws_secret_access_key="test")
    sqs.send_message(QueueUrl=sqs.create_queue(QueueName="q")["QueueUrl"], MessageBody="a")
    assert sqs_server.stats()["requests"]["SendMessage"] == 1
"""


def test_the_documented_fixture_works(tmp_path: Path) -> None:
    documented = turbosqs.local.__doc__ or ""
    start = documented.index("    @pytest.fixture")
    fixture = textwrap.dedent(documented[start : documented.index("yield server") + len("yield server")])
    (tmp_path / "test_it.py").write_text(FIXTURE.format(fixture=fixture))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def is_served(port: int, request: bytes) -> bool:
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        try:
            peer.sendall(request)
            return peer.recv(1000).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False


@needs.RESOURCE
@needs.SIGNALS
def test_out_of_descriptors_it_turns_callers_away_and_goes_on() -> None:
    """A server that may open 64 files, and 100 callers: those in are served, those not are not left hanging."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
    code = limited + "from turbosqs.__main__ import main; main(['serve', '--port', '0'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        request = post(b"{}", LIST)
        served = refused = 0
        peers = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(100)]
        for peer in peers:
            try:
                peer.sendall(request)
                answered = peer.recv(1000).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                answered = False
            served, refused = served + answered, refused + (not answered)
        assert served >= 30
        assert refused >= 30
        for peer in peers:
            peer.close()
        # It learns of their goodbyes in its own time.
        assert any(is_served(port, request) for _ in range(1000))
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
        assert "cannot accept a connection" in log
        assert len(log.splitlines()) <= 5
    finally:
        process.kill()
        process.communicate()
