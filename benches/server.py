"""The embedded SQS in a process of its own: ``python -m benches.server``, on a core, behind TLS.

It says its endpoint's URL, and then obeys one line of JSON at a time: ``{"delay": seconds}`` lets every request take
so long from now on, ``{"gone": true}`` has it reset the connection of each instead, until it is false, and
``{"reset": true}`` forgets all. Each is answered with what the server has done and used so far.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys

from turbosqs.local import Server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int)
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Server(tls_cert=arguments.tls_cert, tls_key=arguments.tls_key) as server:
        print(server.endpoint_url, flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            if order.get("reset"):
                server.reset()
            if "gone" in order:
                server.faults.clear()
                if order["gone"]:
                    server.faults.add("reset")
            if order.get("delay"):
                server.faults.add("delay", seconds=order["delay"])
            usage = resource.getrusage(resource.RUSAGE_SELF)
            stats = server.stats()
            done = {
                "requests": sum(stats["requests"].values()),
                "connections": stats["connections"],
                "resumed": stats["resumed"],
                "cpu": usage.ru_utime + usage.ru_stime,
            }
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
