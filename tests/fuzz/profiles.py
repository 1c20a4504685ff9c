"""Shared configuration files, beside botocore's parser: the same profiles, region, endpoint and keys, or an error."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import Any

from support.libraries import BOTO3, SUBJECT, Library
from support.observe import Raised, outcome, same

import fuzz

#: Of a short run: a client of boto3's takes its time.
COUNT = 60
SECTIONS = [
    "[default]", "[profile a]", "[a]", "[profile 'a']", '[profile "b c"]', "[profile  a ]", "[DEFAULT]", "[profile]",
    "[profile a", "[]", "[services s]", "[default] ; x", "[Profile a]", "[profile a b]", "[profile a]x", " [default]",
]  # fmt: skip
NAMES = [
    "region", "Region", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "endpoint_url", "services",
    "sqs", "max_attempts", "retry_mode", "ü", "a b", "use_fips_endpoint",
]  # fmt: skip
VALUES = [
    "eu-west-1", "us-east-1", "AKID", "secret/with+odd=characters", "", " ", "x # y", "x ; y", "%(region)s",
    "${HOME}", "http://127.0.0.1:1/p", "s", "ü", "'quoted'", '"quoted"', "a = b", "3", "standard", "true",
]  # fmt: skip
BREAKS = [
    "\n",
    "\n",
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\n  ",
    "\n\t",
    "\n#",
    "\n; x\n",
    "\n \n",
    "\x0b",
    "\x0c",
    "\x85",
    "\u2028",
    "\x1c",
    "\x1f\n",
]


def text(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randrange(1, 10)):
        kind = rng.random()
        if kind < 0.3:
            lines.append(rng.choice(SECTIONS))
        elif kind < 0.95:
            indent = rng.choice(["", "", "", "", "  ", "\t"])
            lines.append(
                f"{indent}{rng.choice(NAMES)}{rng.choice([' = ', '=', ':', ' : ', ' ', ' =  '])}{rng.choice(VALUES)}"
            )
        else:
            lines.append(
                rng.choice(["nonsense", "=", ":", "= x", "  = x", "\ufeff[default]", "#", "[default]\n[default]"])
            )
    return "".join(line + rng.choice(BREAKS) for line in lines)


def mutated(rng: random.Random, content: bytes) -> bytes:
    """As it is, mostly; else with some bytes taken out, put in, doubled or changed."""
    for _ in range(rng.choice([0, 0, 1, 3])):
        at = rng.randrange(len(content) + 1)
        to = min(len(content), at + rng.choice([0, 1, 5]))
        put = rng.choice([b"", bytes([rng.randrange(256)]), b"\xff", b"\n", b"[", b"]", b"=", content[at : at + 20]])
        content = content[:at] + put + content[to:]
    return content


def found(library: Library, profile: str | None) -> Any:
    """What the files say to a session, and to a client."""
    session = library.session(profile_name=profile)
    client = session.client("sqs")
    url = client.generate_presigned_url("list_queues")
    keys = url.partition("X-Amz-Credential=")[2].partition("%2F")[0], "X-Amz-Security-Token" in url
    return session.available_profiles, session.region_name, client.meta.region_name, client.meta.endpoint_url, keys


def main(seed: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"AWS_CONFIG_FILE": folder / "config", "AWS_SHARED_CREDENTIALS_FILE": folder / "credentials"}
        before = {variable: os.environ.get(variable) for variable in (*files, "AWS_EC2_METADATA_DISABLED")}

        def case(rng: random.Random) -> None:
            texts = [
                text(rng),
                rng.choice(["", "[a]\naws_access_key_id = OTHER\naws_secret_access_key = s\n", text(rng)]),
            ]
            for file, content in zip(files.values(), texts, strict=True):
                file.write_bytes(mutated(rng, content.encode()))
            profile = rng.choice([None, None, "a", "b c", "default"])
            results: list[Any] = [outcome(found, library, profile) for library in (BOTO3, SUBJECT)]
            if all(isinstance(result, Raised) for result in results):
                # What the error says of a line is in each parser's own words.
                results = [type(result.error).__name__ for result in results]
            written = [file.read_bytes() for file in files.values()]
            same(*map(repr, results), about=f"profile {profile!r} of {written!r}")

        try:
            os.environ.update(
                {variable: str(path) for variable, path in files.items()}, AWS_EC2_METADATA_DISABLED="true"
            )
            fuzz.run("profiles", seed, count, case)
        finally:
            for variable, value in before.items():
                if value is None:
                    del os.environ[variable]
                else:
                    os.environ[variable] = value
