"""Fixtures for pytest, which finds them by itself: an embedded SQS for each test, a client and a queue.

    def test_orders(sqs, sqs_queue, sqs_server):
        sqs.send_message(QueueUrl=sqs_queue, MessageBody="a")
        sqs_server.advance(30)

Each test has a server of its own, on a port of its own: tests that run side by side (``pytest -n``) share nothing. A
fixture of the same name in your ``conftest.py`` takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from turbosqs.local import Server
    from turbosqs.sqs import SQS

__all__ = ["sqs", "sqs_queue", "sqs_server"]


@pytest.fixture
def sqs_server() -> Iterator[Server]:
    """An embedded SQS (:class:`turbosqs.local.Server`) that ends with the test."""
    from turbosqs.local import Server

    with Server() as server:
        yield server


@pytest.fixture
def sqs(sqs_server: Server) -> Iterator[SQS]:
    """A client of ``sqs_server``; whatever the environment says of regions and credentials."""
    import turbosqs

    client = turbosqs.client(
        "sqs",
        endpoint_url=sqs_server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield client
    client.close()


@pytest.fixture
def sqs_queue(sqs_server: Server) -> str:
    """The URL of a standard queue of ``sqs_server``, named ``test-queue``."""
    return sqs_server.create_queue("test-queue")
