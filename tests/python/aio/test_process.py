"""Event loops that end, in processes of their own: no hang, no noise, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import time
from textwrap import dedent

import pytest
from support import needs, scripts
from support.fakes import Reply, Scripted, ok
from support.libraries import KEYS, SUBJECT
from support.loops import LOOPS
from support.waiting import until

SUCCESS = ok(QueueUrl="u")
SLOW = Reply(body=b'{"QueueUrl": "slow"}', delay=0.7)

PRELUDE = f"""
import asyncio, gc, weakref
from {SUBJECT.name} import aio

if os.environ["LOOP"] == "uvloop":
    import uvloop
    new_event_loop, run_whole = uvloop.new_event_loop, uvloop.run
else:
    new_event_loop, run_whole = asyncio.SelectorEventLoop, asyncio.run

def aio_client(**options):
    settings = {{**{KEYS!r}, "region_name": "us-east-1", "endpoint_url": url, **options}}
    return aio.Session().client("sqs", **settings)

async def url_by(sqs):
    return (await sqs.get_queue_url(QueueName="q"))["QueueUrl"]

def run(work):
    loop = new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
"""


@pytest.fixture(params=LOOPS, autouse=True)
def kind_of_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP", request.param)


def start(server: Scripted, script: str) -> subprocess.Popen[str]:
    return scripts.start(SUBJECT, server.url, dedent(PRELUDE) + dedent(script))


def run(server: Scripted, script: str) -> str:
    return scripts.finish(start(server, script))


def test_a_loop_closed_with_calls_in_flight(scripted: Scripted) -> None:
    """Requests and entries; the answers come when there is no loop any more, and the next loop is none the worse."""
    scripted.play(*[Reply(body=b'{"QueueUrl": "slow"}', delay=0.3)] * 3, SUCCESS)
    printed = run(
        scripted,
        """
        sqs = aio_client()
        async def leave():
            calls = [sqs.get_queue_url(QueueName="q"), sqs.send_message(QueueUrl="u", MessageBody="x"),
                     sqs.get_queue_url(QueueName="q")]
            waiting = asyncio.wait([asyncio.ensure_future(call) for call in calls], timeout=0.1)
            _, pending = await waiting
            assert len(pending) == 3
            for task in pending:
                task.cancel()
        run(leave())
        time.sleep(0.5)
        gc.collect()
        print(run(url_by(sqs)))
        """,
    )
    # The latter if one of the calls was given up before it had reached the server.
    assert printed in ("u\n", "slow\n")


@pytest.mark.parametrize("watches", [True, False], ids=["watching", "woken by a thread"])
def test_a_long_poll_ends_with_its_loop(scripted: Scripted, watches: bool) -> None:
    """When the loop is closed, not when the collector comes: the server sees the connection go. So it is with a loop
    that watches no descriptors, as asyncio's proactor.
    """
    printed = run(
        scripted,
        f"""
        import socket, threading
        if not {watches}:
            class Loop(asyncio.SelectorEventLoop if os.environ["LOOP"] == "asyncio" else uvloop.Loop):
                def add_reader(self, *_):
                    raise NotImplementedError
            new_event_loop = Loop
        listener = socket.create_server(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % listener.getsockname()[1]
        asked, ended = threading.Event(), threading.Event()
        def serve():
            with listener, listener.accept()[0] as connection:
                connection.recv(65536)
                asked.set()
                while connection.recv(65536):
                    pass
            ended.set()
        threading.Thread(target=serve, daemon=True).start()
        gc.disable()
        sqs = aio_client()
        loop = new_event_loop()
        async def poll():
            await sqs.receive_message(QueueUrl=url + "/q", WaitTimeSeconds=20)
        task = loop.create_task(poll())
        loop.run_until_complete(asyncio.sleep(0))
        while not asked.is_set():
            loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        # Where there is no interpreter lock, what two threads have had goes when one of them next runs Python code, or
        # with a collection.
        import sysconfig
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            for _ in range(100):
                gc.collect()
                if ended.wait(0.1):
                    break
        print(ended.wait(10))
        # It is said to be pending still.
        task._log_destroy_pending = False
        """,
    )
    assert printed == "True\n"


def test_a_loop_stopped_and_never_closed(scripted: Scripted) -> None:
    """It goes on where it was: an answer that came while it stood still is there when it runs again."""
    scripted.play(Reply(body=b'{"QueueUrl": "slow"}', delay=0.2))
    printed = run(
        scripted,
        """
        sqs = aio_client()
        loop = new_event_loop()
        async def begin():
            task = asyncio.ensure_future(url_by(sqs))
            await asyncio.sleep(0.05)
            return task
        task = loop.run_until_complete(begin())
        time.sleep(0.4)
        print(loop.run_until_complete(task))
        loop.close()
        """,
    )
    assert printed == "slow\n"


@needs.PROC
def test_a_hundred_loops(scripted: Scripted) -> None:
    """Used and closed, with one client and with clients of their own: no descriptor, exchange or client stays."""
    printed = run(
        scripted,
        """
        from turbosqs import _exchange as exchange
        from turbosqs.aio import sqs as module_of_sqs
        def alive():
            gc.collect()
            kinds = (exchange.Exchange, module_of_sqs.SQS)
            return [sum(isinstance(found, kind) for found in gc.get_objects()) for kind in kinds]
        def descriptors():
            return len(os.listdir("/proc/self/fd"))
        shared = aio_client()
        async def once(sqs):
            await asyncio.gather(*(url_by(sqs) for _ in range(3)))
            pending = asyncio.ensure_future(sqs.send_message(QueueUrl="u", MessageBody="x"))
            await asyncio.sleep(0)
            pending.cancel()
            await asyncio.wait([pending])
        async def own():
            async with aio_client() as sqs:
                await once(sqs)
        def rounds(number):
            for _ in range(number):
                run(once(shared))
                run(own())
        rounds(5)
        before = descriptors()
        rounds(50)
        deadline = time.monotonic() + 5
        # The last one may be held a moment longer by the thread that woke its loop, where one does.
        while (descriptors() > before + 2 or alive()[0]) and time.monotonic() < deadline:
            time.sleep(0.01)
        print(alive(), len(exchange._exchanges), descriptors() <= before + 2)
        """,
    )
    assert printed == "[0, 1] 0 True\n"


@needs.PROC
@needs.RESOURCE
def test_clients_that_come_and_go_in_one_loop(scripted: Scripted) -> None:
    """Nothing of a client stays with the loop: neither descriptors nor memory."""
    printed = run(
        scripted,
        """
        import resource
        async def work():
            async def some(number):
                for _ in range(number):
                    async with aio_client() as sqs:
                        await url_by(sqs)
                gc.collect()
                await asyncio.sleep(0.05)
                return len(os.listdir("/proc/self/fd")), resident()
            before = await some(50)
            after = await some(200)
            print(after[0] <= before[0] + 2, after[1] < before[1] + 8_000_000 or (before, after))
        def resident():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize()
        run(work())
        """,
    )
    assert printed == "True True\n"


@needs.PROC
@needs.RESOURCE
def test_memory_of_many_calls(scripted: Scripted) -> None:
    """Thirty-five thousand calls, a thousand at a time, a third of them cancelled: what they took is given back."""
    printed = run(
        scripted,
        """
        import resource
        def resident():
            gc.collect()
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize()
        from turbosqs.local import Server
        async def work():
            sqs = aio_client(endpoint_url=running.endpoint_url)
            to = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
            async def rounds(number):
                for _ in range(number):
                    tasks = [asyncio.ensure_future(sqs.send_message(QueueUrl=to, MessageBody="x")) for _ in range(1000)]
                    await asyncio.sleep(0)
                    for task in tasks[::3]:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    await sqs.purge_queue(QueueUrl=to)
            await rounds(10)
            before = resident()
            await rounds(25)
            after = resident()
            print(after < before + 10_000_000 or (before, after))
        with Server() as running:
            run(work())
        """,
    )
    assert printed == "True\n"


@pytest.mark.parametrize("where", ["main thread", "daemon thread"])
def test_the_interpreter_ends_in_mid_call(scripted: Scripted, where: str) -> None:
    scripted.play(SLOW)
    script = {
        "main thread": """
        sqs = aio_client()
        async def work():
            tasks = [asyncio.ensure_future(url_by(sqs)) for _ in range(3)]
            await asyncio.sleep(0.1)
            print("bye", flush=True)
            sys.exit()
        run_whole(work())
        """,
        "daemon thread": """
        sqs = aio_client()
        async def work():
            while True:
                done, _ = await asyncio.wait([asyncio.ensure_future(url_by(sqs)) for _ in range(20)])
        threading.Thread(target=run, args=(work(),), daemon=True).start()
        time.sleep(0.2)
        print("bye", flush=True)
        """,
    }[where]
    began = time.monotonic()
    assert run(scripted, script) == "bye\n"
    assert time.monotonic() - began < 15


def test_the_interpreter_ends_in_a_busy_daemon_loop(scripted: Scripted) -> None:
    """Answers keep coming while the interpreter is being finalized."""
    for _ in range(3):
        printed = run(
            scripted,
            """
            sqs = aio_client()
            async def work():
                while True:
                    await asyncio.gather(*(url_by(sqs) for _ in range(20)))
            threading.Thread(target=run, args=(work(),), daemon=True).start()
            time.sleep(0.1)
            print("bye", flush=True)
            """,
        )
        assert printed == "bye\n"


def test_entries_on_their_way_at_exit_are_sent(scripted: Scripted) -> None:
    """Cancelled after they had left, or never asked about again: the process waits until they are answered."""
    scripted.play(Reply(body=b"{}", delay=0.3))
    run(
        scripted,
        """
        sqs = aio_client()
        async def work():
            task = asyncio.ensure_future(sqs.send_message(QueueUrl="u", MessageBody="x"))
            await asyncio.sleep(0.1)
            task.cancel()
        run(work())
        """,
    )
    assert [request.json["MessageBody"] for request in scripted.requests] == ["x"]


@needs.SIGNALS
def test_control_c(scripted: Scripted) -> None:
    scripted.play(Reply(body=b'{"QueueUrl": "slow"}', delay=20))
    process = start(
        scripted,
        """
        sqs = aio_client()
        async def work():
            print("begun", flush=True)
            await url_by(sqs)
        try:
            run_whole(work())
        except KeyboardInterrupt:
            print("interrupted")
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    until(lambda: scripted.requests)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert scripts.finish(process) == "interrupted\n"
    assert time.monotonic() - began < 15


@needs.FORK
def test_fork_under_a_running_loop(scripted: Scripted) -> None:
    """With a request and an entry in flight: the child's own loop works, and the parent does not notice."""
    scripted.play(SLOW, SLOW, SLOW, SUCCESS)
    printed = run(
        scripted,
        """
        sqs = aio_client()
        async def parent():
            await asyncio.sleep(0)
            calls = [url_by(sqs), sqs.send_message(QueueUrl="u", MessageBody="x")]
            calls = [asyncio.ensure_future(call) for call in calls]
            by_hand = url_by(sqs)
            by_hand.send(None)
            await asyncio.sleep(0.2)
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    # Of the parent's calls none is the child's to give up.
                    by_hand.close()
                    for _ in range(3):
                        say("child", run(url_by(sqs)))
                    status = 0
                finally:
                    os._exit(status)
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert status == 0, status
            answer, _ = await asyncio.gather(*calls)
            by_hand.close()
            say("parent", answer)
            say("parent", await url_by(sqs))
        run(parent())
        """,
    )
    assert printed == "child u\n" * 3 + "parent slow\nparent u\n"
