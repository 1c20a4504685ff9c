"""``opentelemetry-instrument``, which finds us by our entry point: what it records of programs that are not changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import turbosqs
from turbosqs.local import Server

from .test_tools import HERE, PYTHON


def recorded(tmp_path: Path, server: Server, way: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The spans that the SDK's console exporter has printed, and what ``turbosqs.stats()`` says in the end."""
    if not PYTHON.exists():
        pytest.fail(f"there is no {PYTHON}: `make python` makes it")
    # Entry points are what is installed beside a package.
    metadata = distribution("turbosqs")
    for file in ("METADATA", "entry_points.txt"):
        place = tmp_path / f"turbosqs-{metadata.version}.dist-info" / file
        place.parent.mkdir(exist_ok=True)
        shutil.copy(str(metadata.locate_file(f"turbosqs-{metadata.version}.dist-info/{file}")), place)
    package = Path(turbosqs.__file__).parent.parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment = {
        **kept,
        "PYTHONPATH": os.pathsep.join((str(package), str(tmp_path))),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    command = [PYTHON.with_name("opentelemetry-instrument"), PYTHON, HERE / "automatic.py", way, server.endpoint_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, env=environment, check=False)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    spans, text = [], done.stdout.strip()
    while text:
        span, end = json.JSONDecoder().raw_decode(text)
        spans.append(span)
        text = text[end:].strip()
    return spans, json.loads(done.stderr.splitlines()[-1])


def kinds(spans: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((span["name"], span["kind"].removeprefix("SpanKind.")) for span in spans)


def test_our_own_client(tmp_path: Path) -> None:
    with Server(queues=["q"]) as server:
        spans, _ = recorded(tmp_path, server, "own")
        requests = server.stats()["requests"]
    found = kinds(spans)
    # A call of ours is recorded once, though OpenTelemetry's instrumentation of botocore is there too. It has what we
    # do not record.
    assert {name for name, _ in found if name.startswith("SQS.")} == {"SQS.ListQueues"}
    assert found["send q", "PRODUCER"] == 8
    assert found["receive q", "CLIENT"] == 1
    assert found["process q", "CONSUMER"] == 2
    senders = {span["context"]["span_id"] for span in spans if span["kind"] == "SpanKind.PRODUCER"}
    # Requests that calls have shared are known to be theirs.
    shared = [span for span in spans if (span["name"], span["kind"]) == ("send q", "SpanKind.CLIENT")]
    assert len(shared) == requests["SendMessageBatch"] > 0
    linked = [link["context"]["span_id"] for span in shared for link in span["links"]]
    assert len(linked) == len(set(linked))
    assert set(linked) <= senders
    assert [span["attributes"]["messaging.batch.message_count"] for span in shared] == [
        len(span["links"]) for span in shared
    ]
    for span in spans:
        if span["name"] in ("receive q", "process q"):
            [link] = span["links"]
            assert link["context"]["span_id"] in senders
    assert len({span["context"]["trace_id"] for span in spans if span["kind"] == "SpanKind.PRODUCER"}) == 8


def test_patched_clients(tmp_path: Path) -> None:
    with Server(queues=["q"]) as server:
        spans, stats = recorded(tmp_path, server, "patched")
    expected = {"SQS.SendMessage": 8, "SQS.ReceiveMessage": 1, "SQS.DeleteMessage": 1, "SQS.ListQueues": 1}
    assert kinds(spans) == {(name, "CLIENT"): count for name, count in expected.items()}
    assert stats == {"fast": 11, "traced": 11}
