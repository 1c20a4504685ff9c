"""The core's credentials as an object like botocore's, for those who look for them in a client."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core

# botocore's class of the same name has these fields.
ReadOnlyCredentials = namedtuple("ReadOnlyCredentials", ("access_key", "secret_key", "token", "account_id"))


class Credentials:
    """What requests are signed with at the moment of asking.

    Attributes:
        access_key, secret_key, token, account_id: the credentials.
        method: where they came from, in botocore's words: ``explicit``, ``env``, ``iam-role``; None before they have
            been asked for.
    """

    def __init__(self, core: _core.Client) -> None:
        object.__setattr__(self, "_core", core)
        object.__setattr__(self, "_method", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is the client's and read only: make a client with other credentials")

    def get_frozen_credentials(self) -> Any:
        """The credentials as a named tuple.

        Raises:
            NoCredentialsError: there are none.
            CredentialRetrievalError and others: their source fails.
        """
        return ReadOnlyCredentials(*self._ask()[:4])

    def get_deferred_property(self, property_name: str) -> Any:
        """A function that gives one of the attributes, as endpoint rules ask for it."""

        def get() -> Any:
            return getattr(self, property_name, None)

        return get

    def _ask(self) -> tuple[str, str, str | None, str | None, str]:
        from ._core import Failure
        from .errorfactory import exception

        core: _core.Client = object.__getattribute__(self, "_core")
        try:
            found = core.credentials()
        except Failure as failure:
            error = exception(failure)
        else:
            if found is not None:
                object.__setattr__(self, "_method", found[4])
                return found
            from .exceptions import NoCredentialsError

            error = NoCredentialsError()
        raise error

    @property
    def access_key(self) -> str:
        return self._ask()[0]

    @property
    def secret_key(self) -> str:
        return self._ask()[1]

    @property
    def token(self) -> str | None:
        return self._ask()[2]

    @property
    def account_id(self) -> str | None:
        return self._ask()[3]

    @property
    def method(self) -> str | None:
        # botocore looks at it when it makes a client, which must not ask a source that may be slow.
        found: str | None = object.__getattribute__(self, "_method")
        return found


def of(core: _core.Client) -> Credentials | None:
    """A client's credentials; None if its requests are not signed, or there are none to sign with."""
    from .exceptions import NoCredentialsError

    credentials = Credentials(core)
    try:
        credentials.get_frozen_credentials()
    except NoCredentialsError:
        return None
    return credentials
