"""The embedded server behind a relay, and clients whose calls travel together when a test wants it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import turbosqs
from support.libraries import BOTO3
from support.relay import Relay
from support.together import connect
from turbosqs.local import Server
from turbosqs.sqs import SQS


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with Relay(server.port) as relay:
        yield relay


@pytest.fixture
def sqs(relay: Relay) -> Iterator[SQS]:
    """It asks through the relay, and lets entries wait until something else than time sends them."""
    client = connect(relay.url, batching=turbosqs.Batching(linger=60))
    yield client
    relay.release()
    client.close()


@pytest.fixture
def boto(server: Server) -> Iterator[Any]:
    """boto3, straight at the server."""
    client = BOTO3.client(server.endpoint_url)
    yield client
    client.close()
