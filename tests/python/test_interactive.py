"""What a notebook shows: completion by IPython, texts of objects, and the help of each operation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import turbosqs
from support.libraries import KEYS
from turbosqs._operations import METHOD_TO_API
from turbosqs.local import Server
from turbosqs.sqs import SQS

#: Completes each line, with IPython's own completer and with jedi's.
COMPLETE = """
import json, sys
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.user_ns["turbosqs"] = __import__("turbosqs")
shell.run_cell("sqs = turbosqs.client('sqs', 'us-east-1', aws_access_key_id='a', aws_secret_access_key='b')")
found = {}
for line in json.loads(sys.argv[1]):
    for use_jedi in (True, False):
        shell.Completer.use_jedi = use_jedi
        with provisionalcompleter():
            texts = [each.text.lstrip(".") for each in shell.Completer.completions(line, len(line))]
        found.setdefault(line, []).append(texts)
print(json.dumps(found))
"""

LINES = {
    "sqs.send_m": ["send_message", "send_message_batch"],
    "sqs.batch_writer(Que": ["QueueUrl="],
    "sqs.poll_messages(max_m": ["max_messages="],
    "turbosqs.Consumer(sqs, conc": ["concurrency="],
}


def test_ipython_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    command = [sys.executable, "-c", COMPLETE, json.dumps([*LINES, "turbosqs."])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for line, texts in LINES.items():
        assert found[line] == [texts, texts], line
    for texts in found["turbosqs."]:
        assert set(texts) == set(turbosqs.__all__)


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
