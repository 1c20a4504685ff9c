"""turbosqs needs nothing but itself: no botocore imported, none needed, and the same errors without it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import turbosqs
from support.fakes import HANG_UP, Reply, Scripted, fault, ok, refused_port
from support.libraries import SUBJECT
from support.scripts import PRELUDE, run

FOREIGN = ("boto3", "botocore", "urllib3", "jmespath", "dateutil", "s3transfer", "six", "requests", "certifi")
BLOCKED = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FOREIGN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def test_import_brings_nothing_else(scripted: Scripted) -> None:
    """Neither the import nor a client nor a call imports botocore, or anything beyond the standard library."""
    printed = run(
        SUBJECT,
        scripted.url,
        """
        def foreign():
            mine = {module.__name__, "__main__", "__mp_main__"}
            roots = {name.split(".")[0] for name in sys.modules} - mine
            return sorted(name for name in roots if name not in sys.stdlib_module_names and name not in before)
        print(foreign())
        sqs = client()
        print(foreign(), url_of(sqs))
        print(foreign(), len(module.Session().client("sqs", region_name="eu-west-1").meta.method_to_api_mapping))
        """,
        prelude="import sys\nbefore = {name.split('.')[0] for name in sys.modules}\n" + PRELUDE,
    )
    assert printed == "[]\n[] u\n[] 23\n"


def test_the_first_client_imports_little_of_the_standard_library() -> None:
    """A cold start waits for each module: `threading` alone, or `logging`, takes as long as half of turbosqs."""
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(turbosqs.__file__).parent.parent)!r})
before = set(sys.modules)
import turbosqs
turbosqs.client("sqs", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
new = set(sys.modules) - before - set(sys.builtin_module_names)
print(sorted(name for name in new if not name.startswith("turbosqs")))
"""
    printed = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "['__future__']\n"


#: Ways to fail, with the settings of the client.
FAILURES = """
import json
exceptions = importlib.import_module(sys.argv[1] + ".exceptions")

def facts(call):
    try:
        call()
    except Exception as error:
        kinds = {name: kind for name, kind in vars(exceptions).items() if isinstance(kind, type)}
        return {
            "class": type(error).__name__,
            "str": str(error),
            "attributes": {name: value if name != "kwargs" else sorted(value) for name, value in vars(error).items()},
            "fmt": getattr(error, "fmt", None),
            "is": sorted(name for name, kind in kinds.items() if isinstance(error, kind)),
        }

once = module.Config(retries={"total_max_attempts": 1}, read_timeout=0.3)
ask = lambda **options: lambda: url_of(client(config=once, **options))
found = {
    "service": [facts(lambda: url_of(sqs)) for sqs in [client(config=once)] for _ in range(3)],
    "hung up": facts(ask()),
    "slow": facts(ask()),
    "validation": facts(lambda: client().send_message(QueueUrl=5, Nonsense=1)),
    "refused": facts(ask(endpoint_url="http://127.0.0.1:{port}")),
    "no region": facts(lambda: module.Session().client("sqs")),
    "no credentials": facts(lambda: url_of(module.Session().client("sqs", region_name="us-east-1", endpoint_url=url))),
    "half": facts(lambda: module.Session().client("sqs", region_name="us-east-1", aws_access_key_id="a")),
    "no profile": facts(lambda: module.Session(profile_name="nowhere").client("sqs")),
    "paginator": facts(lambda: client().get_paginator("send_message")),
    "waiter": facts(lambda: client().get_waiter("any")),
    "exception": facts(lambda: client().exceptions.Nonsense),
    "config": facts(lambda: module.Config(nonsense=1)),
    "pages": facts(lambda: client().get_paginator("list_queues").paginate(PaginationConfig={"MaxItems": "many"})),
    "endpoint": facts(ask(endpoint_url="nonsense")),
    "bad region": facts(ask(region_name="not a region")),
}
print(json.dumps(found))
"""
REPLIES = (
    fault(400, "com.amazonaws.sqs#QueueDoesNotExist", "text", "AWS.SimpleQueueService.NonExistentQueue;Sender"),
    fault(403, "Nonsense", "text"),
    Reply(503, b""),
    HANG_UP,
    Reply(delay=5),
)


def test_the_same_errors_without_botocore(scripted: Scripted) -> None:
    """Every way to fail: the same names, texts and attributes as with botocore installed."""
    script = FAILURES.replace("{port}", str(refused_port()))
    results: list[dict[str, Any]] = []
    for blocked in ("", BLOCKED):
        scripted.play(*REPLIES)
        printed = run(SUBJECT, scripted.url, script, prelude=blocked + PRELUDE)
        # An object's default text has its module, botocore's or ours, and its address.
        results.append(json.loads(re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>", "<an object>", printed)))
    with_botocore, without = results
    assert with_botocore.keys() == without.keys()
    for name, expected in with_botocore.items():
        assert without[name] == expected, name
    assert with_botocore["refused"]["class"] == "EndpointConnectionError"


def test_work_without_botocore(scripted: Scripted) -> None:
    """Everything of a client is there: paginators with search, presigned URLs, meta, the unknown service."""
    scripted.play(ok(QueueUrls=["a"], NextToken="t"), ok(QueueUrls=["b"]))
    printed = run(
        SUBJECT,
        scripted.url,
        """
        sqs = client()
        print(sqs.get_paginator("list_queues").paginate().build_full_result()["QueueUrls"])
        print("X-Amz-Signature=" in sqs.generate_presigned_url("list_queues"), sqs.meta.region_name, sqs.waiter_names)
        """,
        prelude=BLOCKED + PRELUDE,
    )
    assert printed == "['a', 'b']\nTrue us-east-1 []\n"


def test_other_services_without_boto3(scripted: Scripted) -> None:
    """One line says what to install."""
    printed = run(
        SUBJECT,
        scripted.url,
        """
        for make in (lambda: module.client("s3"), lambda: module.Session(region_name="eu-west-1").client("s3")):
            try:
                make()
            except ImportError as error:
                print(error)
        """,
        prelude=BLOCKED + PRELUDE,
    )
    lines = printed.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "s3" in line
        assert "pip install boto3" in line


def test_a_subinterpreter_gets_a_clear_answer(scripted: Scripted) -> None:
    """It works there or says in an ImportError that it does not; the main interpreter goes on either way."""
    printed = run(
        SUBJECT,
        scripted.url,
        """
        name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
        interpreters = importlib.import_module(name)
        inner = interpreters.create()
        code = [
            "import os",
            "try:",
            f"    import {module.__name__}._core",
            "    text = 'works'",
            "except ImportError as error:",
            "    text = str(error)",
            "os.write(1, (text + chr(10)).encode())",
        ]
        interpreters.run_string(inner, chr(10).join(code))
        interpreters.destroy(inner)
        print(url_of(client()), flush=True)
        """,
    )
    answer, after = printed.splitlines()
    assert answer == "works" or "subinterpreter" in answer.lower()
    assert after == "u"
