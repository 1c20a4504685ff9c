"""What tests of patched clients stand on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import turbosqs
from support.libraries import BOTO3


@pytest.fixture
def patched() -> Iterator[None]:
    """boto3's clients are on the core, for as long as the test takes: ``pytest.mark.usefixtures`` of a whole file."""
    with turbosqs.patched():
        yield


@pytest.fixture
def client(embedded: Any) -> Any:
    """boto3's own client, of an embedded SQS that holds nothing."""
    embedded.reset()
    return BOTO3.client(embedded.endpoint_url)
