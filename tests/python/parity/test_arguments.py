"""Every argument of every operation, right or wrong: the same error, or the same request on the wire."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.arguments import OPERATIONS, asked, some, variations
from support.fakes import Reply, Scripted
from support.libraries import BOTO3, SUBJECT, ours
from support.observe import Outcome, Raised, Returned, describe, outcome, same

Both = tuple[Scripted, Any, Any]


@pytest.fixture(scope="module")
def unchecked() -> Iterator[Both]:
    """The same, with clients that do not validate."""
    with Scripted(Reply()) as server:
        boto3, subject = (
            library.client(server.url, config=library.config(parameter_validation=False))
            for library in (BOTO3, SUBJECT)
        )
        yield server, boto3, subject


@pytest.mark.parametrize("method", OPERATIONS)
def test_every_mistake(method: str, both: Both) -> None:
    """Missing, unknown, of every wrong type, in every place: the whole text of the error is the same."""
    server, boto3, subject = both
    failures = []
    for name, arguments in variations(OPERATIONS[method]):
        results = [asked(server, client, method, arguments) for client in (boto3, subject)]
        try:
            same(*results, about=f"{method}: {name}")
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, f"{len(failures)} differ, the first of them:\n" + "\n".join(failures[:5])


def test_variations_reach_both_answers(both: Both) -> None:
    """The test above compares errors as well as requests: it would prove little if either never came up."""
    server, boto3, _ = both
    results = [
        asked(server, boto3, "send_message", arguments) for _, arguments in variations(OPERATIONS["send_message"])
    ]
    refused = sum(not sent for _, sent in results)
    assert refused > 100
    assert len(results) - refused > 20


@pytest.mark.parametrize("method", OPERATIONS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_any_arguments(method: str, data: st.DataObject, both: Both) -> None:
    """Whatever is passed, both refuse it in the same words or send the same thing."""
    server, boto3, subject = both
    arguments = data.draw(some(OPERATIONS[method].input_shape))
    same(*(asked(server, client, method, arguments) for client in (boto3, subject)), about=f"{method}: {arguments!r}")


UNCHECKED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a number for a text": {"QueueUrl": "u", "MessageBody": 5},
    "a text for a number": {"QueueUrl": "u", "MessageBody": "b", "DelaySeconds": "5"},
    "a float for a number": {"QueueUrl": "u", "MessageBody": "b", "DelaySeconds": 5.5},
    "infinity for a number": {"QueueUrl": "u", "MessageBody": "b", "DelaySeconds": float("inf")},
    "less than any number": {"QueueUrl": "u", "MessageBody": ["b", float("-inf")]},
    "not a number": {"QueueUrl": "u", "MessageBody": float("nan")},
    "half a surrogate pair in a list for a text": {"QueueUrl": "u", "MessageBody": ["a\ud800b"]},
    "None for a text": {"QueueUrl": "u", "MessageBody": None},
    "None for a number": {"QueueUrl": "u", "MessageBody": "b", "DelaySeconds": None},
    "an unknown member": {"QueueUrl": "u", "MessageBody": "b", "Unknown": "x"},
    "a list for a text": {"QueueUrl": "u", "MessageBody": ["a", 1, None]},
    "a text for a structure": {"QueueUrl": "u", "MessageBody": "b", "MessageAttributes": "x"},
    "a structure short of a member": {
        "QueueUrl": "u",
        "MessageBody": "b",
        "MessageAttributes": {"a": {"StringValue": "v"}},
    },
    "bytes for a text": {"QueueUrl": "u", "MessageBody": b"b"},
    "a number for a blob": {
        "QueueUrl": "u",
        "MessageBody": "b",
        "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": 5}},
    },
}


@pytest.mark.parametrize("name", UNCHECKED)
def test_without_validation(name: str, unchecked: Both) -> None:
    """``parameter_validation=False``: what is wrong is sent, or fails, as boto3 sends it or fails."""
    server, boto3, subject = unchecked
    same(*(asked(server, client, "send_message", UNCHECKED[name]) for client in (boto3, subject)), about=name)


@pytest.mark.parametrize("method", OPERATIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_any_arguments_without_validation(method: str, data: st.DataObject, unchecked: Both) -> None:
    """Unvalidated, whatever is passed: both send the same thing, or both fail before anything is sent."""
    server, boto3, subject = unchecked
    arguments = data.draw(some(OPERATIONS[method].input_shape))
    (left, sent), (right, also_sent) = (asked(server, client, method, arguments) for client in (boto3, subject))
    # Failures come from deep inside botocore, in words about its insides.
    assert (type(left), sent) == (type(right), also_sent), f"{method}: {arguments!r}\n{describe([left, right])}"


@pytest.mark.parametrize("kind", [io.BytesIO, io.StringIO])
def test_a_file_for_a_binary(kind: Any, both: Both) -> None:
    """Validation takes anything that can be read; ours reads it too."""
    server, boto3, subject = both

    def sent(client: Any) -> tuple[Outcome, list[Any]]:
        file = kind(b"bytes" if kind is io.BytesIO else "bytes")
        value = {"DataType": "Binary", "BinaryValue": file}
        return asked(
            server, client, "send_message", {"QueueUrl": "u", "MessageBody": "b", "MessageAttributes": {"a": value}}
        )

    result, requests = sent(boto3)
    assert isinstance(result, Raised)
    assert (type(result.error), requests) == (TypeError, [])
    if ours("file for a binary"):
        result, requests = sent(subject)
        assert isinstance(result, Returned)
        assert "'BinaryValue': 'Ynl0ZXM='" in requests[0][-1]


class Unreadable:
    """A file from which nothing can be read."""

    def read(self) -> bytes:
        raise OSError("the disk is gone")

    def __repr__(self) -> str:
        return "unreadable"


def binaries(*values: Any) -> dict[str, Any]:
    return {f"a{n}": {"DataType": "Binary", "BinaryValue": value} for n, value in enumerate(values)}


#: A value that cannot be written, before or behind what is invalid: boto3 reports the latter, and all of it.
BESIDE: dict[str, dict[str, Any]] = {
    "a text without bytes before": {"MessageAttributes": binaries("\ud800"), "MessageBody": 5},
    "a text without bytes behind": {"MessageBody": 5, "MessageAttributes": binaries("\ud800"), "Nonsense": 1},
    "a file before": {"MessageAttributes": binaries(Unreadable()), "MessageBody": 5, "DelaySeconds": "x"},
    "a file and nothing that is required": {"MessageAttributes": binaries(Unreadable())},
    "a file and what is none": {"MessageBody": "b", "MessageAttributes": binaries(Unreadable(), 5, None, Unreadable())},
    "a file and an attribute without a type": {
        "MessageBody": "b",
        "MessageAttributes": {**binaries(Unreadable()), "b": {"StringValue": "x"}},
    },
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_cannot_be_read_beside_what_is_invalid(name: str, both: Both) -> None:
    server, boto3, subject = both
    arguments = {"QueueUrl": "u", **BESIDE[name]}
    same(*(asked(server, client, "send_message", arguments) for client in (boto3, subject)), about=name)
    entries = {"QueueUrl": "u", "Entries": [{"Id": "a", **BESIDE[name]}]}
    same(*(asked(server, client, "send_message_batch", entries) for client in (boto3, subject)), about=name)


def test_a_text_without_bytes_is_no_binary(both: Both) -> None:
    server, boto3, subject = both
    arguments = {"QueueUrl": "u", "MessageBody": "b", "MessageAttributes": binaries("\ud800")}
    same(*(asked(server, client, "send_message", arguments) for client in (boto3, subject)))


#: What stands beside a file, so that nothing can be sent: before it, behind it, or with it in one map.
UNFIT: dict[str, Callable[[Any], dict[str, Any]]] = {
    "invalid": lambda file: {"MessageAttributes": binaries(file), "MessageBody": "b", "DelaySeconds": "soon"},
    "missing": lambda file: {"MessageAttributes": binaries(file)},
    "unknown": lambda file: {"MessageBody": "b", "MessageAttributes": binaries(file), "Nonsense": 1},
    "without bytes": lambda file: {"MessageBody": "b", "MessageAttributes": binaries(file, "\ud800")},
    "no file": lambda file: {"MessageBody": "b", "MessageAttributes": binaries(file, 5)},
}


@pytest.mark.parametrize("beside", UNFIT)
@pytest.mark.parametrize("method", ["send_message", "send_message_batch"])
def test_a_file_is_left_alone_when_another_argument_does_not_fit(method: str, beside: str, both: Both) -> None:
    server, *clients = both
    results = []
    for client in clients:
        file = io.BytesIO(b"bytes")
        message = UNFIT[beside](file)
        members = {"Entries": [{"Id": "a", **message}]} if method.endswith("batch") else message
        results.append(asked(server, client, method, {"QueueUrl": "u", **members}))
        assert file.tell() == 0
    if beside != "without bytes":
        same(*results)
    for result, requests in results:
        assert isinstance(result, Raised)
        assert requests == []


@pytest.mark.skipif(SUBJECT == BOTO3, reason="boto3 reads no files")
@pytest.mark.parametrize("method", ["send_message", "send_message_batch"])
def test_a_file_is_left_alone_when_nothing_is_validated(method: str) -> None:
    with Scripted(Reply()) as server:
        client = SUBJECT.client(server.url, config=SUBJECT.config(parameter_validation=False))
        for beside in ("unknown", "without bytes", "no file"):
            file = io.BytesIO(b"bytes")
            message = UNFIT[beside](file)
            members = {"Entries": [{"Id": "a", **message}]} if method.endswith("batch") else message
            with pytest.raises((KeyError, UnicodeEncodeError, TypeError)):
                getattr(client, method)(QueueUrl="u", **members)
            assert file.tell() == 0, beside
        assert server.requests == []


class Number:
    """A file in which there is no text and no bytes."""

    def read(self) -> int:
        return 5

    def __repr__(self) -> str:
        return "a number"


def unread(place: str, error: str) -> str:
    value = "a number" if "gave int" in error else "unreadable"
    return f"Cannot read the file for parameter {place}.BinaryValue, value: {value}, error: {error}"


GONE = "OSError: the disk is gone"
NOT_BYTES = "TypeError: read() of a binary value gave int, not bytes"


@pytest.mark.skipif(SUBJECT == BOTO3, reason="boto3 reads no files")
def test_files_that_cannot_be_read(both: Both) -> None:
    """Of arguments that are valid otherwise: all in one report, each in its place. A good file stands between them."""
    server, _, subject = both
    message = {"MessageBody": "b", "MessageAttributes": binaries(Unreadable(), io.BytesIO(b"good"), Number())}
    result, requests = asked(server, subject, "send_message", {"QueueUrl": "u", **message})
    assert isinstance(result, Raised)
    assert type(result.error) is botocore.exceptions.ParamValidationError
    assert result.error.kwargs["report"].splitlines() == [  # type: ignore[attr-defined]
        unread("MessageAttributes.a0", GONE),
        unread("MessageAttributes.a2", NOT_BYTES),
    ]
    assert repr(result.error.__cause__) == "OSError('the disk is gone')"
    assert requests == []
    entries = [{"Id": "a", **message}, {"Id": "b", "MessageBody": "b"}, {"Id": "c", **message}]
    result, requests = asked(server, subject, "send_message_batch", {"QueueUrl": "u", "Entries": entries})
    assert isinstance(result, Raised)
    assert result.error.kwargs["report"].splitlines() == [  # type: ignore[attr-defined]
        unread(f"Entries[{entry}].MessageAttributes.{place}", error)
        for entry in (0, 2)
        for place, error in (("a0", GONE), ("a2", NOT_BYTES))
    ]
    assert requests == []


class Interrupted:
    """A file whose reading a person ends."""

    def read(self) -> bytes:
        raise KeyboardInterrupt


@pytest.mark.skipif(SUBJECT == BOTO3, reason="boto3 reads no files")
def test_a_file_that_cannot_be_read_is_told_by_itself(unchecked: Both, both: Both) -> None:
    """Where nothing is validated, by its own exception, and what ends programs ends them."""
    server, _, subject = unchecked
    arguments = {"QueueUrl": "u", "MessageBody": "b", "MessageAttributes": binaries(Unreadable())}
    result, requests = asked(server, subject, "send_message", arguments)
    assert isinstance(result, Raised)
    assert (type(result.error), str(result.error), requests) == (OSError, "the disk is gone", [])
    arguments["MessageAttributes"] = binaries(Interrupted())
    for _, _, client in (unchecked, both):
        with pytest.raises(KeyboardInterrupt):
            client.send_message(**arguments)


def test_positional_arguments(both: Both) -> None:
    _, boto3, subject = both
    for method in OPERATIONS:
        arguments: tuple[Any, ...]
        for arguments in ((), ("url",), ("url", "body"), ({},)):
            if arguments:
                same(*(outcome(getattr(client, method), *arguments) for client in (boto3, subject)))


def test_arguments_are_left_alone(both: Both) -> None:
    """A call changes nothing of what it was given."""
    for client in both[1:]:
        arguments = {
            "QueueUrl": "u",
            "Entries": [
                {"Id": "a", "MessageBody": "b", "MessageAttributes": {"x": {"DataType": "Binary", "BinaryValue": b"y"}}}
            ],
        }
        before = describe(arguments)
        client.send_message_batch(**arguments)
        assert describe(arguments) == before
