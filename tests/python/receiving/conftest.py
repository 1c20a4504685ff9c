"""A client and a queue for each test of receiving."""

from __future__ import annotations

from typing import Any

import pytest
from support.queues import client
from turbosqs.local import Server


@pytest.fixture
def sqs(server: Server) -> Any:
    return client(server)


@pytest.fixture
def url(server: Server) -> str:
    return server.create_queue("q")
