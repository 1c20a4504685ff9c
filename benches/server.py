"""The embedded SQS in a process of its own: ``python -m benches.server [CORE]``.

It says its endpoint's URL, and then obeys one line of JSON at a time: ``{"delay": seconds}`` lets every request take
so long from now on, ``{"reset": true}`` forgets all. Each is answered with what the server has done and used so far.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from turbosqs.local import Server


def main() -> None:
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Server() as server:
        print(server.endpoint_url, flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            if order.get("reset"):
                server.reset()
            if order.get("delay"):
                server.faults.add("delay", seconds=order["delay"])
            usage = resource.getrusage(resource.RUSAGE_SELF)
            requests = sum(server.stats()["requests"].values())
            print(json.dumps({"requests": requests, "cpu": usage.ru_utime + usage.ru_stime}), flush=True)


if __name__ == "__main__":
    main()
