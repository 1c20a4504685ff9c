"""What the core tells Python's loggers: attempts, retries, credentials; and only what they want to hear."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import turbosqs
from support import needs
from support.fakes import Answering, Reply, Request, Scripted, fault, ok, refused_port
from support.libraries import KEYS
from support.queues import client
from support.waiting import until
from turbosqs import _core, _logs, aio
from turbosqs.local import Server


@pytest.fixture(autouse=True)
def quiet_before(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What other tests have left behind is nobody's here."""
    _logs.install()
    _logs.flush()
    caplog.clear()
    yield
    logging.disable(logging.NOTSET)


def told(caplog: pytest.LogCaptureFixture, *loggers: str) -> list[str]:
    """What was logged, without times, ids and ports."""
    texts = [f"{record.name} {record.levelname} {record.getMessage()}" for record in caplog.records]
    texts = [text for text in texts if text.split(" ")[0] in loggers]
    return [re.sub(r"\d+\.\d{3} s", "N s", re.sub(r":\d{4,5}\b", ":PORT", text)) for text in texts]


def connect(url: str, **options: Any) -> Any:
    return turbosqs.Session().client("sqs", "us-east-1", endpoint_url=url, **{**KEYS, **options})


def test_three_attempts_on_a_dead_port(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "turbosqs")
    sqs = connect(f"http://127.0.0.1:{refused_port()}/path?query=1")
    with pytest.raises(turbosqs.exceptions.EndpointConnectionError):
        sqs.list_queues()
    # All of it by now.
    name, refused = "EndpointConnectionError", "127.0.0.1:PORT: Connection refused (os error 111)"
    attempts = [
        f"turbosqs DEBUG ListQueues, attempt {number} of 3 at http://127.0.0.1:PORT/path: {name}, after N s"
        for number in (1, 2, 3)
    ]
    failed = f"turbosqs.retry DEBUG ListQueues has failed with {name}: {refused}"
    assert told(caplog, "turbosqs", "turbosqs.retry") == [
        attempts[0],
        f"{failed}; attempt 2 of 3 in N s",
        attempts[1],
        f"{failed}; attempt 3 of 3 in N s",
        attempts[2],
        f"{failed}; that was the last attempt",
    ]
    assert told(caplog, "turbosqs.credentials") == [
        "turbosqs.credentials DEBUG a new client's credentials: explicit",
        "turbosqs.credentials DEBUG credentials found: explicit, good for ever",
    ]
    times = [record.created for record in caplog.records]
    assert times == sorted(times)
    assert times[-1] <= time.time()


@pytest.mark.parametrize("way", ["sync", "aio"])
def test_a_retry_has_its_cause_and_its_delay(server: Server, caplog: pytest.LogCaptureFixture, way: str) -> None:
    url = server.create_queue("q")
    sqs = client(server, config=turbosqs.Config(retries={"mode": "standard"}))
    caplog.set_level(logging.DEBUG, "turbosqs.retry")
    server.faults.add("server_error", status=502, times=1)
    if way == "sync":
        sqs.send_message(QueueUrl=url, MessageBody="b")
    else:
        asyncio.run(_send(aio.SQS(sqs), url))
    until(lambda: caplog.records)
    [text] = told(caplog, "turbosqs", "turbosqs.retry", "turbosqs.credentials")
    assert re.fullmatch(
        r"turbosqs.retry DEBUG SendMessage has failed with \w+ \(status 502\); attempt 2 of 3 in N s", text
    )


async def _send(sqs: Any, url: str) -> None:
    await sqs.send_message(QueueUrl=url, MessageBody="b")


def test_entries_of_a_batch_that_are_asked_for_again(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    url, sqs = server.create_queue("q"), client(server)
    caplog.set_level(logging.DEBUG, "turbosqs.retry")
    server.faults.add("partial_failure", entries=[0, 2], times=1)
    with sqs.batch_writer(QueueUrl=url) as batch:
        for _ in range(3):
            batch.send_message(MessageBody="b")
    until(lambda: caplog.records)
    [text] = told(caplog, "turbosqs.retry")
    assert re.fullmatch(
        r"turbosqs.retry DEBUG SendMessageBatch: 2 entries have failed with \w+ \(status 200\); asked for again in N s",
        text,
    )


def test_the_adaptive_mode_tells_as_well(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    sqs = client(server, config=turbosqs.Config(retries={"mode": "adaptive"}))
    caplog.set_level(logging.DEBUG, "turbosqs")
    server.faults.add("server_error", status=502, times=1)
    sqs.list_queues()
    until(lambda: len(told(caplog, "turbosqs", "turbosqs.retry")) >= 3)
    first, failed, second = told(caplog, "turbosqs", "turbosqs.retry")
    assert (first, second) == tuple(f"turbosqs DEBUG ListQueues, attempt {number} of 3" for number in (1, 2))
    assert re.fullmatch(r"turbosqs.retry DEBUG ListQueues, attempt 1 of 3, has failed with \w+ \(status 502\)", failed)


def test_what_nobody_wants_to_hear_is_not_kept(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    sqs = client(server)
    logger = logging.getLogger("turbosqs")

    def kept() -> bool:
        """Whether a call leaves something, while nobody comes for it."""
        with _logs._reader.lock:
            sqs.list_queues()
            records, lost = _core.take_log_records()
        assert not lost
        return bool(records)

    def has_thread() -> bool:
        thread = _logs._reader.thread
        return thread is not None and thread.is_alive()

    assert not kept()
    assert not has_thread()
    # Each way of changing a level.
    with caplog.at_level(logging.DEBUG, "turbosqs"):
        assert kept()
        assert has_thread()
        logging.disable(logging.DEBUG)
        assert not kept()
        logging.disable(logging.NOTSET)
        assert kept()
    assert not kept()
    with caplog.at_level(logging.DEBUG):
        assert kept()
        logger.setLevel(logging.WARNING)
        assert not kept()
        logger.setLevel(logging.NOTSET)
        assert kept()
    until(lambda: not has_thread())


def test_a_handler_that_sends_its_records_to_a_queue(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    url, sqs = server.create_queue("q"), client(server)

    class ToQueue(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "GetQueueUrl" in record.getMessage():
                sqs.send_message(QueueUrl=url, MessageBody=self.format(record))

    logger, handler = logging.getLogger("turbosqs"), ToQueue()
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, "turbosqs"):
            with pytest.raises(sqs.exceptions.QueueDoesNotExist):
                sqs.get_queue_url(QueueName="none")
            attributes = ["ApproximateNumberOfMessages"]
            # The attempt and its failure.
            until(
                lambda: (
                    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=attributes)["Attributes"]
                    == {attributes[0]: "2"}
                )
            )
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("has_thread", [True, False])
def test_credentials_that_cannot_be_found_anew(
    tmp_path: Path,
    environment: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    has_thread: bool,
) -> None:
    """An operator hears of it at the usual level, although nothing fails; here a consumer meets with it.

    A consumer has a thread for that. Without one the next call finds that a warning waits.
    """
    flag = tmp_path / "asked"
    (tmp_path / "answer").write_text(
        json.dumps({"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s", "Expiration": "2999-01-01T00:00:00Z"})
    )
    (tmp_path / "source").write_text(
        f"import pathlib, sys\nflag = pathlib.Path({str(flag)!r})\n"
        f"if flag.exists(): sys.exit('the-secret-that-a-program-has-printed')\n"
        f"flag.touch()\nprint(pathlib.Path({str(tmp_path / 'answer')!r}).read_text())\n"
    )
    folder = Path(environment["HOME"]) / ".aws"
    folder.mkdir()
    (folder / "config").write_text(f"[default]\ncredential_process = {sys.executable} {tmp_path / 'source'}\n")
    polls = 0

    def answer(request: Request) -> Reply:
        nonlocal polls
        if not request.headers["x-amz-target"].endswith("ReceiveMessage"):
            return ok(Attributes={"VisibilityTimeout": "30"}, QueueUrls=[])
        polls += 1
        return fault(403, "ExpiredToken", "expired") if polls == 1 else ok(Messages=[])

    if not has_thread:
        monkeypatch.setattr(_logs._Reader, "start", lambda _: None)
    with Answering(answer) as listening:
        options = {"aws_access_key_id": None, "aws_secret_access_key": None}
        sqs = connect(listening.url, **options)
        with turbosqs.Consumer(sqs, QueueUrl=f"{listening.url}/1/q", handler=print, WaitTimeSeconds=0, concurrency=1):
            if has_thread:
                until(lambda: told(caplog, "turbosqs.credentials"))
            else:
                # A poll after the one that was refused has asked the source in vain.
                until(lambda: polls > 1)
                assert not told(caplog, "turbosqs.credentials")
                sqs.list_queues()
    text = told(caplog, "turbosqs.credentials")[0]
    assert re.fullmatch(
        r"turbosqs.credentials WARNING credentials could not be found anew by custom-process: CredentialRetrievalError "
        r"\(custom-process\); those at hand are used, good for \d+ s",
        text,
    )


def test_set_stream_logger_prints(scripted: Scripted) -> None:
    scripted.play(ok(QueueUrls=[]))
    program = (
        "import sys, turbosqs\n"
        "turbosqs.set_stream_logger()\n"
        "sqs = turbosqs.client('sqs', region_name='us-east-1', endpoint_url=sys.argv[1], "
        "aws_access_key_id='AKIDPRINTED', aws_secret_access_key='s')\n"
        "sqs.list_queues()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, scripted.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    # The end of the program waits for what is still to be told.
    assert re.search(r" turbosqs \[DEBUG\] ListQueues, attempt 1 of 3 at \S+: status 200, request id none", done.stderr)
    assert "AKIDPRINTED" not in done.stderr


def test_logging_may_be_imported_after_the_first_client(scripted: Scripted) -> None:
    """A client needs it for nothing; what it says then is told from there on."""
    scripted.play(ok(QueueUrls=[]), ok(QueueUrls=[]))
    program = """
import sys, turbosqs
keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
sqs = turbosqs.client("sqs", region_name="us-east-1", endpoint_url=sys.argv[1], **keys)
sqs.list_queues()
print("logging" in sys.modules)
import logging
logging.basicConfig(level=logging.DEBUG)
sqs.list_queues()
"""
    command = [sys.executable, "-S", "-c", program, scripted.url]
    # Without what is installed, which may have imported it already.
    found = {**os.environ, "PYTHONPATH": str(Path(turbosqs.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=found)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    assert done.stderr.count("ListQueues, attempt 1 of 3") == 1


@needs.FORK
def test_a_fork_while_a_thread_logs(scripted: Scripted) -> None:
    scripted.play(ok(QueueUrls=[]))
    program = """
import os, sys, warnings, turbosqs
warnings.simplefilter("error")
turbosqs.set_stream_logger(format_string="%(process)d %(message)s")
keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
sqs = turbosqs.client("sqs", region_name="us-east-1", endpoint_url=sys.argv[1], **keys)
sqs.list_queues()
child = os.fork()
sqs.list_queues()
turbosqs._logs.flush()
if child == 0:
    os._exit(0)
print(os.getpid(), child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program, scripted.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    parent, child, status = done.stdout.split()
    assert status == "0"
    attempts = [line.split()[0] for line in done.stderr.splitlines() if "ListQueues, attempt" in line]
    assert sorted(attempts) == sorted([parent, parent, child])
