"""From Python 3.12 on ``os.fork`` warns of threads. After a call there is one of ours, which a fork does not find."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import turbosqs
from support import needs
from support.fakes import Reply, Scripted, ok
from support.interpreters import OTHERS
from support.libraries import BOTO3, SUBJECT
from support.scripts import PRELUDE, run

pytestmark = [needs.FORK, pytest.mark.skipif(SUBJECT == BOTO3, reason="this is about turbosqs alone")]
#: With Python's own warnings of forks.
LOUD = "\n".join(line for line in PRELUDE.splitlines() if not line.startswith("warnings.")) + "\n"
PYTHONS = {"{}.{}".format(*sys.version_info[:2]): sys.executable, **OTHERS}


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """One of the machine's, with turbosqs and nothing beside it."""
    (tmp_path / "turbosqs").symlink_to(Path(turbosqs.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return (PYTHONS[request.param], "-S")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_fork_after_a_call_gives_no_warning(host: str, python: tuple[str, ...], scripted: Scripted) -> None:
    """Forks of every kind, again and again; both sides go on calling. A host's name is looked up in another thread."""
    script = """
    import multiprocessing, subprocess
    sqs = client()
    for _ in range(3):
        assert url_of(sqs) == "u"
        pid = os.fork()
        assert url_of(sqs) == "u"
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        process = multiprocessing.get_context("fork").Process(target=url_of, args=(sqs,))
        process.start()
        process.join()
        assert process.exitcode == 0
        subprocess.run(["true"], preexec_fn=int, check=True)
    say(url_of(sqs))
    """
    url = scripted.url.replace("127.0.0.1", host)
    assert run(SUBJECT, url, script, prelude=LOUD, python=python) == "u\n"


def test_what_is_under_way_survives_forks(python: tuple[str, ...], scripted: Scripted) -> None:
    """Calls of other threads, and entries that linger, are answered though the thread that carries them stops for every
    fork. Those threads are Python's own, and of them it warns."""
    script = """
    sqs = client(batching=module.Batching(linger=0.2))
    said = []
    def call(number):
        said.append(sqs.send_message(QueueUrl="u", MessageBody=str(number)))
    threads = [threading.Thread(target=call, args=(number,)) for number in range(30)]
    for thread in threads: thread.start()
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    for thread in threads: thread.join()
    say(str(len(said)))
    """
    taken = {"MessageId": "m", "MD5OfMessageBody": "x"}
    entries = [{"Id": f"{n}", **taken} for n in range(10)]
    scripted.play(Reply(delay=0.3, body=ok(**taken).body), Reply(delay=0.1, body=ok(**taken, Successful=entries).body))
    assert run(SUBJECT, scripted.url, script, python=python) == "30\n"


@needs.PROC
def test_a_thread_that_is_idle_ends(python: tuple[str, ...], scripted: Scripted) -> None:
    """Nothing is left then, neither a thread nor a connection; the next call has both anew, after a fork too. What is
    under way keeps it, however long it takes."""
    script = """
    from turbosqs import _core
    _core.set_idle_time(0.01)
    sockets = lambda: sum(os.readlink(f"/proc/self/fd/{name}").startswith("socket:") for name in fds())
    def fds():
        return [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    def quiet():
        deadline = time.monotonic() + 20
        while len(os.listdir("/proc/self/task")) > 1:
            assert time.monotonic() < deadline
            time.sleep(0)
    sqs = client()
    before = None
    for _ in range(3):
        assert url_of(sqs) == "u"
        quiet()
        before = sockets() if before is None else before
        assert sockets() == before
        with sqs.batch_writer(QueueUrl="u") as batch:
            pass
        pid = os.fork()
        assert url_of(sqs) == "u"
        quiet()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    say(str(before))
    say(url_of(sqs))
    """
    slow = Reply(delay=0.2, body=ok(QueueUrl="u").body)
    scripted.play(ok(QueueUrl="u"), slow, slow, ok(QueueUrl="u"))
    assert run(SUBJECT, scripted.url, script, prelude=LOUD, python=python) == "0\nu\n"


def test_a_child_leaves_the_calls_of_its_parents_loop_alone(scripted: Scripted) -> None:
    """It is refused more of them, it takes none of their answers, and when it ends it gives none of them up."""
    script = """
    import gc, select
    from turbosqs._core import CompletionQueue
    sqs = client()
    queue = CompletionQueue()
    assert queue.begin(0, sqs._core, "GetQueueUrl", {"QueueName": "q"})
    queue.leave()
    pid = os.fork()
    if pid == 0:
        for wanted in (lambda: queue.begin(1, sqs._core, "GetQueueUrl", {"QueueName": "q"}), queue.drain):
            try:
                wanted()
            except RuntimeError as error:
                assert "the process that began them" in str(error), error
            else:
                raise AssertionError(wanted)
        queue.leave(), queue.abandon(0)
        del queue
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    select.select([queue.descriptor], [], [])
    [(number, reply)] = queue.drain()
    say(str(number) + reply["QueueUrl"])
    """
    scripted.play(Reply(delay=0.3, body=ok(QueueUrl="u").body))
    assert run(SUBJECT, scripted.url, script) == "0u\n"
