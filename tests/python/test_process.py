"""A client among threads, forks, signals and the end of the interpreter: no hang, no crash, no noise."""

from __future__ import annotations

import signal
import time
from textwrap import dedent

import pytest
from support import needs
from support.fakes import Reply, Scripted, ok
from support.libraries import BOTO3, SUBJECT, Library
from support.scripts import finish, run, start
from support.waiting import until

SUCCESS = ok(QueueUrl="u")


#: What boto3 is asked as well: it too must pass, or the test asks too much.
BY_BOTH = pytest.mark.parametrize("library", [BOTO3, SUBJECT], ids=["boto3", "subject"])


@pytest.fixture
def library() -> Library:
    return SUBJECT


def arrived(server: Scripted, count: int = 1) -> None:
    """Wait until so many requests are there."""
    until(lambda: len(server.requests) >= count)


FORK = """
def child(work):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(status)

def ended_well(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""


def forked(library: Library, server: Scripted, script: str) -> str:
    return run(library, server.url, FORK + dedent(script))


@needs.FORK
@BY_BOTH
def test_fork_before_use(library: Library, scripted: Scripted) -> None:
    """A client that was made and not used works on both sides of a fork."""
    printed = forked(
        library,
        scripted,
        """
        sqs = client()
        ended_well(child(lambda: say("child", url_of(sqs))))
        say("parent", url_of(sqs))
        """,
    )
    assert printed == "child u\nparent u\n"


@needs.FORK
def test_fork_after_use(library: Library, scripted: Scripted) -> None:
    """So does one that was used, again and again, and neither side uses the other's connection."""
    printed = forked(
        library,
        scripted,
        """
        sqs = client()
        url_of(sqs)
        pids = [child(lambda: [say("child", url_of(sqs)) for _ in range(3)]) for _ in range(4)]
        for _ in range(3):
            say("parent", url_of(sqs))
        for pid in pids:
            ended_well(pid)
        """,
    )
    assert sorted(printed.splitlines()) == ["child u"] * 12 + ["parent u"] * 3
    assert len(scripted.requests) == 16


@needs.FORK
def test_fork_of_a_fork(library: Library, scripted: Scripted) -> None:
    printed = forked(
        library,
        scripted,
        """
        sqs = client()
        url_of(sqs)
        def grandchild():
            say("grandchild", url_of(sqs))
        def work():
            url_of(sqs)
            ended_well(child(grandchild))
            say("child", url_of(sqs))
        ended_well(child(work))
        say("parent", url_of(sqs))
        """,
    )
    assert printed == "grandchild u\nchild u\nparent u\n"


@needs.FORK
def test_fork_with_a_call_in_flight(library: Library, scripted: Scripted) -> None:
    """A call of another thread is the parent's alone: it ends there, and the child works."""
    scripted.play(Reply(body=b'{"QueueUrl": "slow"}', delay=0.5), SUCCESS)
    printed = forked(
        library,
        scripted,
        """
        sqs = client()
        caller = threading.Thread(target=lambda: say("thread", url_of(sqs)))
        caller.start()
        time.sleep(0.2)
        ended_well(child(lambda: say("child", url_of(sqs))))
        caller.join()
        say("parent", url_of(sqs))
        """,
    )
    assert printed == "child u\nthread slow\nparent u\n"


@needs.FORK
def test_fork_and_a_new_client(library: Library, scripted: Scripted) -> None:
    printed = forked(
        library,
        scripted,
        """
        url_of(client())
        ended_well(child(lambda: say("child", url_of(client()))))
        say("parent", url_of(client()))
        """,
    )
    assert printed == "child u\nparent u\n"


@needs.FORK
def test_child_exits_as_any_other(library: Library, scripted: Scripted) -> None:
    """A child that ends through the interpreter, not by _exit, ends well."""
    printed = run(
        library,
        scripted.url,
        """
        sqs = client()
        url_of(sqs)
        pid = os.fork()
        say("child" if pid == 0 else "parent", url_of(sqs))
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
        """,
    )
    assert sorted(printed.splitlines()) == ["child u", "parent u"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, library: Library, scripted: Scripted) -> None:
    """A pool, however it makes its processes."""
    printed = run(
        library,
        scripted.url,
        f"""
        import multiprocessing
        sqs = client()
        url_of(sqs)
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            print(pool.map(len, ["a", "bb"]))
        print(url_of(sqs))
        """,
    )
    assert printed == "[1, 2]\nu\n"


@needs.FORK
def test_pool_of_workers(library: Library, scripted: Scripted) -> None:
    """Workers made by fork use the client that they inherit."""
    printed = run(
        library,
        scripted.url,
        """
        import multiprocessing
        sqs = client()
        url_of(sqs)
        def work(_):
            return url_of(sqs)
        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(pool.map(work, range(12)))
        """,
    )
    assert printed == f"{['u'] * 12}\n"


@BY_BOTH
def test_one_client_32_threads(library: Library, embedded: object) -> None:
    """Each thread gets the replies to its own calls, and no message is lost or doubled."""
    embedded.reset()  # type: ignore[attr-defined]
    printed = run(
        library,
        embedded.endpoint_url,  # type: ignore[attr-defined]
        """
        import hashlib
        sqs = client()
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        wrong = []
        def work(thread):
            for number in range(20):
                body = f"{thread}-{number}"
                reply = sqs.send_message(QueueUrl=queue, MessageBody=body)
                if reply["MD5OfMessageBody"] != hashlib.md5(body.encode()).hexdigest():
                    wrong.append(body)
        def all_at_once(target):
            threads = [threading.Thread(target=target, args=(number,)) for number in range(32)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        all_at_once(work)
        found = []
        def drain(_):
            while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
                found.extend(message["Body"] for message in messages)
                entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
                assert len(sqs.delete_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == len(messages)
        all_at_once(drain)
        drain(0)
        print(wrong, len(found), len(set(found)))
        """,
    )
    assert printed == "[] 640 640\n"


def test_clients_made_at_once(scripted: Scripted) -> None:
    """32 threads make a client each, from the default session, at the same moment; boto3's own cannot."""
    printed = run(
        SUBJECT,
        scripted.url,
        """
        gate, results = threading.Barrier(32), []
        def work():
            gate.wait()
            keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
            made = module.client("sqs", region_name="us-east-1", endpoint_url=url, **keys)
            results.append(url_of(made))
        threads = [threading.Thread(target=work) for _ in range(32)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(results), set(results))
        """,
    )
    assert printed == "32 {'u'}\n"


@needs.SIGNALS
@BY_BOTH
def test_ctrl_c_in_a_long_poll(library: Library, scripted: Scripted) -> None:
    """KeyboardInterrupt comes at once, and the client is as good as new."""
    scripted.play(Reply(delay=30), SUCCESS)
    process = start(
        library,
        scripted.url,
        """
        sqs = client()
        try:
            sqs.receive_message(QueueUrl="u", WaitTimeSeconds=20)
        except KeyboardInterrupt:
            print(time.monotonic())
        print(url_of(sqs))
        """,
    )
    arrived(scripted)
    time.sleep(0.1)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    caught, after = finish(process).splitlines()
    assert float(caught) - sent < 15
    assert after == "u"


@needs.SIGNALS
def test_a_signal_handler_runs_during_a_call(library: Library, scripted: Scripted) -> None:
    """A handler that returns runs at once and leaves the call alone; what it raises ends the call."""
    scripted.play(Reply(body=b'{"QueueUrl": "slow"}', delay=0.6), Reply(delay=30))
    process = start(
        library,
        scripted.url,
        """
        import signal
        def stop(*_):
            raise LookupError("enough")
        signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
        signal.signal(signal.SIGUSR2, stop)
        sqs = client()
        print(url_of(sqs), flush=True)
        try:
            url_of(sqs)
        except LookupError as error:
            print(error)
        """,
    )
    arrived(scripted)
    process.send_signal(signal.SIGUSR1)
    arrived(scripted, 2)
    process.send_signal(signal.SIGUSR2)
    assert finish(process, 5) == "handled\nslow\nenough\n"


@needs.SIGNALS
@BY_BOTH
def test_ctrl_c_that_nobody_catches(library: Library, scripted: Scripted) -> None:
    """It ends the program as it ends any other."""
    scripted.play(Reply(delay=30))
    process = start(library, scripted.url, "client().receive_message(QueueUrl='u', WaitTimeSeconds=20)")
    arrived(scripted)
    process.send_signal(signal.SIGINT)
    _, noise = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert noise.rstrip().endswith("KeyboardInterrupt")


IN_FLIGHT = """
sqs = client()
def call():
    say(url_of(sqs))
threading.Thread(target=call, daemon=DAEMON).start()
time.sleep(0.2)
"""


@BY_BOTH
def test_exit_with_a_daemon_in_a_call(library: Library, scripted: Scripted) -> None:
    """A daemon thread's call holds nobody up: the program is over before there could be an answer."""
    scripted.play(Reply(delay=40))
    assert run(library, scripted.url, IN_FLIGHT.replace("DAEMON", "True"), timeout=30) == ""


def test_exit_as_a_daemons_reply_arrives(library: Library, scripted: Scripted) -> None:
    """Replies that come while the interpreter goes down bring nothing down with them."""
    script = IN_FLIGHT.replace("time.sleep(0.2)", "time.sleep(0.05)").replace("DAEMON", "True")
    for delay in (0.05, 0.06, 0.07, 0.08, 0.1):
        scripted.play(Reply(body=b'{"QueueUrl": "late"}', delay=delay))
        assert run(library, scripted.url, script, timeout=60) in ("", "late\n")


@BY_BOTH
def test_exit_with_a_thread_in_a_call(library: Library, scripted: Scripted) -> None:
    """A thread that is no daemon gets its reply before the interpreter ends."""
    scripted.play(Reply(body=b'{"QueueUrl": "late"}', delay=0.6))
    assert run(library, scripted.url, IN_FLIGHT.replace("DAEMON", "False"), timeout=60) == "late\n"


def test_exit_with_32_daemons_in_calls(library: Library, scripted: Scripted) -> None:
    scripted.play(Reply(delay=30))
    script = """
    sqs = client()
    for _ in range(32):
        threading.Thread(target=url_of, args=(sqs,), daemon=True).start()
    time.sleep(0.3)
    """
    assert run(library, scripted.url, script, timeout=60) == ""


def test_exit_with_daemons_that_fail(library: Library, scripted: Scripted) -> None:
    """A daemon that is being told what is wrong with its call when the interpreter ends takes nothing down."""
    script = """
    sqs = client()
    def fail():
        while True:
            try:
                sqs.send_message(QueueUrl=1, MessageBody="x")
            except Exception:
                pass
    for _ in range(8):
        threading.Thread(target=fail, daemon=True).start()
    time.sleep(0.1)
    """
    for _ in range(4):
        assert run(library, scripted.url, script, timeout=60) == ""


@BY_BOTH
def test_a_daemon_flushes_at_exit(library: Library, scripted: Scripted) -> None:
    """A worker's calls go on while an exit handler waits for them, one registered before the first client included."""
    script = """
    import atexit, queue
    work = queue.Queue()
    atexit.register(work.join)
    sqs = client()
    def worker():
        while True:
            work.get()
            say(url_of(sqs))
            work.task_done()
    threading.Thread(target=worker, daemon=True).start()
    for number in range(5):
        work.put(number)
    """
    assert run(library, scripted.url, script, timeout=60) == "u\n" * 5


@needs.FORK
def test_fork_while_another_thread_makes_exceptions(scripted: Scripted) -> None:
    """A child forked while a thread makes the classes of exceptions can make its own.

    What they are made of has been imported: a fork in the middle of an import is CPython's own affair.
    """
    script = """
    sqs = client()
    def fail():
        try:
            sqs.get_queue_url(QueueName="gone")
        except sqs.exceptions.QueueDoesNotExist:
            pass
    fail()
    exceptions = sys.modules["turbosqs.errorfactory"]
    for delay in (0, 0.0001, 0.0002, 0.0005, 0.001):
        exceptions._made = None
        thread = threading.Thread(target=fail)
        thread.start()
        time.sleep(delay)
        child = os.fork()
        if not child:
            fail()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        thread.join()
    """
    assert run(SUBJECT, scripted.url, script, timeout=60) == ""


@BY_BOTH
def test_call_at_exit(library: Library, scripted: Scripted) -> None:
    """A call in an atexit handler is answered, registered before the client was made or after."""
    script = """
    import atexit
    atexit.register(lambda: print("before", url_of(sqs), flush=True))
    sqs = client()
    url_of(sqs)
    atexit.register(lambda: print("after", url_of(sqs), flush=True))
    """
    assert run(library, scripted.url, script) == "after u\nbefore u\n"


def test_first_call_at_exit(library: Library, scripted: Scripted) -> None:
    script = """
    import atexit
    sqs = client()
    atexit.register(lambda: print(url_of(sqs), flush=True))
    """
    assert run(library, scripted.url, script) == "u\n"


def test_call_in_module_teardown(scripted: Scripted) -> None:
    """A finalizer that calls when modules are being torn down gets a reply or an exception."""
    script = """
    class Last:
        def __init__(self, sqs):
            self.sqs = sqs
        def __del__(self, url_of=url_of, write=os.write, Exception=Exception):
            try:
                url_of(self.sqs)
                write(1, b"reply\\n")
            except Exception as error:
                write(1, b"exception\\n")
    sqs = client()
    url_of(sqs)
    sys.last = Last(sqs)
    """
    assert run(SUBJECT, scripted.url, script) in ("reply\n", "exception\n")


@needs.PROC
def test_clients_come_and_go(library: Library, scripted: Scripted) -> None:
    """A hundred clients, used and dropped, leave no descriptor behind."""
    script = """
    import gc
    def descriptors():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))
    shared = client()
    url_of(shared)
    before = descriptors()
    for _ in range(30):
        sqs = client()
        url_of(sqs)
        sqs.close()
        del sqs
    deadline = time.monotonic() + 5
    while descriptors() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(descriptors() <= before + 2)
    """
    assert run(library, scripted.url, script) == "True\n"
