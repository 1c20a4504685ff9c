"""Interpreters that end while daemon threads of theirs call: none may end by a signal.

    PYTHONPATH=tests/python python -m support.exits --count 2000

makes so many for each CPython that the machine has (3.10 and newer), at low priority, and says how they ended.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import turbosqs
from turbosqs.local import Server

THREADS = 8
#: Eight daemons that call without end, in the ways of ``KINDS``; the main thread leaves after so many seconds. ``late``
#: ones fail for the first time when it is about to leave: botocore's exceptions are being imported at the end.
#: ``patched`` ones have a client of botocore's on the core.
PROGRAM = """
import sys, threading, time
import turbosqs
url, kind, delay = sys.argv[1], sys.argv[2], float(sys.argv[3])
make = turbosqs.client
if kind == "patched":
    import botocore.session
    turbosqs.patch()
    make = botocore.session.Session().create_client
sqs = make("sqs", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
queue = url + "/000000000000/q"
class Shown:
    # Code of the caller's, which the core runs.
    def __str__(self):
        return "".join("x" for _ in range(2000))
class File:
    def read(self):
        return b"".join(b"x" for _ in range(2000))
calls = {
    "good": lambda: sqs.send_message(QueueUrl=queue, MessageBody="x"),
    "refused": lambda: sqs.get_queue_url(QueueName="nowhere"),
    "invalid": lambda: sqs.get_queue_url(QueueName=5),
    "waiting": lambda: sqs.receive_message(QueueUrl=queue + "2", WaitTimeSeconds=1),
    "shown": lambda: sqs.send_message(QueueUrl=queue, MessageBody=Shown()),
    "file": lambda: sqs.send_message(QueueUrl=queue, MessageBody="b", MessageAttributes={"a": {
        "DataType": "Binary", "BinaryValue": File()}}),
}
go = threading.Event()
def work(call):
    go.wait()
    while True:
        try:
            call()
        except Exception:
            pass
kinds = list(calls) if kind in ("all", "patched") else ["refused" if kind == "late" else kind]
for number in range(8):
    threading.Thread(target=work, args=(calls[kinds[number % len(kinds)]],), daemon=True).start()
if kind == "late":
    time.sleep(0.05)
    go.set()
    time.sleep(delay / 4)
else:
    go.set()
    time.sleep(delay)
"""
KINDS = ("refused", "all", "waiting", "late", "shown", "file", "patched")
#: The threads are in the core nearly always. CPython 3.10 itself ends by SIGSEGV in about one of 60 exits with eight
#: daemons that are busy in Python, turbosqs or not (``take_gil`` in ``eval_frame_handle_pending`` meets a freed
#: interpreter), so what is ours can be seen there with this kind alone.
IN_THE_CORE = ("waiting",)
#: Enough to be anywhere between the first call and a busy program; the first failing call takes the longest, for it
#: imports botocore's exceptions where there are some.
LONGEST = 0.3


def environment(folder: Path, *, botocore: bool) -> dict[str, str]:
    """For a Python that finds turbosqs, and botocore if it is to."""
    link = folder / "turbosqs"
    if not link.exists():
        link.symlink_to(Path(turbosqs.__file__).parent)
    paths = [str(folder)]
    if botocore:
        import botocore as found

        paths.append(str(Path(found.__file__).parent.parent))
    # Windows finds its own libraries by the second.
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def end(python: str, url: str, kind: str, delay: float, variables: dict[str, str]) -> tuple[int, str]:
    """How one interpreter ends: its exit status, negative for a signal, and what it printed."""
    done = subprocess.run(
        [python, "-S", "-c", PROGRAM, url, kind, f"{delay}"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def ends(
    python: str,
    url: str,
    folder: Path,
    count: int,
    seed: int,
    until: float = float("inf"),
    kinds: tuple[str, ...] = KINDS,
) -> Iterator[str]:
    """How so many ended, two at a time, as many as have begun before ``until`` by the monotonic clock."""
    rng = random.Random(seed)
    variables = [environment(folder, botocore=botocore) for botocore in (False, True)]

    def one(number: int) -> str | None:
        kind, delay = kinds[number % len(kinds)], rng.random() * LONGEST
        if kinds == IN_THE_CORE:
            delay += 0.1
        if time.monotonic() > until:
            return None
        with_botocore = kind == "patched" or number // len(kinds) % 2 == 1
        status, noise = end(python, url, kind, delay, variables[with_botocore])
        # Daemons that send until the end are cut off: that may be said, and nothing else.
        said = [line for line in noise.splitlines() if not line.endswith("they may not have been sent")]
        return "well" if (status, said) == (0, []) else f"with {status} ({kind}, after {delay:.3f} s): {noise[-500:]}"

    with ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(one, range(count)))


def main() -> int:
    import tempfile

    from support.interpreters import OTHERS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="interpreters for each Python")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TURBOSQS_SEED", "1")))
    parser.add_argument("--python", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    os.nice(10)
    bad = 0
    with tempfile.TemporaryDirectory() as folder, Server(queues=["q", "q2"]) as server:
        for python in options.python or [sys.executable, *OTHERS.values()]:
            began = time.monotonic()
            found = Counter(ends(python, server.endpoint_url, Path(folder), options.count, options.seed))
            print(f"{python}: {dict(found)} in {time.monotonic() - began:.0f} s", flush=True)
            bad += options.count - found["well"]
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 1))
