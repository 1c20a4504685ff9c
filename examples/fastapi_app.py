"""FastAPI: one client and one consumer for the application, made and drained by its lifespan.

uvicorn examples.fastapi_app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from turbosqs import aio
from turbosqs.types import Message

handled: list[str] = []


async def handle(message: Message) -> None:
    handled.append(message["Body"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with aio.client("sqs") as sqs:
        app.state.sqs, app.state.url = sqs, os.environ["ORDERS_QUEUE_URL"]
        consumer = aio.Consumer(sqs, QueueUrl=app.state.url, handler=handle, concurrency=10)
        await consumer.start()
        yield
        await consumer.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{order}")  # type: ignore[untyped-decorator, unused-ignore]
async def place(order: str, request: Request) -> dict[str, str]:
    state = request.app.state
    reply = await state.sqs.send_message(QueueUrl=state.url, MessageBody=order)
    return {"message": reply["MessageId"]}


@app.get("/handled")  # type: ignore[untyped-decorator, unused-ignore]
async def show() -> list[str]:
    return handled
