"""Cases about messages: sending, receiving, changing, deleting, one at a time and in batches."""

from __future__ import annotations

from typing import Any

from .language import EMBEDDED, URL, Advance, Call, Case, Ref, Step, call, named, on_queue

SEND = named("send", "send_message", QueueUrl=URL, MessageBody="hello")
RECEIVE = named("receive", "receive_message", QueueUrl=URL)
HANDLE = Ref("receive", "Messages", 0, "ReceiptHandle")


def text(value: str, kind: str = "String") -> dict[str, Any]:
    return {"DataType": kind, "StringValue": value}


def binary(value: Any, kind: str = "Binary") -> dict[str, Any]:
    return {"DataType": kind, "BinaryValue": value}


def round_trip(name: str, body: str = "hello", **more: Any) -> Case:
    """Sent, received with everything that there is to know about it, deleted."""
    return on_queue(
        name,
        call("send_message", QueueUrl=URL, MessageBody=body, **more),
        named(
            "receive",
            "receive_message",
            QueueUrl=URL,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ),
        call("delete_message", QueueUrl=URL, ReceiptHandle=HANDLE),
        call("receive_message", QueueUrl=URL),
    )


BODIES = tuple(
    round_trip(f"a body of {name}", body)
    for name, body in {
        "one letter": "x",
        "accents": "Grüße, señor, Привет, 你好",
        "astral characters": "🚀 𝄞 👩‍👩‍👧‍👦",
        "JSON": '{"a": [1, 2.5, null], "b": "\\"quoted\\" \\\\ \\u00e9 / </script>"}',
        "white space": "\t tabs,\r\n lines \n",
        "100,000 characters": "0123456789" * 10_000,
        "the edges of what SQS takes": "\x20\ud7ff\ue000\ufffd\U00010000\U0010ffff",
        "XML": "<a href='x'>&amp; & ></a>",
        "DEL and C1 controls": "\x7f\x80\x9f\u2028\u2029",
    }.items()
)

ATTRIBUTES = tuple(
    round_trip(f"message attributes: {name}", MessageAttributes=attributes)
    for name, attributes in {
        "text": {"author": text("Python Developer")},
        "number": {"count": text("42", "Number"), "pi": text("3.14159", "Number"), "negative": text("-1e-3", "Number")},
        "custom text": {"id": text("x", "String.UUID")},
        "custom number": {"n": text("7", "Number.int"), "f": text("1.5", "Number.float")},
        "custom binary": {"picture": binary(b"\x89PNG", "Binary.png")},
        "binary as bytes": {"blob": binary(b"\x00\x01\xfe\xff")},
        "binary as bytearray": {"blob": binary(bytearray(b"\x00\x01\xfe\xff"))},
        "binary as text": {"blob": binary("Grüße 🚀")},
        "unicode": {"name": text("Zürich 🚀 𝄞")},
        "ten of them": {f"name{number}": text(str(number)) for number in range(10)},
        "out of order": {"zebra": text("1"), "apple": text("2"), "Mango": text("3"), "_x-y.z": text("4")},
        "none": {},
        "keys in another order": {"a": {"StringValue": "v", "DataType": "String"}},
    }.items()
)

SYSTEM = (
    round_trip(
        "system attributes",
        MessageSystemAttributes={"AWSTraceHeader": text("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")},
    ),
    round_trip("no system attributes", MessageSystemAttributes={}),
    round_trip("everything at once", "body", DelaySeconds=0, MessageAttributes={"a": text("b"), "c": binary(b"d")}),
    # What it comes to is the server's affair: on the wire it is `false`.
    on_queue("a boolean for an integer", call("send_message", QueueUrl=URL, MessageBody="b", DelaySeconds=False)),
    round_trip("a fair queue's group", MessageGroupId="tenant"),
)

#: What can be asked for beside the body, and one message that has a bit of all of it.
FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty lists": {"AttributeNames": [], "MessageAttributeNames": [], "MessageSystemAttributeNames": []},
    "all attributes": {"MessageAttributeNames": ["All"]},
    "dot star": {"MessageAttributeNames": [".*"]},
    "one attribute": {"MessageAttributeNames": ["first"]},
    "two attributes, one unknown": {"MessageAttributeNames": ["second", "unknown"]},
    "a prefix": {"MessageAttributeNames": ["group.*"]},
    "a tuple": {"MessageAttributeNames": ("first", "second")},
    "all system attributes": {"MessageSystemAttributeNames": ["All"]},
    "all system attributes, the old name": {"AttributeNames": ["All"]},
    "one system attribute": {"MessageSystemAttributeNames": ["SenderId"]},
    "system attributes by both names": {
        "AttributeNames": ["SentTimestamp"],
        "MessageSystemAttributeNames": ["SenderId"],
    },
    "counts and times": {"AttributeNames": ["ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"]},
    "the trace header": {"MessageSystemAttributeNames": ["AWSTraceHeader"]},
}

RECEIVING = (
    *(
        on_queue(
            f"receive_message filters: {name}",
            call(
                "send_message",
                QueueUrl=URL,
                MessageBody="hello",
                MessageAttributes={
                    "first": text("1"),
                    "second": binary(b"2"),
                    "group.a": text("3"),
                    "group.b": text("4"),
                },
                MessageSystemAttributes={"AWSTraceHeader": text("Root=1-5759e988-bd862e3fe1be46a994272793")},
            ),
            call("receive_message", QueueUrl=URL, **wanted),
        )
        for name, wanted in FILTERS.items()
    ),
    on_queue("receive_message from an empty queue", RECEIVE, call("receive_message", QueueUrl=URL, WaitTimeSeconds=0)),
    on_queue(
        "receive_message waits for what is there", SEND, call("receive_message", QueueUrl=URL, WaitTimeSeconds=20)
    ),
    on_queue("receive_message waits a second in vain", call("receive_message", QueueUrl=URL, WaitTimeSeconds=1)),
    on_queue(
        "receive_message ten",
        *(call("send_message", QueueUrl=URL, MessageBody=f"number {number}") for number in range(3)),
        call("receive_message", QueueUrl=URL, MaxNumberOfMessages=10),
        call("receive_message", QueueUrl=URL, MaxNumberOfMessages=10),
    ),
    on_queue(
        "receive_message again and again",
        SEND,
        *(call("receive_message", QueueUrl=URL, VisibilityTimeout=0, AttributeNames=["All"]) for _ in range(3)),
    ),
    on_queue(
        "a delayed message",
        call("send_message", QueueUrl=URL, MessageBody="later", DelaySeconds=900),
        call("receive_message", QueueUrl=URL),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["ApproximateNumberOfMessagesDelayed"]),
    ),
    on_queue(
        "time makes messages visible again",
        call("send_message", QueueUrl=URL, MessageBody="later", DelaySeconds=60),
        call("receive_message", QueueUrl=URL),
        Advance(61),
        named("receive", "receive_message", QueueUrl=URL, VisibilityTimeout=30),
        call("receive_message", QueueUrl=URL),
        Advance(31),
        call("receive_message", QueueUrl=URL, AttributeNames=["ApproximateReceiveCount"]),
        servers=EMBEDDED,
    ),
)

CHANGING = (
    on_queue(
        "change_message_visibility",
        SEND,
        RECEIVE,
        call("change_message_visibility", QueueUrl=URL, ReceiptHandle=HANDLE, VisibilityTimeout=0),
        call("receive_message", QueueUrl=URL),
    ),
    *(
        on_queue(
            f"a receipt handle that a later receive superseded {action}",
            SEND,
            Call("receive_message", {"QueueUrl": URL, "VisibilityTimeout": 0}, "receive"),
            call("receive_message", QueueUrl=URL),
            call(action, QueueUrl=URL, ReceiptHandle=HANDLE, **members),
            call("receive_message", QueueUrl=URL),
        )
        for action, members in (("delete_message", {}), ("change_message_visibility", {"VisibilityTimeout": 0}))
    ),
    *(
        on_queue(
            f"a receipt handle of a message that is visible again: for {seconds} s",
            SEND,
            Call("receive_message", {"QueueUrl": URL, "VisibilityTimeout": 0}, "receive"),
            call("change_message_visibility", QueueUrl=URL, ReceiptHandle=HANDLE, VisibilityTimeout=seconds),
            call("receive_message", QueueUrl=URL),
        )
        for seconds in (0, 30)
    ),
    on_queue(
        "delete_message twice",
        SEND,
        RECEIVE,
        call("delete_message", QueueUrl=URL, ReceiptHandle=HANDLE),
        call("delete_message", QueueUrl=URL, ReceiptHandle=HANDLE),
    ),
)

FIFO = (
    on_queue(
        "a fifo queue",
        *(
            call("send_message", QueueUrl=URL, MessageBody="hello", MessageGroupId="g", MessageDeduplicationId=key)
            for key in ("one", "one", "two")
        ),
        named("receive", "receive_message", QueueUrl=URL, AttributeNames=["All"], ReceiveRequestAttemptId="attempt"),
        call("delete_message", QueueUrl=URL, ReceiptHandle=HANDLE),
        call("send_message", QueueUrl=URL, MessageBody="no group"),
        queue="line.fifo",
        attributes={"FifoQueue": "true"},
    ),
)


def entries(*each: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Id": str(number), **entry} for number, entry in enumerate(each)]


def filled(count: int) -> tuple[Step, ...]:
    """So many messages sent as a batch, and received."""
    return (
        call("send_message_batch", QueueUrl=URL, Entries=entries(*({"MessageBody": f"m{n}"} for n in range(count)))),
        named("receive", "receive_message", QueueUrl=URL, MaxNumberOfMessages=10),
    )


def handle(number: int) -> Ref:
    return Ref("receive", "Messages", number, "ReceiptHandle")


def batch(method: str, *each: dict[str, Any]) -> Call:
    return call(method, QueueUrl=URL, Entries=entries(*each))


BATCHES = (
    on_queue("send_message_batch of ten", *filled(10)),
    on_queue(
        "send_message_batch with everything",
        batch(
            "send_message_batch",
            {"MessageBody": "plain"},
            {"MessageBody": "🚀", "MessageAttributes": {"a": text("b"), "blob": binary(bytearray(b"\x00"))}},
            {"MessageBody": "trace", "MessageSystemAttributes": {"AWSTraceHeader": text("Root=1")}, "DelaySeconds": 0},
        ),
        call("receive_message", QueueUrl=URL, MaxNumberOfMessages=10, MessageAttributeNames=["All"]),
    ),
    on_queue(
        "send_message_batch as a tuple",
        call("send_message_batch", QueueUrl=URL, Entries=({"Id": "x", "MessageBody": "y"},)),
    ),
    on_queue(
        "delete_message_batch",
        *filled(3),
        batch("delete_message_batch", *({"ReceiptHandle": handle(n)} for n in range(3))),
        call("receive_message", QueueUrl=URL),
    ),
    on_queue(
        "delete_message_batch in part",
        *filled(1),
        batch("delete_message_batch", {"ReceiptHandle": handle(0)}, {"ReceiptHandle": "not a handle"}),
    ),
    on_queue(
        "change_message_visibility_batch",
        *filled(2),
        batch(
            "change_message_visibility_batch", *({"ReceiptHandle": handle(n), "VisibilityTimeout": n} for n in range(2))
        ),
        call("receive_message", QueueUrl=URL),
    ),
    on_queue(
        "change_message_visibility_batch in part",
        *filled(1),
        batch(
            "change_message_visibility_batch",
            {"ReceiptHandle": handle(0), "VisibilityTimeout": 10},
            {"ReceiptHandle": "not a handle", "VisibilityTimeout": 10},
        ),
    ),
)

CASES: tuple[Case, ...] = (*BODIES, *ATTRIBUTES, *SYSTEM, *RECEIVING, *CHANGING, *FIFO, *BATCHES)
