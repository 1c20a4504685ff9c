"""Django: a view that places orders, and a management command's worth of consumer, in one file.

python examples/django_app.py runserver
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import django
import turbosqs
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import close_old_connections
from django.http import HttpRequest, JsonResponse
from django.urls import path
from turbosqs.types import Message

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="for this example", ALLOWED_HOSTS=["*"])
    django.setup()


@cache
def sqs() -> Any:
    """One client for the process. It is safe to fork after it was made, as servers of Django do."""
    return turbosqs.client("sqs")


def place(request: HttpRequest, order: str) -> JsonResponse:
    reply = sqs().send_message(QueueUrl=os.environ["ORDERS_QUEUE_URL"], MessageBody=order)
    return JsonResponse({"message": reply["MessageId"]})


urlpatterns = [path("orders/<str:order>", place)]


def handle(message: Message) -> None:
    """Called in a thread: what a request's end does to database connections is done here."""
    close_old_connections()
    print(f"handled: {message['Body']}")


def consume(**options: Any) -> None:
    """The body of a management command; options are those of ``turbosqs.Consumer``."""
    turbosqs.Consumer(sqs(), QueueUrl=os.environ["ORDERS_QUEUE_URL"], handler=handle, **options).run()


if __name__ == "__main__":
    execute_from_command_line(sys.argv)
