"""``Consumer`` among signals, forks and the ends of processes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import needs
from support.libraries import SUBJECT
from support.queues import counts, send
from support.scripts import finish, start
from support.waiting import until
from turbosqs.local import Server

#: Writes what it handles to a file, a line each: at once, so that a killed process has told.
CONSUMER = """
import turbosqs
out = os.open({out!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handle(message):
    os.write(out, (message["Body"] + "\\n").encode())
    time.sleep({seconds})

consumer = turbosqs.Consumer(client(), QueueUrl={url!r}, handler=handle, concurrency={concurrency}, {options})
say("ready")
consumer.run()
say("ended", str(consumer.stats()["handled"]), str(consumer.stats()["deleted"]))
"""


def consume(
    server: Server, url: str, out: Path, *, seconds: float = 0.0, concurrency: int = 4, options: str = ""
) -> subprocess.Popen[str]:
    script = CONSUMER.format(out=str(out), url=url, seconds=seconds, concurrency=concurrency, options=options)
    return start(SUBJECT, server.endpoint_url, script)


def handled(out: Path) -> Counter[str]:
    return Counter(out.read_text().split()) if out.exists() else Counter()


@needs.SIGNALS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load(number: signal.Signals, server: Server, sqs: Any, url: str, tmp_path: Path) -> None:
    """No new message after it; those that run finish and are deleted; the rest is visible at once; it exits in time."""
    send(sqs, url, 2_000)
    out = tmp_path / "out"
    process = consume(server, url, out, seconds=0.1, concurrency=8)
    until(lambda: len(handled(out)) > 50)
    began = time.monotonic()
    process.send_signal(number)
    time.sleep(0.5)
    soon = len(handled(out))
    printed = finish(process)
    assert time.monotonic() - began < 15
    assert len(handled(out)) <= soon + 8
    count = len(handled(out))
    assert printed == f"ready\nended {count} {count}\n"
    assert counts(sqs, url) == (2_000 - count, 0)


@needs.SIGNALS
def test_a_handler_that_never_ends_and_a_signal(server: Server, sqs: Any, url: str, tmp_path: Path) -> None:
    send(sqs, url, 1)
    process = consume(server, url, tmp_path / "out", seconds=1_000, options="shutdown_timeout=0.5")
    until(lambda: handled(tmp_path / "out"))
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert finish(process) == "ready\nended 0 0\n"
    assert time.monotonic() - began < 15
    assert counts(sqs, url) == (1, 0)


@needs.SIGNALS
def test_a_second_signal_does_not_wait(server: Server, sqs: Any, url: str, tmp_path: Path) -> None:
    send(sqs, url, 1)
    process = consume(server, url, tmp_path / "out", seconds=1_000)
    until(lambda: handled(tmp_path / "out"))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None, "the first one waits for the handler"
    process.send_signal(signal.SIGTERM)
    assert finish(process) == "ready\nended 0 0\n"
    assert counts(sqs, url) == (1, 0)


@needs.SIGNALS
def test_one_of_four_processes_is_killed(server: Server, sqs: Any, tmp_path: Path) -> None:
    """Everything is handled; twice at most what the dead one held."""
    url = server.create_queue("q", {"VisibilityTimeout": "600"})
    sent = send(sqs, url, 10_000)
    outs = [tmp_path / str(number) for number in range(4)]
    processes = [consume(server, url, out, concurrency=2) for out in outs]
    until(lambda: len(handled(outs[0])) > 500)
    processes[0].kill()
    processes[0].wait(10)
    until(lambda: sum(counts(sqs, url)) <= counts(sqs, url)[1], 30)
    # What is in flight now is the dead one's alone, once the others have deleted what was theirs.
    held = 0

    def settled() -> bool:
        nonlocal held
        before, held = held, counts(sqs, url)[1]
        time.sleep(0.3)
        return before == held

    until(settled)
    server.advance(601)
    until(lambda: counts(sqs, url) == (0, 0))
    for process in processes[1:]:
        process.send_signal(signal.SIGTERM)
    for process in processes[1:]:
        finish(process)
    for stream in (processes[0].stdout, processes[0].stderr):
        assert stream is not None
        stream.close()
    total = sum((handled(out) for out in outs), Counter())
    assert sorted(total, key=int) == sent
    twice = {body for body, times in total.items() if times > 1}
    assert twice <= set(handled(outs[0]))
    assert len(twice) <= held
    assert max(total.values()) <= 2


def test_the_interpreter_ends_without_stop(server: Server, sqs: Any, url: str) -> None:
    """A consumer that was only started is drained when the main thread is done."""
    send(sqs, url, 1_000)
    script = f"""
        import turbosqs
        handled = []
        def handle(message):
            time.sleep(0.02)
            handled.append(message)
        consumer = turbosqs.Consumer(client(), QueueUrl={url!r}, handler=handle, concurrency=4)
        consumer.start()
        while len(handled) < 20:
            time.sleep(0.01)
    """
    assert finish(start(SUBJECT, server.endpoint_url, script)) == ""
    visible, in_flight = counts(sqs, url)
    assert in_flight == 0
    assert 100 < visible <= 980


@needs.FORK
def test_a_forked_child(server: Server, sqs: Any, url: str) -> None:
    """It cannot use its parent's consumer, says so, and does not disturb it; it can make its own."""
    send(sqs, url, 100)
    script = f"""
        import turbosqs
        handled = []
        sqs = client()
        consumer = turbosqs.Consumer(sqs, QueueUrl={url!r}, handler=handled.append, max_messages=100)
        waiting = turbosqs.Consumer(sqs, QueueUrl={url!r}, handler=handled.append)
        consumer.start()
        pid = os.fork()
        if pid == 0:
            for use in (consumer.start, waiting.start, consumer.stats):
                try:
                    use()
                except RuntimeError:
                    say("refused")
            assert consumer.stop()
            handled.clear()
            sqs.send_message(QueueUrl={url!r}, MessageBody="child")
            turbosqs.Consumer(sqs, QueueUrl={url!r}, handler=handled.append, max_messages=1).run()
            say("handled", str(len(handled)))
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        consumer.stop()
    """
    printed = finish(start(SUBJECT, server.endpoint_url, script))
    assert printed == "refused\nrefused\nrefused\nhandled 1\n"
