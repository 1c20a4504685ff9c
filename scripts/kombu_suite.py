"""A pytest plugin: what is measured of turbosqs while kombu's own tests run. See ``test_kombu.py``, which names it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

#: ``patch``: boto3's clients on the core. ``transport``: our transport and channel in the place of kombu's as well.
MODE = os.environ["KOMBU_SUITE"]


def pytest_configure(config: pytest.Config) -> None:
    import kombu.transport.SQS
    import turbosqs

    config.addinivalue_line("markers", "freeze_time(time): the clock shows that time")
    if MODE == "patch":
        turbosqs.patch()
        return
    import turbosqs.kombu

    kombu.transport.SQS.Transport = turbosqs.kombu.Transport
    kombu.transport.SQS.Channel = turbosqs.kombu.Channel
    kombu.transport.SQS.QoS = turbosqs.kombu.QoS


@pytest.fixture(autouse=True)
def _freeze(request: pytest.FixtureRequest) -> Iterator[None]:
    """As ``pytest-freezer``, which kombu's tests have."""
    mark = request.node.get_closest_marker("freeze_time")
    if mark is None:
        yield
        return
    from freezegun import freeze_time

    with freeze_time(*mark.args):
        yield
