"""Handlers for the messages of a queue: ``Consumer`` runs functions in threads, ``aio.Consumer`` coroutines."""

from .common import Backoff
from .threads import Consumer

__all__ = ["Backoff", "Consumer"]
