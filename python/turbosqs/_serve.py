"""``turbosqs serve``: the embedded SQS as a program of its own."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from pathlib import Path

from turbosqs._platform import PORTABLE
from turbosqs._queues import QueueSpec, in_order, parse_queue, read_queues
from turbosqs._signals import heed_stops
from turbosqs.local import Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what ``turbosqs serve`` takes."""
    parser.add_argument("--port", type=int, default=9324, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name that clients may use, besides addresses, names without a dot and localhost; repeatable",
    )
    parser.add_argument(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin (http://localhost:3000) whose web pages may act and read replies; repeatable",
    )
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="speak TLS with this certificate (PEM), and nothing else"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key (PEM, not encrypted)")
    parser.add_argument(
        "--queue",
        action="append",
        default=[],
        metavar="NAME[,ATTRIBUTE=VALUE...]",
        help="queue to create; .fifo makes it FIFO, DeadLetterQueue=NAME gives it one; repeatable",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="queues to create, tables [queues.NAME] in TOML")
    parser.add_argument("--account", default="000000000000", help="account number of the queues (default: %(default)s)")
    parser.add_argument("--region", default="us-east-1", help="region of the queues (default: %(default)s)")
    parser.add_argument(
        "--sixty-second-rules",
        action="store_true",
        help="refuse a second purge, and a deleted queue's name, for 60 seconds as the real service does",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log a line per request to standard error")
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="how these lines are written (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM.

    Returns:
        The exit status: 0 after a clean stop, 2 when the server could not start.
    """
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        return _fail("--tls-cert and --tls-key go together: TLS needs a certificate and its key")
    _allow_many_connections()
    # Before the server starts: a signal that comes early is not lost, and it is this thread that takes it.
    wait_for_stop = heed_stops()
    try:
        specs = [parse_queue(text) for text in arguments.queue]
        if arguments.config is not None:
            specs = [*read_queues(arguments.config), *specs]
        specs = in_order(specs)
        server = Server(
            arguments.port,
            host=arguments.host,
            sixty_second_rules=arguments.sixty_second_rules,
            account=arguments.account,
            region=arguments.region,
            log=arguments.log_format if arguments.verbose else False,
            allow_hosts=arguments.allow_host,
            cors=arguments.cors,
            tls_cert=arguments.tls_cert,
            tls_key=arguments.tls_key,
        )
        for spec in specs:
            _create(server, spec, arguments.region, arguments.account)
    except (OSError, ValueError) as error:
        return _fail(str(error))
    with server:
        if (reach := _reach(arguments.host)) is not None:
            print(f"turbosqs serve: {reach}", file=sys.stderr, flush=True)
        print(server.endpoint_url, flush=True)
        wait_for_stop()
    return 0


def _fail(why: str) -> int:
    print(f"turbosqs serve: {why}", file=sys.stderr)
    return 2


def _create(server: Server, spec: QueueSpec, region: str, account: str) -> None:
    try:
        server.create_queue(spec.name, spec.with_redrive(region, account), spec.tags)
    except ValueError as error:
        server.stop()
        raise ValueError(f"{spec.where}{error}") from None


def _reach(host: str) -> str | None:
    """Who can reach a server at this address, if not this machine alone."""
    if host == "localhost" or (address := ipaddress.ip_address(host)).is_loopback:
        return None
    where = "every address of this machine" if address.is_unspecified else str(address)
    return (
        f"it listens on {where}: whoever can reach that over the network can read, send and delete messages, "
        "since nobody is asked for credentials"
    )


def _allow_many_connections() -> None:
    """Raises the soft limit of open files to the hard one, where there is one: this process is the server's alone."""
    if PORTABLE:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
