"""The parity cases, once more: boto3 as it is against boto3 on the core, as client and as resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import turbosqs
from support.cases import ONCE, language, resources
from support.cases.language import Case
from support.libraries import BOTO3, KEYS
from support.observe import same
from support.service import Service
from support.ways import gone

SETTINGS = {"region_name": "us-east-1", **KEYS}


@dataclass(frozen=True)
class Pair:
    """boto3's, and what has to be like it."""

    theirs: Any
    ours: Any


@contextmanager
def fast(client: Any) -> Iterator[None]:
    """boto3's clients are on the core, and every call of this one goes there."""
    with turbosqs.patched():
        before = gone(client)
        yield
        after = gone(client)
    assert {way for way in after if after[way] != before.get(way, 0)} <= {"fast"}


@pytest.fixture(scope="module")
def clients(service: Service) -> Pair:
    return Pair(BOTO3.client(service.url), BOTO3.client(service.url))


@pytest.fixture(scope="module")
def all_resources(service: Service) -> tuple[Any, Any, Any]:
    settings = {"endpoint_url": service.url, **SETTINGS}
    theirs, patched = (BOTO3.session().resource("sqs", **settings) for _ in range(2))
    return theirs, patched, turbosqs.resource("sqs", **settings)


@pytest.mark.parametrize(("service", "case"), ONCE, ids=str, indirect=["service"], scope="session")
def test_a_patched_client(case: Case, service: Service, clients: Pair) -> None:
    compare(case, service, clients, language.drive, fast(clients.ours))


@pytest.mark.parametrize(("service", "case"), ONCE, ids=str, indirect=["service"], scope="session")
def test_resources(case: Case, service: Service, all_resources: tuple[Any, Any, Any]) -> None:
    """boto3's with its client patched, and ``turbosqs.resource("sqs")``, its resource layer on our client."""
    theirs, patched, ours = all_resources
    expected = compare(case, service, Pair(theirs, patched), resources.drive, fast(patched.meta.client))
    service.reset()
    same(expected, resources.drive(case, ours, service.advance), about=f"{case.name} on {service.name}")


def compare(case: Case, service: Service, pair: Pair, drive: Any, on_core: Any) -> Any:
    """boto3's transcript, which ours has to be like."""
    service.reset()
    theirs = drive(case, pair.theirs, service.advance)
    service.reset()
    with on_core:
        ours = drive(case, pair.ours, service.advance)
    same(theirs, ours, about=f"{case.name} on {service.name}")
    return theirs


def test_our_resource_is_boto3s(service: Service) -> None:
    ours = turbosqs.resource("sqs", endpoint_url=service.url, **SETTINGS)
    theirs = boto3.session.Session().resource("sqs", endpoint_url=service.url, **SETTINGS)
    assert repr(ours) == repr(theirs)
    assert [type(ours).__name__, *dir(ours)] == [type(theirs).__name__, *dir(theirs)]
    assert type(ours.meta.client) is type(turbosqs.client("sqs", endpoint_url=service.url, **SETTINGS))
    # Its client says so of itself, as boto3's does.
    assert ours.meta.client.meta.config.user_agent_extra == theirs.meta.client.meta.config.user_agent_extra
