"""The queues that a server is to have from the start: from a TOML file, or from a line of the command."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["QueueSpec", "in_order", "parse_queue", "read_queues"]

#: What can be said of a queue, as CreateQueue calls it.
ATTRIBUTES = (
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
)

#: Names of our own: a dead-letter queue by its name, which stands for a RedrivePolicy.
DEAD_LETTERS = ("DeadLetterQueue", "MaxReceiveCount")


@dataclass
class QueueSpec:
    """A queue that is to be made."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    dead_letter_queue: str | None = None
    max_receive_count: int = 10
    where: str = ""
    """What to say before a complaint: ``queues.toml:3: ``."""

    def with_redrive(self, region: str, account: str) -> dict[str, str]:
        """Its attributes, the dead-letter queue by its ARN in this region and account."""
        if self.dead_letter_queue is None:
            return self.attributes
        policy = {
            "deadLetterTargetArn": f"arn:aws:sqs:{region}:{account}:{self.dead_letter_queue}",
            "maxReceiveCount": self.max_receive_count,
        }
        return {**self.attributes, "RedrivePolicy": json.dumps(policy)}


def _nearest(wrong: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of a complaint."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(wrong.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {names[close[0]]!r}?" if close else f"; there are {', '.join(sorted(names.values()))}"


def _text(name: str, value: object) -> str:
    """A value as SQS takes it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | str():
            return str(value)
        case dict() if name in ("Policy", "RedriveAllowPolicy", "RedrivePolicy"):
            return json.dumps(value)
    raise ValueError(f"{name} is to be a text, a whole number or true or false, not {value!r}")


def _spec(name: str, members: Mapping[str, object], where: Any) -> QueueSpec:
    """A queue of what was written down; ``where`` says where a member stands.

    Raises:
        ValueError: it cannot be; the text says where, what, and what may have been meant.
    """
    spec = QueueSpec(name, where=where(None))
    for member, value in members.items():
        try:
            match member, value:
                case "tags", dict():
                    spec.tags = {key: _text(f"tag {key}", tag) for key, tag in value.items()}
                case "DeadLetterQueue", str():
                    spec.dead_letter_queue = value
                case "MaxReceiveCount", _:
                    count = str(value)
                    if isinstance(value, bool) or not count.isdigit():
                        raise ValueError(f"MaxReceiveCount is to be a whole number, not {value!r}")  # noqa: TRY301
                    spec.max_receive_count = int(count)
                case _ if member in ATTRIBUTES:
                    spec.attributes[member] = _text(member, value)
                case "tags" | "DeadLetterQueue", _:
                    kind = "a table" if member == "tags" else "the name of a queue"
                    raise ValueError(f"{member} is to be {kind}, not {value!r}")  # noqa: TRY301
                case _:
                    known = (*ATTRIBUTES, *DEAD_LETTERS, "tags")
                    raise ValueError(f"queue {name!r} has no attribute {member!r}{_nearest(member, known)}")  # noqa: TRY301
        except ValueError as error:
            raise ValueError(f"{where(member)}{error}") from None
    if "MaxReceiveCount" in members and spec.dead_letter_queue is None:
        raise ValueError(f"{where('MaxReceiveCount')}MaxReceiveCount goes with a DeadLetterQueue")
    return spec


def parse_queue(text: str) -> QueueSpec:
    """A queue of a line: ``orders,VisibilityTimeout=5,DeadLetterQueue=dead``.

    Args:
        text: the name, then attributes of CreateQueue, ``DeadLetterQueue`` or ``MaxReceiveCount``.

    Raises:
        ValueError: it is not of that form; the text says why.
    """
    name, *rest = text.split(",")
    members: dict[str, object] = {}
    for part in rest:
        member, sign, value = part.partition("=")
        if not sign:
            raise ValueError(f"--queue {text}: {part!r} is not of the form Attribute=value")
        members[member] = value
    return _spec(name, members, lambda _: f"--queue {text}: ")


def read_queues(path: Path) -> list[QueueSpec]:
    """The queues of a file: a table ``[queues.NAME]`` for each, with attributes of CreateQueue, ``tags``,
    ``DeadLetterQueue`` and ``MaxReceiveCount``.

    Args:
        path: the file, in TOML.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not of that form; the text says where, why, and what may have been meant.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise ValueError("to read TOML on Python 3.10 the package tomli is needed: pip install tomli") from None
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ValueError(f"{path}:{line[1] if line else text.count(chr(10)) + 1}: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: it is not UTF-8: {error}") from None
    for key in content:
        if key != "queues":
            line_of_key = _line(text, [], key)
            raise ValueError(f"{path}:{line_of_key}: there is no {key!r} in such a file{_nearest(key, ['queues'])}")
    queues = content.get("queues", {})
    if not isinstance(queues, dict):
        raise ValueError(f"{path}:{_line(text, [], 'queues')}: queues are tables, [queues.NAME]")  # noqa: TRY004
    specs = []
    for name, members in queues.items():
        if not isinstance(members, dict):
            raise ValueError(  # noqa: TRY004
                f"{path}:{_line(text, ['queues'], name)}: a queue is a table, [queues.{name}], and not {members!r}"
            )

        def where(member: str | None, name: str = name) -> str:
            return f"{path}:{_line(text, ['queues', name], member)}: "

        specs.append(_spec(name, members, where))
    return specs


_KEY = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""


def _keys(text: str) -> list[str]:
    """The parts of a dotted key."""
    return [part.strip("\"'") for part in re.findall(_KEY, text)]


def _line(text: str, table: list[str], key: str | None) -> int:
    """The line of a key in a table, or of the table itself; else of what stands nearest."""
    current: list[str] = []
    nearest = 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(rf"\s*\[\[?\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]", line):
            current = _keys(header[1])
            here = current
        elif entry := re.match(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=", line):
            here = current + _keys(entry[1])
        else:
            continue
        wanted = table if key is None else [*table, key]
        if here[: len(wanted)] == wanted:
            return number
        if here[: len(table)] == table and table:
            nearest = number if nearest == 1 else nearest
            if key is not None and re.search(rf"[{{,\s]\"?{re.escape(key)}\"?\s*=", line):
                return number
    return nearest


def in_order(specs: Iterable[QueueSpec]) -> list[QueueSpec]:
    """The queues, each after its dead-letter queue.

    Raises:
        ValueError: a name comes twice, or dead-letter queues form a circle.
    """
    waiting: dict[str, QueueSpec] = {}
    for spec in specs:
        if spec.name in waiting:
            raise ValueError(f"{spec.where}queue {spec.name!r} is there twice")
        waiting[spec.name] = spec
    ordered: list[QueueSpec] = []
    while waiting:
        ready = [spec for spec in waiting.values() if spec.dead_letter_queue not in waiting]
        if not ready:
            [first, *_] = waiting.values()
            raise ValueError(f"{first.where}the dead-letter queue of {first.name!r} leads back to it")
        ordered += ready
        for spec in ready:
            del waiting[spec.name]
    return ordered
