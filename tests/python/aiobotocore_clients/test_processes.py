"""Event loops and processes that end while aiobotocore's clients are on the core: no hang, no noise, nothing left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest
from support import needs
from support.fakes import Reply, Scripted, ok, read_request


class Named(Scripted):
    """Says where a queue is: of the queue ``slow`` after a while, whoever asks first."""

    def handle(self, connection: Any) -> None:
        with connection.makefile("rb") as stream:
            while (request := read_request(stream)) is not None:
                is_slow = request.json.get("QueueName") == "slow"
                if is_slow and self.stopped.wait(0.7):
                    return
                connection.sendall(ok(QueueUrl="slow" if is_slow else "u").wire())


@pytest.fixture
def named() -> Iterator[Named]:
    with Named() as listening:
        yield listening


PRELUDE = """
import asyncio, functools, gc, os, signal, sys, threading, time, warnings
# From Python 3.12 on, of every fork of a process with threads; here it is what is tried.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import turbosqs
turbosqs.patch()
import botocore.loaders
# Read once, as it would be by one session.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)
from aiobotocore.session import get_session

url, kind = sys.argv[1], sys.argv[2]
if kind == "uvloop":
    import uvloop
    new_event_loop = uvloop.new_event_loop
elif kind == "proactor":
    class new_event_loop(asyncio.SelectorEventLoop):
        # As asyncio's own on Windows.
        def add_reader(self, *_):
            raise NotImplementedError
else:
    new_event_loop = asyncio.SelectorEventLoop

session = get_session()
def connect(**options):
    settings = dict(region_name="us-east-1", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b")
    return session.create_client("sqs", **settings, **options)

async def url_by(client, name="q"):
    return (await client.get_queue_url(QueueName=name))["QueueUrl"]

async def whole():
    async with connect() as client:
        return await url_by(client)

def run(work):
    loop = new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


@pytest.fixture(params=["asyncio", "uvloop", "proactor"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def play(server: Scripted, kind: str, script: str) -> str:
    """What a script prints; it has to end by itself, well, and without a word on stderr."""
    source = PRELUDE + dedent(script)
    command = [sys.executable, "-X", "faulthandler", "-W", "always", "-c", source, server.url, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_call(scripted: Scripted, kind: str) -> None:
    assert play(scripted, kind, "say(run(whole()), turbosqs.stats())") == "u {'fast': 1}\n"


@needs.PROC
def test_a_hundred_loops(scripted: Scripted, kind: str) -> None:
    """Made and dropped, with clients of their own, and with calls that nobody waits for."""
    printed = play(
        scripted,
        kind,
        """
        from turbosqs import _exchange
        async def once():
            async with connect() as client:
                await asyncio.gather(*(url_by(client) for _ in range(3)))
                pending = asyncio.ensure_future(client.send_message(QueueUrl="u", MessageBody="x"))
                await asyncio.sleep(0)
                pending.cancel()
                await asyncio.wait([pending])
        def rounds(number):
            for _ in range(number):
                run(once())
            gc.collect()
        def left():
            exchanges = sum(isinstance(found, _exchange.Exchange) for found in gc.get_objects())
            return len(os.listdir("/proc/self/fd")), exchanges, threading.active_count()
        rounds(5)
        before = left()
        rounds(100)
        deadline = time.monotonic() + 60
        def is_as_before(after):
            return after[0] <= before[0] + 2 and after[1:] == before[1:]
        while not is_as_before(left()) and time.monotonic() < deadline:
            time.sleep(0.01)
        say(is_as_before(left()), before[1:], turbosqs.stats()["fast"])
        """,
    )
    assert printed == "True (0, 1) 420\n"


def test_a_loop_closed_with_calls_in_flight(named: Named, kind: str) -> None:
    printed = play(
        named,
        kind,
        """
        loop = new_event_loop()
        async def leave():
            context = connect()
            client = await context.__aenter__()
            tasks = [loop.create_task(url_by(client, "slow")) for _ in range(2)]
            await asyncio.wait(tasks, timeout=0.1)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await context.__aexit__(None, None, None)
        loop.run_until_complete(leave())
        loop.close()
        say(run(whole()))
        """,
    )
    assert printed == "u\n"


@needs.FORK
def test_a_fork_under_a_running_loop(named: Named, kind: str) -> None:
    """The child runs a loop of its own; the parent's call under way is answered."""
    printed = play(
        named,
        kind,
        """
        async def parent():
            async with connect() as client:
                slow = asyncio.ensure_future(url_by(client, "slow"))
                await asyncio.sleep(0.1)
                child = os.fork()
                if child == 0:
                    asyncio._set_running_loop(None)
                    say("child", run(whole()))
                    os._exit(0)
                say("ended", (await asyncio.to_thread(os.waitpid, child, 0))[1])
                say("parent", await slow)
        run(parent())
        """,
    )
    assert printed == "child u\nended 0\nparent slow\n"


@needs.SIGNALS
@pytest.mark.parametrize("way", ["sys.exit(0)", "signal.raise_signal(signal.SIGINT)"])
def test_the_end_in_mid_call(named: Named, way: str) -> None:
    printed = play(
        named,
        "asyncio",
        f"""
        async def leave():
            async with connect() as client:
                slow = asyncio.ensure_future(url_by(client, "slow"))
                await asyncio.sleep(0.1)
                say("leaves")
                slow.cancel()
                await asyncio.wait([slow])
                {way}
        try:
            asyncio.run(leave())
        except KeyboardInterrupt:
            sys.exit(0)
        """,
    )
    assert printed == "leaves\n"


def test_the_end_with_a_thread_that_calls(named: Named, kind: str) -> None:
    """A daemon thread's loop has a call under way when the interpreter ends."""
    printed = play(
        named,
        kind,
        """
        started = threading.Event()
        async def work():
            async with connect() as client:
                slow = asyncio.ensure_future(url_by(client, "slow"))
                await asyncio.sleep(0.1)
                started.set()
                await slow
        threading.Thread(target=lambda: run(work()), daemon=True).start()
        started.wait()
        say("leaves")
        """,
    )
    assert printed == "leaves\n"


def test_what_lingers_at_the_end_is_sent(scripted: Scripted) -> None:
    scripted.play(Reply(body=b'{"MessageId": "m", "MD5OfMessageBody": "9dd4e461268c8034f5c8564e155c67a6"}', delay=0.2))
    play(
        scripted,
        "asyncio",
        """
        async def leave():
            context = connect()
            client = await context.__aenter__()
            tasks = [asyncio.ensure_future(client.send_message(QueueUrl=url + "/1/q", MessageBody="x"))]
            await asyncio.sleep(0.05)
            await client._endpoint.http_session.__aexit__(None, None, None)
            return tasks
        loop = new_event_loop()
        for task in loop.run_until_complete(leave()):
            task._log_destroy_pending = False
        loop.close()
        """,
    )
    assert [request.json["MessageBody"] for request in scripted.requests] == ["x"]
