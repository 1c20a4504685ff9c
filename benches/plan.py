"""What is measured: the works, in groups that are compared, and the servers that they meet. Data only.

The first work of a group is what the others are compared with. A work is a function of the module
``benches.work_<subject>``; it is run in a process of its own, by the interpreter of its subject's environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Literal

#: How a work changes the number of messages in its queue: more, fewer, or not at all. What it takes is there when it
#: starts; ``tasks`` puts it there by itself, since they are no bodies but Celery's.
Kind = Literal["send", "receive", "tasks", "start"]


@dataclass(frozen=True)
class Work:
    """One way to do the work of its group.

    Args:
        label: Its row in the table; it begins with the library's name.
        function: ``subject.name``: a function of ``benches.work_<subject>``.
        messages: How many messages a round moves, measured ones.
        delayed: The same on a server that takes its time.
        options: What the function is given beside the job.
        environment: Whose interpreter runs it: the project's own, or that of a library which cannot live there. What is
            in ``rust`` needs none.
        warm: How many messages are moved before: connections, caches.
        moves: Whether messages are moved at all; if not, it is what others are to be read beside. ``None``: the work
            itself sees to it that they were.
        tls: Whether it can be done by https.
    """

    label: str
    function: str
    messages: int
    delayed: int
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    environment: Literal["", "aiobotocore", "fanferro", "instrumentation", "rust"] = ""
    warm: int = 40
    moves: bool | None = True
    tls: bool = True


@dataclass(frozen=True)
class Scenario:
    """A server and a size of body. ``share``: the part of each work's messages that is moved; ``tls``: by https."""

    title: str
    delay: float
    body: int
    share: float = 1.0
    tls: bool = False


SCENARIOS = (
    Scenario("0 ms, 200 bytes", 0.0, 200),
    Scenario("5 ms, 200 bytes", 0.005, 200),
    Scenario("0 ms, 10 kB", 0.0, 10_000, 0.5),
    Scenario("5 ms, 10 kB", 0.005, 10_000, 0.5),
    Scenario("0 ms, 200 bytes, https", 0.0, 200, tls=True),
)
AT_ONCE, DELAYED, OVER_TLS = SCENARIOS[0].title, SCENARIOS[1].title, SCENARIOS[4].title
FIRST, SLOW, SECURED = SCENARIOS[:1], SCENARIOS[1:2], SCENARIOS[4:]
#: Those of a quick run.
QUICK = (*SCENARIOS[:3], *SECURED)


@dataclass(frozen=True)
class Group:
    """Works that have the same outcome.

    Args:
        title: Its heading.
        kind: What becomes of the queue.
        works: The works.
        servers: The scenarios in which they are done; all of them if there are none here.
        pinned: Whether they have one core; if not, they are programs of several processes.
        connecting: Whether connections are what it is about.
    """

    title: str
    kind: Kind
    works: tuple[Work, ...]
    servers: tuple[Scenario, ...] = ()
    pinned: bool = True
    connecting: bool = False


#: The titles of groups that budgets and the summary speak of.
STARTING = "import and first client"
TENS = "send_message_batch of 10"
ONE_BY_ONE = "send_message, one after another"
THREADS = "send_message, 32 threads"
COROUTINES = "send_message, 1,000 coroutines"
RECEIVING = "receive and delete"
#: What the calls of one thread are to be read beside.
SOCKET = "a blocking socket, the same bytes"
HAND_WRITTEN = "hand-written Rust: hyper, SigV4"
#: The call alone: what a program in Python does to make its entries is not ours, nor is it much in Rust.
ENTRIES_THERE = "turbosqs, entries that are there"
INSTRUMENTED = "send_message under instrumentation"
CELERY = {False: "Celery worker, early acknowledgement", True: "Celery worker, late acknowledgement"}
CELERY_DELAY = "Celery, delay()"
FIRST_CALL = "the first call of a process: certificates, TCP, TLS, one request"
ANOTHER = "a call while the only connection is busy: TCP, TLS, one request"
HERD = "send_message, 32 threads at once that have no connection yet"


def _hand_written(name: str, messages: int, delayed: int) -> Work:
    """A work of ``benches/rust``, which speaks plain HTTP only."""
    return Work(HAND_WRITTEN, f"rust.{name}", messages, delayed, environment="rust", tls=False)


def _threads(count: int) -> Group:
    options = {"threads": count}
    return Group(
        f"send_message, {count} threads",
        "send",
        (
            Work("boto3", "boto3.send_by_threads", 640, 640, options, warm=2 * count),
            Work("turbosqs", "turbosqs.send_by_threads", 6_400, 3_200, options, warm=2 * count),
        ),
        servers=() if count == 32 else FIRST,
    )


#: aiobotocore's own client, on the core.
PATCHED = "turbosqs, aiobotocore patched"
PATCHED_TENS = f"{PATCHED}, tens by hand"

#: Instrumentation tools, with the microseconds that a patched call may cost beyond itself and the tool: those that add
#: attributes to messages may more.
TOOLS = {"OpenTelemetry": 100, "Sentry": 100, "X-Ray": 100, "New Relic": 100, "Datadog": 150, "Elastic": 150}


def in_turns(tool: str) -> str:
    """The work that takes what we cost under a tool apart."""
    return f"turbosqs, boto3 patched, {tool}, in turns with the parts of it"


def _instrumented() -> Group:
    works = [
        Work("boto3", "boto3.send", 400, 60, environment="instrumentation"),
        Work("turbosqs, boto3 patched", "turbosqs.send_patched", 2_000, 60, environment="instrumentation"),
    ]
    for tool in TOOLS:
        options = {"tool": tool}
        works += [
            Work(f"boto3, {tool}", "instrumented.stock", 300, 60, options, "instrumentation"),
            Work(f"turbosqs, boto3 patched, {tool}", "instrumented.patched", 1_500, 60, options, "instrumentation"),
            Work(f"nothing, {tool}", "instrumented.around_nothing", 1_500, 60, options, "instrumentation", moves=False),
            Work(in_turns(tool), "instrumented.in_turns", 4_000, 60, options, "instrumentation"),
        ]
    return Group(INSTRUMENTED, "send", tuple(works), servers=FIRST)


def _coroutines(uvloop: bool) -> Group:
    options = {"coroutines": 1_000, "uvloop": uvloop}
    # turbosqs runs where uvloop is: it needs nothing of its own environment.
    place: Literal["", "aiobotocore"] = "aiobotocore" if uvloop else ""
    return Group(
        COROUTINES + (", uvloop" if uvloop else ""),
        "send",
        (
            Work("aiobotocore", "aiobotocore.send", 2_000, 2_000, options, "aiobotocore", warm=100),
            Work("turbosqs.aio", "turbosqs_aio.send", 20_000, 10_000, options, place, warm=100),
            Work(PATCHED, "turbosqs_aio.send_patched", 20_000, 10_000, options, "aiobotocore", warm=100),
        ),
        servers=FIRST if uvloop else (),
    )


def _celery(late: bool) -> Group:
    """Two processes; a prefetch limit of 40 is ``worker_prefetch_multiplier`` 20, one of 8 is Celery's default."""

    def work(label: str, messages: int, transport: str, multiplier: int, moves: bool = True) -> Work:
        options = {"transport": transport, "late": late, "multiplier": multiplier}
        return Work(label, "celery.work", messages, messages, options, warm=0, moves=moves)

    return Group(
        CELERY[late],
        "tasks",
        (
            work("kombu, prefetch limit 40", 400, "kombu", 20),
            work("turbosqs, prefetch limit 40", 4_000, "turbosqs", 20),
            work("kombu, prefetch limit 8", 400, "kombu", 4),
            work("turbosqs, prefetch limit 8", 2_000, "turbosqs", 4),
            work("Redis, which answers at once, prefetch limit 40", 2_000, "redis", 20, moves=False),
        ),
        servers=SLOW,
        pinned=False,
    )


def _celery_delay() -> Group:
    def work(label: str, messages: int, transport: str, batches: bool = False, moves: bool = True) -> Work:
        options = {"transport": transport, "batches": batches}
        return Work(label, "celery.publish", messages, messages, options, moves=moves)

    return Group(
        CELERY_DELAY,
        "send",
        (
            work("kombu", 200, "kombu"),
            work("turbosqs", 200, "turbosqs"),
            work("turbosqs, batch_publishing", 4_000, "turbosqs", batches=True),
            work("Redis, which answers at once", 2_000, "redis", moves=False),
        ),
        servers=SLOW,
    )


def _connecting() -> tuple[Group, ...]:
    """What it takes to get to a server by https; of boto3 and ours a client is there already."""
    starting = tuple(
        Group(
            title,
            "start",
            (
                Work("boto3", f"boto3.{name}", 1, 1),
                Work("turbosqs", f"turbosqs.{name}", 1, 1),
                Work("turbosqs, boto3 patched", f"turbosqs.{name}_patched", 1, 1),
            ),
            servers=SECURED,
            connecting=True,
        )
        for title, name in ((FIRST_CALL, "first_call"), (ANOTHER, "another_connection"))
    )
    herd = Group(
        HERD,
        "send",
        (
            Work("boto3", "boto3.send_at_once", 32, 32, {"threads": 32}, warm=0),
            Work("turbosqs", "turbosqs.send_at_once", 32, 32, {"threads": 32}, warm=0),
        ),
        servers=SECURED,
        connecting=True,
    )
    return (*starting, herd)


#: A consumer takes what there is: a first one, to warm up, could not leave the rest alone.
TWENTY = {"concurrency": 20}

GROUPS = (
    Group(
        STARTING,
        "start",
        (
            Work("boto3", "boto3.start", 1, 1),
            Work("aiobotocore", "aiobotocore.start", 1, 1, environment="aiobotocore"),
            Work("turbosqs", "turbosqs.start", 1, 1),
            Work("turbosqs and patch(), after import boto3", "turbosqs.start_patched", 1, 1),
        ),
        servers=FIRST,
    ),
    Group(
        TENS,
        "send",
        (
            Work("boto3", "boto3.send_tens", 3_000, 600),
            Work("aiobotocore", "aiobotocore.send_tens", 3_000, 600, environment="aiobotocore"),
            Work("turbosqs", "turbosqs.send_tens", 20_000, 600),
            Work(ENTRIES_THERE, "turbosqs.send_same_tens", 20_000, 600),
            Work("turbosqs.aio", "turbosqs_aio.send_tens", 20_000, 600),
            Work("turbosqs, boto3 patched", "turbosqs.send_tens_patched", 20_000, 600),
            _hand_written("send_tens", 20_000, 600),
            Work(SOCKET, "socket.send_tens", 20_000, 600),
        ),
    ),
    Group(
        ONE_BY_ONE,
        "send",
        (
            Work("boto3", "boto3.send", 400, 60),
            Work("turbosqs", "turbosqs.send", 3_000, 60),
            Work("turbosqs, boto3 patched", "turbosqs.send_patched", 3_000, 60),
            Work("turbosqs, batching on and off in turn", "turbosqs.send_with_and_without", 6_000, 120),
            Work("turbosqs batch_writer", "turbosqs.send_by_batch_writer", 50_000, 20_000),
            _hand_written("send", 3_000, 60),
            Work(SOCKET, "socket.send", 3_000, 60),
        ),
    ),
    _instrumented(),
    _threads(16),
    _threads(32),
    _coroutines(uvloop=False),
    _coroutines(uvloop=True),
    Group(
        RECEIVING,
        "receive",
        (
            Work("boto3, tens by hand", "boto3.receive_tens", 2_000, 400),
            Work("aiobotocore, tens by hand", "aiobotocore.receive_tens", 2_000, 400, environment="aiobotocore"),
            Work("fanferro consumer", "fanferro.consume", 10_000, 5_000, TWENTY, "fanferro", warm=0),
            Work("turbosqs, tens by hand", "turbosqs.receive_tens", 10_000, 400),
            Work(PATCHED_TENS, "turbosqs_aio.receive_tens_patched", 10_000, 400, environment="aiobotocore"),
            Work("turbosqs poll_messages", "turbosqs.poll", 20_000, 5_000),
            Work("turbosqs.aio poll_messages", "turbosqs_aio.poll", 20_000, 5_000),
            Work("turbosqs Consumer, function", "turbosqs.consume", 20_000, 5_000, TWENTY, warm=0),
            Work("turbosqs Consumer, coroutine", "turbosqs_aio.consume", 20_000, 5_000, TWENTY, warm=0),
        ),
    ),
    _celery(late=False),
    _celery(late=True),
    _celery_delay(),
    *_connecting(),
)


@dataclass(frozen=True)
class Run:
    """A work on a server."""

    scenario: Scenario
    group: Group
    work: Work

    @property
    def name(self) -> str:
        return f"{self.scenario.title} | {self.group.title} | {self.work.label}"

    @property
    def messages(self) -> int:
        """How many messages are measured."""
        return int((self.work.delayed if self.scenario.delay else self.work.messages) * self.scenario.share)

    @property
    def counted(self) -> bool:
        """Whether its figures are per message."""
        return self.group.kind != "start"


def runs(scenarios: tuple[Scenario, ...], pattern: str) -> Iterator[Run]:
    """The runs whose name contains the pattern (``*`` and ``?`` as in file names), whatever the case."""
    wanted = f"*{pattern.lower()}*"
    for scenario in scenarios:
        for group in GROUPS:
            if group.servers and scenario not in group.servers:
                continue
            for work in group.works:
                run = Run(scenario, group, work)
                if scenario.tls and not work.tls:
                    continue
                if fnmatch(run.name.lower(), wanted):
                    yield run
