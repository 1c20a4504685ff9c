"""boto3 and the asyncio client play every parity case on the same server: whole replies, whole exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from support.cases import ONCE
from support.cases.language import Case, drive, drive_awaiting
from support.libraries import BOTO3, KEYS
from support.observe import same
from support.service import Service
from turbosqs import aio


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    running = asyncio.new_event_loop()
    yield running
    running.close()


@pytest.fixture(scope="module")
def clients(service: Service, loop: asyncio.AbstractEventLoop) -> Iterator[tuple[Any, Any]]:
    theirs = BOTO3.client(service.url)
    ours = aio.Session().client("sqs", region_name="us-east-1", endpoint_url=service.url, **KEYS)
    yield theirs, ours
    theirs.close()
    loop.run_until_complete(ours.close())


@pytest.mark.parametrize(("service", "case"), ONCE, ids=str, indirect=["service"], scope="session")
def test_case(case: Case, service: Service, clients: tuple[Any, Any], loop: asyncio.AbstractEventLoop) -> None:
    theirs, ours = clients
    service.reset()
    expected = drive(case, theirs, service.advance)
    service.reset()
    found = loop.run_until_complete(drive_awaiting(case, ours, service.advance))
    same(expected, found, about=f"{case.name} on {service.name}")
