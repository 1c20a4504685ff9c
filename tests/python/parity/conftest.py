"""boto3 and what has to be like it, on one scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fakes import Scripted
from support.libraries import BOTO3, SUBJECT


@pytest.fixture
def pair(scripted: Scripted) -> tuple[Any, Any]:
    """A client of boto3 and one of the subject, of their own for each test: some of them are changed."""
    boto3, subject = (library.client(scripted.url) for library in (BOTO3, SUBJECT))
    return boto3, subject


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Scripted, Any, Any]]:
    """A server that says yes to everything until it is told otherwise, and the two clients, which ask once."""
    with Scripted() as server:
        boto3, subject = (
            library.client(server.url, config=library.config(retries={"total_max_attempts": 1}))
            for library in (BOTO3, SUBJECT)
        )
        yield server, boto3, subject


@pytest.fixture
def aws(environment: dict[str, str]) -> Path:
    """The folder of the shared files, empty."""
    folder = Path(environment["HOME"]) / ".aws"
    folder.mkdir()
    return folder
