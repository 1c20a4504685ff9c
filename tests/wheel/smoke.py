"""What an installed wheel can do: run by the Python of an environment that has the wheel and nothing else.

    python smoke.py CHECKOUT [NAME ...]

All checks but ``patch`` need nothing but the wheel; ``patch`` needs boto3. The server is `turbosqs serve`, from the
same wheel. ``CHECKOUT`` is where the examples are; the package is never imported from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SETTINGS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
WINDOWS = sys.platform == "win32"
COMMAND = Path(sys.executable).parent / ("turbosqs.exe" if WINDOWS else "turbosqs")

LAMBDA = """
import turbosqs

sqs = turbosqs.client("sqs")
url = sqs.get_queue_url(QueueName="lambda")["QueueUrl"]

def lambda_handler(event, context):
    sent = [sqs.send_message(QueueUrl=url, MessageBody=record["body"]) for record in event["Records"]]
    return {"sent": [reply["MessageId"] for reply in sent], "from": turbosqs.__file__}
"""
RUNTIME = """
import json, sys
if sys.argv[2] == "True":
    try:
        open("function.py", "a").close()
    except PermissionError:
        pass
    else:
        sys.exit("the folder can be written to")
from function import lambda_handler
print(json.dumps(lambda_handler(json.loads(sys.argv[1]), None)))
"""


def installed(_: Path, __: str) -> None:
    """The package is the wheel's, whole, alone, and imports nothing that it does not need."""
    import turbosqs

    assert Path(turbosqs.__file__).is_relative_to(Path(sys.prefix).resolve()), turbosqs.__file__
    distribution = importlib.metadata.distribution("turbosqs")
    assert turbosqs.__version__ == distribution.version, (turbosqs.__version__, distribution.version)
    assert not distribution.requires, distribution.requires
    names = {path.name for path in distribution.files or []}
    assert {"LICENSE", "THIRD-PARTY-LICENSES.txt", "py.typed", "_core.pyi"} <= names, names
    assert any("sboms" in str(path) for path in distribution.files or []), "no SBOM"
    turbosqs.client("sqs")
    is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert getattr(sys, "_is_gil_enabled", lambda: True)() is not is_free_threaded, (
        "the import has brought the lock back"
    )
    heavy = {"botocore", "boto3", "urllib3", "asyncio"} & set(sys.modules)
    # This script has imported asyncio itself.
    assert heavy <= {"asyncio"}, heavy


def client(_: Path, __: str) -> None:
    import turbosqs

    sqs = turbosqs.client("sqs")
    url = sqs.create_queue(QueueName="client")["QueueUrl"]
    sqs.send_message(
        QueueUrl=url, MessageBody="hello", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}}
    )
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageAttributes"]["a"]["StringValue"]) == ("hello", "b")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    with sqs.batch_writer(QueueUrl=url) as batch:
        for number in range(100):
            batch.send_message(MessageBody=str(number))
    got = {message["Body"] for message in sqs.poll_messages(QueueUrl=url, max_messages=100)}
    assert got == {str(number) for number in range(100)}
    try:
        sqs.get_queue_url(QueueName="missing")
        code = None
    except sqs.exceptions.QueueDoesNotExist as error:
        code = error.response["Error"]["Code"]
    assert code == "AWS.SimpleQueueService.NonExistentQueue", code


def consumer(_: Path, __: str) -> None:
    import turbosqs

    sqs = turbosqs.client("sqs")
    url = sqs.create_queue(QueueName="consumer")["QueueUrl"]
    for number in range(30):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    handled: list[str] = []
    turbosqs.Consumer(sqs, QueueUrl=url, handler=lambda m: handled.append(m["Body"]), max_messages=30).run()
    assert sorted(handled, key=int) == [str(number) for number in range(30)]


def aio(_: Path, __: str) -> None:
    from turbosqs import aio

    async def main() -> None:
        async with aio.client("sqs") as sqs:
            url = (await sqs.create_queue(QueueName="aio"))["QueueUrl"]
            await asyncio.gather(*(sqs.send_message(QueueUrl=url, MessageBody=str(n)) for n in range(50)))
            handled: list[str] = []

            async def handle(message: Any) -> None:
                handled.append(message["Body"])

            await aio.Consumer(sqs, QueueUrl=url, handler=handle, max_messages=50).run()
            assert sorted(handled, key=int) == [str(number) for number in range(50)]

    asyncio.run(main())


def console(_: Path, __: str) -> None:
    """The page of the embedded SQS, and that of `turbosqs console`, which is for whoever has its token."""
    served = os.environ["AWS_ENDPOINT_URL"]
    parts = whole_page(f"{served}/")
    assert {name.rpartition("/")[2] for name in parts} >= {"main.js", "queues.js", "preact.js", "console.css"}, parts
    with running("console", "--endpoint-url", served, "--no-browser") as address:
        root, token = address.rstrip("/").rsplit("/", 1)
        assert len(token) >= 43, address
        assert whole_page(address) == parts
        for without in (f"{root}/", f"{root}/{token[:-1]}/", f"{root}/_turbosqs/overview"):
            try:
                fetched(without)
                status = 200
            except urllib.error.HTTPError as error:
                status = error.code
            assert status == 403, (without, status)


def whole_page(url: str) -> set[str]:
    """Fetches a page and all that it is made of; their names."""
    page = fetched(url).decode()
    assert page.startswith("<!doctype html>"), page[:100]
    found: set[str] = set()
    wanted = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    while wanted - found:
        name = min(wanted - found)
        text = fetched(f"{url}{name}").decode()
        found.add(name)
        if name.endswith(".js"):
            folder = name.rpartition("/")[0]
            wanted |= {f"{folder}/{other}" for other in re.findall(r'from "\./([^"]+)"', text)}
    return found


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as reply:
        body: bytes = reply.read()
    return body


def guide(checkout: Path, _: str) -> None:
    """The guide's scripts. What is received stays invisible for a while, so there is one message more to be deleted."""
    said = {}
    for name in ("create", "send", "send", "receive", "delete"):
        script = checkout / "examples" / "guide" / f"{name}.py"
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
        said[name] = done.stderr
        assert "ERROR" not in done.stderr, done.stderr
    for name, words in (
        ("create", "Queue created: http"),
        ("send", "Message sent with ID: "),
        ("receive", "Message received: Hello, SQS from Python!"),
        ("delete", "Message deleted successfully."),
    ):
        assert words in said[name], said[name]


def function(_: Path, wheel: str) -> None:
    """A function for AWS Lambda: the wheel unpacked beside it, in a folder that cannot be written to."""
    import turbosqs

    turbosqs.client("sqs").create_queue(QueueName="lambda")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "task"
        shutil.unpack_archive(wheel, folder, "zip")
        (folder / "function.py").write_text(LAMBDA)
        before = fingerprint(folder)
        make_writable(folder, False)
        try:
            event = json.dumps({"Records": [{"body": "one"}, {"body": "two"}]})
            # -S: not the environment's own packages.
            keeping_out = without_privileges()
            is_kept_out = bool(keeping_out) or (not WINDOWS and os.getuid() != 0)
            command = [*keeping_out, sys.executable, "-S", "-c", RUNTIME, event, str(is_kept_out)]
            settings = {**os.environ, "PYTHONPATH": str(folder), "HOME": "/nowhere", "AWS_REGION": "us-east-1"}
            del settings["AWS_DEFAULT_REGION"]
            done = subprocess.run(command, env=settings, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            answer = json.loads(done.stdout)
            assert len(set(answer["sent"])) == 2, answer
            assert Path(answer["from"]).is_relative_to(folder.resolve()), answer
        finally:
            make_writable(folder, True)
        assert fingerprint(folder) == before


def fingerprint(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def make_writable(folder: Path, writable: bool) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200 if writable else path.stat().st_mode & ~0o222)


def without_privileges() -> list[str]:
    """What keeps root from writing where nobody may."""
    if WINDOWS or os.getuid() != 0:
        return []
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin")
    return [setpriv, "--inh-caps=-all", "--bounding-set=-all"] if setpriv else []


def patch(_: Path, __: str) -> None:
    import boto3
    import turbosqs

    turbosqs.patch()
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="patch")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert turbosqs.stats() == {"fast": 4}, turbosqs.stats()
    script = "import boto3, turbosqs; boto3.client('sqs').list_queues(); print(turbosqs.stats())"
    done = subprocess.run([COMMAND, "run", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2, "an option is no program"
    with tempfile.TemporaryDirectory() as temporary:
        program = Path(temporary) / "program.py"
        program.write_text(script)
        done = subprocess.run([COMMAND, "run", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "{'fast': 1}"), done


CHECKS: tuple[Callable[[Path, str], None], ...] = (installed, client, consumer, aio, console, guide, function, patch)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[str]:
    """A command of ours that serves: its address. It must end well when it is told to."""
    process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        status = process.wait(30)
    assert status == (1 if WINDOWS else 0), status


def main(checkout: str, wheel: str, *names: str) -> None:
    chosen = [check for check in CHECKS if check.__name__ in names]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    with running("serve", "--port", "0") as url:
        nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        os.environ.update(SETTINGS, AWS_ENDPOINT_URL=url, **nothing)
        for check in chosen:
            began = time.perf_counter()
            check(Path(checkout), wheel)
            print(f"    {check.__name__:<12} {time.perf_counter() - began:6.2f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
