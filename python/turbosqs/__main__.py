"""The ``turbosqs`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from turbosqs import _serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The command line without the program's name; the process's own by default.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="turbosqs", description="boto3's SQS client on a Rust core.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run an SQS in memory that any AWS SDK can talk to")
    _serve.add_arguments(serve)
    serve.set_defaults(run=_serve.run)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status


if __name__ == "__main__":
    sys.exit(main())
