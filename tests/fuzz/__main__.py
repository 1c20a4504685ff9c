"""``python -m fuzz``, with the folders ``tests`` and ``tests/python`` in ``PYTHONPATH``."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import time

import fuzz


def kinds() -> list[str]:
    """The modules beside this one."""
    return sorted(module.name for module in pkgutil.iter_modules(fuzz.__path__) if not module.name.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(description=fuzz.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long, all kinds together (60)")
    parser.add_argument("--count", type=int, help="so many cases of each kind, however long they take")
    parser.add_argument("--only", choices=kinds(), action="append", help="only this kind; may be repeated")
    options = parser.parse_args()
    chosen = options.only or kinds()
    first = int(os.environ.get("TURBOSQS_SEED") or time.time_ns() % 10**9)
    print(f"TURBOSQS_SEED={first}", flush=True)
    for kind in chosen:
        module = importlib.import_module(f"fuzz.{kind}")
        began, seed = time.monotonic(), first
        while seed == first or (options.count is None and time.monotonic() - began < options.seconds / len(chosen)):
            count = options.count or module.COUNT
            try:
                module.main(seed, count)
            except fuzz.Failed as failure:
                print(f"{kind}: {failure}", file=sys.stderr)
                return 1
            seed += count
        print(f"{kind}: {seed - first:,} cases passed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
