"""The ``turbosqs`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from turbosqs import _core, _run, _serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The command line without the program's name; the process's own by default.

    Returns:
        The exit status.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    if arguments[:1] == ["run"]:
        # All that follows is the program's.
        return _run.run(arguments[1:])
    parser = argparse.ArgumentParser(prog="turbosqs", description="boto3's SQS client on a Rust core.")
    parser.add_argument("--version", action="version", version=f"turbosqs {_core.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run an SQS in memory that any AWS SDK can talk to")
    _serve.add_arguments(serve)
    serve.set_defaults(run=_serve.run)
    consume = commands.add_parser("consume", help="handle the messages of a queue by a function")
    if arguments[:1] == ["consume"]:
        # It wants the whole package, botocore's exceptions included.
        from turbosqs import _consume

        _consume.add_arguments(consume)
        consume.set_defaults(run=_consume.run)
    console = commands.add_parser("console", help="look at any SQS, AWS's included, in a browser")
    if arguments[:1] == ["console"]:
        from turbosqs import _console

        _console.add_arguments(console)
        console.set_defaults(run=_console.run)
    commands.add_parser("run", help="run a program with boto3's SQS clients on the Rust core")
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status


if __name__ == "__main__":
    sys.exit(main())
