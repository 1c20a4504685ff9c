"""One-time codes of devices (``mfa_serial``), which a person is asked for in the thread that makes the call."""

from __future__ import annotations

from threading import Lock

#: Held while somebody is asked: a terminal is for one question at a time.
lock = Lock()


def ask(serial: str) -> str:
    """The code that is typed on the terminal, where botocore asks for it and as botocore does."""
    from getpass import getpass

    return getpass(f"Enter MFA code for {serial}: ")
