"""What turbosqs promises, as ratios of one run, and whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benches import sizes
from benches.plan import (
    AT_ONCE,
    CELERY,
    CELERY_DELAY,
    COROUTINES,
    DELAYED,
    ENTRIES_THERE,
    FIRST_CALL,
    HAND_WRITTEN,
    HERD,
    INSTRUMENTED,
    ONE_BY_ONE,
    OVER_TLS,
    PATCHED,
    PATCHED_TENS,
    RECEIVING,
    SCENARIOS,
    SOCKET,
    STARTING,
    TENS,
    THREADS,
    TOOLS,
    Run,
    Scenario,
    in_turns,
)
from benches.results import NAN, Results, known


@dataclass(frozen=True)
class Budget:
    """A promise.

    Args:
        title: What is promised, of what.
        wanted: The least that is promised, or the most when ``most`` is set.
        unit: What stands behind the numbers: ``x`` for ratios.
        measured: The number, from the results; NaN when something of it was not measured.
    """

    title: str
    wanted: float
    unit: str
    measured: Callable[[Results], float]
    most: bool = False

    def outcome(self, results: Results) -> str:
        value = self.measured(results)
        if not known(value):
            return "not measured"
        if self.most:
            over = value - self.wanted
            return "holds" if over <= 0 else f"**over by {over:.2g}{self.unit}**"
        return "holds" if value >= self.wanted else f"**short by {(1 - value / self.wanted) * 100:.0f} %**"


def _times(
    group: str, rival: str, ours: str, figure: str = "cpu", scenario: str = AT_ONCE
) -> Callable[[Results], float]:
    """How many times less of a figure we need than a rival of the group."""

    def measured(results: Results) -> float:
        theirs = results.median(scenario, group, rival, figure)
        return theirs / results.median(scenario, group, ours, figure)

    return measured


def _cost_of_patching(results: Results) -> float:
    """What a patched boto3 client costs beyond our own, in percent."""
    theirs, ours = (results.median(AT_ONCE, TENS, work, "cpu") for work in ("turbosqs, boto3 patched", "turbosqs"))
    return (theirs / ours - 1) * 100


def _cost_of_tracing(tool: str) -> Callable[[Results], float]:
    """Microseconds of a patched call under a tool, beyond those of the call without it and of the tool by itself."""
    return lambda results: results.median(AT_ONCE, INSTRUMENTED, in_turns(tool), "beyond")


def _time_of_patching(results: Results) -> float:
    """Milliseconds for ``import turbosqs`` and ``patch()``, where boto3 is imported already."""
    return results.median(AT_ONCE, STARTING, "turbosqs and patch(), after import boto3", "wall") / 1e3


def _requests(work: str) -> Callable[[Results], float]:
    return lambda results: results.median(AT_ONCE, COROUTINES, work, "requests")


def _cost_of_batching(results: Results) -> float:
    """What batching adds to a lone caller's latency, in percent."""
    key = AT_ONCE, ONE_BY_ONE, "turbosqs, batching on and off in turn"
    return (results.median(*key, "latency") / results.median(*key, "latency_without") - 1) * 100


def server_shares(results: Results, scenario: Scenario) -> Iterator[tuple[float, Run]]:
    """The server's CPU for a request as a part of the client's, by run."""
    for run, outcome in results.items():
        share = outcome.median("server") / outcome.median("client")
        if run.scenario == scenario and run.counted and run.work.label != SOCKET and known(share):
            yield share, run


def _server(scenario: Scenario) -> Callable[[Results], float]:
    def measured(results: Results) -> float:
        return max((share for share, _ in server_shares(results, scenario)), default=NAN)

    return measured


def _tls_ratio(group: str, rival: str, ours: str) -> Callable[[Results], float]:
    """What a ratio of CPU per message is over TLS, as a part of what it is without."""
    plain, secured = _times(group, rival, ours), _times(group, rival, ours, scenario=OVER_TLS)
    return lambda results: secured(results) / plain(results)


def _connections(results: Results) -> float:
    return results.median(OVER_TLS, HERD, "turbosqs", "connections")


def _celery(theirs: str, ours: str) -> Iterator[Budget]:
    """A worker's promises, with early and with late acknowledgement."""
    for late, when in ((False, "early"), (True, "late")):
        group = CELERY[late]
        title = f"Celery worker, {when} acknowledgement, server of 5 ms"
        yield Budget(f"{title}: time a task, kombu / turbosqs", 10, "x", _times(group, theirs, ours, "wall", DELAYED))
        cpu = _times(group, theirs, ours, "cpu", DELAYED)
        yield Budget(f"{title}: main process's CPU a task, kombu / turbosqs", 3, "x", cpu)
        yield Budget(f"{title}: requests a task", 0.35, "", _celery_requests(group, ours), most=True)


def _celery_requests(group: str, ours: str) -> Callable[[Results], float]:
    return lambda results: results.median(DELAYED, group, ours, "requests")


CONSUMERS = ("turbosqs Consumer, function", "turbosqs Consumer, coroutine")

BUDGETS = (
    Budget(
        "send_message_batch of 10, one thread: CPU per message, boto3 / turbosqs",
        18,
        "x",
        _times(TENS, "boto3", "turbosqs"),
    ),
    Budget(
        "send_message, one after another: CPU per message, boto3 / turbosqs",
        18,
        "x",
        _times(ONE_BY_ONE, "boto3", "turbosqs"),
    ),
    Budget(
        "receive and delete, tens by hand: CPU per message, boto3 / turbosqs",
        16,
        "x",
        _times(RECEIVING, "boto3, tens by hand", "turbosqs, tens by hand"),
    ),
    Budget(
        "send_message_batch of 10, one thread: CPU, turbosqs / a socket that writes and reads the same bytes",
        1.8,
        "x",
        _times(TENS, "turbosqs", SOCKET),
        most=True,
    ),
    Budget(
        "send_message_batch of 10, one thread: CPU, turbosqs / hand-written Rust",
        1,
        "x",
        _times(TENS, "turbosqs", HAND_WRITTEN),
        most=True,
    ),
    Budget(
        "the same with entries that are there already, which Python takes its time to make",
        1,
        "x",
        _times(TENS, ENTRIES_THERE, HAND_WRITTEN),
        most=True,
    ),
    Budget(
        "send_message, one after another: median latency, turbosqs / such a socket",
        1.3,
        "x",
        _times(ONE_BY_ONE, "turbosqs", SOCKET, "latency"),
        most=True,
    ),
    Budget(
        "send_message, 1,000 coroutines: CPU per message, aiobotocore / turbosqs",
        60,
        "x",
        _times(COROUTINES, "aiobotocore", "turbosqs.aio"),
    ),
    Budget(
        "send_message, 32 threads: CPU per message, boto3 / turbosqs",
        30,
        "x",
        _times(THREADS, "boto3", "turbosqs"),
    ),
    Budget(
        "batch_writer, one thread: CPU per message, boto3's send_message / turbosqs",
        100,
        "x",
        _times(ONE_BY_ONE, "boto3", "turbosqs batch_writer"),
    ),
    *(
        Budget(
            f"receive and delete, {ours.removeprefix('turbosqs ')}: CPU per message, {rival} / turbosqs",
            wanted,
            "x",
            _times(RECEIVING, rival, ours),
        )
        for rival, wanted in (("boto3, tens by hand", 15), ("fanferro consumer", 3))
        for ours in CONSUMERS
    ),
    Budget(
        "send_message, one after another: median latency, boto3 / turbosqs",
        6,
        "x",
        _times(ONE_BY_ONE, "boto3", "turbosqs", "latency"),
    ),
    Budget(
        "send_message, one after another: what batching adds to the median latency",
        5,
        " %",
        _cost_of_batching,
        most=True,
    ),
    Budget(
        "import and first client: time, boto3 / turbosqs",
        15,
        "x",
        _times(STARTING, "boto3", "turbosqs", "wall"),
    ),
    Budget(
        "import and first client: memory, boto3 / turbosqs",
        2,
        "x",
        _times(STARTING, "boto3", "turbosqs", "memory"),
    ),
    Budget("the wheel, to download", 6, " MB", lambda _: sizes.download(), most=True),
    Budget("the wheel, unpacked", 12, " MB", lambda _: sizes.unpacked(), most=True),
    Budget("send_message, 1,000 coroutines: requests per message", 0.12, "", _requests("turbosqs.aio"), most=True),
    Budget(
        "send_message, 1,000 coroutines, patched: CPU per message, aiobotocore / patched",
        40,
        "x",
        _times(COROUTINES, "aiobotocore", PATCHED),
    ),
    Budget("send_message, 1,000 coroutines, patched: requests per message", 0.12, "", _requests(PATCHED), most=True),
    Budget(
        "receive and delete in tens, patched: CPU per message, aiobotocore / patched",
        8,
        "x",
        _times(RECEIVING, "aiobotocore, tens by hand", PATCHED_TENS),
    ),
    Budget(
        "batch_writer, server of 5 ms: time per message, boto3's send_message / turbosqs",
        200,
        "x",
        _times(ONE_BY_ONE, "boto3", "turbosqs batch_writer", "wall", DELAYED),
    ),
    Budget("a patched boto3's send_message_batch: CPU beyond turbosqs's own", 10, " %", _cost_of_patching, most=True),
    *(
        Budget(
            f"send_message, patched, under {tool}: CPU beyond the call and the tool",
            most,
            " µs",
            _cost_of_tracing(tool),
            most=True,
        )
        for tool, most in TOOLS.items()
    ),
    *(
        Budget(
            f"over TLS, {group}: CPU per message, {rival} / {ours}, as a part of the same without TLS",
            0.85,
            "",
            _tls_ratio(group, rival, ours),
        )
        for group, rival, ours in (
            (TENS, "boto3", "turbosqs"),
            (ONE_BY_ONE, "boto3", "turbosqs"),
            (RECEIVING, "boto3, tens by hand", "turbosqs, tens by hand"),
            (THREADS, "boto3", "turbosqs"),
            (COROUTINES, "aiobotocore", "turbosqs.aio"),
        )
    ),
    Budget(
        "over TLS, the first call of a process: time, boto3 / turbosqs",
        1,
        "x",
        _times(FIRST_CALL, "boto3", "turbosqs", "wall", OVER_TLS),
    ),
    Budget("over TLS, 32 threads at once without a connection: connections opened", 1, "", _connections, most=True),
    Budget("import turbosqs and patch(), beyond boto3's import", 15, " ms", _time_of_patching, most=True),
    *_celery("kombu, prefetch limit 40", "turbosqs, prefetch limit 40"),
    Budget(
        "Celery's delay(), batch_publishing, server of 5 ms: time a task, kombu / turbosqs",
        10,
        "x",
        _times(CELERY_DELAY, "kombu", "turbosqs, batch_publishing", "wall", DELAYED),
    ),
    *(
        Budget(
            f"{scenario.title}: the server's CPU for a request, as a part of the cheapest client's",
            1,
            "",
            _server(scenario),
            most=True,
        )
        for scenario in SCENARIOS
        if not scenario.delay
    ),
)
