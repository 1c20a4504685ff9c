"""``batch_writer(progress=True)``: tqdm's bar where tqdm is installed, else a line that counts."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from support.libraries import SUBJECT
from support.scripts import run
from support.together import connect, held, refused, write
from turbosqs.local import Server


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without tqdm."""
    for name in [name for name in sys.modules if name.split(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def numbers(server: Server, count: int, **options: Any) -> None:
    sqs = connect(server.endpoint_url)
    with sqs.batch_writer(QueueUrl=server.create_queue("q"), **options) as batch:
        for n in range(count):
            batch.send_message(MessageBody=f"{n}")
    sqs.close()


def test_silent_unless_asked(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    numbers(server, 50)
    assert capfd.readouterr() == ("", "")


def test_with_tqdm(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    numbers(server, 1234, progress=True)
    printed, shown = capfd.readouterr()
    assert printed == ""
    last = shown.rstrip().split("\r")[-1]
    assert re.match(r"100%\|.*\| 1234/1234 \[", last), last


@pytest.mark.usefixtures("bare")
def test_without_tqdm(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    numbers(server, 1234, progress=True)
    printed, shown = capfd.readouterr()
    assert printed == ""
    assert shown.endswith("\r1,234 of 1,234 messages\n")


@pytest.mark.usefixtures("bare")
def test_nothing_to_show(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    numbers(server, 0, progress=True)
    assert capfd.readouterr().err == "\r0 of 0 messages\n"


@pytest.mark.usefixtures("bare")
def test_the_bar_is_closed_when_entries_fail(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    sqs = connect(server.endpoint_url)
    refused(
        sqs,
        server.create_queue("q"),
        lambda batch: [batch.send_message(MessageBody="\0"), batch.send_message(MessageBody="x")],
        progress=True,
    )
    assert capfd.readouterr().err.endswith("\r2 of 2 messages\n")
    sqs.close()


@pytest.mark.usefixtures("bare")
def test_the_bar_is_closed_when_the_block_fails(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    sqs = connect(server.endpoint_url)
    with pytest.raises(ZeroDivisionError):
        write(sqs, server.create_queue("q"), lambda batch: (batch.send_message(MessageBody="x"), 1 / 0), progress=True)
    assert capfd.readouterr().err.endswith("\r1 of 1 messages\n")
    sqs.close()


@pytest.mark.parametrize("tqdm", [True, False])
def test_no_stderr(tqdm: bool, server: Server) -> None:
    """A program without a console (``pythonw``, a service) has None for it: nothing is shown, on stdout neither, and
    the messages are sent all the same. It runs by itself: when a bar fails to draw, tqdm never frees its lock."""
    url = server.create_queue("q")
    script = f"""
    if not {tqdm}:
        sys.modules["tqdm"] = None
    sys.stderr = None
    with client().batch_writer(QueueUrl=sys.argv[2] + "/000000000000/q", progress=True) as batch:
        batch.send_message(MessageBody="x")
    """
    assert run(SUBJECT, server.endpoint_url, script) == ""
    sqs = connect(server.endpoint_url)
    assert held(sqs, url) == {"x": 1}
    sqs.close()


def test_tqdm_is_not_imported_unless_asked(server: Server) -> None:
    script = (
        "import sys, turbosqs\n"
        "sqs = turbosqs.client('sqs', region_name='us-east-1', endpoint_url=sys.argv[1],"
        " aws_access_key_id='a', aws_secret_access_key='b')\n"
        "with sqs.batch_writer(QueueUrl=sys.argv[2]) as batch:\n"
        "    batch.send_message(MessageBody='x')\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('tqdm', 'botocore', 'boto3')])\n"
    )
    command = [sys.executable, "-c", script, server.endpoint_url, server.create_queue("q")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout == "[]\n"
