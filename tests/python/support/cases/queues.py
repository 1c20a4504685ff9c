"""Cases about queues: making, finding, listing, describing, tagging, permitting, emptying and moving between them."""

from __future__ import annotations

from .language import BOTH, EMBEDDED, URL, Call, Case, Filled, Pages, Ref, call, named, on_queue

ARN = Ref("arn", "Attributes", "QueueArn")
GET_ARN = named("arn", "get_queue_attributes", QueueUrl=URL, AttributeNames=["QueueArn"])
SETTINGS = {
    "DelaySeconds": "5",
    "MaximumMessageSize": "2048",
    "MessageRetentionPeriod": "86400",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "45",
}
#: A RedrivePolicy, but for the ARN of the dead-letter queue.
REDRIVE_TO = '{"deadLetterTargetArn":"%s","maxReceiveCount":"3"}'
POLICY = '{"Version":"2012-10-17","Id":"p","Statement":[]}'


def many(count: int, prefix: str = "many") -> tuple[Call, ...]:
    return tuple(call("create_queue", QueueName=f"{prefix}-{number:02}") for number in range(count))


MAKING = (
    Case("create_queue", (call("create_queue", QueueName="plain"),)),
    Case("create_queue again", (call("create_queue", QueueName="plain"), call("create_queue", QueueName="plain"))),
    Case("create_queue with attributes", (call("create_queue", QueueName="plain", Attributes=SETTINGS),)),
    Case("create_queue with no attributes", (call("create_queue", QueueName="plain", Attributes={}),)),
    Case(
        "create_queue with tags",
        (
            named("queue", "create_queue", QueueName="plain", tags={"team": "queues", "städte": "Zürich 🚀"}),
            call("list_queue_tags", QueueUrl=URL),
        ),
    ),
    Case(
        "create_queue fifo",
        (
            named("queue", "create_queue", QueueName="line.fifo", Attributes={"FifoQueue": "true"}),
            call("get_queue_attributes", QueueUrl=URL, AttributeNames=["FifoQueue", "ContentBasedDeduplication"]),
        ),
    ),
    Case(
        "create_queue with the longest name",
        (call("create_queue", QueueName="a" * 80), call("get_queue_url", QueueName="a" * 80)),
    ),
    on_queue("get_queue_url", call("get_queue_url", QueueName="plain")),
    on_queue(
        "get_queue_url of an account", call("get_queue_url", QueueName="plain", QueueOwnerAWSAccountId="123456789012")
    ),
    on_queue("delete_queue", call("delete_queue", QueueUrl=URL), call("get_queue_url", QueueName="plain")),
    on_queue("delete_queue twice", call("delete_queue", QueueUrl=URL), call("delete_queue", QueueUrl=URL)),
    on_queue(
        "purge_queue",
        call("send_message", QueueUrl=URL, MessageBody="gone soon"),
        call("purge_queue", QueueUrl=URL),
        call("receive_message", QueueUrl=URL, WaitTimeSeconds=0),
    ),
)

LISTING = (
    Case("list_queues when there are none", (call("list_queues"),)),
    Case("list_queues", (*many(3), call("list_queues"))),
    Case(
        "list_queues with a prefix",
        (
            *many(2),
            *many(2, "other"),
            call("list_queues", QueueNamePrefix="other"),
            call("list_queues", QueueNamePrefix="none"),
        ),
    ),
    Case(
        "list_queues page by page",
        (
            *many(5),
            named("first", "list_queues", MaxResults=2),
            named("second", "list_queues", MaxResults=2, NextToken=Ref("first", "NextToken")),
            call("list_queues", MaxResults=2, NextToken=Ref("second", "NextToken")),
        ),
    ),
    Case("paginate list_queues", (*many(3), Pages("list_queues", {}))),
    Case("paginate list_queues when there are none", (Pages("list_queues", {}), Pages("list_queues", {}, whole=True))),
    Case(
        "paginate list_queues with a page size", (*many(5), Pages("list_queues", {"PaginationConfig": {"PageSize": 2}}))
    ),
    Case(
        "paginate list_queues with a page size as text",
        (*many(3), Pages("list_queues", {"PaginationConfig": {"PageSize": "2"}})),
    ),
    Case(
        "paginate list_queues up to a number",
        (*many(5), Pages("list_queues", {"PaginationConfig": {"PageSize": 2, "MaxItems": 3}})),
    ),
    Case("paginate list_queues up to none", (*many(2), Pages("list_queues", {"PaginationConfig": {"MaxItems": 0}}))),
    Case(
        "paginate list_queues as a whole",
        (*many(5), Pages("list_queues", {"PaginationConfig": {"PageSize": 2}}, whole=True)),
    ),
    Case(
        "paginate list_queues as a whole up to a number",
        (*many(5), Pages("list_queues", {"PaginationConfig": {"PageSize": 2, "MaxItems": 3}}, whole=True)),
    ),
    Case(
        "paginate list_queues in two goes",
        (
            *many(5),
            Pages("list_queues", {"PaginationConfig": {"PageSize": 2, "MaxItems": 3}}, "first", whole=True),
            Pages("list_queues", {"PaginationConfig": {"PageSize": 2, "StartingToken": Ref("first", "NextToken")}}),
        ),
    ),
    Case(
        "paginate list_queues with a prefix",
        (*many(2), *many(3, "other"), Pages("list_queues", {"QueueNamePrefix": "other", "MaxResults": 2})),
    ),
    Case(
        "paginate list_queues with a token of its own",
        (
            *many(3),
            Pages("list_queues", {"NextToken": "token"}),
            Pages("list_queues", {"PaginationConfig": {"StartingToken": 5}}),
        ),
    ),
    Case(
        "paginate list_queues with bad settings",
        (
            Pages("list_queues", {"PaginationConfig": {"PageSize": "many"}}),
            Pages("list_queues", {"PaginationConfig": {"MaxItems": "many"}}),
            Pages("list_queues", {"PaginationConfig": {"StartingToken": "not a token"}}),
            Pages("list_queues", {"QueueNamePrefix": 5}),
            Pages("list_queues", {"Unknown": 5}),
        ),
    ),
)

ATTRIBUTES = (
    on_queue("get_queue_attributes without names", call("get_queue_attributes", QueueUrl=URL)),
    on_queue("get_queue_attributes with no names", call("get_queue_attributes", QueueUrl=URL, AttributeNames=[])),
    on_queue("get_queue_attributes all", call("get_queue_attributes", QueueUrl=URL, AttributeNames=["All"])),
    on_queue(
        "get_queue_attributes some",
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["VisibilityTimeout", "DelaySeconds", "Policy"]),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=("QueueArn", "MaximumMessageSize")),
        attributes=SETTINGS,
    ),
    on_queue(
        "set_queue_attributes",
        call("set_queue_attributes", QueueUrl=URL, Attributes=SETTINGS),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["All"]),
    ),
    on_queue(
        "set_queue_attributes policy",
        call("set_queue_attributes", QueueUrl=URL, Attributes={"Policy": POLICY}),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["Policy"]),
        call("set_queue_attributes", QueueUrl=URL, Attributes={"Policy": ""}),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["Policy"]),
    ),
)

TAGS = (
    on_queue("list_queue_tags when there are none", call("list_queue_tags", QueueUrl=URL)),
    on_queue(
        "tag_queue and untag_queue",
        call("tag_queue", QueueUrl=URL, Tags={"a": "1", "b": "", "ü": "🚀"}),
        call("list_queue_tags", QueueUrl=URL),
        call("untag_queue", QueueUrl=URL, TagKeys=["a", "never there"]),
        call("untag_queue", QueueUrl=URL, TagKeys=("ü",)),
        call("list_queue_tags", QueueUrl=URL),
    ),
)

PERMISSIONS = (
    on_queue(
        "add_permission and remove_permission",
        call("add_permission", QueueUrl=URL, Label="read", AWSAccountIds=["111111111111"], Actions=["ReceiveMessage"]),
        call("add_permission", QueueUrl=URL, Label="all", AWSAccountIds=("222222222222",), Actions=("*",)),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["Policy"]),
        call("remove_permission", QueueUrl=URL, Label="read"),
        call("get_queue_attributes", QueueUrl=URL, AttributeNames=["Policy"]),
    ),
)


def redrive(name: str, *steps: Call | Pages, servers: frozenset[str] = BOTH) -> Case:
    """A case with a dead-letter queue, ``URL``, and a queue ``source`` that drains into it."""
    return on_queue(
        name,
        GET_ARN,
        named(
            "source",
            "create_queue",
            QueueName="source",
            Attributes={"RedrivePolicy": Filled(REDRIVE_TO, ARN)},
        ),
        *steps,
        queue="dead",
        servers=servers,
    )


REDRIVE = (
    on_queue(
        "list_dead_letter_source_queues when there are none",
        call("list_dead_letter_source_queues", QueueUrl=URL),
        Pages("list_dead_letter_source_queues", {"QueueUrl": URL}),
        Pages("list_dead_letter_source_queues", {}),
    ),
    redrive("list_dead_letter_source_queues", call("list_dead_letter_source_queues", QueueUrl=URL)),
    redrive(
        "list_dead_letter_source_queues page by page",
        call("list_dead_letter_source_queues", QueueUrl=URL, MaxResults=1),
        Pages("list_dead_letter_source_queues", {"QueueUrl": URL, "PaginationConfig": {"PageSize": 1}}),
        Pages("list_dead_letter_source_queues", {"QueueUrl": URL}, whole=True),
    ),
    redrive(
        "move tasks",
        named("task", "start_message_move_task", SourceArn=ARN, MaxNumberOfMessagesPerSecond=1),
        call("list_message_move_tasks", SourceArn=ARN, MaxResults=5),
        call("cancel_message_move_task", TaskHandle="AQEB"),
        servers=EMBEDDED,
    ),
)

CASES: tuple[Case, ...] = (*MAKING, *LISTING, *ATTRIBUTES, *TAGS, *PERMISSIONS, *REDRIVE)
