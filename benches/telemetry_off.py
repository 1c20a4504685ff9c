"""What telemetry's hooks cost while it is off: this package beside another one, such as a copy without the hooks.

    python -m benches.telemetry_off FOLDER [--only KIND] [--opentelemetry]

FOLDER is on the path of the other one: it holds ``turbosqs``, built. Counted are the instructions of the thread that
makes the calls, under valgrind's callgrind, so that nothing else the machine does counts: those of many calls, less
those of few. ``--opentelemetry`` has OpenTelemetry's API and SDK imported in ours, installed but not asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benches.job import SETTINGS, TEN, handles

OURS = Path(__file__).parents[1] / "python"
BODY = "x" * 200
#: How many calls are made, or messages moved.
FEW, MANY = 500, 2_500


def send_message(sqs: Any, url: str, count: int) -> None:
    for _ in range(count):
        sqs.send_message(QueueUrl=url, MessageBody=BODY)


def send_message_batch(sqs: Any, url: str, count: int) -> None:
    entries = [{"Id": str(number), "MessageBody": BODY} for number in range(TEN)]
    for _ in range(count):
        sqs.send_message_batch(QueueUrl=url, Entries=entries)


def sends_from_coroutines(sqs: Any, url: str, count: int) -> None:
    import turbosqs

    async def send() -> None:
        async with turbosqs.aio.SQS(sqs) as awaited:
            for _ in range(count // 100):
                await asyncio.gather(*(awaited.send_message(QueueUrl=url, MessageBody=BODY) for _ in range(100)))

    asyncio.run(send())


def receives_and_deletes(sqs: Any, url: str, count: int) -> None:
    for _ in range(count // TEN):
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=TEN)["Messages"]
        sqs.delete_message_batch(QueueUrl=url, Entries=handles(messages))


def iterator(sqs: Any, url: str, count: int) -> None:
    for _ in sqs.poll_messages(QueueUrl=url, VisibilityTimeout=600, max_messages=count):
        pass


def iterator_of_an_event_loop(sqs: Any, url: str, count: int) -> None:
    import turbosqs

    async def take() -> None:
        async with turbosqs.aio.SQS(sqs) as awaited:
            async for _ in awaited.poll_messages(QueueUrl=url, VisibilityTimeout=600, max_messages=count):
                pass

    asyncio.run(take())


KINDS: dict[str, Callable[[Any, str, int], None]] = {
    kind.__name__: kind
    for kind in (
        send_message,
        send_message_batch,
        sends_from_coroutines,
        receives_and_deletes,
        iterator,
        iterator_of_an_event_loop,
    )
}


def play(kind: str, url: str, count: int, has_opentelemetry: bool) -> None:
    """Make calls of a kind: what is counted."""
    if has_opentelemetry:
        import opentelemetry.sdk.trace  # noqa: F401
    import turbosqs

    KINDS[kind](turbosqs.client("sqs", endpoint_url=url.rpartition("/")[0].rpartition("/")[0], **SETTINGS), url, count)


def instructions(folder: Path, kind: str, count: int, has_opentelemetry: bool) -> int:
    """The instructions of the thread that makes calls, by the package in a folder."""
    import turbosqs.local

    with turbosqs.local.Server(queues=["q"]) as server, TemporaryDirectory() as made:
        url = f"{server.endpoint_url}/000000000000/q"
        with turbosqs.client("sqs", endpoint_url=server.endpoint_url, **SETTINGS).batch_writer(QueueUrl=url) as writer:
            for _ in range(0 if kind.startswith("send") else count):
                writer.send_message(MessageBody=BODY)
        valgrind = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={made}/out"]
        task = ["--play", url, "--only", kind, "--count", str(count)]
        command = [*valgrind, sys.executable, "-m", "benches.telemetry_off", str(folder), *task]
        if has_opentelemetry:
            command.append("--opentelemetry")
        # Sets and dicts of texts are in the same order each time.
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{OURS.parent}", "PYTHONHASHSEED": "0"}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        found = re.search(r"^(?:totals|summary): (\d+)", Path(made, "out-01").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])


def a_call(folder: Path, kind: str, has_opentelemetry: bool = False) -> float:
    """The instructions of a call, or of a message."""
    few, many = (instructions(folder, kind, count, has_opentelemetry) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def compare(other: Path, kind: str, rounds: int, has_opentelemetry: bool) -> None:
    found = [(a_call(OURS, kind, has_opentelemetry), a_call(other, kind)) for _ in range(rounds)]
    us, them = (statistics.median(column) for column in zip(*found, strict=True))
    spread = ", ".join(f"{one:,.0f} and {two:,.0f}" for one, two in found)
    print(f"{kind:26} {us:9,.0f} instructions, the other {them:9,.0f}: {us / them - 1:+.1%} ({spread})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--opentelemetry", action="store_true")
    parser.add_argument("--play", metavar="URL", help="what the process that is counted is given")
    parser.add_argument("--count", type=int, default=0, help="the same")
    options = parser.parse_args()
    if options.play:
        play(options.only, options.play, options.count, options.opentelemetry)
        return
    for kind in [options.only] if options.only else KINDS:
        compare(options.folder.absolute(), kind, options.rounds, options.opentelemetry)


if __name__ == "__main__":
    main()
