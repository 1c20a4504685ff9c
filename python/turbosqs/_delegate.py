"""The botocore client behind one of ours, for the calls that somebody listens to.

Events, ``Stubber``, mocks and instrumentation are botocore's: a call that one of them has to do with is made by
botocore from beginning to end, by a client with the same settings and credentials. That client is made when it is first
needed, which takes an installed botocore.
"""

from __future__ import annotations

import os
from time import sleep

from ._lock import lock
from .telemetry.tag import TAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Thread
    from typing import Any
    from weakref import ReferenceType

    from . import _core
    from .patching.listeners import Listening


class Delegate:
    """A client of botocore's, and who listens to it.

    Attributes:
        client: botocore's client.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._listening: Listening | None = None
        self._process = os.getpid()

    def way(self, operation_name: str) -> str | None:
        """Why a call has to come here, in the words of ``turbosqs.stats``; None if nobody would miss it.

        ``traced``: for instrumentation tools that are known. They see the call come by; the core makes it, if it has
        been put behind the client (``put_on``).
        """
        from . import _watching

        listening = self._listening
        if listening is None or listening.is_outdated(self.client):
            from .patching.listeners import Listening

            self._listening = listening = Listening(self.client)
        if not listening.is_known:
            return "settings"
        mock = _watching.stubber()
        if mock is not None and all(each is not mock for each in listening.audience(operation_name).mocks):
            # Made before moto was imported, as moto.core.patch_client has it.
            self.client.meta.events.register("before-send", mock)
        seen = listening.look(self.client, operation_name)
        return "traced" if seen.way is None and seen.tools is not None else seen.way

    def put_on(self, core: _core.Client) -> None:
        """Put the core behind the client: what nobody would miss in botocore is made by the core from then on."""
        from .patching.call_path import OwnPath
        from .patching.hook import take

        take(self.client, lambda client: OwnPath(client, core, self.hand_over))

    def call(self, operation_name: str, api_params: dict[str, Any], tag: int = 0) -> Any:
        """A call that is botocore's; the core knows it by the tag if it comes back there."""
        from .patching.listeners import call

        if self._process != os.getpid():
            # The connections of botocore's pool are the parent's: on them replies would get crossed.
            self._process = os.getpid()
            self.client.close()
        if tag == 0:
            return call(self.client, operation_name, api_params)
        before = TAG.set(tag)
        try:
            return call(self.client, operation_name, api_params)
        finally:
            TAG.reset(before)

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def hand_over(self, core: _core.Client) -> None:
        """Credentials are the core's own."""

    def keep_handing_over(self, core: _core.Client) -> None:
        """The same from now on, for a core that sends without being called; nothing to do."""

    @property
    def may_block(self) -> bool:
        """Whether to hand over credentials may take a request for them."""
        return False


class Owner(Delegate):
    """A client of a session of the user's (``Session(botocore_session=)``), which goes on resolving credentials."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._handed: Any = None
        self._keeper: Thread | None = None

    def hand_over(self, core: _core.Client) -> None:
        """Give the core what botocore would sign with now.

        Raises:
            NoCredentialsError: there is nothing.
            What botocore's credentials raise when they are refreshed.
        """
        signer = self.client._request_signer
        if _is_unsigned(signer):
            return
        current = None if signer._credentials is None else signer._credentials.get_frozen_credentials()
        if current is None or current.access_key is None or current.secret_key is None:
            from .exceptions import NoCredentialsError

            raise NoCredentialsError()
        if current != self._handed:
            # Of two threads the core and we must remember the same one's.
            with lock():
                core.set_credentials(current.access_key, current.secret_key, current.token)
                self._handed = current

    def keep_handing_over(self, core: _core.Client) -> None:
        """The same from now on, by a thread that ends with the client: for credentials that are refreshed.

        Those of botocore are refreshed by asking for them, from fifteen minutes before they expire.
        """
        if not hasattr(self.client._request_signer._credentials, "refresh_needed"):
            return
        from threading import Thread
        from weakref import ref

        with lock():
            # A forked child has none of its parent's threads.
            if self._keeper is None or not self._keeper.is_alive():
                self._keeper = Thread(
                    target=_keep_handing_over, args=(ref(self), core), name="turbosqs-credentials", daemon=True
                )
                self._keeper.start()

    @property
    def may_block(self) -> bool:
        refresh_needed = getattr(self.client._request_signer._credentials, "refresh_needed", None)
        return refresh_needed is not None and bool(refresh_needed())


#: Seconds.
INTERVAL = 30.0
_pause = sleep


def _keep_handing_over(owner: ReferenceType[Owner], core: _core.Client) -> None:
    while True:
        _pause(INTERVAL)
        delegate = owner()
        if delegate is None:
            return
        try:
            delegate.hand_over(core)
        except Exception as error:  # noqa: BLE001 - of any kind that a user's credentials have
            # What is signed with the old ones tells its caller when they have expired.
            from logging import getLogger

            getLogger("turbosqs").warning("credentials were not refreshed: %s: %s", type(error).__name__, str(error))
        del delegate


def _is_unsigned(signer: Any) -> bool:
    from botocore import UNSIGNED

    return signer.signature_version is UNSIGNED


def make(core: _core.Client, arguments: dict[str, Any], config: Any, events: Any, wanted: str) -> Delegate:
    """A delegate for a client of ours.

    Args:
        core: of our client, which is asked for credentials, region and endpoint.
        arguments: ``profile_name``, ``use_ssl``, ``verify`` and ``endpoint_url`` as the client was given them.
        config: ``Config``, ours or botocore's, or None.
        events: the emitter of the session that the client is of, with all handlers; None for botocore's own.
        wanted: what needs it, to be named if there is no botocore.

    Raises:
        ModuleNotFoundError: botocore is not installed.
    """
    session = _session(core, arguments.get("profile_name"), events, wanted)
    settings = {
        "region_name": core.region_name,
        "use_ssl": arguments.get("use_ssl", True),
        "verify": arguments.get("verify"),
        "endpoint_url": arguments.get("endpoint_url"),
        "config": _botocore_config(core, config),
    }
    client = session.create_client("sqs", **settings)
    if client.meta.endpoint_url != core.endpoint_url:
        # The environment has changed since, or asks for what only the core knows.
        client = session.create_client("sqs", **{**settings, "endpoint_url": core.endpoint_url})
    from .errorfactory import exceptions

    # Theirs are made for each session: what is caught by our classes has to be of our classes.
    client._exceptions = exceptions()
    return Delegate(client)


def _session(core: _core.Client, profile_name: str | None, events: Any, wanted: str) -> Any:
    from importlib import import_module

    try:
        botocore_session = import_module("botocore.session")
    except ModuleNotFoundError as error:
        if error.name not in ("botocore", "botocore.session"):
            raise
        message = f"{wanted} is botocore's to do and needs it: pip install boto3"
        raise ModuleNotFoundError(message, name=error.name) from None
    session = botocore_session.Session(
        profile=profile_name, event_hooks=events, include_builtin_handlers=events is None
    )
    from ._core import __version__

    session.user_agent_name, session.user_agent_version = "turbosqs", __version__
    session.register_component("data_loader", _loader())
    session.register_component("credential_provider", _Provider(core))
    return session


def _botocore_config(core: _core.Client, config: Any) -> Any:
    """botocore's ``Config`` of what the core has resolved."""
    from importlib import import_module

    from ._in_force import in_force
    from .config import as_options

    kind = import_module("botocore.config").Config
    given = {} if config is None else as_options(config)
    # Not all that was given shows in the config that is in force.
    options = {**given, **as_options(in_force(core, config))}
    if type(options["signature_version"]).__name__ == "UNSIGNED":
        options["signature_version"] = import_module("botocore").UNSIGNED
    # An older botocore does not know every option.
    return kind(**{name: value for name, value in options.items() if name in kind.OPTION_DEFAULTS})


_data_loader: Any = None


def _loader() -> Any:
    """botocore's data, read once."""
    global _data_loader
    if _data_loader is None:
        from botocore.loaders import create_loader

        _data_loader = create_loader()
    return _data_loader


class _Provider:
    """botocore's way to credentials, which leads to the core."""

    def __init__(self, core: _core.Client) -> None:
        self._core = core

    def load_credentials(self) -> Any:
        from ._credentials import Credentials

        return Credentials(self._core)
