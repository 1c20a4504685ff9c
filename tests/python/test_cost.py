"""What calls cost: programs whose requests were counted by hand, and the books of the embedded SQS beside them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
import turbosqs
from support import needs
from support.libraries import KEYS
from support.waiting import until
from turbosqs import aio
from turbosqs.local import Server

SETTINGS = {"region_name": "us-east-1", **KEYS}
CHUNK = 64 << 10
#: Sizes of a message, and how many requests one is billed as that sends or brings it.
SIZES = [(1, 1), (CHUNK, 1), (CHUNK + 1, 2), (2 * CHUNK, 2), (2 * CHUNK + 1, 3), (1 << 20, 16)]


@pytest.fixture(params=["standard", "adaptive"])
def sqs(server: Server, request: pytest.FixtureRequest) -> Any:
    """A client of each of the ways that requests go: our own retries, and the SDK's."""
    config = turbosqs.Config(retries={"mode": request.param})
    return turbosqs.client("sqs", endpoint_url=server.endpoint_url, config=config, **SETTINGS)


def counted(stats: Any) -> tuple[int, int]:
    """Requests made, and boto3's."""
    assert stats["cost"] == turbosqs.cost(stats)
    return stats["cost"]["requests"], stats["cost"]["boto3_requests"]


def booked(server: Server) -> dict[str, int]:
    """Requests in the server's books, by the kind of queue. Those that it refused are not there."""
    with urllib.request.urlopen(f"{server.endpoint_url}/_turbosqs/overview") as reply:
        traffic = json.load(reply)["traffic"]
    found = Counter({"standard": 0, "fifo": 0})
    for row in traffic:
        found[row["kind"]] += row["requests"]
    return dict(found)


@pytest.mark.parametrize(("size", "requests"), SIZES)
@pytest.mark.parametrize("name", ["q", "q.fifo"])
def test_each_64_kib_of_a_message_are_a_request(sqs: Any, server: Server, name: str, size: int, requests: int) -> None:
    url = server.create_queue(name)
    fifo = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if name == "q.fifo" else {}
    sqs.send_message(QueueUrl=url, MessageBody="x" * size, **fifo)
    assert counted(sqs.stats()) == (requests, requests)
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert counted(sqs.stats()) == (2 * requests, 2 * requests)
    handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**handle, VisibilityTimeout=60)
    sqs.delete_message(**handle)
    sqs.receive_message(QueueUrl=url)
    stats = sqs.stats()
    assert counted(stats) == (2 * requests + 3, 2 * requests + 3)
    kind, other = ("fifo", "standard") if fifo else ("standard", "fifo")
    assert stats["billed"] == stats["unshared"] == booked(server) == {kind: 2 * requests + 3, other: 0}


def test_what_is_about_no_message_has_the_rate_of_standard_queues(sqs: Any, server: Server) -> None:
    url = server.create_queue("q.fifo")
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    sqs.list_queues()
    sqs.receive_message(QueueUrl=url)
    stats = sqs.stats()
    assert stats["billed"] == stats["unshared"] == booked(server) == {"standard": 2, "fifo": 1}


def test_a_message_is_as_large_as_sqs_counts_it(sqs: Any, server: Server) -> None:
    """Without what JSON adds, with its attributes; those of the system do not count."""
    url = server.create_queue("q")
    binary = {"a": {"DataType": "Binary", "BinaryValue": bytes(CHUNK - 8)}}
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    total = 0
    for arguments, requests in (
        ({"MessageBody": '"' * CHUNK}, 1),
        ({"MessageBody": "é" * (CHUNK // 2)}, 1),
        ({"MessageBody": "é" * (CHUNK // 2) + "x"}, 2),
        ({"MessageBody": "x" * CHUNK, "MessageSystemAttributes": trace}, 1),
        ({"MessageBody": "x", "MessageAttributes": binary}, 1),
        ({"MessageBody": "xx", "MessageAttributes": binary}, 2),
    ):
        sqs.send_message(QueueUrl=url, **arguments)
        sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])
        total += 2 * requests
        stats = sqs.stats()
        assert counted(stats) == (total, total)
        assert stats["billed"] == booked(server)


@pytest.mark.parametrize("batching", [True, False])
def test_a_batch_is_one_payload(server: Server, batching: bool) -> None:
    sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, batching=batching, **SETTINGS)
    url = server.create_queue("q")
    total = 0
    for sizes, requests in (([1] * 10, 1), ([10 << 10] * 10, 2), ([CHUNK], 1), ([CHUNK, 1], 2), ([CHUNK // 2] * 3, 2)):
        entries = [{"Id": str(number), "MessageBody": "x" * size} for number, size in enumerate(sizes)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert len(received) == len(sizes)
        entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(received)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        total += 2 * requests + 1
        stats = sqs.stats()
        assert counted(stats) == (total, total)
        assert stats["billed"] == booked(server)


def gathered(server: Server, *bodies: str, queue: str = "q", **options: Any) -> Any:
    """What a client has counted after it was given messages in one tick of an event loop: they leave together."""

    async def main() -> Any:
        async with aio.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS) as sqs:
            sends = (sqs.send_message(QueueUrl=url, MessageBody=body, **options) for body in bodies)
            await asyncio.gather(*sends, return_exceptions=True)
            return sqs.stats()

    url = server.create_queue(queue)
    return asyncio.run(main())


@pytest.mark.parametrize(
    ("bodies", "requests", "by_boto3"),
    [
        (["x"] * 10, 1, 10),
        (["x"] * 25, 3, 25),
        (["x" * (CHUNK // 2)] * 3, 2, 3),
        (["x" * (CHUNK + 1)] * 3, 4, 6),
        (["x" * CHUNK] * 10, 10, 10),
        # No request takes more than 1 MiB.
        (["x" * (1 << 19)] * 3, 24, 24),
    ],
)
def test_calls_that_leave_together(server: Server, bodies: list[str], requests: int, by_boto3: int) -> None:
    stats = gathered(server, *bodies)
    assert counted(stats) == (requests, by_boto3)
    assert stats["billed"] == booked(server)


def test_calls_that_leave_together_on_a_fifo_queue(server: Server) -> None:
    server.create_queue("q.fifo", {"ContentBasedDeduplication": "true"})
    stats = gathered(server, *map(str, range(10)), queue="q.fifo", MessageGroupId="g")
    assert (stats["billed"], stats["unshared"]) == ({"standard": 0, "fifo": 1}, {"standard": 0, "fifo": 10})
    assert stats["billed"] == booked(server)


def test_threads_that_share_requests(sqs: Any, server: Server) -> None:
    url = server.create_queue("q")
    # The first request is on its way for as long as it takes to make the others.
    server.faults.add("delay", actions=["SendMessage", "SendMessageBatch"], seconds=0.05)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: sqs.send_message(QueueUrl=url, MessageBody=str(number)), range(200)))
    stats = sqs.stats()
    requests = sum(stats["requests"].values())
    assert requests < 200
    assert counted(stats) == (requests, 200)
    assert stats["billed"] == booked(server)


def test_a_batch_writer(sqs: Any, server: Server) -> None:
    url = server.create_queue("q")
    with sqs.batch_writer(QueueUrl=url) as batch:
        for number in range(100):
            batch.send_message(MessageBody=str(number))
    requests = sum(sqs.stats()["requests"].values())
    assert counted(sqs.stats()) == (requests, 100)
    with sqs.batch_writer(QueueUrl=url) as batch:
        for _ in range(4):
            batch.send_message(MessageBody="x" * (CHUNK // 4))
    # Together they are one payload of a chunk, or of less.
    stats = sqs.stats()
    assert counted(stats) == (sum(stats["requests"].values()), 104)
    assert stats["billed"] == booked(server)


def test_receives_that_share_long_polls(sqs: Any, server: Server) -> None:
    url = server.create_queue("q")
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20) for _ in range(20)]
        until(lambda: sqs.stats()["messages"].get("ReceiveMessage") == 20)
        sender = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS)
        entries = [{"Id": str(number), "MessageBody": "x" * (CHUNK // 2)} for number in range(10)]
        for _ in range(2):
            sender.send_message_batch(QueueUrl=url, Entries=entries)
        received = [message for each in waiting for message in each.result()["Messages"]]
    assert len(received) == 20
    stats = sqs.stats()
    # What one of them gets is half a chunk; what a request brings for several is up to five.
    assert stats["requests"]["ReceiveMessage"] < 20
    made, by_boto3 = counted(stats)
    assert by_boto3 == 20
    assert made >= 10, "ten chunks have come"
    # Two batches of five chunks.
    assert counted(sender.stats()) == (10, 10)
    assert booked(server) == {"standard": made + 10, "fifo": 0}


def test_parts_of_a_reply_that_are_larger_than_a_chunk(server: Server) -> None:
    sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS)
    url = server.create_queue("q")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20) for _ in range(2)]
        until(lambda: sqs.stats()["messages"].get("ReceiveMessage") == 2)
        sender = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS)
        for _ in range(2):
            sender.send_message(QueueUrl=url, MessageBody="x" * (CHUNK + 1))
        assert all(each.result()["Messages"] for each in waiting)
    # Two chunks for each of the two, however many requests they were.
    assert counted(sqs.stats())[1] == 4


def test_an_iterator_and_a_consumer(sqs: Any, server: Server) -> None:
    url = server.create_queue("q")
    with sqs.batch_writer(QueueUrl=url) as batch:
        for number in range(20):
            batch.send_message(MessageBody=str(number))
    with sqs.batch_writer(QueueUrl=url) as batch:
        for message in sqs.poll_messages(QueueUrl=url, max_messages=10):
            batch.delete_message(ReceiptHandle=message["ReceiptHandle"])
    turbosqs.Consumer(sqs, QueueUrl=url, handler=lambda _: None, max_messages=10).run()

    def adds_up() -> bool:
        """20 sends and 20 deletes; what was fetched ahead and given back was a call for each; polls are polls."""
        stats = sqs.stats()
        requests, calls = stats["requests"], stats["messages"]
        assert (calls["SendMessage"], calls["DeleteMessage"]) == (20, 20)
        given_back = calls.get("ChangeMessageVisibility", 0)
        by_boto3 = 40 + given_back + requests["ReceiveMessage"] + requests["GetQueueAttributes"]
        return counted(stats) == (sum(requests.values()), by_boto3)

    # What is given back may be on its way.
    until(adds_up)


def test_an_empty_long_poll_is_a_request(sqs: Any, server: Server) -> None:
    url = server.create_queue("q")
    for _ in range(2):
        assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    stats = sqs.stats()
    assert counted(stats) == (2, 2)
    assert stats["billed"] == booked(server)


def test_attempts_that_are_repeated_count_on_both_sides(sqs: Any, server: Server) -> None:
    url = server.create_queue("q")
    server.faults.add("server_error", times=1)
    sqs.send_message(QueueUrl=url, MessageBody="x" * (CHUNK + 1))
    assert sqs.stats()["retries"] == 1
    assert counted(sqs.stats()) == (4, 4)


def test_entries_that_are_repeated_count_for_boto3_as_calls_that_are(server: Server) -> None:
    server.faults.add("partial_failure", entries=[0, 3], times=1)
    stats = gathered(server, *["x"] * 10)
    assert stats["retries"] == 2
    assert counted(stats) == (2, 12)


def test_an_entry_that_is_asked_for_alone_was_one_call(server: Server) -> None:
    stats = gathered(server, "x", "\x00", "y")
    assert stats["requests"] == {"SendMessage": 1, "SendMessageBatch": 1}
    assert counted(stats) == (2, 3)


def test_the_asyncio_client(server: Server) -> None:
    async def main() -> Any:
        async with aio.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS) as sqs:
            await sqs.send_message(QueueUrl=url, MessageBody="x" * (CHUNK + 1))
            [message] = (await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))["Messages"]
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return sqs.stats()

    url = server.create_queue("q")
    stats = asyncio.run(main())
    assert counted(stats) == (5, 5)
    assert stats["billed"] == booked(server)


def test_a_patched_client(server: Server) -> None:
    url = server.create_queue("q")
    with turbosqs.patched():
        sqs = boto3.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS)
        for size in (1, CHUNK + 1):
            sqs.send_message(QueueUrl=url, MessageBody="x" * size)
        stats = turbosqs.stats(sqs)
    assert counted(stats) == (3, 3)
    assert stats["billed"] == booked(server)


def test_prices() -> None:
    stats = {"billed": {"standard": 4, "fifo": 3}, "unshared": {"standard": 40, "fifo": 30}}
    assert turbosqs.cost(stats) == {
        "requests": 7,
        "boto3_requests": 70,
        "dollars": pytest.approx((4 * 0.40 + 3 * 0.50) / 1e6),
        "boto3_dollars": pytest.approx((40 * 0.40 + 30 * 0.50) / 1e6),
    }
    dear = turbosqs.cost(stats, turbosqs.Prices(standard=1, fifo=2))
    assert [dear["dollars"], dear["boto3_dollars"]] == pytest.approx([10e-6, 100e-6])
    # Half of boto3's are free, and all of ours.
    free = turbosqs.cost(stats, free=35)
    assert [free["dollars"], free["boto3_dollars"]] == pytest.approx([0, (20 * 0.40 + 15 * 0.50) / 1e6])
    assert repr(turbosqs.Prices()) == "Prices(standard=0.4, fifo=0.5, free=1000000)"
    for nothing in ({}, {"fast": 3}):
        with pytest.raises(TypeError, match=r"sqs\.stats\(\)"):
            turbosqs.cost(nothing)


def test_the_process(server: Server) -> None:
    """All clients together, closed ones too."""
    url, before = server.create_queue("q"), turbosqs.cost()
    for _ in range(2):
        sqs = turbosqs.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS)
        sqs.send_message(QueueUrl=url, MessageBody="x" * (CHUNK + 1))
        sqs.close()
        del sqs
    now = turbosqs.cost()
    assert (now["requests"] - before["requests"], now["boto3_requests"] - before["boto3_requests"]) == (4, 4)


PROGRAM = """
import os, sys
import boto3
from botocore.stub import Stubber

sqs = boto3.client("sqs", endpoint_url=sys.argv[1])
for _ in range(3):
    sqs.send_message(QueueUrl=sys.argv[2], MessageBody="x" * 65537)
if "fork" in sys.argv:
    if not os.fork():
        sqs.send_message(QueueUrl=sys.argv[2], MessageBody="x")
        sys.exit()
    os.wait()
if "stub" in sys.argv:
    with Stubber(sqs) as stubber:
        stubber.add_response("list_queues", {})
        sqs.list_queues()
"""

TOLD = """\
requests: 3 SendMessage
billed:   6 requests, $0.000002
by boto3: 6 requests, $0.000002
"""


@pytest.fixture
def told(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Runs a program, and splits what it said on standard error by processes."""
    for name, value in {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def told(*words: str, options: tuple[str, ...] = ("--stats",), text: str | None = None) -> list[str]:
        if text is not None:
            program.write_text(text)
        command = [sys.executable, "-m", "turbosqs", "run", *options, str(program)]
        arguments = [server.endpoint_url, server.create_queue("q"), *words]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=55)
        assert done.returncode == 0, done.stderr
        head, *processes = done.stderr.split("turbosqs, process ")
        assert head == ""
        return [each.partition("\n")[2] for each in processes]

    return told


@needs.FORK
def test_run_tells_at_the_end(told: Callable[..., list[str]]) -> None:
    assert told(options=()) == []
    assert told() == [TOLD]
    assert told(options=("--stats", "--")) == [TOLD]
    assert told(text="import boto3") == [], "a process that has made no request has nothing to tell"


@needs.FORK
def test_run_tells_of_calls_that_botocore_has_made(told: Callable[..., list[str]]) -> None:
    assert told("stub") == [f"{TOLD}made by botocore, and not counted here: 1 stubber\n"]


@needs.FORK
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_tells_of_its_own(told: Callable[..., list[str]]) -> None:
    child = TOLD.replace("3 Send", "1 Send").replace("6 requests, $0.000002", "1 requests, $0.000000")
    assert told("fork") == [child, TOLD]
