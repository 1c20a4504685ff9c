"""Replies of every operation, broken in every way, beside botocore's parser: the same dict, or the same exception."""

from __future__ import annotations

import json
import random
from typing import Any

from support.arguments import OPERATIONS, example, model, shaken
from support.fakes import JSON, Reply, Scripted
from support.libraries import BOTO3, SUBJECT
from support.observe import Outcome, Raised, outcome, same

import fuzz

#: Of a short run.
COUNT = 400
#: What is put in the place of a value, or just anywhere.
PIECES = [
    b"null", b"NaN", b"-Infinity", b"1e999", b"-0", b"01", b"1" + b"0" * 30, b"1.5", b"true", b'""', b'"x"', b"{}",
    b"[]", b'{"a":[{}]}', b"[null]", b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b'"\0"', b'"\xff"',
    b"\xef\xbb\xbf", b",", b":", b'"', b"\\", b"[" * 300, b"[" * 300 + b"]" * 300, b"/**/", b"'x'", b" \n",
    b'"Messages":', b'"eA"', b'"eA=="', b'"e A=\n="',
]  # fmt: skip
#: Of a refusal.
CODES = ["QueueDoesNotExist", "com.amazonaws.sqs#OverLimit", "a#b#c:http://x", "", "ü", "RequestThrottled"]


def broken(rng: random.Random, body: bytes) -> bytes:
    """With some things done to it that wire and programs do."""
    for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
        at = rng.randrange(len(body) + 1)
        to = min(len(body), at + rng.choice([0, 1, 1, 3, 10]))
        match rng.randrange(6):
            case 0:
                body = body[:at] + rng.choice(PIECES) + body[to:]
            case 1:
                body = body[:at] + body[to:]
            case 2:
                body = body[:at]
            case 3:
                body = body[:at] + body[at : at + 40] + body[at:]
            case 4:
                body = body[:at] + bytes([rng.randrange(256)]) + body[to:]
            case 5:
                body = placed(rng, body)
    return body


def placed(rng: random.Random, body: bytes) -> bytes:
    """With another value in the place of one."""
    starts = [place + 1 for place, byte in enumerate(body) if byte in b":[,"]
    if not starts:
        return body
    start = rng.choice(starts)
    end = start
    while end < len(body) and body[end] not in b",]}":
        end += 1
    return body[:start] + rng.choice(PIECES) + body[end:]


def refusal(rng: random.Random) -> Reply:
    members: dict[str, Any] = {"__type": rng.choice(CODES), "message": "text", "Detail": {"a": [1, "x"]}}
    names = [*members, *(name for name in ("Message",) if rng.random() < 0.3)]
    rng.shuffle(names)
    body = json.dumps({name: members.get(name, "upper") for name in names}).encode()
    codes = ["AWS.SimpleQueueService.NonExistentQueue;Sender", "X;Receiver", ";", "X"]
    headers = [JSON, ("x-amzn-query-error", rng.choice(codes))] if rng.random() < 0.3 else [JSON]
    return Reply(rng.choice([400, 400, 403, 404, 413]), broken(rng, body), headers)


def is_on_purpose(reply: Reply, theirs: Outcome) -> bool:
    """Whether ours differs here and says so: ``DIFFERENCES`` has "broken refusals" and "lone surrogates"."""
    if reply.status < 300:
        return False
    fails = isinstance(theirs, Raised) and not hasattr(theirs.error, "response")
    return fails or b"\\ud" in reply.body.lower()


def main(seed: int, count: int) -> None:
    with Scripted(Reply()) as server:
        clients = [
            library.client(server.url, config=library.config(retries={"total_max_attempts": 1}))
            for library in (BOTO3, SUBJECT)
        ]

        def case(rng: random.Random) -> None:
            method = rng.choice(["receive_message", "send_message_batch", *OPERATIONS])
            operation = OPERATIONS[method]
            arguments = example(operation.input_shape)
            if rng.random() < 0.3:
                reply = refusal(rng)
            else:
                body = {} if operation.output_shape is None else shaken(operation.output_shape)
                reply = Reply(200, broken(rng, json.dumps(body).encode()))
            results = []
            for client in clients:
                server.play(reply)
                results.append(outcome(getattr(client, method), **arguments))
                assert len(server.requests) == 1, f"{method}: {reply!r}"
            if not is_on_purpose(reply, results[0]):
                same(*results, about=f"{method}: {reply!r}")

        assert model().service_name == "sqs"
        fuzz.run("replies", seed, count, case)
