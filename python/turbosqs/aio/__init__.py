"""The same client, awaitable: the sync client's names, arguments, replies and exceptions, for asyncio and uvloop.

    from turbosqs import aio

    async with aio.client("sqs") as sqs:
        await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=body) for body in bodies))

A client works without ``async with`` as well, in any number of event loops, one after another or at once.
"""

from __future__ import annotations

import turbosqs

from .._signatures import takes_as
from .session import Session, awaited
from .sqs import SQS

TYPE_CHECKING = False
if TYPE_CHECKING:
    # With the signature of the method.
    client = Session().client
    from .consuming import Consumer as Consumer
    from .polling import poll_messages as poll_messages
else:
    _LATER = {"Consumer": "consuming", "poll_messages": "polling"}

    def client(*args, **kwargs):
        """A client of the default session, the one behind ``turbosqs.client``; see ``Session.client``."""
        return awaited(turbosqs._default_session()).client(*args, **kwargs)

    takes_as(client, "aio.Session.client")

    def __getattr__(name):
        if name in _LATER:
            from importlib import import_module

            found = globals()[name] = getattr(import_module(f".{_LATER[name]}", __name__), name)
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["SQS", "Consumer", "Session", "client", "poll_messages"]
