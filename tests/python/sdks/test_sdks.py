"""Other SDKs against ``turbosqs serve``: each says what it is, after a walk through what programs do with SQS.

What each runs in is locked (``requirements/``, ``javascript/package-lock.json``) and made by ``make python``. Where
there is no Node the one for JavaScript says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certificates import Authority

FOLDER = Path(__file__).parent
ENVIRONMENTS = Path(sys.prefix)


@pytest.fixture
def endpoint() -> Iterator[str]:
    with serving() as url:
        yield url


@contextlib.contextmanager
def serving(*options: str | Path) -> Iterator[str]:
    command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def python(environment: str) -> Path:
    found = ENVIRONMENTS / environment / "bin" / "python"
    if not found.exists():
        pytest.skip(f"there is no environment {environment}: make {environment}")
    return found


def asked_for() -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / "javascript" / "package.json").read_text("utf-8"))["dependencies"]
    return found


def test_todays_boto3(endpoint: str) -> None:
    assert re.fullmatch(
        r"boto3 1\.\d+\.\d+, botocore 1\.\d+\.\d+", run(sys.executable, FOLDER / "boto3_smoke.py", endpoint)
    )


def test_the_first_boto3_that_speaks_json(endpoint: str) -> None:
    said = run(python("boto3-1.28-json"), FOLDER / "boto3_smoke.py", endpoint)
    assert said == "boto3 1.28.82, botocore 1.31.82"


def test_the_aws_cli_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with serving("--tls-cert", certificate, "--tls-key", key) as endpoint:
        assert endpoint.startswith("https://")
        assert re.fullmatch(r"aws-cli 1\.\d+\.\d+", run(python("awscli"), FOLDER / "awscli_smoke.py", endpoint))


def test_the_sdk_for_javascript(endpoint: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no Node on this machine, and so no SDK for JavaScript")
    if not (ENVIRONMENTS / "javascript" / "node_modules").is_dir():
        pytest.skip("the SDK for JavaScript is not there: make javascript, which needs npm")
    asked = json.loads((FOLDER / "javascript" / "package.json").read_text("utf-8"))["dependencies"]
    [(package, version)] = asked.items()
    assert (
        run("node", FOLDER / "javascript" / "smoke.js", endpoint, ENVIRONMENTS / "javascript") == f"{package} {version}"
    )


def test_the_lock_has_hashes_and_no_address() -> None:
    """Who installs it says where from."""
    lock = json.loads((FOLDER / "javascript" / "package-lock.json").read_text("utf-8"))
    own, *packages = lock["packages"].values()
    assert (
        own["dependencies"] == json.loads((FOLDER / "javascript" / "package.json").read_text("utf-8"))["dependencies"]
    )
    assert len(packages) > 10
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
