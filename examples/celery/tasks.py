"""A Celery application on SQS, with what turbosqs adds: see README.md beside it."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("shop", broker=os.environ.get("BROKER_URL", "sqs://"))
app.conf.update(
    broker_transport_options={
        "region": "us-east-1",
        # For the embedded SQS, which speaks no TLS.
        "is_secure": "BROKER_URL" not in os.environ,
        "wait_time_seconds": 20,
        # What a worker holds is extended for as long as it holds it. What a dead one held comes back after 30 seconds.
        "visibility_timeout": 30,
        "heartbeat": True,
    },
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
    # SQS gives ten messages at a time: with two processes, 40 are held at most.
    worker_prefetch_multiplier=20,
    worker_enable_remote_control=False,
)


@app.task  # type: ignore[untyped-decorator]
def confirm(order: int) -> None:
    """Confirm an order."""
    print(f"order {order} is confirmed", flush=True)
