"""Cases that the service refuses, and some that never reach it."""

from __future__ import annotations

from typing import Any

from .language import EMBEDDED, URL, Case, Filled, call, on_queue
from .messages import HANDLE, RECEIVE, SEND, batch, binary, filled, handle, text
from .queues import ARN, GET_ARN, REDRIVE_TO

NOWHERE = "http://localhost/123456789012/nowhere"
ENTRY = {"Id": "a", "MessageBody": "b", "ReceiptHandle": "c", "VisibilityTimeout": 1}


def entry(*members: str) -> list[dict[str, Any]]:
    return [{name: ENTRY[name] for name in members}]


NO_QUEUE = tuple(
    Case(f"no such queue: {step.method}", (step,))
    for step in (
        call("get_queue_url", QueueName="nowhere"),
        call("get_queue_url", QueueName="nowhere", QueueOwnerAWSAccountId="999999999999"),
        call("delete_queue", QueueUrl=NOWHERE),
        call("purge_queue", QueueUrl=NOWHERE),
        call("get_queue_attributes", QueueUrl=NOWHERE, AttributeNames=["All"]),
        call("set_queue_attributes", QueueUrl=NOWHERE, Attributes={"DelaySeconds": "1"}),
        call("list_dead_letter_source_queues", QueueUrl=NOWHERE),
        call("tag_queue", QueueUrl=NOWHERE, Tags={"a": "b"}),
        call("untag_queue", QueueUrl=NOWHERE, TagKeys=["a"]),
        call("list_queue_tags", QueueUrl=NOWHERE),
        call("add_permission", QueueUrl=NOWHERE, Label="l", AWSAccountIds=["1"], Actions=["*"]),
        call("remove_permission", QueueUrl=NOWHERE, Label="l"),
        call("send_message", QueueUrl=NOWHERE, MessageBody="b"),
        call("send_message_batch", QueueUrl=NOWHERE, Entries=entry("Id", "MessageBody")),
        call("receive_message", QueueUrl=NOWHERE),
        call("delete_message", QueueUrl=NOWHERE, ReceiptHandle="c"),
        call("delete_message_batch", QueueUrl=NOWHERE, Entries=entry("Id", "ReceiptHandle")),
        call("change_message_visibility", QueueUrl=NOWHERE, ReceiptHandle="c", VisibilityTimeout=1),
        call(
            "change_message_visibility_batch",
            QueueUrl=NOWHERE,
            Entries=entry("Id", "ReceiptHandle", "VisibilityTimeout"),
        ),
    )
    if "QueueOwnerAWSAccountId" not in step.arguments
)

URLS = tuple(
    on_queue(f"a queue URL that is {name}", call("send_message", QueueUrl=url, MessageBody="b"))
    for name, url in {
        "empty": "",
        "a name": "plain",
        "not a URL": "not a url at all",
        "of another host": "https://sqs.eu-west-1.amazonaws.com/123456789012/plain",
        "of another scheme": "ftp://elsewhere/123456789012/plain",
        "unicode": "http://xn/123456789012/zürich-🚀",
    }.items()
)

CREATING = (
    *(
        Case(f"create_queue {name}", (call("create_queue", QueueName=queue),), servers)
        for name, queue, servers in (
            ("with an empty name", "", EMBEDDED),
            ("with a bad name", "bad name!", frozenset({"moto", "embedded"})),
            ("with too long a name", "a" * 81, frozenset({"moto", "embedded"})),
            ("fifo without the attribute", "line.fifo", frozenset({"moto", "embedded"})),
        )
    ),
    Case(
        "create_queue again with other attributes",
        (
            call("create_queue", QueueName="plain", Attributes={"VisibilityTimeout": "30"}),
            call("create_queue", QueueName="plain", Attributes={"VisibilityTimeout": "31"}),
        ),
    ),
    *(
        Case(f"create_queue with {name}", (call("create_queue", QueueName="plain", Attributes=attributes),), EMBEDDED)
        for name, attributes in {
            "an unknown attribute": {"Nonsense": "1"},
            "a word for a number": {"DelaySeconds": "soon"},
            "a delay too long": {"DelaySeconds": "901"},
            "a visibility too long": {"VisibilityTimeout": "43201"},
            "a negative retention": {"MessageRetentionPeriod": "-1"},
            "no JSON for a policy": {"Policy": "{"},
            "no JSON for a redrive policy": {"RedrivePolicy": "{"},
        }.items()
    ),
    Case(
        "create_queue too large",
        (call("create_queue", QueueName="plain", Attributes={"MaximumMessageSize": "1048577"}),),
    ),
    on_queue(
        "create_queue with a dead-letter queue that is not there",
        GET_ARN,
        call(
            "create_queue",
            QueueName="source",
            Attributes={"RedrivePolicy": Filled(REDRIVE_TO.replace("%s", "%s-not"), ARN)},
        ),
    ),
)

ATTRIBUTES = (
    on_queue("an unknown queue attribute", call("get_queue_attributes", QueueUrl=URL, AttributeNames=["Nonsense"])),
    on_queue("an empty queue attribute", call("get_queue_attributes", QueueUrl=URL, AttributeNames=[""])),
    on_queue(
        "too many permissions", call("add_permission", QueueUrl=URL, Label="l", AWSAccountIds=["1"], Actions=["a"] * 8)
    ),
    on_queue(
        "a bad action", call("add_permission", QueueUrl=URL, Label="l", AWSAccountIds=["1"], Actions=["Nonsense"])
    ),
    on_queue("no permissions", call("add_permission", QueueUrl=URL, Label="l", AWSAccountIds=["1"], Actions=[])),
    on_queue("no accounts", call("add_permission", QueueUrl=URL, Label="l", AWSAccountIds=[], Actions=["*"])),
    on_queue("an unknown label", call("remove_permission", QueueUrl=URL, Label="never there")),
    on_queue("no tags", call("tag_queue", QueueUrl=URL, Tags={})),
    on_queue("51 tags", call("tag_queue", QueueUrl=URL, Tags={str(n): "v" for n in range(51)})),
    on_queue("no tag keys", call("untag_queue", QueueUrl=URL, TagKeys=[])),
    on_queue("purged twice", call("purge_queue", QueueUrl=URL), call("purge_queue", QueueUrl=URL)),
)


def refused(name: str, **arguments: Any) -> Case:
    return on_queue(f"send_message {name}", call("send_message", **{"QueueUrl": URL, "MessageBody": "b", **arguments}))


def attribute_refused(name: str, attribute: str, value: dict[str, Any]) -> Case:
    return refused(f"with {name}", MessageAttributes={attribute: value})


SENDING = (
    refused("with an empty body", MessageBody=""),
    refused("over 1 MiB", MessageBody="x" * (1024 * 1024 + 1)),
    *(
        refused(f"with {name}", MessageBody=f"a{character}b")
        for name, character in {
            "a null": "\0",
            "a backspace": "\b",
            "an escape": "\x1b",
            "a form feed": "\f",
            "U+FFFE": "\ufffe",
            "U+FFFF": "\uffff",
            "a high surrogate": "\ud83d",
            "a low surrogate": "\ude80",
            "surrogates in the wrong order": "\ude80\ud83d",
            "a pair of surrogates apart": "\ud83d\ude80",
        }.items()
    ),
    refused("with a delay too long", DelaySeconds=901),
    refused("with a negative delay", DelaySeconds=-1),
    refused("with a huge delay", DelaySeconds=10**30),
    refused("with a group on a standard queue", MessageGroupId="g", MessageDeduplicationId="d"),
    refused("with 11 attributes", MessageAttributes={f"n{number}": text("v") for number in range(11)}),
    attribute_refused("an empty attribute name", "", text("v")),
    attribute_refused("a reserved attribute name", "AWS.thing", text("v")),
    attribute_refused("an attribute name with a space", "a b", text("v")),
    attribute_refused("an attribute name with two dots", "a..b", text("v")),
    attribute_refused("an attribute name too long", "a" * 257, text("v")),
    attribute_refused("an unknown type", "a", text("v", "Nonsense")),
    attribute_refused("a type in lower case", "a", text("v", "string")),
    attribute_refused("an empty type", "a", text("v", "")),
    attribute_refused("an empty text", "a", text("")),
    attribute_refused("an empty binary", "a", binary(b"")),
    attribute_refused("a text as binary", "a", {"DataType": "Binary", "StringValue": "v"}),
    attribute_refused("a binary as text", "a", {"DataType": "String", "BinaryValue": b"v"}),
    attribute_refused("no value at all", "a", {"DataType": "String"}),
    attribute_refused("a list of texts", "a", {"DataType": "String", "StringListValues": ["v"]}),
    attribute_refused("a list of binaries", "a", {"DataType": "Binary", "BinaryListValues": [b"v", "w"]}),
    attribute_refused("a word for a number", "a", text("seven", "Number")),
)


def receive_refused(name: str, **arguments: Any) -> Case:
    return on_queue(f"receive_message {name}", call("receive_message", QueueUrl=URL, **arguments))


RECEIVING = (
    *(receive_refused(f"of {count}", MaxNumberOfMessages=count) for count in (0, 11, -1, 2**31, 2**63, 10**30)),
    *(receive_refused(f"waiting {wait} s", WaitTimeSeconds=wait) for wait in (-1, 21)),
    receive_refused("hidden too long", VisibilityTimeout=43201),
    Case(
        "receive_message with an unknown system attribute",
        (*on_queue("", call("receive_message", QueueUrl=URL, MessageSystemAttributeNames=["Nonsense"])).steps,),
        EMBEDDED,
    ),
    on_queue("delete_message with a bad handle", call("delete_message", QueueUrl=URL, ReceiptHandle="not a handle")),
    on_queue("delete_message with an empty handle", call("delete_message", QueueUrl=URL, ReceiptHandle="")),
    on_queue(
        "change_message_visibility with a bad handle",
        call("change_message_visibility", QueueUrl=URL, ReceiptHandle="not a handle", VisibilityTimeout=1),
    ),
    on_queue(
        "change_message_visibility too long",
        SEND,
        RECEIVE,
        call("change_message_visibility", QueueUrl=URL, ReceiptHandle=HANDLE, VisibilityTimeout=43201),
        call("change_message_visibility", QueueUrl=URL, ReceiptHandle=HANDLE, VisibilityTimeout=43000),
    ),
    on_queue(
        "change_message_visibility of a deleted message",
        SEND,
        RECEIVE,
        call("delete_message", QueueUrl=URL, ReceiptHandle=HANDLE),
        call("change_message_visibility", QueueUrl=URL, ReceiptHandle=HANDLE, VisibilityTimeout=1),
    ),
)


def batch_refused(name: str, *each: dict[str, Any]) -> Case:
    return on_queue(
        f"send_message_batch {name}",
        call("send_message_batch", QueueUrl=URL, Entries=[{"MessageBody": "b", **entry} for entry in each]),
    )


BATCHES = (
    batch_refused("of none"),
    batch_refused("of eleven", *({"Id": str(number)} for number in range(11))),
    batch_refused("with an id twice", {"Id": "a"}, {"Id": "b"}, {"Id": "a"}),
    batch_refused("with an id too long", {"Id": "a" * 81}),
    batch_refused("with a bad id", {"Id": "a b"}),
    batch_refused("with an empty id", {"Id": ""}),
    batch_refused("over 1 MiB together", *({"Id": str(n), "MessageBody": "x" * 524_289} for n in range(2))),
    batch_refused("with one refused character", {"Id": "a"}, {"Id": "b", "MessageBody": "\0"}),
    batch_refused("with one empty body", {"Id": "a"}, {"Id": "b", "MessageBody": ""}),
    batch_refused("with one delay too long", {"Id": "a"}, {"Id": "b", "DelaySeconds": 901}),
    batch_refused(
        "with one bad attribute", {"Id": "a"}, {"Id": "b", "MessageAttributes": {"x": text("v", "Nonsense")}}
    ),
    on_queue("delete_message_batch of none", call("delete_message_batch", QueueUrl=URL, Entries=[])),
    on_queue(
        "delete_message_batch with an id twice",
        *filled(2),
        call("delete_message_batch", QueueUrl=URL, Entries=[{"Id": "a", "ReceiptHandle": handle(n)} for n in range(2)]),
    ),
    on_queue(
        "delete_message_batch of bad handles",
        batch("delete_message_batch", *({"ReceiptHandle": f"bad{n}"} for n in range(3))),
    ),
    on_queue(
        "change_message_visibility_batch of none", call("change_message_visibility_batch", QueueUrl=URL, Entries=[])
    ),
    on_queue(
        "change_message_visibility_batch too long",
        *filled(1),
        batch("change_message_visibility_batch", {"ReceiptHandle": handle(0), "VisibilityTimeout": 43201}),
    ),
)

NEVER_SENT = (
    Case("nothing given", (call("send_message"),)),
    Case("the wrong type", (call("send_message", QueueUrl=NOWHERE, MessageBody=5),)),
    Case("a wrong name", (call("send_message", QueueURL=NOWHERE, MessageBody="b"),)),
)

CASES: tuple[Case, ...] = (*NO_QUEUE, *URLS, *CREATING, *ATTRIBUTES, *SENDING, *RECEIVING, *BATCHES, *NEVER_SENT)
