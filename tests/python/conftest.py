"""What every test here stands on: a clean machine, the two libraries, and the servers they are asked on.

The library under test is turbosqs. ``SUBJECT=boto3 pytest tests/python`` puts boto3 on both sides: whatever fails
then is the test's own mistake (an id that is not masked, a race), so that is how the tests are tested.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
from support.fakes import Scripted, ok
from support.libraries import BOTO3, SUBJECT, Library
from support.service import Service

# What runs the tests may ignore signals (``nohup``, a shell's ``&``), and programs that tests start would inherit that.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _name, None)  # not all of them on every platform
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# What botocore reads of its data is the same for every session, and half of what it takes to make one.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
#: What a home is called, on Windows too.
HOMES = ("HOME", "USERPROFILE")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def clean_environment(home: Path) -> dict[str, str]:
    """This environment without anything that AWS clients read, at a home with nothing in it."""
    unwanted = {*PROXIES, *BUNDLES, *(name.lower() for name in PROXIES)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name not in unwanted}
    return {**kept, **dict.fromkeys(HOMES, str(home)), "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="session", autouse=True)
def _clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the machine's own AWS set-up reaches a test. Whoever writes at home asks for ``environment``."""
    home = tmp_path_factory.mktemp("home")
    wanted = clean_environment(home)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in set(os.environ) - set(wanted):
            monkeypatch.delenv(name)
        for name in (*HOMES, "AWS_EC2_METADATA_DISABLED"):
            monkeypatch.setenv(name, wanted[name])
        yield
    left = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
    assert not left, f"a test without a home of its own has left {left} for the others"


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    """Nothing that a test sets reaches another."""
    before = dict(os.environ)
    yield
    left = {name for name, _ in before.items() ^ os.environ.items() if not name.startswith("PYTEST_")}
    assert not left, f"the test has left the environment otherwise than it was: {', '.join(sorted(left))}"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment, with a home of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    for name in HOMES:
        monkeypatch.setenv(name, str(home))
    return dict(os.environ)


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """moto's server, in a process of its own."""
    process = subprocess.Popen(
        # Where the tests run with an older boto3, moto is in another environment.
        [os.environ.get("MOTO_PYTHON", sys.executable), "-c", "from moto.server import main; main(['-p', '0'])"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(tmp_path_factory.mktemp("moto")),
    )
    try:
        assert process.stderr is not None
        # It logs its port, then every request: somebody has to go on reading.
        for line in process.stderr:
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            raise RuntimeError(f"moto's server ended with {process.wait()}")
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        process.stderr.close()
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)
    drain.wait(30)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server of the test's own that says what it is told to; at first, where a queue is."""
    with Scripted(ok(QueueUrl="u")) as listening:
        yield listening


@pytest.fixture
def server() -> Iterator[Any]:
    """An embedded SQS of the test's own: a ``turbosqs.local.Server``."""
    from turbosqs.local import Server

    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def embedded() -> Iterator[Any]:
    """An embedded SQS that tests share: a ``turbosqs.local.Server``, to be reset by each."""
    from turbosqs.local import Server

    with Server() as server:
        yield server


@pytest.fixture(scope="session", params=["moto", "embedded"])
def service(request: pytest.FixtureRequest) -> Service:
    if request.param == "moto":
        url = request.getfixturevalue("moto_url")

        def reset() -> None:
            urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=10).close()

        return Service("moto", url, reset, None)
    server = request.getfixturevalue("embedded")
    return Service("embedded", server.endpoint_url, server.reset, server.advance)


@pytest.fixture(params=[BOTO3, SUBJECT], ids=["boto3", "subject"])
def library(request: pytest.FixtureRequest) -> Library:
    """Each library in turn, for what both must do and no comparison is needed."""
    chosen: Library = request.param
    return chosen
