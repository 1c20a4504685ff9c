"""The two libraries that are compared, and the one list of what turbosqs does otherwise on purpose."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from typing import Any

KEYS: dict[str, Any] = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI"}

#: Every deliberate difference from boto3, with its reason. A test that allows for one names it.
DIFFERENCES = {
    "AWS_REGION": "read last of all; boto3 never reads it, every other SDK of AWS does",
    "long poll": "a ReceiveMessage may take read_timeout and WaitTimeSeconds together, so that a long poll outlives it",
    "legacy retries": "retry mode legacy makes five attempts as boto3's does, but pauses as standard does and has its "
    "quota; boto3 pauses for up to 1, 2, 4 and 8 s",
    "TLS wording": "what follows 'SSL validation failed for URL' is the TLS library's own sentence",
    "authorities": "without verify= or a bundle TLS trusts whom the system trusts; botocore comes with a list",
    "one warning": "verify=False is warned of when a client is made, where boto3 warns with each of its requests",
    "first call": "the metadata of an instance are asked by the first call, not by client(), where whoever has no "
    "credentials would wait; within an event loop client() waits for no source of credentials at all",
    "logins": "`aws login` needs no further package; boto3 wants botocore[crt]",
    "short lives": "keys that cannot be replaced are used as long as they are good; boto3 fails ten minutes before "
    "they expire already, and asks for keys that live for less with each request",
    "product tokens": "the User-Agent names turbosqs and the Rust SDK where boto3 names itself",
    "file for a binary": "it is read and sent, or a line of the ParamValidationError if it cannot be read; boto3's "
    "validation takes it, then it is a TypeError",
    "masked addresses": "an exception that quotes an endpoint's URL has *** for a user, a password and a query in it; "
    "boto3's has them in clear",
    "isolated partitions": "in us-iso and us-isob, meta has the FIPS and dual-stack endpoints of the published rules, "
    "where boto3's requests go as well, while its meta names others",
    "wrong types": "a setting of the wrong type is a TypeError that names it, from client(); boto3 fails later in "
    "other words, or passes it over",
    "half a credential": "half of a Session's key pair is a PartialCredentialsError from client(), as boto3 has it for "
    "half of client()'s own; boto3 signs with None there, or fails as it does, and as KeyError in AWS_CREDENTIAL_FILE",
    "unprintable keys": "an access key with a control character is a CredentialRetrievalError at the call; boto3's "
    "HTTP library refuses line breaks alone, with the whole header in the text",
    "impossible expiries": "ExpiresIn that is no number of seconds is a ValueError; boto3 signs what SQS will refuse",
    "header blanks": "blanks after a header's value are no part of it, as HTTP says; boto3 keeps them",
    "broken refusals": "a refusal that is no JSON object, or not in UTF-8, is a ClientError all the same; botocore's "
    "parser fails on it with TypeError, AttributeError or UnicodeDecodeError",
    "lone surrogates": "half a surrogate pair in the text of a refusal is shown as U+FFFD",
    "status 300": "a refusal as any other; boto3's ClientError has a response without Error, and says 'Unknown'",
    "private names": "parts of a client, such as _endpoint, can be read and not set: it would not reach the core",
    "signatures": "inspect.signature of an operation has its arguments, for completion; boto3's is (*args, **kwargs)",
    "half replies": "a reply that breaks off is asked for again and ends in ConnectionClosedError; boto3 takes "
    "what came for a success without members",
}


#: Those about settings and credentials, which stay botocore's affair where its own clients are on the core.
BOTOCORES = {
    "AWS_REGION",
    "first call",
    "half a credential",
    "impossible expiries",
    "isolated partitions",
    "logins",
    "private names",
    "short lives",
    "wrong types",
}


def ours(difference: str) -> bool:
    """Whether to expect what DIFFERENCES has under this name; else the subject is to be as boto3 is in that too."""
    assert difference in DIFFERENCES
    return SUBJECT != BOTO3 and not (SUBJECT == PATCHED and difference in BOTOCORES)


@dataclass(frozen=True)
class Library:
    """boto3, or something that claims to be it."""

    name: str

    @property
    def is_boto3(self) -> bool:
        """Whether its sessions, exceptions and so on are boto3's."""
        return self.name in ("boto3", "patched")

    @property
    def module(self) -> Any:
        return importlib.import_module("boto3" if self.is_boto3 else self.name)

    @property
    def config(self) -> Any:
        """Its ``Config``."""
        if self.is_boto3:
            from botocore.config import Config

            return Config
        return self.module.Config

    @property
    def exceptions(self) -> Any:
        return importlib.import_module("botocore.exceptions" if self.is_boto3 else f"{self.name}.exceptions")

    def client(self, endpoint_url: str | None = None, **options: Any) -> Any:
        """A client with keys and a region, unless the options say otherwise, from a session of its own."""
        settings = {"region_name": "us-east-1", **KEYS, **options}
        if endpoint_url is not None:
            settings["endpoint_url"] = endpoint_url
        return self.bare(**settings)

    def bare(self, **options: Any) -> Any:
        """A client from a new session with these options and nothing else."""
        return self.session().client("sqs", **options)

    def session(self, **options: Any) -> Any:
        """A new session."""
        session = self.module.Session(**options)
        if self.name == "patched":
            # As patch() does it, but for this session's clients: those that they are compared with stay as they are.
            client = session.client
            session.client = lambda *given, **named: put_on_core(client(*given, **named))
        return session


def put_on_core(client: Any) -> Any:
    from turbosqs.patching.hook import take

    assert take(client) is not None
    return client


BOTO3 = Library("boto3")
#: boto3's own clients, on the core.
PATCHED = Library("patched")
SUBJECT = Library(os.environ.get("SUBJECT", "turbosqs"))
#: For what holds of patched clients too, whatever the subject is.
LIBRARIES = tuple(dict.fromkeys([BOTO3, PATCHED, SUBJECT]))


def name_of(value: Any) -> str:
    """A test's parameter by name, which is the same in every process that collects tests."""
    return re.sub(" object at 0x[0-9a-f]+", "", repr(value))
