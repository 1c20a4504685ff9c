"""The console in a real browser: what a person does with it, found by role and name."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest
import turbosqs
from turbosqs.local import Server

expect = pytest.importorskip("playwright.sync_api").expect

DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def queue(page: Any, server: Server, name: str, tab: str = "messages") -> None:
    page.goto(f"{server.endpoint_url}/#/queue/{name}/{tab}")
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def test_an_address_that_changes_while_the_page_begins(server: Server, look: Any) -> None:
    server.create_queue("orders")
    page = look(server.endpoint_url)
    # At its first picture: as early as somebody can choose a link.
    page.add_init_script("""
        const moved = () => {
            if (!document.querySelector("main")) return;
            seen.disconnect();
            location.hash = "#/queue/orders/messages";
        };
        const seen = new MutationObserver(moved);
        seen.observe(document, { childList: true, subtree: true });
    """)
    page.reload()
    expect(page.get_by_role("heading", name="orders", level=1)).to_be_visible()


def test_a_late_answer(server: Server, sqs: Any, look: Any) -> None:
    """What belongs to an earlier question is not shown, and what has not come cannot be typed over."""
    url = server.create_queue("orders", tags={"old": "1"})
    page = look(server.endpoint_url)
    late: list[Any] = []

    def first_of(question: str) -> Any:
        """The first of these questions, held back until the test goes on with it."""
        late.clear()

        def hold(route: Any) -> None:
            asked = route.request.headers.get("x-amz-target", route.request.url)
            if question in asked and not late:
                late.append(route)
            else:
                route.fallback()

        page.route(re.compile(re.escape(server.endpoint_url)), hold)

    def held_back() -> Any:
        for _ in range(2_000):
            if late:
                return late[0]
            page.wait_for_timeout(10)
        raise AssertionError("nobody asked")

    first_of("/_turbosqs/overview")
    early = held_back()
    queue(page, server, "orders", "")
    early.fulfill(json={"queues": [], "total": 7, "now": 0, "pageSize": 50})
    first_of("ListQueueTags")
    page.get_by_role("link", name="Tags").click()
    tags = held_back()
    expect(page.get_by_role("link", name="Tags")).to_have_attribute("aria-current", "page")
    assert button(page, "Add tag").count() == 0
    tags.continue_()
    button(page, "Remove tag old").click()
    button(page, "Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)


def test_the_guides_walk(server: Server, sqs: Any, look: Any) -> None:
    """Part 1 of the guide, word for word: create a queue, send a message, poll for it, delete it."""
    page = look(server.endpoint_url)
    button(page, "Create queue").click()
    page.get_by_label("Name", exact=True).fill("my-queue")
    page.get_by_label("Visibility timeout", exact=True).fill("45")
    page.get_by_label("Message retention period unit").select_option("days")
    page.get_by_label("Message retention period", exact=True).fill("2")
    page.get_by_label("Encryption", exact=True).select_option("none")
    button(page, "Create queue").click()
    expect(page.get_by_role("heading", name="my-queue")).to_be_visible()
    url = sqs.get_queue_url(QueueName="my-queue")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    wanted = ("VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled")
    assert [attributes[name] for name in wanted] == ["45", "172800", "false"]
    page.get_by_role("link", name="Queues", exact=True).first.click()
    page.get_by_role("link", name="my-queue", exact=True).click()
    page.get_by_role("link", name="Send and receive messages").click()
    page.get_by_label("Message body").fill("Hello, SQS!")
    button(page, "Add attribute").click()
    page.get_by_label("Attribute name").fill("Author")
    page.get_by_label("Attribute value").fill("a person")
    button(page, "Send message").click()
    expect(page.get_by_text(re.compile("Sent: "))).to_be_visible()
    page.get_by_label("Maximum message count").fill("1")
    button(page, "Poll for messages").click()
    message = page.get_by_role("button", name=re.compile("Hello, SQS!"))
    message.click()
    expect(page.get_by_label("Body", exact=True)).to_have_text("Hello, SQS!")
    expect(page.get_by_role("cell", name="Author")).to_be_visible()
    expect(page.get_by_text("Receive count")).to_be_visible()
    button(page, "Delete").click()
    expect(message).to_have_count(0)
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert [attributes[name] for name in names] == ["0", "0"]


def test_everything_that_a_queue_can_be_given(server: Server, sqs: Any, look: Any) -> None:
    server.create_queue("dead")
    page = look(f"{server.endpoint_url}/#/create")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "s", "Effect": "Deny", "Action": "sqs:*", "Principal": "*"}],
    }
    for label, value in (
        ("Name", "whole"),
        ("Visibility timeout", "45"),
        ("Message retention period", "3600"),
        ("Delivery delay", "7"),
        ("Receive message wait time", "3"),
        ("Maximum message size", "2048"),
        ("Access policy", json.dumps(policy)),
        ("Dead-letter queue", DEAD),
        ("Maximum receives", "4"),
        ("Redrive allow policy", '{"redrivePermission": "denyAll"}'),
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Encryption", exact=True).select_option("kms")
    page.get_by_label("KMS key").fill("alias/aws/sqs")
    # The unit gives the number another meaning, and what is typed stays as it is.
    page.get_by_label("Delivery delay unit").select_option("minutes")
    page.get_by_label("Delivery delay", exact=True).fill("1.25")
    expect(page.get_by_label("Delivery delay", exact=True)).to_have_value("1.25")
    button(page, "Add tag").click()
    page.get_by_label("Tag key").fill("team")
    page.get_by_label("Tag value").fill("checkout")
    button(page, "Create queue").click()
    expect(page.get_by_role("heading", name="whole")).to_be_visible()
    url = sqs.get_queue_url(QueueName="whole")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    wanted = {
        "VisibilityTimeout": "45",
        "MessageRetentionPeriod": "3600",
        "DelaySeconds": "75",
        "ReceiveMessageWaitTimeSeconds": "3",
        "MaximumMessageSize": "2048",
        "KmsMasterKeyId": "alias/aws/sqs",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 4}, separators=(",", ":")),
        "RedriveAllowPolicy": '{"redrivePermission":"denyAll"}',
    }
    assert {name: attributes[name] for name in wanted} == wanted
    assert json.loads(attributes["Policy"]) == policy
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "checkout"}


def test_fifo(server: Server, sqs: Any, look: Any) -> None:
    page = look(f"{server.endpoint_url}/#/create")
    page.get_by_label("Name", exact=True).fill("jobs")
    page.get_by_label("FIFO", exact=True).check()
    button(page, "Create queue").click()
    expect(page.get_by_role("heading", name="jobs.fifo")).to_be_visible()
    page.get_by_role("link", name="Send and receive messages").click()
    page.get_by_label("Message body").fill("first")
    page.get_by_label("Message group ID").fill("g")
    button(page, "Send message").click()
    # The service's own words, where one can act on them.
    expect(page.get_by_role("alert")).to_contain_text("ContentBasedDeduplication")
    page.get_by_label("Message deduplication ID").fill("d")
    button(page, "Send message").click()
    expect(page.get_by_text(re.compile("Sent: "))).to_be_visible()
    url = sqs.get_queue_url(QueueName="jobs.fifo")["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert (message["Body"], message["Attributes"]["MessageGroupId"]) == ("first", "g")


def test_dead_letters_go_back(server: Server, sqs: Any, look: Any) -> None:
    dead = server.create_queue("dead")
    policy = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 1})
    source = server.create_queue("source", {"RedrivePolicy": policy, "VisibilityTimeout": "0"})
    for number in range(5):
        sqs.send_message(QueueUrl=source, MessageBody=str(number))
    for _ in range(2):
        sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10)
    page = look(server.endpoint_url)
    queue(page, server, "dead", "redrive")
    expect(page.get_by_role("link", name="source", exact=True)).to_be_visible()
    button(page, "Redrive").click()
    expect(page.get_by_role("cell", name=re.compile("5 of 5"))).to_be_visible()
    expect(page.get_by_role("cell", name="COMPLETED")).to_be_visible()
    name = "ApproximateNumberOfMessages"
    held = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name] for url in (dead, source)]
    assert held == ["0", "5"]
    # One that takes its time can be cancelled.
    for _ in range(2):
        sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10)
    page.get_by_label("Messages per second").fill("1")
    button(page, "Redrive").click()
    button(page, "Cancel redrive").click()
    expect(page.get_by_role("cell", name="CANCELLED")).to_be_visible()


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(3)</script></svg>',
    '{"a": "<img src=x onerror=alert(4)>", "__proto__": {"x": 1}}',
    "javascript:alert(5)",
    "right\u202eleft \u200bzero \u2028line",
    "1234567890123456789",
    "[" * 10_000,
    "\U0001f680" * 2_000,
]


def test_bodies_are_text_whatever_they_say(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("hostile")
    for body in HOSTILE:
        sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes={"bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256)) + b"<script>alert(6)"}},
        )
    page = look(server.endpoint_url)
    queue(page, server, "hostile")
    button(page, "Look without receiving").click()
    lines = page.locator(".messages .line")
    expect(lines).to_have_count(len(HOSTILE))
    for number, body in enumerate(HOSTILE):
        lines.nth(number).click()
        raw = button(page, "Raw")
        if raw.count():
            raw.click()
        shown = page.get_by_label("Body", exact=True).text_content()
        escaped = re.sub("[\u200b\u2028\u202e]", lambda hidden: f"\\u{{{ord(hidden[0]):x}}}", body)
        assert shown == escaped
        expect(page.get_by_text("0000  00 01 02 03")).to_be_visible()
    assert page.locator("main script, main img, main svg:not(.chart svg)").count() == 0
    # Nothing was received meanwhile.
    [message, *_] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_json_and_xml_are_pretty(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("pretty")
    for body in ('{"a":{"b":[1,2]}}', "<a><b>x</b><c/></a>"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    page = look(server.endpoint_url)
    queue(page, server, "pretty")
    button(page, "Look without receiving").click()
    for number, lines in enumerate((["{", '  "a": {'], ["<a>", "  <b>x</b>", "  <c/>", "</a>"])):
        page.locator(".messages .line").nth(number).click()
        shown = page.get_by_label("Body", exact=True).text_content()
        assert shown.splitlines()[: len(lines)] == lines


def test_asking_first(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("orders")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    page = look(server.endpoint_url)
    queue(page, server, "orders", "")
    dialog = page.get_by_role("dialog")
    button(page, "Purge").click()
    dialog.get_by_role("button", name="Cancel").click()
    assert "Messages" in sqs.receive_message(QueueUrl=url)
    button(page, "Purge").click()
    dialog.get_by_role("button", name="Purge").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("img", name="Messages in flight: 0")).to_be_visible()
    button(page, "Delete queue").click()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    button(page, "Delete queue").click()
    dialog.get_by_role("button", name="Delete queue").click()
    expect(page.get_by_text("There are no queues yet.")).to_be_visible()
    assert "QueueUrls" not in sqs.list_queues()


def test_settings_tags_and_permissions(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("orders", tags={"old": "1"})
    page = look(server.endpoint_url)
    queue(page, server, "orders", "edit")
    page.get_by_label("Delivery delay", exact=True).fill("7")
    button(page, "Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("link", name="Tags").click()
    button(page, "Remove tag old").click()
    button(page, "Add tag").click()
    page.get_by_label("Tag key").fill("team")
    page.get_by_label("Tag value").fill("checkout")
    button(page, "Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("link", name="Permissions").click()
    page.get_by_label("Label").fill("partner")
    page.get_by_label("Account IDs").fill("123456789012")
    button(page, "Add permission").click()
    expect(page.get_by_role("cell", name="partner", exact=True)).to_be_visible()
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["DelaySeconds"] == "7"
    assert json.loads(attributes["Policy"])["Statement"][0]["Sid"] == "partner"
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "checkout"}
    button(page, "Remove permission partner").click()
    expect(page.get_by_role("cell", name="partner", exact=True)).to_have_count(0)


def test_ten_thousand_queues(server: Server, look: Any) -> None:
    for number in range(10_000):
        server.create_queue(f"queue-{number:05}")
    page = look(server.endpoint_url)
    expect(page.get_by_text("1 \u2013 50 of 10,000")).to_be_visible()
    button(page, "Next page").click()
    expect(page.get_by_role("link", name="queue-00050", exact=True)).to_be_visible()
    page.get_by_label("Search").fill("9876")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="queue-09876", exact=True).click()
    expect(page.get_by_role("heading", name="queue-09876")).to_be_visible()


def test_a_hundred_thousand_messages(server: Server, look: Any) -> None:
    url = server.create_queue("full")
    sender = turbosqs.client(
        "sqs",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with sender.batch_writer(QueueUrl=url) as batch:
        for number in range(100_000):
            batch.send_message(MessageBody=f"message {number}")
    sender.close()
    page = look(server.endpoint_url)
    queue(page, server, "full")
    button(page, "Look without receiving").click()
    expect(page.get_by_text("1 \u2013 100 of 100,000")).to_be_visible()
    for first in (101, 201, 301):
        button(page, "Next messages").click()
        expect(page.get_by_text(f"{first} \u2013 {first + 99} of 100,000")).to_be_visible()
    expect(page.locator(".messages > li")).to_have_count(100)
    page.get_by_label("Maximum message count").fill("200")
    button(page, "Poll for messages").click()
    expect(page.locator(".messages > li")).to_have_count(200)
    page.get_by_role("link", name="Cost").click()
    expect(page.get_by_role("row", name=re.compile(r"SendMessageBatch Standard [\d,]+ 100,000"))).to_be_visible()


def test_a_poll_shows_its_progress_and_stops(server: Server, look: Any) -> None:
    server.create_queue("quiet")
    page = look(server.endpoint_url)
    queue(page, server, "quiet")
    button(page, "Poll for messages").click()
    expect(page.get_by_role("progressbar", name="Polling progress")).to_be_visible()
    button(page, "Stop").click()
    expect(button(page, "Poll for messages")).to_be_visible()


def test_what_is_deleted_during_a_poll_stays_away(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("orders")
    sqs.send_message(QueueUrl=url, MessageBody="first")
    page = look(server.endpoint_url)
    queue(page, server, "orders")
    page.get_by_label("Polling duration").fill("900")
    button(page, "Poll for messages").click()
    page.get_by_role("button", name=re.compile("^first")).click()
    button(page, "Delete").click()
    expect(page.get_by_role("button", name=re.compile("^first"))).to_have_count(0)
    # It is the same poll that brings the next one.
    sqs.send_message(QueueUrl=url, MessageBody="second")
    expect(page.get_by_role("button", name=re.compile("^second"))).to_be_visible()
    expect(page.locator(".messages > li")).to_have_count(1)
    expect(button(page, "Stop")).to_be_visible()


def test_an_answer_that_is_late_is_not_shown(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("orders")
    for number in range(15):
        entries = [{"Id": str(i), "MessageBody": f"{number * 10 + i}"} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    page = look(server.endpoint_url)
    held: list[Any] = []

    def hold(route: Any) -> None:
        if json.loads(route.request.post_data)["Offset"] == 100:
            held.append(route)
        else:
            route.continue_()

    queue(page, server, "orders")
    button(page, "Look without receiving").click()
    first = page.get_by_text("1 \u2013 100 of 150")
    expect(first).to_be_visible()
    page.route("**/_aws/sqs/messages", hold)
    with page.expect_request("**/_aws/sqs/messages"):
        button(page, "Next messages").click()
    with page.expect_response("**/_aws/sqs/messages"):
        button(page, "Look without receiving").click()
    expect(first).to_be_visible()
    [route] = held
    with page.expect_response("**/_aws/sqs/messages"):
        route.continue_()
    # What the answer would change is there two pictures later.
    page.evaluate("() => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")
    expect(first).to_be_visible()
    expect(page.locator(".messages > li")).to_have_count(100)


def test_what_others_set_meanwhile_is_not_set_back(server: Server, sqs: Any, look: Any) -> None:
    url = server.create_queue("orders")
    page = look(server.endpoint_url)
    queue(page, server, "orders", "")
    expect(page.get_by_text("30 s", exact=True)).to_be_visible()
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "77"})
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_label("Visibility timeout", exact=True)).to_have_value("77")
    page.get_by_label("Delivery delay", exact=True).fill("7")
    button(page, "Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (attributes["VisibilityTimeout"], attributes["DelaySeconds"]) == ("77", "7")


def test_a_server_that_goes_and_comes_back(look: Any) -> None:
    first = Server(queues=["orders"])
    page = look(first.endpoint_url)
    expect(page.get_by_role("link", name="orders", exact=True)).to_be_visible()
    first.stop()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The connection to the server is lost.")
    with Server(first.port, queues=["orders", "new"]):
        expect(alert).to_have_count(0)
        expect(page.get_by_role("link", name="new", exact=True)).to_be_visible()


def test_other_regions_and_accounts(server: Server, look: Any) -> None:
    other = boto3.client(
        "sqs",
        endpoint_url=server.endpoint_url,
        region_name="eu-west-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="test",
    )
    other.create_queue(QueueName="theirs")
    page = look(server.endpoint_url)
    page.get_by_label("Account and region").select_option("123456789012/eu-west-1")
    page.get_by_role("link", name="theirs", exact=True).click()
    page.get_by_role("link", name="Send and receive messages").click()
    page.get_by_label("Message body").fill("hello")
    button(page, "Send message").click()
    expect(page.get_by_text(re.compile("Sent: "))).to_be_visible()
    assert other.receive_message(QueueUrl=other.get_queue_url(QueueName="theirs")["QueueUrl"])["Messages"]
    other.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_by_keyboard_alone_light_and_dark(server: Server, look: Any, scheme: str, shots: Any) -> None:
    server.create_queue("orders")
    page = look(server.endpoint_url, color_scheme=scheme)
    expect(page.get_by_role("link", name="orders", exact=True)).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "orders":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="orders")).to_be_visible()
    # Each control has a name.
    queue(page, server, "orders")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, textarea, button")]
            .filter((each) => !each.labels?.length && !each.ariaLabel && !each.textContent.trim())
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", ground)[0])
    assert (red < 60) if scheme == "dark" else (red > 200)
    if shots is not None:
        page.screenshot(path=shots / f"messages-{scheme}.png")
