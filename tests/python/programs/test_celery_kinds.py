"""Tasks of every kind on Celery's pools, by ``turbosqs run celery``, and how its workers end.

Many kinds share the run of one worker: it takes a second and more to begin. The server's clock is the machine's, as is
that of the heartbeat: the visibility timeout is short, and what is held outlasts it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support import needs
from support.celery_worker import PATIENCE, Fleet, Watch, redis
from turbosqs._platform import PORTABLE
from turbosqs.kombu import batch_publishing
from turbosqs.local import Server

#: In seconds; a machine that stands still for half of it is taken to have lost its messages.
VISIBLE = 6
OPTIONS: dict[str, Any] = {"wait_time_seconds": 1, "visibility_timeout": VISIBLE, "heartbeat": True}
QUEUES = ["celery", "other"]
POOLS = {"prefork": 2, "threads": 4, "solo": 1, "gevent": 4, "eventlet": 4}
#: As many as a worker may have: Celery's default for each process or thread.
MULTIPLIER = 4

Make = Callable[..., Fleet]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def backend() -> Iterator[str | None]:
    with redis() as url:
        yield url


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Iterator[Make]:
    fleets: list[Fleet] = []

    def make(options: dict[str, Any] = OPTIONS, **settings: Any) -> Fleet:
        fleets.append(Fleet(server, tmp_path, options, **settings))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.close()


def dead_letters(server: Server) -> str:
    """A queue whose messages are received once, and then are in another: its URL."""
    arn = "arn:aws:sqs:us-east-1:000000000000:dead"
    server.create_queue("dead")
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    return server.create_queue("kept", {"RedrivePolicy": policy})


def once(count: int) -> dict[int, int]:
    return dict.fromkeys(range(count), 1)


def test_chords_have_a_back_end(backend: str | None) -> None:
    if backend is None:
        pytest.skip("there is no redis-server: the tests of tasks of every kind leave chords out")


@needs.SIGNALS
@pytest.mark.timeout(180)
@pytest.mark.parametrize("pool", POOLS)
def test_tasks_of_every_kind(pool: str, make: Make, server: Server, backend: str | None) -> None:
    dead_letters(server)
    fleet = make(backend=backend)
    many = 60
    with batch_publishing(fleet.app):
        for number in range(many):
            fleet.send("early", number, queue=QUEUES[number % 2], priority=number % 3)
            fleet.send("late", number, queue=QUEUES[number % 2])
    fleet.start(pool, POOLS[pool], [*QUEUES, "kept"], *(["--max-tasks-per-child=40"] if pool == "prefork" else []))
    with Watch(fleet, QUEUES) as watch:
        fleet.until(lambda: fleet.done("early").total() + fleet.done("late").total() >= 2 * many)
        fleet.until(lambda: fleet.held(QUEUES) == (0, 0))
    assert (fleet.done("early"), fleet.done("late")) == (once(many), once(many))
    assert 0 < watch.most <= MULTIPLIER * POOLS[pool]

    # All at once: what waits for its time, is tried again, fails, is longer than it is invisible.
    begun = datetime.now(timezone.utc)
    fleet.send("late", many, countdown=1)
    fleet.send("early", many + 1, eta=begun + timedelta(seconds=VISIBLE + 1))
    fleet.send("again", 0)
    fleet.send("kept", 0, queue="kept")
    if pool == "prefork":
        fleet.send("lost", 0)
    if backend is not None:
        fleet.send("parts", 5)
    fleet.until(lambda: fleet.done("late")[many] and fleet.done("again")[0] >= 3 and fleet.done("kept"))
    fleet.until(lambda: backend is None or fleet.done("whole"))
    fleet.until(lambda: pool != "prefork" or fleet.done("lost")[0] >= 2)
    if pool in ("prefork", "solo"):
        fleet.send("slow", 0, VISIBLE + 1)
    fleet.until(lambda: fleet.done("early")[many + 1])
    assert datetime.now(timezone.utc) >= begun + timedelta(seconds=VISIBLE + 1)
    fleet.until(lambda: pool not in ("prefork", "solo") or fleet.done("slow"))
    fleet.until(lambda: fleet.held(["dead"]) == (1, 0))
    fleet.until(lambda: fleet.held([*QUEUES, "kept"]) == (0, 0))
    assert (fleet.done("late")[many], fleet.done("early")[many + 1], fleet.done("again")) == (1, 1, {0: 3})
    assert (fleet.done("kept"), fleet.done("begun")) == ({0: 1}, {0: 1} if pool in ("prefork", "solo") else {})
    assert fleet.done("whole") == ({10: 1} if backend is not None else {})
    assert fleet.done("lost") == ({0: 2} if pool == "prefork" else {})

    # The network fails for a while: the worker goes on by itself.
    server.faults.add("reset")
    requests = sum(server.stats()["requests"].values())
    fleet.until(lambda: sum(server.stats()["requests"].values()) > requests + 5)
    server.faults.clear()
    fleet.send("late", many + 2)
    fleet.until(lambda: fleet.done("late")[many + 2])

    # It ends in the middle of things.
    with batch_publishing(fleet.app):
        for number in range(1, 31):
            fleet.send("slow", number, 0.05)
    fleet.until(lambda: fleet.done("slow").total() > 4)
    # The cold shutdown of greenlets waits for nothing, and a `turbosqs run` that is a parent passes on no SIGQUIT.
    cold = pool == "prefork" and not PORTABLE
    status = fleet.end(signal.SIGQUIT if cold else signal.SIGTERM)
    visible, in_flight = fleet.held(QUEUES)
    ended = sum(number > 0 for number in fleet.done("slow"))
    assert in_flight == 0, fleet.log()
    assert visible + ended >= 30
    if not cold:
        assert status == 0, fleet.log()
        # A child of prefork's may be one that has done its 40 tasks: as the pool ends, billiard then does not always
        # read its last result, and that task comes again.
        assert pool == "prefork" or visible + ended == 30, fleet.log()
    assert "by kombu's own transport" not in fleet.log()


@pytest.mark.timeout(120)
def test_predefined_queues_and_groups_in_order(make: Make, server: Server) -> None:
    """Each with keys of its own; a FIFO queue's groups are in order where one task runs at a time."""
    urls = {name: server.create_queue(name) for name in ("plain", "jobs.fifo")}
    keys = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}
    fleet = make({**OPTIONS, "predefined_queues": {name: {"url": url, **keys} for name, url in urls.items()}})
    for number in range(30):
        fleet.send("late", number, queue="jobs.fifo", MessageGroupId=f"group-{number % 3}")
        fleet.send("early", number, queue="plain")
    fleet.start("solo", 1, list(urls))
    fleet.until(lambda: fleet.done("late").total() + fleet.done("early").total() >= 60)
    assert fleet.end() == 0
    assert (fleet.done("late"), fleet.done("early"), fleet.held(list(urls))) == (once(30), once(30), (0, 0))
    # A counter has what it counts in the order in which it was first seen.
    order = list(fleet.done("late"))
    for group in range(3):
        assert [number for number in order if number % 3 == group] == list(range(group, 30, 3))
    assert server.stats()["requests"].get("CreateQueue") is None


#: How many tasks the workers that are killed have: 20,000 is a trial of minutes.
TASKS = int(os.environ.get("TURBOSQS_CELERY_TASKS", "400"))


@pytest.mark.timeout(900)
def test_workers_are_killed_and_stopped_and_the_server_is_gone(make: Make, server: Server) -> None:
    """All tasks are done. Twice only what a worker had when it was killed, and what fell under a lost answer."""
    limit = 5 * 2
    fleet = make({**OPTIONS, "client-config": {"retries": {"mode": "standard", "total_max_attempts": 1}}})
    with batch_publishing(fleet.app):
        for number in range(TASKS):
            if number % 2:
                fleet.send("slow", number, 0.05 if TASKS < 1000 else 0.01)
            else:
                fleet.send("early", number)
    killed, stopped, last = [fleet.start("prefork", 2, ["celery"], "--prefetch-multiplier=5") for _ in range(3)]

    def done() -> int:
        return len(fleet.done("slow")) + len(fleet.done("early"))

    # Unless the first has done all before the others are there.
    fleet.until(lambda: all(map(fleet.has_begun, fleet.workers)) or done() == TASKS)
    fleet.workers.remove(killed)
    killed.kill()
    killed.wait()
    fleet.until(lambda: done() > TASKS // 4 and (fleet.has_begun(last) or done() == TASKS), PATIENCE + TASKS / 50)
    left = TASKS - done()
    fleet.workers.remove(stopped)
    stopped.terminate()
    assert stopped.wait(PATIENCE) == 0, fleet.log()
    # Neither receives nor deletes are answered.
    server.faults.add("reset")
    time.sleep(10 if TASKS >= 20_000 else 1)
    server.faults.clear()
    assert last.poll() is None, fleet.log()
    fleet.until(lambda: done() == TASKS and fleet.held(["celery"]) == (0, 0), PATIENCE + TASKS / 50)
    assert fleet.end() == 0, fleet.log()
    assert fleet.held(["celery"]) == (0, 0)
    twice = fleet.done("slow").total() + fleet.done("early").total() - TASKS
    print(f"{TASKS} tasks, {left} of them after one worker was killed and one was stopped, {twice} twice")
    assert twice <= 2 * limit, "what one had when it was killed, and one when the server was gone for too long"
