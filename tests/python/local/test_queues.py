"""Queues of the embedded SQS: making, finding, listing, setting, tagging, permitting, deleting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from turbosqs.local import Server


def error(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def attributes(sqs: Any, url: str, *names: str) -> dict[str, str]:
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names or ["All"]).get(
        "Attributes", {}
    )
    return found


def test_a_new_queue_has_the_services_defaults(sqs: Any, server: Server) -> None:
    url = sqs.create_queue(QueueName="plain")["QueueUrl"]
    assert url == f"{server.endpoint_url}/000000000000/plain"
    assert sqs.get_queue_url(QueueName="plain")["QueueUrl"] == url
    found = attributes(sqs, url)
    assert found.pop("CreatedTimestamp") == found.pop("LastModifiedTimestamp")
    assert found == {
        "QueueArn": "arn:aws:sqs:us-east-1:000000000000:plain",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "VisibilityTimeout": "30",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
    }


def test_creating_again(sqs: Any) -> None:
    wanted = {"DelaySeconds": "1", "VisibilityTimeout": "2"}
    url = sqs.create_queue(QueueName="q", Attributes=wanted)["QueueUrl"]
    for same in ({}, {"DelaySeconds": "1"}, wanted):
        assert sqs.create_queue(QueueName="q", Attributes=same)["QueueUrl"] == url
    code, text = error(sqs.create_queue, QueueName="q", Attributes={"DelaySeconds": "2"})
    assert code == "QueueAlreadyExists"
    assert text == "A queue already exists with the same name and a different value for attribute DelaySeconds"
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "3"})


@pytest.mark.parametrize(
    ("name", "wanted", "code", "text"),
    [
        (
            "a b",
            {},
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1",
        ),
        ("q" * 81, {}, "InvalidParameterValue", "Can only include alphanumeric"),
        ("q.fifo", {}, "InvalidParameterValue", "Can only include alphanumeric"),
        ("q", {"FifoQueue": "true"}, "InvalidParameterValue", "must end with .fifo suffix"),
        ("q", {"FifoQueue": "false"}, "InvalidAttributeName", "Unknown Attribute FifoQueue."),
        (
            "q",
            {"ContentBasedDeduplication": "true"},
            "InvalidAttributeName",
            "Unknown Attribute ContentBasedDeduplication",
        ),
        (
            "q",
            {"DeduplicationScope": "queue"},
            "InvalidAttributeName",
            "You can specify the DeduplicationScope only when FifoQueue is set to true.",
        ),
        ("q", {"Colour": "red"}, "InvalidAttributeName", "Unknown Attribute Colour."),
        ("q", {"DelaySeconds": "901"}, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."),
        (
            "q",
            {"VisibilityTimeout": "x"},
            "InvalidAttributeValue",
            "Invalid value for the parameter VisibilityTimeout.",
        ),
        ("q", {"MaximumMessageSize": "1023"}, "InvalidAttributeValue", "MaximumMessageSize"),
        ("q", {"MessageRetentionPeriod": "59"}, "InvalidAttributeValue", "MessageRetentionPeriod"),
        ("q", {"ReceiveMessageWaitTimeSeconds": "21"}, "InvalidAttributeValue", "ReceiveMessageWaitTimeSeconds"),
        ("q", {"Policy": "not json"}, "InvalidAttributeValue", "Policy"),
        (
            "q.fifo",
            {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"},
            "InvalidAttributeValue",
            "FifoThroughputLimit",
        ),
    ],
)
def test_what_cannot_be_created(sqs: Any, name: str, wanted: dict[str, str], code: str, text: str) -> None:
    got, message = error(sqs.create_queue, QueueName=name, Attributes=wanted)
    assert got == code
    assert text in message
    assert "QueueUrls" not in sqs.list_queues()


def test_setting_attributes(sqs: Any, server: Server, url: str) -> None:
    before = attributes(sqs, url)
    server.advance(10)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5", "KmsMasterKeyId": "key"})
    after = attributes(sqs, url)
    assert int(after["LastModifiedTimestamp"]) - int(before["LastModifiedTimestamp"]) == 10
    assert (after["VisibilityTimeout"], after["KmsMasterKeyId"], after["SqsManagedSseEnabled"]) == ("5", "key", "false")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert attributes(sqs, url, "SqsManagedSseEnabled", "KmsMasterKeyId") == {"SqsManagedSseEnabled": "true"}
    both = {"KmsMasterKeyId": "key", "SqsManagedSseEnabled": "true"}
    assert error(sqs.set_queue_attributes, QueueUrl=url, Attributes=both)[0] == "InvalidAttributeName"
    # All or nothing.
    half = {"VisibilityTimeout": "6", "DelaySeconds": "-1"}
    assert error(sqs.set_queue_attributes, QueueUrl=url, Attributes=half)[0] == "InvalidAttributeValue"
    assert attributes(sqs, url, "VisibilityTimeout") == {"VisibilityTimeout": "5"}
    assert error(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])[0] == "InvalidAttributeName"
    assert attributes(sqs, url, "Policy") == {}


def test_the_type_of_a_queue_is_for_good(sqs: Any, fifo: str, url: str) -> None:
    assert error(sqs.set_queue_attributes, QueueUrl=fifo, Attributes={"FifoQueue": "false"}) == (
        "InvalidAttributeValue",
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
    )
    assert error(sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "true"})[0] == "InvalidAttributeName"


def test_listing_by_pages(sqs: Any, server: Server) -> None:
    assert "QueueUrls" not in sqs.list_queues()
    for i in range(25):
        server.create_queue(f"page-{i:02}")
    server.create_queue("other")
    everything = sqs.list_queues(QueueNamePrefix="page-")
    assert len(everything["QueueUrls"]) == 25
    assert "NextToken" not in everything
    pages = list(sqs.get_paginator("list_queues").paginate(QueueNamePrefix="page-", PaginationConfig={"PageSize": 10}))
    assert [len(page["QueueUrls"]) for page in pages] == [10, 10, 5]
    assert [url for page in pages for url in page["QueueUrls"]] == everything["QueueUrls"]
    first = sqs.list_queues(MaxResults=25, QueueNamePrefix="page-")
    assert "NextToken" not in first
    for size in (0, 1001):
        assert error(sqs.list_queues, MaxResults=size)[0] == "InvalidParameterValue"
    assert error(sqs.list_queues, MaxResults=1, NextToken="?")[0] == "InvalidParameterValue"


def test_tags(sqs: Any, server: Server) -> None:
    url = sqs.create_queue(QueueName="tagged", tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2", "a": "3"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "3", "b": "2"}
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "never"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}
    sqs.untag_queue(QueueUrl=url, TagKeys=["b"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)
    assert error(sqs.tag_queue, QueueUrl=url, Tags={f"t{i}": "v" for i in range(51)})[0] == "InvalidParameterValue"
    assert error(sqs.tag_queue, QueueUrl=url, Tags={"k" * 129: "v"})[0] == "InvalidParameterValue"
    del server


def test_permissions_are_kept_in_the_policy(sqs: Any, url: str) -> None:
    accounts = ["111111111111", "222222222222"]
    sqs.add_permission(QueueUrl=url, Label="one", AWSAccountIds=accounts, Actions=["ReceiveMessage"])
    sqs.add_permission(QueueUrl=url, Label="two", AWSAccountIds=accounts[:1], Actions=["SendMessage", "PurgeQueue"])
    arn = "arn:aws:sqs:us-east-1:000000000000:orders"
    assert json.loads(attributes(sqs, url, "Policy")["Policy"]) == {
        "Version": "2008-10-17",
        "Id": f"{arn}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "one",
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in accounts]},
                "Action": "SQS:ReceiveMessage",
                "Resource": arn,
            },
            {
                "Sid": "two",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": ["SQS:SendMessage", "SQS:PurgeQueue"],
                "Resource": arn,
            },
        ],
    }
    again = {"Label": "one", "AWSAccountIds": accounts, "Actions": ["SendMessage"]}
    assert error(sqs.add_permission, QueueUrl=url, **again) == (
        "InvalidParameterValue",
        "Value one for parameter Label is invalid. Reason: Already exists.",
    )
    sqs.remove_permission(QueueUrl=url, Label="one")
    sqs.remove_permission(QueueUrl=url, Label="two")
    assert attributes(sqs, url, "Policy") == {}
    assert error(sqs.remove_permission, QueueUrl=url, Label="one") == (
        "InvalidParameterValue",
        "Value one for parameter Label is invalid. Reason: can't find label.",
    )
    eight = {"Label": "many", "AWSAccountIds": accounts, "Actions": ["SendMessage"] * 8}
    assert error(sqs.add_permission, QueueUrl=url, **eight)[0] == "OverLimit"
    owners = {"Label": "mine", "AWSAccountIds": accounts, "Actions": ["CreateQueue"]}
    assert error(sqs.add_permission, QueueUrl=url, **owners) == (
        "InvalidParameterValue",
        "Value SQS:CreateQueue for parameter ActionName is invalid. "
        "Reason: Only the queue owner is allowed to invoke this action.",
    )


def test_purging_and_deleting(sqs: Any, url: str) -> None:
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=10)
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.purge_queue(QueueUrl=url)
    sqs.purge_queue(QueueUrl=url)
    names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
    assert attributes(sqs, url, *names) == dict.fromkeys(names, "0")
    sqs.send_message(QueueUrl=url, MessageBody="new")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    sqs.delete_queue(QueueUrl=url)
    assert error(sqs.send_message, QueueUrl=url, MessageBody="a") == (
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist.",
    )
    sqs.create_queue(QueueName="orders")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_the_sixty_second_rules_when_asked_for(connect: Any) -> None:
    with Server(clock="manual", sixty_second_rules=True, queues=["orders"]) as server:
        sqs = connect(server)
        url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
        sqs.purge_queue(QueueUrl=url)
        server.advance(59)
        assert error(sqs.purge_queue, QueueUrl=url) == (
            "AWS.SimpleQueueService.PurgeQueueInProgress",
            "Only one PurgeQueue operation on orders is allowed every 60 seconds.",
        )
        server.advance(1)
        sqs.purge_queue(QueueUrl=url)
        sqs.delete_queue(QueueUrl=url)
        assert error(sqs.create_queue, QueueName="orders") == (
            "AWS.SimpleQueueService.QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        )
        server.advance(60)
        sqs.create_queue(QueueName="orders")


def test_a_policy_whose_statement_stands_alone_takes_permissions(sqs: Any, url: str) -> None:
    alone = {"Version": "2012-10-17", "Statement": {"Sid": "alone", "Effect": "Deny", "Action": "SQS:*"}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(alone)})
    sqs.add_permission(QueueUrl=url, Label="one", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    assert [statement["Sid"] for statement in json.loads(policy)["Statement"]] == ["alone", "one"]
    sqs.remove_permission(QueueUrl=url, Label="one")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(alone)})
    sqs.remove_permission(QueueUrl=url, Label="alone")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


def test_policies_are_compared_by_what_they_mean(sqs: Any) -> None:
    policies: dict[str, dict[str, Any]] = {
        "Policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Deny"}]},
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
    }
    written = {name: json.dumps(policy) for name, policy in policies.items()}
    url = sqs.create_queue(QueueName="q", Attributes=written)["QueueUrl"]
    for indent in (None, 2):
        again = {name: json.dumps(policy, indent=indent) for name, policy in policies.items()}
        assert sqs.create_queue(QueueName="q", Attributes=again)["QueueUrl"] == url
    for name, other in (
        ("Policy", {"Version": "2008-10-17", "Statement": [{"Effect": "Deny"}]}),
        ("RedriveAllowPolicy", {"redrivePermission": "allowAll"}),
    ):
        assert error(sqs.create_queue, QueueName="q", Attributes={name: json.dumps(other)})[0].endswith(
            ("QueueNameExists", "QueueAlreadyExists")
        )


def test_regions_and_accounts_are_kept_apart(server: Server, connect: Any) -> None:
    here = connect(server, "eu-west-1")
    there = connect(server, "ap-south-1")
    other = connect(server, "eu-west-1", key="123456789012")
    url = here.create_queue(QueueName="q")["QueueUrl"]
    here.send_message(QueueUrl=url, MessageBody="a")
    assert "QueueUrls" not in there.list_queues()
    assert "QueueUrls" not in other.list_queues()
    assert error(there.send_message, QueueUrl=url, MessageBody="a")[0] == "AWS.SimpleQueueService.NonExistentQueue"
    theirs = other.create_queue(QueueName="q")["QueueUrl"]
    assert theirs == f"{server.endpoint_url}/123456789012/q"
    assert "Messages" not in other.receive_message(QueueUrl=theirs)
    assert here.get_queue_url(QueueName="q", QueueOwnerAWSAccountId="123456789012")["QueueUrl"] == theirs
    # The URL says whose queue is meant.
    assert other.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "a"
