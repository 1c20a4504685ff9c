"""What a message costs: boto3, aiobotocore, fanferro and turbosqs side by side in one run, as ratios.

Each work is done by a process of its own, pinned to one core; the embedded SQS is another process, pinned to another.
Rounds go through all works in turn, so that whatever else the machine does meets all of them. CPU is the client
process's user and system time with all its threads, from the operating system; a figure is the median of the rounds.

A whole run writes docs/bench.md and docs/bench.svg. The exit status is 1 when a work failed: a budget that is missed
stands in the table.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from benches import certificate, picture, report
from benches.environments import ROOT, MissingError
from benches.harness import FailedError, Harness, server
from benches.machine import DISTURBED, busy, others, own, processor
from benches.plan import AT_ONCE, OVER_TLS, QUICK, SCENARIOS, Run, runs
from benches.results import Outcome, Results

ROUNDS, OTHER_ROUNDS = 7, 3  # with the first server and the one by https, with the others
QUICK_ROUNDS = 2, 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 10 kB on the first server only")
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help='only the runs with this in their name, as "0 ms*Consumer"'
    )
    parser.add_argument("--list", action="store_true", help="the names of the runs, and nothing else")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to write (default: docs, for a whole run)")
    return parser.parse_args()


def measure(harness: Harness, run: Run, outcome: Outcome) -> None:
    """One more round of a run."""
    try:
        outcome.rounds.append(harness.measure(run))
    except MissingError as reason:
        outcome.missing = str(reason)
    except FailedError as reason:
        outcome.failed = str(reason)


def bench(chosen: Sequence[Run], rounds: tuple[int, int], cores: tuple[int | None, int | None]) -> Results:
    results = Results({run: Outcome() for run in chosen})
    began = time.monotonic()
    with (
        TemporaryDirectory() as folder,
        server(cores[1]) as plain,
        server(cores[1], certificate.make(Path(folder))) as secured,
    ):
        harnesses = {tls: Harness(service, cores[0]) for tls, service in ((False, plain), (True, secured))}
        for current in range(max(rounds)):
            for run, outcome in results.items():
                wanted = rounds[0] if run.scenario.title in (AT_ONCE, OVER_TLS) else rounds[1]
                if current < wanted and not outcome.over:
                    measure(harnesses[run.scenario.tls], run, outcome)
                    if outcome.over:
                        reason = f"failed: {outcome.failed}" if outcome.failed else f"left out: {outcome.missing}"
                        print(f"{run.name}: {reason}", file=sys.stderr)
            print(f"round {current + 1} of {max(rounds)}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return results


def main() -> int:
    chosen_arguments = arguments()
    quick, only = chosen_arguments.quick, chosen_arguments.only
    chosen = list(runs(QUICK if quick else SCENARIOS, only))
    if chosen_arguments.list:
        print("\n".join(run.name for run in chosen))
        return 0
    if not chosen:
        print(f"no run has {only!r} in its name; --list shows all", file=sys.stderr)
        return 2
    available = sorted(os.sched_getaffinity(0))
    cores = (available[0], available[1]) if len(available) > 1 else (None, None)
    rounds = QUICK_ROUNDS if quick else (ROUNDS, OTHER_ROUNDS)
    began, busy_before, own_before = time.monotonic(), busy(), own()
    results = bench(chosen, rounds, cores)
    took = time.monotonic() - began
    other_work = others(busy_before, own_before, took)
    pinned = "client pinned to one core, server to another"
    if cores[0] is None:
        pinned = "one core only, which client and server share: the ratios say less"
    facts = [
        f"{date.today()}, {platform.system()}, {processor()}; {pinned}.",
        f"Medians of {rounds[0]} rounds on the first server and on the one by https, {rounds[1]} on the others.",
        f"Other work on the machine meanwhile: {other_work:.2f} cores of {os.cpu_count()}"
        + ("; it makes every figure higher." if other_work > DISTURBED else "."),
    ]
    folder = chosen_arguments.to or (None if quick or only else ROOT / "docs")
    if folder:
        folder.mkdir(exist_ok=True)
        (folder / "bench.md").write_text(report.markdown(results, facts, whole=not only, picture="bench.svg"))
        (folder / "bench.svg").write_text(picture.svg(results))
        print(f"written: {folder}/bench.md, {folder}/bench.svg", file=sys.stderr)
    print(report.markdown(results, facts, whole=not only))
    print(f"{took:.0f} s", file=sys.stderr)
    failed = sum(bool(outcome.failed) for outcome in results.values())
    if failed:
        print(f"{failed} of {len(results)} runs failed: see above", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
