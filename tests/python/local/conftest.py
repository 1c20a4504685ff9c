"""The embedded SQS with boto3 as its client: a server and a client for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from turbosqs.local import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(clock="manual") as server:
        yield server


Connect = Callable[..., Any]


@pytest.fixture(scope="session")
def session() -> boto3.session.Session:
    """One for all clients: it takes longer to make than they do."""
    return boto3.session.Session()


@pytest.fixture
def connect(session: boto3.session.Session) -> Iterator[Connect]:
    """boto3 clients of a server, closed at the end: ``connect(server, region, access_key)``."""
    clients = []

    def connect(
        server: Server | str, region: str = "us-east-1", key: str = "AKIDEXAMPLE", config: Config | None = None
    ) -> Any:
        url = server if isinstance(server, str) else server.endpoint_url
        client = session.client(
            "sqs",
            endpoint_url=url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            config=config or Config(retries={"total_max_attempts": 1}),
        )
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def sqs(server: Server, connect: Connect) -> Any:
    return connect(server)


@pytest.fixture
def url(server: Server) -> str:
    return server.create_queue("orders")


@pytest.fixture
def fifo(server: Server) -> str:
    return server.create_queue("jobs.fifo", {"ContentBasedDeduplication": "true"})
