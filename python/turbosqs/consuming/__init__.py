"""Handlers for the messages of a queue: ``Consumer`` runs functions in threads, ``aio.Consumer`` coroutines."""

from __future__ import annotations

from .backoff import Backoff
from .threads import Consumer
from .workers import lease_lost

__all__ = ["Backoff", "Consumer", "lease_lost"]
