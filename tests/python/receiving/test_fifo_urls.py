"""Which queues are FIFO, by their URLs: one rule, in the core, for sends, receives, pollers and consumers."""

from __future__ import annotations

from typing import Any

import pytest
from turbosqs import _core, polling


@pytest.mark.parametrize("url", ["http://h/1/q.fifo", "http://h/1/q.fifo/", "http://h/1/q.fifo?x=1", "q.fifo"])
def test_fifo(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _core.is_fifo(url)
    assert "MessageGroupId" in requested(url, monkeypatch)


@pytest.mark.parametrize(
    "url", ["http://h/1/q", "http://h.fifo/1/q", "http://h/1/q?x=.fifo", "q.fifo-not", "", "\ud800"]
)
def test_standard(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _core.is_fifo(url)
    assert requested(url, monkeypatch) == []


def requested(url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system attributes that a poller of a queue asks for."""
    seen: list[dict[str, Any]] = []

    def poller(_: Any, params: dict[str, Any], **__: Any) -> Any:
        seen.append(params)
        raise LookupError

    monkeypatch.setattr(polling, "Poller", poller)
    core: Any = None
    with pytest.raises(LookupError):
        polling.make_poller(core, {"QueueUrl": url})
    return [name for names in ("AttributeNames", "MessageSystemAttributeNames") for name in seen[0].get(names, [])]
