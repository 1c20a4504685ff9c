"""Clients that are recorded, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.propagators.aws import AwsXRayPropagator
from support.queues import client
from support.recorded import Recorded
from turbosqs import telemetry
from turbosqs.local import Server


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    recorded = Recorded()
    telemetry.instrument(**recorded.providers)
    yield recorded
    telemetry.uninstrument()
    recorded.shut_down()


@pytest.fixture
def sqs(server: Server, recorded: Recorded) -> Any:  # noqa: ARG001 - it is there before the client
    return client(server)


@pytest.fixture
def url(server: Server) -> str:
    return server.create_queue("q")


@pytest.fixture
def xray() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(AwsXRayPropagator())
    yield
    propagate.set_global_textmap(before)
