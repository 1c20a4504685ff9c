"""fanferro's consumer, as its guide has it: messages that other producers sent, as bytes."""

from __future__ import annotations

import asyncio

from benches.job import SETTINGS, Job, run_loop


def consume(job: Job, concurrency: int) -> None:
    import fanferro

    client = fanferro.Client(
        region=SETTINGS["region_name"],
        endpoint_url=job.endpoint_url,
        credentials=fanferro.Credentials(SETTINGS["aws_access_key_id"], SETTINGS["aws_secret_access_key"]),
    )
    consumer = client.consumer(client.queue(url=job.queue_url), concurrency=concurrency)
    handled, done = 0, asyncio.Event()

    async def handler(message: fanferro.Message[bytes]) -> None:  # noqa: ARG001 (a handler's signature)
        nonlocal handled
        handled += 1
        if handled == job.messages:
            done.set()

    # Its routes are chosen by annotations, which it resolves among a module's names.
    handler.__annotations__["message"] = fanferro.Message[bytes]
    consumer.default(handler)

    async def main() -> None:
        async with client:
            with job.measured():
                await consumer.start()
                await done.wait()
                await consumer.stop()

    run_loop(main())
