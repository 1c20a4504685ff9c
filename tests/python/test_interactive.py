"""What a notebook shows: completion by IPython, texts of objects, and the help of each operation."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import turbosqs
import turbosqs.aio.writer
import turbosqs.consuming.options
import turbosqs.types
from jupyter_client.manager import KernelManager
from support.libraries import KEYS
from turbosqs import _signatures, aio
from turbosqs._model import OPERATIONS, SHAPES
from turbosqs._operations import METHOD_TO_API
from turbosqs.local import Server
from turbosqs.sqs import SQS
from turbosqs.writer import BatchWriter

PACKAGE = Path(turbosqs.__file__).parent.parent

#: What a session of IPython's has.
SESSION = """
import turbosqs
from turbosqs import aio

sqs = turbosqs.client('sqs', 'us-east-1', aws_access_key_id='a', aws_secret_access_key='b')
awaited = aio.client('sqs', 'us-east-1', aws_access_key_id='a', aws_secret_access_key='b')
batch, awaited_batch = (client.batch_writer(QueueUrl='u') for client in (sqs, awaited))
pages = sqs.get_paginator('list_queues')
resource = turbosqs.resource('sqs', 'us-east-1', aws_access_key_id='a', aws_secret_access_key='b')
queue, message = resource.Queue('u'), resource.Message('u', 'r')
"""

#: Completes each line, by jedi and without it.
COMPLETE = f"""
import json, sys
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
assert shell.run_cell({SESSION!r}).success
assert shell.Completer.use_jedi, "as it is by default"
found = {{}}
for line in json.loads(sys.argv[1]):
    for use_jedi in (True, False):
        shell.Completer.use_jedi = use_jedi
        with provisionalcompleter():
            texts = [each.text.lstrip(".") for each in shell.Completer.completions(line, len(line))]
        found.setdefault(line, []).append(texts)
print(json.dumps(found))
"""

#: Lines, with all that there is to choose from.
LINES = {
    "sqs.send_m": {"send_message", "send_message_batch"},
    "sqs.send_message(QueueUrl='u', MessageB": {"MessageBody="},
    "awaited.receive_message(W": {"WaitTimeSeconds="},
    "sqs.batch_writer(Que": {"QueueUrl="},
    "sqs.poll_messages(max_": {"max_messages=", "max_buffered=", "max_buffered_bytes="},
    "awaited.poll_messages(min": {"min_life="},
    "aio.poll_messages(awaited, Vis": {"VisibilityTimeout="},
    "sqs.keep_invisible(on": {"on_lost="},
    "batch.send_message(MessageB": {"MessageBody="},
    "awaited_batch.change_message_visibility(R": {"ReceiptHandle="},
    "pages.paginate(Pag": {"PaginationConfig="},
    "turbosqs.client('sqs', re": {"region_name="},
    "aio.client('sqs', batch": {"batching="},
    "turbosqs.resource('sqs', end": {"endpoint_url="},
    "turbosqs.setup_default_session(prof": {"profile_name="},
    "turbosqs.Session(prof": {"profile_name="},
    "turbosqs.Config(retr": {"retries="},
    "turbosqs.Batching(ling": {"linger="},
    "turbosqs.Consumer(sqs, conc": {"concurrency="},
    "turbosqs.Consumer(sqs, Wait": {"WaitTimeSeconds="},
    "aio.Consumer(awaited, idle": {"idle_timeout="},
}

#: By jedi alone, as it is by default: without it IPython reads docstrings first, and boto3's are empty until printed.
RESOURCES = {
    "resource.create_queue(": {"QueueName=", "Attributes=", "tags="},
    "resource.get_queue_by_name(QueueN": {"QueueName="},
    "queue.send_messages(": {"Entries="},
    "queue.receive_messages(MaxN": {"MaxNumberOfMessages="},
    "message.change_visibility(": {"VisibilityTimeout="},
}


def arguments() -> dict[str, set[str]]:
    """A line for each operation, with the arguments that are to be offered."""
    members = {name: SHAPES[OPERATIONS[operation][0]][1] for name, operation in METHOD_TO_API.items()}
    return {f"sqs.{name}(": {f"{each}=" for each in members[name]} for name in members}


@pytest.fixture
def of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of whoever runs the tests."""
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.mark.usefixtures("of_nobody")
def test_ipython_completes() -> None:
    lines = [*LINES, *arguments(), *RESOURCES, "turbosqs."]
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE, json.dumps(lines)], capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for line, expected in (LINES | arguments()).items():
        # Beside the arguments there are the names that could begin a value.
        offered = [{text for text in texts if text.endswith("=") or "(" not in line} for texts in found[line]]
        assert offered == [expected, expected], line
    for line, expected in RESOURCES.items():
        assert {text for text in found[line][0] if text.endswith("=")} == expected, line
    for texts in found["turbosqs."]:
        assert set(texts) == set(turbosqs.__all__)


@pytest.mark.usefixtures("of_nobody", "environment")
def test_a_notebook_completes() -> None:
    """What Jupyter asks its kernel for."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=100)
        assert client.execute_interactive(SESSION, timeout=100)["content"]["status"] == "ok"
        for line in ("sqs.send_message(QueueUrl='u', MessageB", "awaited.send_message(MessageB"):
            reply = client.complete(line, reply=True, timeout=100)["content"]
            assert reply["matches"] == ["MessageBody="], line
        text = client.inspect("sqs.send_message", reply=True, timeout=100)["content"]["data"]["text/plain"]
        assert "MessageBody: str, required" in text
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_signature_is_made_when_somebody_looks() -> None:
    """As it is with a class, it is not made anew; and it is one whatever is asked of it."""
    made: list[int] = []

    def function(*args: object, **kwargs: object) -> None:
        """Takes whatever there is."""

    def make() -> inspect.Signature:
        made.append(1)
        return inspect.Signature([inspect.Parameter("a", inspect.Parameter.KEYWORD_ONLY)])

    _signatures.says(function, make)
    assert made == []
    signature = inspect.signature(function)
    assert isinstance(signature, inspect.Signature)
    assert str(signature) == "(*, a)"
    assert repr(signature) == "<Signature (*, a)>"
    assert signature == make() == inspect.signature(function)
    assert make() == signature
    assert {signature: 1} == {make(): 1}
    assert signature.bind(a=1).arguments == {"a": 1}
    assert pickle.loads(pickle.dumps(signature)) == copy.deepcopy(signature) == signature
    assert signature.replace(return_annotation=int).return_annotation is int
    assert sum(made) == 4, "three of them here"


def test_signatures_are_those_that_types_say() -> None:
    """``**options: Unpack[...]`` of the source, member by member; what hands on has those whom it hands to."""
    taking: list[Any] = [
        SQS.poll_messages,
        aio.SQS.poll_messages,
        aio.poll_messages,
        turbosqs.Consumer.__init__,
        BatchWriter.send_message,
        BatchWriter.delete_message,
        BatchWriter.change_message_visibility,
        aio.writer.BatchWriter.send_message,
        aio.writer.BatchWriter.delete_message,
        aio.writer.BatchWriter.change_message_visibility,
    ]
    for function in taking:
        (unpacked,) = re.findall(r"Unpack\[(?:types\.)?(\w+)\]", " ".join(function.__annotations__.values()))
        options = getattr(turbosqs.types, unpacked, None) or getattr(turbosqs.consuming.options, unpacked)
        parameters = inspect.signature(function).parameters
        shown = [name for name in options.__annotations__ if name in parameters]
        assert shown == list(options.__annotations__), function
        assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values())
    handing: list[tuple[Any, Any]] = [
        (turbosqs.client, turbosqs.Session.client),
        (aio.client, aio.Session.client),
        (turbosqs.resource, turbosqs.Session.resource),
        (turbosqs.setup_default_session, turbosqs.Session.__init__),
    ]
    for function, method in handing:
        assert ["self", *inspect.signature(function).parameters] == list(inspect.signature(method).parameters)
    assert list(inspect.signature(turbosqs.Config).parameters) == list(turbosqs.Config.OPTION_DEFAULTS)


def test_help_of_a_program_that_asks_for_none_is_not_made() -> None:
    """A first client imports neither ``inspect`` nor the types of arguments."""
    program = (
        "import sys, turbosqs; "
        "turbosqs.client('sqs', 'us-east-1', aws_access_key_id='a', aws_secret_access_key='b'); "
        "print([name for name in ('inspect', 'typing', 'importlib', 'turbosqs.types') if name in sys.modules])"
    )
    # Without `site`: what is installed may import what it likes.
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110)
    assert done.stdout.strip() == "[]"


def test_the_module_shows_public_names_only() -> None:
    assert {name for name in dir(turbosqs) if not name.startswith("__")} == set(turbosqs.__all__)
    assert all(hasattr(turbosqs, name) for name in turbosqs.__all__)


@pytest.mark.parametrize("name", sorted(METHOD_TO_API))
def test_the_help_of_an_operation_is_its_call(name: str) -> None:
    method: Any = getattr(SQS, name)
    text = method.__doc__
    assert f"client.{name}(" in text
    assert all(f"\n        {heading}:" in text for heading in ("Returns", "Raises"))


def test_objects_say_what_they_are(server: Server) -> None:
    url = server.create_queue("q")
    sqs = turbosqs.client("sqs", "us-east-1", endpoint_url=server.endpoint_url, **KEYS)
    assert repr(sqs) == f"<turbosqs.SQS in us-east-1 at {server.endpoint_url}>"
    with sqs.batch_writer(QueueUrl=url) as batch:
        batch.send_message(MessageBody="x")
        batch.flush()
        assert repr(batch) == f"<turbosqs.writer.BatchWriter of {url}: 1 given, 1 answered>"
    consumer = turbosqs.Consumer(sqs, QueueUrl=url, handler=print)
    assert url in repr(consumer)
    assert "0 handled" in repr(consumer)
    messages = sqs.poll_messages(QueueUrl=url)
    assert repr(messages) == (f"<turbosqs.polling.Messages of {url}: 0 handed over, 0 buffered, 0 polls under way>")
    assert repr(turbosqs.Prices()) == "Prices(standard=0.4, fifo=0.5, free=1000000)"
