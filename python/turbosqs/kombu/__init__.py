"""Celery and kombu on the Rust core: a transport that receives, acknowledges and publishes in batches.

``turbosqs.patch()`` and ``turbosqs run`` put it in the place of kombu's own SQS transport. Without them:

    app = Celery("app", broker="sqs://", broker_transport="turbosqs.kombu:Transport")

    import turbosqs.kombu
    app = Celery("app", broker="turbosqs+sqs://")

    transport.py      the transport, and how it is waited for without a hub
    channel.py        the channel: what of kombu's it does otherwise
    receiving.py      polls that share the prefetch limit; sharing.py has the rules
    acknowledging.py  deletes that leave in batches
    heartbeat.py      keeps invisible what a worker holds
    publishing.py     sends that share requests, and batches
    exchange.py       a channel's completion queue
    clients.py        the core behind kombu's clients
    failures.py       what a failure means

How kombu finds it is in ``turbosqs._kombu``, which imports none of this.
"""

from __future__ import annotations

from .. import _kombu
from .channel import Channel, QoS
from .failures import ReceiveError
from .publishing import FailedPublish, PublishError, batch_publishing
from .transport import Transport

__all__ = [
    "Channel",
    "FailedPublish",
    "PublishError",
    "QoS",
    "ReceiveError",
    "Transport",
    "batch_publishing",
]

_kombu.register_alias()
