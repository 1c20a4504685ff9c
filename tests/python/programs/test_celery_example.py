"""``examples/celery``, by the commands of its README."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from support import needs
from support.queues import client, counts
from support.waiting import until
from turbosqs.local import Server

pytestmark = needs.SIGNALS

FOLDER = Path(__file__).parents[3] / "examples" / "celery"


def test_the_readmes_commands(tmp_path: Path) -> None:
    serve, *others = re.findall(r"(?m)^    (.+)$", (FOLDER / "README.md").read_text())
    assert serve == "turbosqs serve --port 9324"
    with Server() as server:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

        def start(command: str, output: Path) -> subprocess.Popen[bytes]:
            setting, *words = shlex.split(command.replace("localhost:9324", f"localhost:{server.port}"))
            name, _, value = setting.partition("=")
            with output.open("wb") as file:
                return subprocess.Popen(
                    words, cwd=FOLDER, env={**environment, name: value}, stdout=file, stderr=subprocess.STDOUT
                )

        worker_said, publisher_said = tmp_path / "worker", tmp_path / "publisher"
        worker = start(others[0], worker_said)
        try:
            assert start(others[1], publisher_said).wait(30) == 0, publisher_said.read_text()
            until(lambda: worker_said.read_text().count("is confirmed") >= 1000 or worker.poll() is not None, 50)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0, worker_said.read_text()[-2000:]
        finally:
            worker.kill()
            worker.wait()
        assert "1000 tasks are published" in publisher_said.read_text()
        confirmed = re.findall(r"order (\d+) is confirmed", worker_said.read_text())
        assert sorted(map(int, confirmed)) == list(range(1000))
        observer = client(server)
        assert counts(observer, observer.get_queue_url(QueueName="celery")["QueueUrl"]) == (0, 0)
        # Ten tasks a request, a few requests more where the machine has stood still for a moment.
        assert 100 <= server.stats()["requests"]["SendMessageBatch"] <= 120
