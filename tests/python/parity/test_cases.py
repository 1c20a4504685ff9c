"""boto3 and the subject play every case on the same server: whole replies and whole exceptions are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.cases import CASES, PLAYED
from support.cases.language import Case, drive
from support.libraries import BOTO3, SUBJECT
from support.observe import same
from support.service import Service


@pytest.fixture(scope="module")
def clients(service: Service) -> Iterator[tuple[Any, Any]]:
    with_both = BOTO3.client(service.url), SUBJECT.client(service.url)
    yield with_both
    for client in with_both:
        client.close()


@pytest.mark.parametrize(("service", "case"), PLAYED, ids=str, indirect=["service"], scope="session")
def test_case(case: Case, service: Service, clients: tuple[Any, Any]) -> None:
    transcripts = []
    for client in clients:
        service.reset()
        transcripts.append(drive(case, client, service.advance))
    same(*transcripts, about=f"{case.name} on {service.name}")


def test_every_operation_has_a_case() -> None:
    """The list misses no operation, and no two cases go by one name."""
    operations = BOTO3.client().meta.method_to_api_mapping
    called = {step.method for case in CASES for step in case.steps if hasattr(step, "method")}
    assert set(operations) == called
    assert len({case.name for case in CASES}) == len(CASES)
