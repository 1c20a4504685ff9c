"""What a client costs: boto3 and turbosqs side by side in one run, as ratios.

    python benches/client.py [--quick]

Each library works in a process of its own, pinned to one core; the embedded SQS is a third process, pinned to
another. Rounds alternate between the two libraries, so that whatever else the machine does meets both. CPU is the
client process's user and system time, from the operating system; a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BODY = "x" * 200
TEN = 10
LIBRARIES = ("boto3", "turbosqs")
SETTINGS = {"region_name": "us-east-1", "aws_access_key_id": "bench", "aws_secret_access_key": "bench"}

#: What is measured, in which unit, and how many times less turbosqs should need (DESIGN: budgets).
FIGURES = {
    "import + first client": ("ms", 15.0),
    "memory after it": ("MB", 2.0),
    "send_message_batch of 10, CPU per message": ("us", 12.0),
    "send_message, CPU per message": ("us", None),
    "send_message, median latency": ("us", 6.0),
    "receive 10 + delete_message_batch, CPU per message": ("us", None),
}


def cpu() -> float:
    """Seconds of CPU that this process has used, threads included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def start(library: str) -> dict[str, float]:
    """Import a library and make its first client, in this process, which has done neither."""
    began = time.perf_counter()
    module = __import__(library)
    module.client("sqs", **SETTINGS)
    took = time.perf_counter() - began
    return {"import + first client": took * 1e3, "memory after it": memory()}


def memory() -> float:
    """Resident megabytes. Not ru_maxrss, which a child inherits from whatever forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def timed(work: Callable[[], object], count: int, messages: int) -> tuple[float, float]:
    """Microseconds of CPU a message and the median latency of a call, over ``count`` calls."""
    latencies = []
    before = cpu()
    for _ in range(count):
        began = time.perf_counter()
        work()
        latencies.append(time.perf_counter() - began)
    return (cpu() - before) / (count * messages) * 1e6, statistics.median(latencies) * 1e6


def calls(library: str, url: str, count: int) -> dict[str, float]:
    """One round of calls, in this process."""
    sqs = __import__(library).client("sqs", endpoint_url=url, **SETTINGS)
    queue = sqs.create_queue(QueueName=f"bench-{library}")["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": BODY} for number in range(TEN)]

    def receive_and_delete() -> None:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=TEN)["Messages"]
        handles = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        if len(sqs.delete_message_batch(QueueUrl=queue, Entries=handles)["Successful"]) != TEN:
            raise RuntimeError("not all were deleted")

    for _ in range(20):  # connections, caches
        sqs.send_message(QueueUrl=queue, MessageBody=BODY)
    sqs.purge_queue(QueueUrl=queue)
    batch, _ = timed(lambda: sqs.send_message_batch(QueueUrl=queue, Entries=entries), count, TEN)
    receive, _ = timed(receive_and_delete, count, TEN)
    single, latency = timed(lambda: sqs.send_message(QueueUrl=queue, MessageBody=BODY), count, 1)
    return {
        "send_message_batch of 10, CPU per message": batch,
        "send_message, CPU per message": single,
        "send_message, median latency": latency,
        "receive 10 + delete_message_batch, CPU per message": receive,
    }


def measure(core: int | None, *task: str) -> dict[str, float]:
    """Run one round in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, __file__, "--core", str(-1 if core is None else core), "--task", *task]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment, timeout=300)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def server(core: int | None) -> Iterator[str]:
    """The embedded SQS in a process of its own; its endpoint URL."""
    pin = "" if core is None else f"import os; os.sched_setaffinity(0, {{{core}}}); "
    code = f"{pin}from turbosqs.__main__ import main; raise SystemExit(main(['serve', '--port', '0']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def report(rounds: dict[str, list[dict[str, float]]]) -> bool:
    """Print the table; whether every figure that has a target meets it."""
    print(f"\n{'':52} {'boto3':>10} {'turbosqs':>10} {'ratio':>8} {'target':>8}")
    met = True
    for figure, (unit, target) in FIGURES.items():
        theirs, ours = (statistics.median(r[figure] for r in rounds[library]) for library in LIBRARIES)
        ratio = theirs / ours
        verdict = "" if target is None else f"{target:7.1f}x"
        if target is not None and ratio < target:
            met, verdict = False, f"{verdict}  short by {(1 - ratio / target) * 100:.0f} %"
        print(f"{figure + ', ' + unit:52} {theirs:10.1f} {ours:10.1f} {ratio:7.1f}x {verdict}")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and calls")
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        if arguments.core >= 0:
            os.sched_setaffinity(0, {arguments.core})
        library, *rest = arguments.task
        print(json.dumps(calls(library, rest[0], int(rest[1])) if rest else start(library)))
        return
    cores = sorted(os.sched_getaffinity(0))
    client, service = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    if client is None:
        print("one core only: client and server share it, and the ratios say less")
    number, count = (3, 300) if arguments.quick else (7, 1500)
    rounds: dict[str, list[dict[str, float]]] = {library: [] for library in LIBRARIES}
    with server(service) as url:
        for current in range(number):
            for library in LIBRARIES:
                figures = measure(client, library) | measure(client, library, url, str(count))
                rounds[library].append(figures)
            print(f"round {current + 1} of {number}", file=sys.stderr)
    report(rounds)


if __name__ == "__main__":
    main()
