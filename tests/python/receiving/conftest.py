"""A server and a client of its own for each test of receiving."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from queues import client
from turbosqs.local import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def sqs(server: Server) -> Any:
    return client(server)


@pytest.fixture
def url(server: Server) -> str:
    return server.create_queue("q")
