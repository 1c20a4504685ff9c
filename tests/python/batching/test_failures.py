"""What a ``batch_writer`` says of the entries that were not accepted, and of arguments that cannot be entries."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import turbosqs
from botocore.exceptions import ClientError, ParamValidationError
from support.observe import Raised, outcome
from support.relay import RESET, Relay
from support.together import connect, drain, held, patient, refused, write
from turbosqs._own_exceptions import FailedEntry
from turbosqs.exceptions import BatchWriterError
from turbosqs.local import Server
from turbosqs.sqs import SQS
from turbosqs.writer import BaseBatchWriter

ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "é"},
    "binary": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}
LATE = {"MessageBody": "late", "DelaySeconds": 901, "MessageAttributes": ATTRIBUTES}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("SendMessage", {"MessageBody": "a\x00"}, "InvalidMessageContents"),
    ("SendMessage", {"MessageBody": "", "MessageAttributes": ATTRIBUTES}, "MissingParameter"),
    ("SendMessage", {"MessageBody": "x" * (1 << 20) + "x"}, "InvalidParameterValue"),
    ("SendMessage", LATE, "InvalidParameterValue"),
    ("DeleteMessage", {"ReceiptHandle": "nonsense"}, "ReceiptHandleIsInvalid"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "none", "VisibilityTimeout": 5}, "ReceiptHandleIsInvalid"),
]
METHODS = {
    "SendMessage": "send_message",
    "DeleteMessage": "delete_message",
    "ChangeMessageVisibility": "change_message_visibility",
}


def sends(*messages: dict[str, Any]) -> Callable[[Any], None]:
    """What to give to a writer."""

    def give(batch: Any) -> None:
        for message in messages:
            batch.send_message(**message)

    return give


def bodies(*texts: str) -> Callable[[Any], None]:
    return sends(*({"MessageBody": text} for text in texts))


def test_every_entry_that_failed_is_told_in_order(sqs: SQS, boto: Any, server: Server) -> None:
    """Bad entries of all three kinds among good ones: one exception names them in the order in which they were given,
    each with what a call of its own raises."""
    url = server.create_queue("q")

    def give(batch: Any) -> None:
        for n in range(30):
            batch.send_message(MessageBody=f"{n}")
            if n % 5 == 2:
                operation, params, _ = BAD[n // 5]
                getattr(batch, METHODS[operation])(**params)

    error = refused(sqs, url, give)
    failures = error.failures
    assert [(each.operation, each.code) for each in failures] == [(operation, code) for operation, _, code in BAD]
    for each, (operation, params, _) in zip(failures, BAD, strict=True):
        assert each.params == {"QueueUrl": url, **params}
        assert isinstance(each.error, ClientError)
        expected = outcome(getattr(boto, METHODS[operation]), **each.params)
        assert isinstance(expected, Raised)
        assert type(each.error).__name__ == type(expected.error).__name__
        assert str(each.error) == str(expected.error)
        assert each.error.operation_name == operation
    assert held(boto, url) == Counter(str(n) for n in range(30))
    assert str(error).startswith("6 entries were not accepted (1 InvalidMessageContents, 1 MissingParameter, 2 ")
    assert str(failures[0].error) in str(error)
    assert repr(failures[4]).startswith("FailedEntry(DeleteMessage, {'QueueUrl': ")


def test_what_failed_can_be_sent_again_as_it_is(relay: Relay, boto: Any, server: Server) -> None:
    """Every kind of argument comes back as it was given, binary attributes as bytes."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=1)
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    given = [
        {
            "MessageBody": f'{n} é\u2028"\\ 🚀',
            "DelaySeconds": 0,
            "MessageAttributes": {**ATTRIBUTES, "n": {"DataType": "Number", "StringValue": f"{n}"}},
            "MessageSystemAttributes": trace,
        }
        for n in range(25)
    ]
    server.faults.add("throttle")
    failures = refused(sqs, url, sends(*given)).failures
    server.faults.clear()
    assert [each.params for each in failures] == [{"QueueUrl": url, **params} for params in given]
    assert {each.code for each in failures} == {"RequestThrottled"}
    assert isinstance(failures[0].params["MessageAttributes"]["binary"]["BinaryValue"], bytes)
    for each in failures:
        getattr(sqs, METHODS[each.operation])(**each.params)
    found = drain(boto, url)
    assert sorted(message["Body"] for message in found) == sorted(str(params["MessageBody"]) for params in given)
    assert all(message["MessageAttributes"]["binary"]["BinaryValue"] == b"\x00\xff" for message in found)
    sqs.close()


def test_failures_of_the_way_to_the_service(relay: Relay, server: Server) -> None:
    """No connection lives: it ends, and tells of every message, in order; the code is the class where the service gave
    none."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=1)
    relay.judge = lambda _: RESET
    error = refused(sqs, url, bodies(*map(str, range(2000))))
    assert [each.params["MessageBody"] for each in error.failures] == [str(n) for n in range(2000)]
    assert {each.code for each in error.failures} == {"ConnectionClosedError"}
    assert str(error).startswith("2,000 entries were not accepted (2,000 ConnectionClosedError); the first: Connection")
    sqs.close()


def test_when_as_many_have_failed_as_may_wait_it_goes_no_further(relay: Relay, server: Server) -> None:
    """The exception ends the block, and tells of everything that was given until then: no more is remembered of a
    million than of these."""
    url = server.create_queue("q")
    sqs = patient(relay.url, attempts=1, batching=turbosqs.Batching(max_waiting=100))
    relay.judge = lambda _: RESET
    error = refused(sqs, url, bodies(*map(str, range(2000))))
    told = [each.params["MessageBody"] for each in error.failures]
    assert told == [str(n) for n in range(len(told))]
    assert 100 <= len(told) <= 300
    sqs.close()


@pytest.mark.parametrize("body", ["\ud800", "a\udfffb"])
def test_what_no_utf8_can_spell_is_told_like_the_rest(body: str, sqs: SQS, boto: Any, server: Server) -> None:
    """Half a surrogate pair travels as JSON spells it, and the service refuses it. It must not hide what else
    failed."""
    url = server.create_queue("q")
    failures = refused(sqs, url, bodies("a\0", body, "good", "b\0")).failures
    assert [each.params["MessageBody"] for each in failures] == ["a\0", body, "b\0"]
    assert held(boto, url) == {"good": 1}


UNFIT: list[dict[str, Any]] = [
    {"MessageBody": 5},
    {"MessageBody": "x", "DelaySeconds": "soon"},
    {"MessageBody": "x", "DelaySeconds": 10**30},
    {"MessageBody": ["x"]},
    {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": 1, "StringValue": 2.5}}},
    {"DelaySeconds": 1},
    {},
]


@pytest.mark.parametrize("params", UNFIT, ids=str)
def test_arguments_that_were_not_validated(params: dict[str, Any], relay: Relay, boto: Any, server: Server) -> None:
    """With ``parameter_validation=False`` the service judges what is of the wrong type; what it refuses comes back as
    it was given."""
    url = server.create_queue("q")
    sqs = connect(relay.url, config=turbosqs.Config(parameter_validation=False))
    alone = outcome(sqs.send_message, QueueUrl=url, **params)
    assert isinstance(alone, Raised)
    [failed] = refused(sqs, url, sends(params, {"MessageBody": "good"})).failures
    assert failed.params == {"QueueUrl": url, **params}
    assert str(failed.error) == str(alone.error)
    assert held(boto, url) == {"good": 1}
    sqs.close()


def test_arguments_are_checked_at_the_call(sqs: SQS, boto: Any, server: Server) -> None:
    url = server.create_queue("q")
    with sqs.batch_writer(QueueUrl=url) as batch:
        with pytest.raises(ParamValidationError, match='Missing required parameter in input: "MessageBody"'):
            batch.send_message()  # type: ignore[call-arg]
        with pytest.raises(ParamValidationError, match="Invalid type for parameter DelaySeconds"):
            batch.send_message(MessageBody="x", DelaySeconds="3")  # type: ignore[arg-type]
        with pytest.raises(ParamValidationError, match="Unknown parameter in input"):
            batch.send_message(MessageBody="x", Nonsense=1)  # type: ignore[call-arg]
        with pytest.raises(ParamValidationError):
            batch.delete_message()  # type: ignore[call-arg]
        with pytest.raises(ParamValidationError):
            batch.change_message_visibility(ReceiptHandle="x")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="QueueUrl already"):
            batch.send_message(QueueUrl=url, MessageBody="x")  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            batch.send_message("x")  # type: ignore[call-arg, arg-type, unused-ignore]
        batch.send_message(MessageBody="good")
    assert held(boto, url) == {"good": 1}


@pytest.mark.parametrize("wrong", [None, 5, b"u"])
def test_the_url_is_a_text(wrong: Any, sqs: SQS) -> None:
    with pytest.raises(TypeError, match="QueueUrl must be a str"):
        sqs.batch_writer(QueueUrl=wrong)


def test_arguments_are_read_at_the_call(sqs: SQS, boto: Any, server: Server) -> None:
    """What a caller does to a dict afterwards changes nothing."""
    url = server.create_queue("q")
    attributes: dict[str, Any] = {"a": {"DataType": "Binary", "BinaryValue": bytearray(b"before")}}
    with sqs.batch_writer(QueueUrl=url) as batch:
        batch.send_message(MessageBody="x", MessageAttributes=attributes)
        attributes["a"]["BinaryValue"][:] = b"after!"
        attributes.clear()
    [message] = drain(boto, url)
    assert message["MessageAttributes"]["a"]["BinaryValue"] == b"before"


class StopError(Exception):
    """Ends a block."""


def stopping(*texts: str) -> Callable[[Any], None]:
    """Messages, and then the end of the block."""

    def give(batch: Any) -> None:
        bodies(*texts)(batch)
        raise StopError

    return give


def test_an_exception_in_the_block_stays_and_the_messages_leave(sqs: SQS, boto: Any, server: Server) -> None:
    url = server.create_queue("q")
    with pytest.raises(StopError):
        write(sqs, url, stopping(*map(str, range(15))))
    assert held(boto, url) == Counter(str(n) for n in range(15))


def test_failures_beside_an_exception_in_the_block(sqs: SQS, boto: Any, server: Server) -> None:
    """The exception that ended the block goes on; the failures are told as a warning."""
    url = server.create_queue("q")
    words = "beside the exception that ended the block: 1 entry was not accepted"
    with pytest.warns(RuntimeWarning, match=words):  # noqa: SIM117 - one block for each, or neither sees the other's
        with pytest.raises(StopError):
            write(sqs, url, stopping("\0", "good"))
    assert held(boto, url) == {"good": 1}


def test_failures_beside_an_exception_when_warnings_are_errors(sqs: SQS, server: Server) -> None:
    """Even then the exception that ended the block is not lost: the warning has it as its context."""
    with pytest.raises((StopError, RuntimeWarning)) as caught:
        write(sqs, server.create_queue("q"), stopping("\0"))
    chain: list[BaseException | None] = [caught.value]
    while chain[-1] is not None:
        chain.append(chain[-1].__context__)
    assert any(isinstance(error, StopError) for error in chain)


def test_flush_in_between(sqs: SQS, boto: Any, server: Server) -> None:
    """It waits for what was given, tells what failed, once, and the block goes on."""
    url = server.create_queue("q")
    with sqs.batch_writer(QueueUrl=url) as batch:
        bodies("0", "1", "2")(batch)
        batch.flush()
        assert held(boto, url) == {"0": 1, "1": 1, "2": 1}
        batch.send_message(MessageBody="\0")
        with pytest.raises(BatchWriterError) as caught:
            batch.flush()
        assert len(caught.value.failures) == 1
        batch.send_message(MessageBody="after")
    assert held(boto, url) == {"after": 1}


def test_the_error_is_in_the_public_place() -> None:
    assert turbosqs.exceptions.BatchWriterError is BatchWriterError
    assert BatchWriterError.__module__ == "turbosqs.exceptions"


def test_the_error_can_be_pickled(sqs: SQS, server: Server) -> None:
    """As boto3's can: a worker process hands it to its parent."""
    error = refused(sqs, server.create_queue("q"), bodies("\0", "good"))
    copied = pickle.loads(pickle.dumps(error))
    assert str(copied) == str(error)
    assert [(each.operation, each.code, each.params) for each in copied.failures] == [
        (each.operation, each.code, each.params) for each in error.failures
    ]


def test_what_fails_late_is_told_of_in_its_place() -> None:
    """The block has ended since so much had failed; an entry that was given earlier fails after that."""

    def failures(*positions: int) -> BatchWriterError:
        return BatchWriterError([FailedEntry("SendMessage", {"n": n}, ValueError(), n) for n in positions])

    ended = failures(0, 1, 4, 5)
    BaseBatchWriter._report(object.__new__(BaseBatchWriter), failures(2, 3, 6), ended)
    assert [each.params["n"] for each in ended.failures] == list(range(7))
