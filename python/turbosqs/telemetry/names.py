"""The names of OpenTelemetry's semantic conventions that are used here, and of what is our own.

The conventions for messaging are in development; a test holds these names to the package that has them.
"""

from __future__ import annotations

SYSTEM = "messaging.system"
SQS = "aws_sqs"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
MESSAGE_COUNT = "messaging.batch.message_count"
QUEUE_URL = "aws.sqs.queue.url"
REQUEST_ID = "aws.request_id"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

OPERATION_DURATION = "messaging.client.operation.duration"
SENT_MESSAGES = "messaging.client.sent.messages"
CONSUMED_MESSAGES = "messaging.client.consumed.messages"
PROCESS_DURATION = "messaging.process.duration"

#: The operations, which are also their types.
SEND, RECEIVE, PROCESS, SETTLE = "send", "receive", "process", "settle"

# Our own.

#: Of a span: how many attempts were made again.
RETRIES = "turbosqs.retries"
#: Of a span and a metric: why a request left when it did; ``client.stats()`` says what the reasons are.
FLUSH_REASON = "turbosqs.flush.reason"

#: Of a shared request: how many calls it was made of.
REQUEST_ENTRIES = "turbosqs.request.entries"
FLUSHES = "turbosqs.flushes"
IN_FLIGHT = "turbosqs.requests.in_flight"
ATTEMPTS_REPEATED = "turbosqs.attempts.repeated"
GIVEN_BACK = "turbosqs.messages.given_back"
OLDEST_IN_HAND = "turbosqs.messages.oldest_in_hand"

#: The bounds of a duration's histogram, in seconds: those that the conventions advise.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
