"""Names are the conventions', nothing of OpenTelemetry is there before it is asked for, and tools find the way in."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.semconv._incubating.attributes import aws_attributes as aws
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv._incubating.metrics import messaging_metrics as metrics
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.semconv.schemas import Schemas
from support import needs
from support.recorded import Recorded
from turbosqs.local import Server
from turbosqs.telemetry import names, recorder
from turbosqs.telemetry.metrics import Instruments

ROOT = """
import sys
import turbosqs

def client(**options):
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return turbosqs.client("sqs", region_name="us-east-1", endpoint_url=sys.argv[1], **keys, **options)
"""


def run(server: Server, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ROOT + program, server.endpoint_url], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_the_conventions() -> None:
    operations = messaging.MessagingOperationTypeValues
    assert {name: getattr(names, name) for name in dir(names) if name.isupper() and name in EXPECTED} == EXPECTED
    assert {operations.SEND.value, operations.RECEIVE.value, operations.PROCESS.value, operations.SETTLE.value} == {
        names.SEND,
        names.RECEIVE,
        names.PROCESS,
        names.SETTLE,
    }
    # Whatever else has a name is ours, and says so.
    own = {name for name in dir(names) if name.isupper()} - {
        *EXPECTED,
        "SEND",
        "RECEIVE",
        "PROCESS",
        "SETTLE",
        "SECONDS",
    }
    assert all(getattr(names, name).startswith("turbosqs.") for name in own)
    assert len(own) == 8
    assert recorder._SCHEMA in {schema.value for schema in Schemas}


EXPECTED = {
    "SYSTEM": messaging.MESSAGING_SYSTEM,
    "SQS": messaging.MessagingSystemValues.AWS_SQS.value,
    "OPERATION_NAME": messaging.MESSAGING_OPERATION_NAME,
    "OPERATION_TYPE": messaging.MESSAGING_OPERATION_TYPE,
    "DESTINATION": messaging.MESSAGING_DESTINATION_NAME,
    "MESSAGE_ID": messaging.MESSAGING_MESSAGE_ID,
    "MESSAGE_COUNT": messaging.MESSAGING_BATCH_MESSAGE_COUNT,
    "QUEUE_URL": aws.AWS_SQS_QUEUE_URL,
    "REQUEST_ID": aws.AWS_REQUEST_ID,
    "ERROR_TYPE": error_attributes.ERROR_TYPE,
    "SERVER_ADDRESS": server_attributes.SERVER_ADDRESS,
    "SERVER_PORT": server_attributes.SERVER_PORT,
    "OPERATION_DURATION": metrics.MESSAGING_CLIENT_OPERATION_DURATION,
    "SENT_MESSAGES": metrics.MESSAGING_CLIENT_SENT_MESSAGES,
    "CONSUMED_MESSAGES": metrics.MESSAGING_CLIENT_CONSUMED_MESSAGES,
    "PROCESS_DURATION": metrics.MESSAGING_PROCESS_DURATION,
}


class Kept(NoOpMeter):
    """A meter that remembers which instruments it has made: kinds and units by name."""

    def __init__(self) -> None:
        super().__init__("kept")
        self.made: dict[str, tuple[str, str]] = {}

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        self.made[name] = "counter", unit
        return super().create_counter(name, unit, description)

    def create_histogram(self, name: str, unit: str = "", description: str = "", **options: Any) -> Any:
        self.made[name] = "histogram", unit
        return super().create_histogram(name, unit, description, **options)


def test_the_metrics_are_the_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same kinds and units as those that the conventions' package makes."""
    theirs, ours = Kept(), Kept()
    for make in (
        metrics.create_messaging_client_operation_duration,
        metrics.create_messaging_client_sent_messages,
        metrics.create_messaging_client_consumed_messages,
        metrics.create_messaging_process_duration,
    ):
        make(theirs)
    monkeypatch.setattr("turbosqs.telemetry.metrics.get_meter", lambda *_: ours)
    Instruments("0", None, lambda: None)
    assert {name: made for name, made in ours.made.items() if name.startswith("messaging.")} == theirs.made
    assert len(theirs.made) == 4


def test_nothing_is_imported_before_it_is_asked_for(server: Server) -> None:
    program = """
import turbosqs.telemetry
url = client().create_queue(QueueName="q")["QueueUrl"]
client(telemetry=False).send_message(QueueUrl=url, MessageBody="b")
turbosqs.Consumer(client(), QueueUrl=url, handler=print)
turbosqs.telemetry.uninstrument()
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
turbosqs.telemetry.instrument()
print("opentelemetry.trace" in sys.modules)
"""
    assert run(server, program) == "[]\nTrue\n"


def test_without_opentelemetry(server: Server) -> None:
    program = """
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import turbosqs.telemetry
from turbosqs.telemetry import Instrumentor, instrument
for way in (lambda: client(telemetry=True), instrument, Instrumentor().instrument):
    try:
        way()
    except ModuleNotFoundError as error:
        print(error, error.name)
client().create_queue(QueueName="q")
"""
    message = "telemetry is OpenTelemetry's, whose API is not installed: pip install opentelemetry-api opentelemetry"
    assert run(server, program) == f"{message}\n" * 3


def test_the_entry_point(server: Server) -> None:
    [entry] = [each for each in entry_points(group="opentelemetry_instrumentor") if each.name == "turbosqs"]
    instrumentor: Any = entry.load()()
    recorded = Recorded()
    from support.queues import client

    url, sqs = server.create_queue("q"), client(server)
    try:
        # As opentelemetry-instrument calls it.
        instrumentor.instrument(skip_dep_check=True, **recorded.providers)
        sqs.send_message(QueueUrl=url, MessageBody="b")
    finally:
        instrumentor.uninstrument()
    assert [span.name for span in recorded.spans()] == ["send q"]
    recorded.shut_down()


@needs.FORK
@pytest.mark.parametrize("way", ["global", "single"])
def test_a_forked_child_records_its_own(server: Server, way: str) -> None:
    program = f"""
import os
import turbosqs.telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
if {way == "global"}:
    turbosqs.telemetry.instrument()
sqs = client(telemetry={None if way == "global" else True})
url = sqs.create_queue(QueueName="q")["QueueUrl"]
batch = sqs.batch_writer(QueueUrl=url)
batch.__enter__()
batch.send_message(MessageBody="the parent's")
child = os.fork()
if child == 0:
    sqs.send_message(QueueUrl=url, MessageBody="the child's")
    os._exit(len(exporter.get_finished_spans()))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
batch.__exit__(None, None, None)
print(len(exporter.get_finished_spans()))
"""
    assert run(server, program) == "1\n1\n"
