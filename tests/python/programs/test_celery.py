"""A Celery worker, unchanged, by ``turbosqs run celery``: every task is done, once.

Its messages are moved by ``turbosqs.kombu``, which the patch puts in the place of kombu's own transport.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.libraries import BOTO3
from support.service import Service
from support.waiting import until

#: moto's server takes milliseconds for each request.
TASKS = {"embedded": 500, "moto": 100}
RUN = (sys.executable, "-m", "turbosqs", "run")


def in_the_queue(service: Service) -> int:
    """How many messages there are, those in flight included: none is left unacknowledged."""
    client = BOTO3.client(service.url)
    url = client.get_queue_url(QueueName="celery")["QueueUrl"]
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(counts[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))


@pytest.mark.parametrize(
    ("service", "pool"), [("embedded", "prefork"), ("embedded", "threads"), ("moto", "threads")], indirect=["service"]
)
def test_every_task_is_done_once(service: Service, pool: str, tmp_path: Path) -> None:
    service.reset()
    tasks = TASKS[service.name]
    done, counts = tmp_path / "done", tmp_path / "counts"
    environment = {
        **os.environ,
        "BROKER": service.url.replace("http://", "sqs://key:secret@"),
        "DONE": str(done),
        "COUNTS": str(counts),
        "TASKS": str(tasks),
    }
    options: dict[str, Any] = {"env": environment, "cwd": Path(__file__).parent}
    subprocess.run([*RUN, "celery_app.py"], check=True, timeout=30, **options)
    before = in_the_queue(service)
    quiet = ("--without-heartbeat", "--without-mingle", "--without-gossip", "-l", "ERROR")
    command = [*RUN, "celery", "-q", "-A", "celery_app", "worker", "-P", pool, "-c", "4", *quiet]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    try:
        until(lambda: worker.poll() is not None or (done.exists() and done.read_text().count("\n") >= tasks), 40)
        worker.terminate()
        assert worker.wait(15) == 0
    finally:
        worker.kill()
        worker.wait()
    left = in_the_queue(service)
    assert before == tasks
    lines = [line.split() for line in done.read_text().splitlines()]
    times = Counter(int(number) for number, *_ in lines)
    assert set(times) == set(range(tasks))
    if service.name != "moto":
        # moto looks for visible messages and hides them without a lock: receives that overlap can get the same one,
        # and the first one's receipt handle deletes it no more.
        assert (set(times.values()), left) == ({1}, 0)
    # Who did them: processes of their own, or threads of one.
    assert (len({process for _, process, _ in lines}) > 1) == (pool == "prefork")
    assert (len({thread for *_, thread in lines}) > 1) == (pool == "threads")
    ways = json.loads(counts.read_text())
    # The worker's own process receives and acknowledges.
    assert ways["fast"] >= tasks
    assert set(ways) == {"fast"}
