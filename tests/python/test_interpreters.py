"""The one extension module in every other CPython that the machine has, with nothing beside it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import turbosqs
from support import needs
from support.fakes import Reply, Scripted, ok
from support.interpreters import OTHERS
from support.libraries import BOTO3, SUBJECT
from support.scripts import finish, run, start
from support.waiting import until

pytestmark = [needs.FORK, needs.SIGNALS]

EACH = [pytest.param(path, id=version) for version, path in OTHERS.items()] or [
    pytest.param("", marks=pytest.mark.skip("no other CPython, 3.10 or newer, is installed"))
]

ROUND_TRIP = """
import pickle
from turbosqs.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from turbosqs.local import Server

def caught(kind, call, **arguments):
    try:
        call(**arguments)
    except kind as error:
        return error
    raise AssertionError("nothing was raised")

with Server(queues=["q"]) as server:
    sqs = client(endpoint_url=server.endpoint_url)
    queue = url_of(sqs)
    attributes = {
        "text": {"DataType": "String", "StringValue": "\\u00e9\\U0001f680"},
        "binary": {"DataType": "Binary", "BinaryValue": b"\\0\\xff"},
    }
    sent = sqs.send_message(QueueUrl=queue, MessageBody="body", MessageAttributes=attributes)
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageId"]) == ("body", sent["MessageId"])
    assert message["MessageAttributes"] == attributes
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    entries = [{"Id": str(number), "MessageBody": "b" * number} for number in range(1, 11)]
    assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 10
    assert sqs.get_paginator("list_queues").paginate().build_full_result() == {"QueueUrls": [queue]}

    error = caught(sqs.exceptions.QueueDoesNotExist, sqs.get_queue_url, QueueName="nowhere")
    assert isinstance(error, ClientError)
    assert error.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    error = caught(ParamValidationError, sqs.send_message, QueueUrl=5)
    assert "Missing required parameter in input: \\"MessageBody\\"" in str(error)
    assert "Invalid type for parameter QueueUrl, value: 5" in str(error)
    caught(TypeError, client, region_name=5)

    threads = [threading.Thread(target=url_of, args=(sqs,)) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    pid = os.fork()
    assert url_of(sqs) == queue
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
caught(EndpointConnectionError, url_of, sqs=client(config=module.Config(retries={"total_max_attempts": 1}),
                                                   endpoint_url=server.endpoint_url))
assert not {"botocore", "boto3"} & set(sys.modules)
say("{}.{}".format(*sys.version_info[:2]))
"""

LONG_POLL = """
sqs = client()
try:
    sqs.receive_message(QueueUrl="u", WaitTimeSeconds=20)
except KeyboardInterrupt:
    say(str(time.monotonic()))
say(url_of(sqs))
"""

DAEMON = """
threading.Thread(target=url_of, args=(client(),), daemon=True).start()
time.sleep(0.2)
say("end")
"""


@pytest.mark.skipif(SUBJECT == BOTO3, reason="this is about turbosqs alone")
@pytest.mark.parametrize("interpreter", EACH)
def test_interpreter(interpreter: str, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages, exceptions, threads, a fork, Ctrl-C and an exit in the middle of a call; no package but turbosqs."""
    (tmp_path / "turbosqs").symlink_to(Path(turbosqs.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    python = (interpreter, "-S")
    version = next(version for version, path in OTHERS.items() if path == interpreter)
    assert run(SUBJECT, scripted.url, ROUND_TRIP, python=python) == f"{version}\n"

    scripted.play(Reply(delay=30), ok(QueueUrl="u"))
    process = start(SUBJECT, scripted.url, LONG_POLL, python=python)
    until(lambda: scripted.requests)
    time.sleep(0.1)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    caught, after = finish(process).splitlines()
    assert float(caught) - sent < 15
    assert after == "u"

    scripted.play(Reply(delay=30))
    began = time.monotonic()
    assert run(SUBJECT, scripted.url, DAEMON, python=python, timeout=60) == "end\n"
    assert time.monotonic() - began < 20
