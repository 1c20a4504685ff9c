"""Publish a thousand tasks: in batches of ten, so it takes a hundred requests."""

from __future__ import annotations

import time

import turbosqs

turbosqs.patch()

from tasks import app, confirm  # noqa: E402 - either order is as good
from turbosqs.kombu import batch_publishing  # noqa: E402

TASKS = 1000

began = time.perf_counter()
with batch_publishing(app):
    for order in range(TASKS):
        confirm.delay(order)
print(f"{TASKS} tasks are published after {time.perf_counter() - began:.1f} s")
