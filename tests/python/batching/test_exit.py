"""The ends of things: of the interpreter, of a wait, of a parent's copy in a child."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any

import pytest
from support import needs
from support.libraries import SUBJECT
from support.relay import Relay
from support.scripts import finish, run, start
from support.together import held
from support.waiting import until
from turbosqs.local import Server

#: Daemon threads whose calls wait behind one that is held up, and would wait a minute.
WAITING = """
    import turbosqs
    sqs = client(batching=turbosqs.Batching(linger=60))
    url = sys.argv[2] + "/000000000000/q"
    def send(n):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    def waiting(count):
        for n in range(count):
            threading.Thread(target=send, args=(n,), daemon=True).start()
            while sqs.stats()["messages"].get("SendMessage", 0) <= n:
                time.sleep(0.001)
"""


@pytest.fixture(autouse=True)
def url(server: Server) -> str:
    return server.create_queue("q")


def test_what_waits_at_the_end_is_sent(relay: Relay, boto: Any, url: str) -> None:
    """25 calls: one in flight, 20 in full requests, four that only the end of the program lets go. The service
    answers when it has seen all of them, so nothing else can have sent them."""
    relay.hold()
    process = start(SUBJECT, relay.url, WAITING + "    waiting(25)\n")
    until(lambda: sum(len(passed.entries) for passed in relay.passed) == 25)
    assert process.poll() is None
    relay.release()
    assert finish(process) == ""
    assert held(boto, url) == Counter(str(n) for n in range(25))


def test_a_writer_left_open_at_the_end(relay: Relay, boto: Any, url: str) -> None:
    script = """
    import turbosqs
    batch = client(batching=turbosqs.Batching(linger=60)).batch_writer(QueueUrl=sys.argv[2] + "/000000000000/q")
    for n in range(13):
        batch.send_message(MessageBody=str(n))
    """
    assert run(SUBJECT, relay.url, script) == ""
    assert held(boto, url) == Counter(str(n) for n in range(13))


def test_exit_from_an_exception(relay: Relay, boto: Any, url: str) -> None:
    """A program that ends by ``sys.exit`` or a traceback sends what waits as well."""
    relay.hold()
    process = start(SUBJECT, relay.url, WAITING + "    waiting(3)\n    raise SystemExit(7)\n")
    until(lambda: sum(len(passed.entries) for passed in relay.passed) == 3)
    relay.release()
    printed, noise = process.communicate(timeout=20)
    assert (process.returncode, printed, noise) == (7, "", "")
    assert sum(held(boto, url).values()) == 3


TIMEOUT = 1


def test_a_service_that_never_answers_at_the_end(relay: Relay) -> None:
    """The program ends when its patience does, and says how many had no answer."""
    relay.hold()
    shorter = f"    import turbosqs._at_exit\n    turbosqs._at_exit.TIMEOUT = {TIMEOUT}\n"
    script = WAITING + shorter + "    waiting(15)\n    say('end')\n"
    process = start(SUBJECT, relay.url, script)
    assert process.stdout is not None
    assert process.stdout.readline() == "end\n"
    began = time.monotonic()
    printed, noise = process.communicate(timeout=20)
    took = time.monotonic() - began
    assert (process.returncode, printed) == (0, "")
    assert re.fullmatch(r"turbosqs: 15 entries had no answer when the program ended; they may .*\n", noise)
    assert took < TIMEOUT + 15


def test_nothing_waits_at_the_end(relay: Relay) -> None:
    """Not even for requests that are no entries: they are given up."""
    relay.hold()
    process = start(
        SUBJECT,
        relay.url,
        WAITING
        + """
    threading.Thread(target=sqs.list_queues, daemon=True).start()
    time.sleep(0.2)
    say("end")
    """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "end\n"
    began = time.monotonic()
    assert finish(process) == ""
    assert time.monotonic() - began < 15


def test_entries_that_fail_at_the_end(relay: Relay, server: Server) -> None:
    """Callers are daemon threads that are no more; that their messages are refused ends nothing badly."""
    server.faults.add("throttle")
    relay.hold()
    script = WAITING.replace("linger=60)", 'linger=60), config=module.Config(retries={"total_max_attempts": 1})')
    process = start(SUBJECT, relay.url, script + "    threading.excepthook = lambda _: None\n    waiting(4)\n")
    until(lambda: sum(len(passed.entries) for passed in relay.passed) == 4)
    relay.release()
    assert finish(process) == ""


def test_calls_in_threads_that_the_program_waits_for(relay: Relay, boto: Any, url: str) -> None:
    """A pool of threads: the interpreter joins them before anything else."""
    script = """
    import turbosqs
    from concurrent.futures import ThreadPoolExecutor
    sqs = client()
    pool = ThreadPoolExecutor(20)
    for n in range(200):
        pool.submit(sqs.send_message, QueueUrl=sys.argv[2] + "/000000000000/q", MessageBody=str(n))
    """
    assert run(SUBJECT, relay.url, script) == ""
    assert sum(held(boto, url).values()) == 200


@needs.FORK
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", ""])
def test_a_child_leaves_the_entries_to_its_parent(end: str, relay: Relay, boto: Any, url: str) -> None:
    """A fork while entries wait: the child sends its own, and neither sends the parent's nor waits for them, however it
    ends; the parent's are sent once."""
    script = WAITING + (
        """
    waiting(5)
    child = os.fork()
    if child == 0:
        sqs.send_message(QueueUrl=url, MessageBody="child")
        batch = sqs.batch_writer(QueueUrl=url)
        with batch:
            batch.send_message(MessageBody="child's writer")
        say("child")
        """
        + end
        + """
    else:
        _, status = os.waitpid(child, 0)
        say("ended", str(status))
    """
    )
    relay.holds = lambda passed: not any("child" in entry["MessageBody"] for entry in passed.entries)
    relay.hold()
    process = start(SUBJECT, relay.url, script)
    assert process.stdout is not None
    assert process.stdout.readline() == "child\n"
    assert process.stdout.readline() == "ended 0\n"
    relay.release()
    assert finish(process) == ""
    assert held(boto, url) == Counter([*"01234", "child", "child's writer"])


@needs.FORK
def test_a_childs_copy_of_a_writer(relay: Relay, boto: Any, url: str) -> None:
    """To use it raises; to leave its block, or to drop it, does nothing; the parent's goes on."""
    script = """
    import turbosqs
    sqs = client(batching=turbosqs.Batching(linger=60))
    url = sys.argv[2] + "/000000000000/q"
    with sqs.batch_writer(QueueUrl=url) as batch:
        for n in range(3):
            batch.send_message(MessageBody=str(n))
        child = os.fork()
        if child == 0:
            for method, argument in (batch.send_message, "MessageBody"), (batch.delete_message, "ReceiptHandle"):
                try:
                    method(**{argument: "child"})
                except RuntimeError as error:
                    say(str(error))
            sqs.send_message(QueueUrl=url, MessageBody="child's own")
        else:
            _, status = os.waitpid(child, 0)
            say("ended", str(status))
            batch.send_message(MessageBody="3")
    """
    words = "this batch_writer belongs to the process that made it, not to a child forked from it"
    assert run(SUBJECT, relay.url, script) == f"{words}\n{words}\nended 0\n"
    assert held(boto, url) == Counter([*"0123", "child's own"])


@needs.FORK
def test_a_childs_copy_of_a_writer_with_a_progress_bar(relay: Relay, boto: Any, url: str) -> None:
    """The same with a bar: leaving the block in the child raises no more than without."""
    script = """
    sys.modules["tqdm"] = None
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with client().batch_writer(QueueUrl=sys.argv[2] + "/000000000000/q", progress=True) as batch:
        batch.send_message(MessageBody="x")
        child = os.fork()
        if child:
            say("ended", str(os.waitpid(child, 0)[1]))
    if not child:
        os._exit(0)
    """
    assert run(SUBJECT, relay.url, script) == "ended 0\n"
    assert held(boto, url) == {"x": 1}
