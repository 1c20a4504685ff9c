"""Flask: a view that places orders, and a command that handles them, in one file.

flask --app examples/flask_app.py run
flask --app examples/flask_app.py consume
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import click
import turbosqs
from flask import Flask
from turbosqs.types import Message

app = Flask(__name__)


@cache
def sqs() -> Any:
    """One client for the process. It is safe to fork after it was made, as gunicorn and uWSGI do."""
    return turbosqs.client("sqs")


@app.post("/orders/<order>")  # type: ignore[untyped-decorator, unused-ignore]
def place(order: str) -> dict[str, str]:
    """Requests that overlap share one to SQS."""
    reply = sqs().send_message(QueueUrl=os.environ["ORDERS_QUEUE_URL"], MessageBody=order)
    return {"message": reply["MessageId"]}


def handle(message: Message) -> None:
    """Called in a thread, with what a view has: configuration, database sessions, `current_app`."""
    with app.app_context():
        print(f"handled: {message['Body']}")


@app.cli.command("consume")  # type: ignore[untyped-decorator, unused-ignore]
@click.option("--max-messages", type=int, help="Stop after so many.")
def consume(max_messages: int | None) -> None:
    """Handle orders until SIGTERM or Ctrl-C."""
    turbosqs.Consumer(
        sqs(), QueueUrl=os.environ["ORDERS_QUEUE_URL"], handler=handle, concurrency=10, max_messages=max_messages
    ).run()
