"""Arguments of every operation, beside botocore's validator and serializer: the same error, or the same request."""

from __future__ import annotations

import random
from typing import Any

from botocore.model import Shape
from support.arguments import OPERATIONS, VALUES, asked
from support.fakes import Reply, Scripted
from support.libraries import BOTO3, SUBJECT
from support.observe import same

import fuzz

#: Of a short run.
COUNT = 400
TEXTS = ["", "a", "ü🚀", "\0", "\ud800", "\\", '"', "\u2028", "x" * 300, "{}", "\udfff\ud800", "true", " "]
NUMBERS = [0, 1, -1, 43200, 2**31, 2**63, 2**64, -(2**64), 10**40, True]
BLOBS = [b"", b"\0\xff", bytearray(b"array"), "text", "ü", "\ud800", memoryview(b"view"), b"x" * 1000]


def text(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(TEXTS)
    return "".join(
        chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xD800), rng.randrange(0x11000)])) for _ in "12345"
    )


def value(rng: random.Random, shape: Shape, wrong: float) -> Any:
    """Something for a member of this shape: with that probability, at every place, something else."""
    if rng.random() < wrong:
        return rng.choice(list(VALUES.values()))
    match shape.type_name:
        case "structure":
            return structure(rng, shape, wrong)
        case "list":
            items = [value(rng, shape.member, wrong) for _ in range(rng.choice([0, 1, 1, 2, 11]))]
            return tuple(items) if rng.random() < 0.1 else items
        case "map":
            keys = [text(rng) if rng.random() > wrong else rng.choice([5, None, b"k"]) for _ in range(rng.randrange(3))]
            return {key: value(rng, shape.value, wrong) for key in keys}
        case "integer" | "long":
            return rng.choice(NUMBERS)
        case "boolean":
            return rng.random() < 0.5
        case "blob":
            return rng.choice(BLOBS)
    return text(rng)


def structure(rng: random.Random, shape: Shape, wrong: float) -> dict[Any, Any]:
    names = [name for name in shape.members if name in shape.required_members or rng.random() < 0.5]
    rng.shuffle(names)
    members: dict[Any, Any] = {
        name: value(rng, shape.members[name], wrong) for name in names if rng.random() >= wrong / 2
    }
    if rng.random() < wrong:
        members[rng.choice(["Unknown", "", "ü", "queueUrl", "\ud800"])] = rng.choice(list(VALUES.values()))
    return members


def main(seed: int, count: int) -> None:
    with Scripted(Reply()) as server:
        boto3, subject = BOTO3.client(server.url), SUBJECT.client(server.url)

        def case(rng: random.Random) -> None:
            method = rng.choice(list(OPERATIONS))
            arguments = structure(rng, OPERATIONS[method].input_shape, rng.choice([0, 0.05, 0.3]))
            # Python's own refusal of a name that is none; the compiler makes no such call.
            arguments = {key: value for key, value in arguments.items() if isinstance(key, str)}
            results = [asked(server, client, method, arguments) for client in (boto3, subject)]
            same(*results, about=f"{method}: {arguments!r}")

        fuzz.run("arguments", seed, count, case)
