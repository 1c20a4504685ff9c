"""What turbosqs does otherwise than boto3 is listed, and each entry of the list has a test that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.libraries import DIFFERENCES

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sources() -> str:
    return "".join(path.read_text() for path in TESTS.rglob("test_*.py") if path != Path(__file__))


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_tested(name: str, sources: str) -> None:
    assert f'"{name}"' in sources
