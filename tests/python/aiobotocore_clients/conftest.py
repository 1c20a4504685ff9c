"""aiobotocore's clients on the core: what runs where there is an aiobotocore, see ``programs/test_aiobotocore.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from typing import Any

import pytest
import turbosqs
from support.libraries import KEYS

collect_ignore_glob = ["test_*.py"] if find_spec("aiobotocore") is None else []

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Connect = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """``asyncio.run`` on a loop of either kind."""
    import uvloop

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return (asyncio.run if request.param == "asyncio" else uvloop.run)(work)

    return run


@pytest.fixture
def patched() -> Iterator[None]:
    """aiobotocore's clients are on the core."""
    with turbosqs.patched():
        yield


@pytest.fixture
def connect(server: Any) -> Connect:
    """``async with connect() as client``: a client of aiobotocore's on the embedded SQS, of a session of its own."""
    from aiobotocore.session import get_session

    def connect(**options: Any) -> Any:
        settings = {"region_name": "us-east-1", "endpoint_url": server.endpoint_url, **KEYS, **options}
        return get_session().create_client("sqs", **settings)

    return connect
