"""A process that has neither botocore nor boto3 nor jmespath: every program here runs in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

# What stands before each program: the packages refuse to be imported, as if they were not installed, and ``fake_sqs``
# makes a client over a core that answers every call with the same refusal or reply.
PREAMBLE = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    asked = []
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ("botocore", "boto3", "jmespath"):
            self.asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())

import turbosqs

class FakeCore:
    region_name, endpoint_url, partition = "eu-central-1", "https://sqs.eu-central-1.amazonaws.com", "aws"
    general, timeouts, variants = {}, (60.0, 60.0), (False, False)
    def __init__(self, arguments): self.arguments = arguments
    def close(self): pass
    def presign(self, *arguments): return repr(arguments)
    def call(self, operation, params, tag):
        if params.get("QueueUrl") == "gone":
            from turbosqs._core import Failure
            gone = {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "gone"}
            raise Failure("QueueDoesNotExist", {"Error": gone}, operation)
        return {"QueueUrls": ["a", "b"], "ResponseMetadata": {}}

def fake_sqs():
    from turbosqs.session import Session
    from turbosqs.sqs import SQS
    class Fake(Session):
        def _connect(self, arguments, config): return SQS(FakeCore(arguments), config)
    return Fake().client("sqs", region_name="eu-central-1")
"""


def run(program: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(program)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_client_is_made_and_called_without_asking_for_botocore() -> None:
    program = """
    sqs = fake_sqs()
    print(sqs.list_queues()["QueueUrls"], sqs.get_paginator("list_queues").paginate().build_full_result())
    print(sqs.generate_presigned_url("list_queues"), sqs.meta.region_name, sqs.can_paginate("list_queues"))
    print(Missing.asked)
    """
    assert run(program) == [
        "['a', 'b'] {'QueueUrls': ['a', 'b']}",
        "('ListQueues', {}, 3600, None) eu-central-1 True",
        "[]",
    ]


def test_a_refusal_is_caught_by_class_and_by_base() -> None:
    program = """
    sqs = fake_sqs()
    for caught in (sqs.exceptions.QueueDoesNotExist, sqs.exceptions.ClientError, turbosqs.exceptions.ClientError):
        try: sqs.purge_queue(QueueUrl="gone")
        except caught as error: print(error); last = error
    print(type(last).__mro__[:2], last.response["Error"]["Code"], last.operation_name)
    """
    words = "An error occurred (AWS.SimpleQueueService.NonExistentQueue) when calling the PurgeQueue operation: gone"
    assert run(program) == [
        *[words] * 3,
        "(<class 'turbosqs.exceptions.QueueDoesNotExist'>, <class 'turbosqs.exceptions.ClientError'>) "
        "AWS.SimpleQueueService.NonExistentQueue PurgeQueue",
    ]


def test_every_exception_is_ours_and_pickles() -> None:
    program = """
    import pickle, string
    from turbosqs import _exceptions, exceptions
    names = [name for name, value in vars(_exceptions).items() if isinstance(value, type)]
    for name in names:
        cls = getattr(exceptions, name)
        assert cls is getattr(_exceptions, name) and cls.__module__ == "turbosqs.exceptions", name
        if issubclass(cls, exceptions.BotoCoreError):
            error = cls(**{field: "x" for _, field, _, _ in string.Formatter().parse(cls.fmt) if field})
        elif cls is exceptions.ClientError:
            error = cls({"Error": {"Code": "c", "Message": "m"}}, "SendMessage")
        else:
            error = cls("x")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            copied = pickle.loads(pickle.dumps(error, protocol))
            assert type(copied) is cls and str(copied) == str(error) and vars(copied) == vars(error), name
    error = pickle.loads(pickle.dumps(exceptions.ReadTimeoutError(request=1, response=2, endpoint_url="u")))
    print(len(names) > 50, error.request, error.response, error)
    modelled = fake_sqs().exceptions.QueueDoesNotExist({"Error": {"Code": "c"}}, "SendMessage")
    print(type(pickle.loads(pickle.dumps(modelled))))
    print(exceptions.Boto3Error("x"), hasattr(exceptions, "S3UploadFailedError"), "ClientError" in dir(exceptions))
    """
    assert run(program) == [
        'True 1 2 Read timeout on endpoint URL: "u"',
        "<class 'turbosqs.exceptions.ClientError'>",
        "x False True",
    ]


def test_the_clients_own_errors() -> None:
    program = """
    sqs = fake_sqs()
    for work in (lambda: sqs.get_paginator("send_message"), lambda: sqs.generate_presigned_url("nope"),
                 lambda: turbosqs.Session(profile_name="nope"), lambda: turbosqs.Session(aws_account_id="1"),
                 lambda: turbosqs.client("sqs", api_version="2000-01-01")):
        try: work()
        except Exception as error: print(type(error).__module__, type(error).__name__, error)
    """
    assert run(program) == [
        "turbosqs.exceptions OperationNotPageableError Operation cannot be paginated: send_message",
        "turbosqs.exceptions UnknownClientMethodError Client does not have method: nope",
        "turbosqs.exceptions ProfileNotFound The config profile (nope) could not be found",
        "turbosqs.exceptions NoCredentialsError Unable to locate credentials",
        "turbosqs.exceptions DataNotFoundError Unable to load data for: sqs/2000-01-01/service-2",
    ]


def test_the_service_model_is_ours() -> None:
    program = """
    model = fake_sqs().meta.service_model
    print(type(model).__module__, model, len(model.operation_names), model.operation_model("PurgeQueue").input_shape)
    """
    expected = "turbosqs.service_model ServiceModel(sqs) 23 Shape(PurgeQueueRequest: structure)"
    assert run(program) == [expected]


@pytest.mark.parametrize(
    ("work", "wanted"),
    [
        ('turbosqs.client("s3")', "client('s3')"),
        ('turbosqs.client("sqss")', "client('sqss')"),
        ('turbosqs.resource("sqs")', "resource('sqs')"),
        ("turbosqs.Session().get_credentials()", "get_credentials()"),
        ('turbosqs.Session().get_available_regions("sqs")', "get_available_regions()"),
        ("turbosqs.Session().get_available_resources()", "get_available_resources()"),
        ("turbosqs.Session().get_available_partitions()", "get_available_partitions()"),
        ('turbosqs.Session().get_partition_for_region("x")', "get_partition_for_region()"),
        ("turbosqs.Session().events", "events"),
    ],
)
def test_what_is_not_ours_says_what_to_install(work: str, wanted: str) -> None:
    program = f"""
    try: {work}
    except ImportError as error: print(type(error).__name__, error)
    """
    assert run(program) == [f"ModuleNotFoundError turbosqs itself is SQS only, {wanted} needs boto3: pip install boto3"]


def test_the_rest_of_a_session() -> None:
    program = """
    session = turbosqs.Session(region_name="eu-central-1")
    print(session, session.profile_name, session.get_available_services())
    """
    assert run(program) == ["Session(region_name='eu-central-1') default ['sqs']"]


def test_searching_pages_says_what_to_install() -> None:
    program = """
    try: list(fake_sqs().get_paginator("list_queues").paginate().search("QueueUrls"))
    except ModuleNotFoundError as error: print(error)
    """
    assert run(program) == ["searching pages needs JMESPath: pip install jmespath"]
