"""A test suite that mocks AWS in process passes with the patch on, and no request leaves the process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import boto3
import moto
import pytest
import turbosqs
from botocore.exceptions import BotoCoreError
from support.fakes import Scripted
from support.libraries import BOTO3, KEYS
from support.ways import gone

SUITE = Path(__file__).with_name("moto_suite.py")
TESTS = 7


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """What stands for the world: whatever leaves the process goes there, botocore's requests and the core's alike."""
    with Scripted() as server:
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, server.url)
        yield server


@pytest.mark.parametrize("run", [(), ("-m", "turbosqs", "run")], ids=["boto3", "patched"])
def test_a_suite(run: Sequence[str], outside: Scripted, tmp_path: Path) -> None:
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    command = [sys.executable, *run, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(SUITE)]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout
    assert f"{TESTS} passed" in done.stdout
    assert outside.requests == []


def test_the_mock_comes_and_goes(outside: Scripted) -> None:
    """One client, made before: within the mock its calls are moto's, without they go out again."""
    settings = {"region_name": "us-east-1", "config": BOTO3.config(retries={"total_max_attempts": 1}), **KEYS}
    with turbosqs.patched():
        client = boto3.session.Session().client("sqs", **settings)
        for _ in range(2):
            with moto.mock_aws():
                assert "QueueUrl" in client.create_queue(QueueName="q")
        assert outside.requests == []
        with pytest.raises(BotoCoreError):
            client.list_queues()
        assert gone(client) == {"moto": 2, "fast": 1}
    assert len(outside.requests) == 1
