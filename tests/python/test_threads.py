"""What threads share: clients, arguments, writers, pollers, consumers, event loops, patches and forks.

Each test has its outcome, whoever is scheduled first: every message is there once, and a call either returns or raises
what it may raise. On a free-threaded Python the threads run at the same time, and nothing but our own locks keeps them
apart; elsewhere they take turns.
"""

from __future__ import annotations

import asyncio
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import boto3
import pytest
import turbosqs
import turbosqs.aio
from botocore.exceptions import ClientError, ParamValidationError
from support import needs
from support.fakes import Scripted
from support.libraries import BOTO3, KEYS, SUBJECT
from support.queues import client, consumer, counts, send
from support.scripts import run as run_script
from support.waiting import until
from turbosqs.consuming.workers import Worker, mark_lost
from turbosqs.local import Server

pytestmark = pytest.mark.skipif(SUBJECT == BOTO3, reason="this is about turbosqs alone")

THREADS = 8
#: For all threads of a test to end; none takes a tenth of it.
LONG = 90.0
SETTINGS: dict[str, Any] = {"region_name": "us-east-1", **KEYS}

Work = Callable[[], object]


def in_threads(works: Iterable[Work]) -> None:
    """Do each in a thread of its own, all beginning together; what one raises is raised."""
    works = list(works)
    together = threading.Barrier(len(works))

    def begin(work: Work) -> None:
        together.wait(LONG)
        work()

    with running([partial(begin, work) for work in works]):
        pass


@contextmanager
def running(works: Iterable[Work]) -> Iterator[None]:
    """Each is under way in a thread of its own, and over at the end of the block; what one raises is raised then."""
    raised: list[BaseException] = []

    def run(work: Work) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a panic of Rust's is no Exception
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads), "threads hang"
    if raised:
        raise raised[0]


@contextmanager
def meanwhile(*works: Work) -> Iterator[None]:
    """Do these again and again in other threads, for as long as the block lasts."""
    over = threading.Event()

    def repeat(work: Work) -> None:
        while not over.is_set():
            work()

    with running([partial(repeat, work) for work in works]):
        try:
            yield
        finally:
            over.set()


def bodies(sqs: Any, url: str) -> Counter[str]:
    """Of all messages in a queue, which is empty afterwards."""
    found: Counter[str] = Counter()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found.update(message["Body"] for message in messages)
        handles = [{"Id": str(place), "ReceiptHandle": one["ReceiptHandle"]} for place, one in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=handles)
    return found


@pytest.fixture
def sqs(server: Server) -> Any:
    return client(server)


@pytest.fixture
def url(server: Server) -> str:
    return server.create_queue("q")


def test_free_threads_stay_free(server: Server) -> None:
    """Whoever imports us does not give the interpreter its lock back, with which all threads would take turns again."""
    script = """
    import turbosqs.aio, turbosqs.local, turbosqs.consuming, turbosqs.keeping
    import sysconfig
    is_free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert is_free != getattr(sys, "_is_gil_enabled", lambda: True)()
    client().send_message(QueueUrl=url + "/000000000000/q", MessageBody="b")
    assert is_free != getattr(sys, "_is_gil_enabled", lambda: True)()
    say("free" if is_free else "taking turns")
    """
    server.create_queue("q")
    expected = "free" if sysconfig.get_config_var("Py_GIL_DISABLED") else "taking turns"
    assert run_script(SUBJECT, server.endpoint_url, script) == f"{expected}\n"


@pytest.mark.parametrize("batching", [True, False])
def test_a_client(batching: bool, server: Server, url: str) -> None:
    sqs = client(server, batching=batching)
    sent = [[f"{thread}-{number}" for number in range(40)] for thread in range(THREADS)]

    def work(mine: list[str]) -> Work:
        def work() -> None:
            for body in mine:
                assert sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"]

        return work

    with meanwhile(sqs.stats, lambda: str(sqs), turbosqs.stats):
        in_threads(map(work, sent))
    assert bodies(sqs, url) == Counter(chain.from_iterable(sent))
    assert sum(sqs.stats()["requests"].values()) <= sqs.stats()["billed"]["standard"]
    if batching:
        assert sqs.stats()["messages"]["SendMessage"] == THREADS * 40


def is_torn(error: Exception) -> bool:
    """Whether it is what a call may raise whose arguments change while it reads them: what Python's own iteration
    raises, what is said of arguments that are not whole, or that they were not."""
    if isinstance(error, RuntimeError):
        return "dictionary changed size" in str(error) or "changed while they were read" in str(error)
    return isinstance(error, (ParamValidationError, ClientError))


def test_arguments_that_other_threads_change(sqs: Any, url: str) -> None:
    """A dict or a list is read as it is at some moment, or the call is refused; what is accepted is sent once."""
    value: dict[str, Any] = {"DataType": "String", "StringValue": "v"}
    attributes: dict[str, Any] = {f"a{number}": value for number in range(4)}
    entries: list[dict[str, Any]] = [{"Id": f"e{number}", "MessageBody": "listed"} for number in range(4)]
    accepted: Counter[str] = Counter()
    lock = threading.Lock()

    def change_attributes() -> None:
        for number in range(4, 9):
            attributes[f"a{number}"] = {"DataType": "String", "StringValue": str(number)}
        for number in range(8, 3, -1):
            attributes.pop(f"a{number}", None)

    def change_value() -> None:
        value.pop("StringValue", None)
        value["StringValue"] = "w"
        value["DataType"] = 1
        value["DataType"] = "String"

    def change_entries() -> None:
        entries.append({"Id": f"e{len(entries)}", "MessageBody": "listed"})
        entries[0]["DelaySeconds"] = 0
        entries[0].pop("DelaySeconds")
        entries.pop()

    def keyed(name: str) -> Work:
        def work() -> None:
            for number in range(60):
                body = f"{name}-{number}"
                try:
                    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
                except Exception as error:
                    if not is_torn(error):
                        raise
                else:
                    with lock:
                        accepted[body] += 1

        return work

    def listed() -> None:
        for _ in range(60):
            try:
                reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
            except Exception as error:
                if not is_torn(error):
                    raise
            else:
                with lock:
                    accepted["listed"] += len(reply.get("Successful", ()))

    with meanwhile(change_attributes, change_value, change_entries):
        in_threads([*map(keyed, "abcd"), listed, listed])
    assert bodies(sqs, url) == +accepted


def test_settings_that_other_threads_change(server: Server) -> None:
    proxies = {"http": "http://127.0.0.1:1"}

    def change() -> None:
        proxies["https"] = "http://127.0.0.1:1"
        proxies.pop("https")

    def make() -> None:
        for _ in range(10):
            try:
                client(server, config=turbosqs.Config(proxies=proxies))
            except RuntimeError as error:
                if not is_torn(error):
                    raise

    with meanwhile(change):
        in_threads([make] * 4)


def test_a_writer(sqs: Any, url: str) -> None:
    def work(thread: int) -> Work:
        def work() -> None:
            for number in range(60):
                batch.send_message(MessageBody=f"{thread}-{number}")

        return work

    with sqs.batch_writer(QueueUrl=url) as batch, meanwhile(lambda: repr(batch)):
        in_threads(map(work, range(THREADS)))
        batch.flush()
    assert bodies(sqs, url) == Counter(f"{thread}-{number}" for thread in range(THREADS) for number in range(60))


def test_a_poller(sqs: Any, url: str) -> None:
    sent = send(sqs, url, 200)
    received: list[str] = []
    messages = sqs.poll_messages(QueueUrl=url, max_messages=len(sent), WaitTimeSeconds=1)

    def work() -> None:
        while (message := next(messages, None)) is not None:
            received.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    with messages, meanwhile(messages.stats):
        in_threads([work] * THREADS)
    assert sorted(received, key=int) == sent


def test_consumers(sqs: Any, url: str) -> None:
    """Two with many threads each, whose handlers send what they are given on, with the same client."""
    sent = send(sqs, url, 300)
    onward = sqs.create_queue(QueueName="onward")["QueueUrl"]
    ours = [
        consumer(
            sqs, url, lambda message: sqs.send_message(QueueUrl=onward, MessageBody=message["Body"]), concurrency=16
        )
        for _ in range(2)
    ]
    for one in ours:
        one.start()
    with meanwhile(*(one.stats for one in ours)):
        until(lambda: sum(one.stats()["handled"] for one in ours) == len(sent), LONG)
    assert all(one.stop(LONG) for one in ours)
    assert counts(sqs, url) == (0, 0)
    assert bodies(sqs, onward) == Counter(sent)


def test_keepers(sqs: Any, url: str) -> None:
    """``lease_lost`` looks at all keepers of the process, while other threads have more of them."""
    message = {"ReceiptHandle": "none of theirs"}

    def work() -> None:
        for _ in range(20):
            with sqs.keep_invisible(QueueUrl=url):
                assert not turbosqs.lease_lost(message)

    with meanwhile(lambda: turbosqs.lease_lost(message)):
        in_threads([work] * 4)


@pytest.mark.parametrize("look", [1, 2])
def test_a_message_that_is_lost_when_its_handler_ends(look: int) -> None:
    """Whichever comes first, nothing is left that says so."""
    message: Any = {"ReceiptHandle": "r"}

    class EndsWhenLookedAt(Worker):
        looks = 0

        def handles(self) -> list[str]:
            found = super().handles()
            self.looks += 1
            if self.looks == look:
                self.end()
            return found

    worker = EndsWhenLookedAt()
    worker.begin(message)
    mark_lost(message, [worker])
    assert worker.held is None
    assert not turbosqs.lease_lost(message)


def test_event_loops(server: Server, url: str) -> None:
    """Each thread has a loop of its own, and all have one client."""
    sqs = turbosqs.aio.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS)

    async def send_all(thread: int) -> None:
        calls = (sqs.send_message(QueueUrl=url, MessageBody=f"{thread}-{number}") for number in range(40))
        await asyncio.gather(*calls)

    in_threads([lambda thread=thread: asyncio.run(send_all(thread)) for thread in range(4)])  # type: ignore[misc]
    expected = Counter(f"{thread}-{number}" for thread in range(4) for number in range(40))
    assert bodies(client(server), url) == expected


def test_patches(server: Server, sqs: Any, url: str) -> None:
    """boto3's clients go on calling while they are patched and not any more, again and again."""
    theirs = [boto3.session.Session().client("sqs", endpoint_url=server.endpoint_url, **SETTINGS) for _ in range(2)]

    def work(thread: int) -> Work:
        def work() -> None:
            for number in range(30):
                theirs[thread % 2].send_message(QueueUrl=url, MessageBody=f"{thread}-{number}")

        return work

    def change() -> None:
        with turbosqs.patched():
            turbosqs.stats()

    with meanwhile(change):
        in_threads(map(work, range(6)))
    for one in theirs:
        one.close()
    assert bodies(sqs, url) == Counter(f"{thread}-{number}" for thread in range(6) for number in range(30))


@needs.FORK
def test_forks(scripted: Scripted) -> None:
    """Threads that fork at the same time, and call, wait for one another and not for ever."""
    script = """
    sqs = client()
    said = []
    def work():
        for _ in range(6):
            assert url_of(sqs) == "u"
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert url_of(sqs) == "u"
        said.append("done")
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    say(*said)
    """
    assert run_script(SUBJECT, scripted.url, script) == "done done done done\n"
