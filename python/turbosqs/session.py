"""``Session``: where clients come from, with boto3's arguments and properties.

SQS is ours. Everything else (other services, boto3's data about services and regions, credentials as objects) is
asked of a ``boto3.Session`` made from the same arguments, when it is first needed and if boto3 is installed.
"""

from __future__ import annotations

from ._core import Failure, chosen_profile, default_region, profiles
from ._core import Session as CoreSession
from ._lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, Protocol, TypeVar, overload

    from ._annotations.resources import Resource
    from ._session_events import SessionEvents
    from .batching import Batching
    from .sqs import SQS

    _Client = TypeVar("_Client", covariant=True)

    class _Makes(Protocol[_Client]):
        """A session whose SQS clients are of this type."""

        def _own(self, client: SQS) -> _Client: ...


class Session:
    """Settings that clients share. A session may be used from any number of threads."""

    def __init__(
        self,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        botocore_session: Any = None,
        profile_name: str | None = None,
        aws_account_id: str | None = None,
    ) -> None:
        """Keep the settings; no credentials are looked up and nothing is connected yet.

        Args:
            aws_access_key_id, aws_secret_access_key, aws_session_token: credentials; without them boto3's chain is gone
                through (environment, shared files, single sign-on, containers, instances), once for all clients.
            region_name: for clients that are not given one of their own.
            botocore_session: a ``botocore.session.Session``, which then resolves settings and credentials of SQS
                clients too. Calls that its event handlers listen to are made by botocore.
            profile_name: a profile of the shared files.
            aws_account_id: the account that the credentials belong to.

        Raises:
            ProfileNotFound: neither shared file has the profile, which the argument or the environment names.
            NoCredentialsError: an account without a key pair.
        """
        self._arguments = _named(locals())
        self._boto3_session: Any = None
        # Whether somebody may have registered handlers for clients to come.
        self._is_listened_to = False
        # The core's, for all clients: credentials are found once.
        self._core_session = CoreSession()
        if aws_account_id is not None and (aws_access_key_id is None or aws_secret_access_key is None):
            from .exceptions import NoCredentialsError

            raise NoCredentialsError()
        if botocore_session is not None:
            self._boto3("Session(botocore_session=...)")
        elif (profile := chosen_profile(profile_name)) is not None and profile not in _told(profiles):
            from .exceptions import ProfileNotFound

            raise ProfileNotFound(profile=profile)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(region_name={self.region_name!r})"

    @property
    def profile_name(self) -> str:
        """The profile in use: the argument's, else the environment's, else ``default``."""
        if self._arguments["botocore_session"] is not None:
            return str(self._boto3("profile_name").profile_name)
        profile = chosen_profile(self._arguments["profile_name"])
        return "default" if profile is None else profile

    @property
    def region_name(self) -> str | None:
        """The region of clients that name none: from the argument, ``AWS_DEFAULT_REGION``, the profile, ``AWS_REGION``.

        The order is boto3's, except that boto3 leaves out ``AWS_REGION``, which the other AWS SDKs read.
        """
        if self._arguments["botocore_session"] is not None:
            region: str | None = self._boto3("region_name").region_name
            return region
        region = self._arguments["region_name"]
        if region is None:
            region = _told(default_region, self._arguments["profile_name"])
        return region

    @property
    def available_profiles(self) -> list[str]:
        """The names of all profiles in the shared files.

        Raises:
            ConfigParseError: one of the files is no INI file.
        """
        return list(_told(profiles))

    if TYPE_CHECKING:

        @overload
        def client(
            self: _Makes[_Client],
            service_name: Literal["sqs"],
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool = True,
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            aws_access_key_id: str | None = None,
            aws_secret_access_key: str | None = None,
            aws_session_token: str | None = None,
            config: Any = None,
            aws_account_id: str | None = None,
            *,
            batching: Batching | bool | None = None,
            telemetry: bool | None = None,
        ) -> _Client: ...

        @overload
        def client(
            self,
            service_name: str,
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool = True,
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            aws_access_key_id: str | None = None,
            aws_secret_access_key: str | None = None,
            aws_session_token: str | None = None,
            config: Any = None,
            aws_account_id: str | None = None,
            *,
            batching: Batching | bool | None = None,
            telemetry: bool | None = None,
        ) -> Any: ...

    def client(
        self,
        service_name: str,
        region_name: str | None = None,
        api_version: str | None = None,
        use_ssl: bool = True,
        verify: bool | str | None = None,
        endpoint_url: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        config: Any = None,
        aws_account_id: str | None = None,
        *,
        batching: Batching | bool | None = None,
        telemetry: bool | None = None,
    ) -> Any:
        """A client: for ``sqs`` ours, for any other service boto3's.

        Args:
            service_name: ``sqs``, or any name that boto3 knows.
            region_name: else that of ``config``, else the session's.
            api_version: None, or the only one that SQS has, ``2012-11-05``.
            use_ssl: False for ``http``; an ``endpoint_url`` says so itself.
            verify: False to accept any certificate, or the path of a bundle of authorities. It is about SQS alone: the
                services that credentials come from go by ``AWS_CA_BUNDLE``, the profile's ``ca_bundle``, or the system.
            endpoint_url: where to send requests; else the region's endpoint, or what the environment and the profile
                say (``AWS_ENDPOINT_URL_SQS``, ``AWS_ENDPOINT_URL``).
            aws_access_key_id, aws_secret_access_key, aws_session_token: credentials, else the session's. A token
                without keys is ignored, as in boto3.
            config: ``turbosqs.Config`` or ``botocore.config.Config``.
            aws_account_id: the account that the credentials belong to.
            batching: how overlapping calls of an SQS client share requests; False for a request each. boto3 has no such
                argument.
            telemetry: whether calls of an SQS client are recorded in OpenTelemetry's spans and metrics, whatever holds
                for others; None: as ``turbosqs.telemetry.instrument`` has it for all. boto3 has no such argument.

        Raises:
            NoRegionError, InvalidRegionError, PartialCredentialsError, ValueError: settings that cannot work.
            DataNotFoundError: an API version that SQS does not have.
            ModuleNotFoundError: another service, and boto3 is not installed; telemetry, and OpenTelemetry's API is not.
            UnknownServiceError: no such service, says boto3.
        """
        arguments = _named(locals(), "batching", "telemetry")
        if service_name != "sqs":
            for name, value in (("batching", batching), ("telemetry", telemetry)):
                if value is not None:
                    raise TypeError(f"{name} is for SQS clients on the Rust core; this client is for {service_name!r}")
            return self._others(service_name, arguments)
        from . import _clients

        if self._arguments["botocore_session"] is not None:
            client = _clients.connect_for(self._boto3_client(service_name, arguments), batching)
        else:
            filled = _clients.fill_up(self._arguments, arguments)
            client = self._connect({**filled, "batching": batching}, config)
        if telemetry is not None:
            from .telemetry import switch

            switch.choose(client, telemetry)
        return self._own(client)

    def _own(self, client: SQS) -> SQS:
        """An SQS client as this session's users have it."""
        return client

    def _others(self, service_name: str, arguments: dict[str, Any]) -> Any:
        """A client of another service."""
        return self._boto3_client(service_name, arguments)

    def _boto3_client(self, service_name: str, arguments: dict[str, Any]) -> Any:
        """boto3's client of the arguments of ``client``."""
        session = self._boto3(f"client({service_name!r})")
        return session.client(service_name, **given({**arguments, "config": for_botocore(arguments["config"])}))

    if TYPE_CHECKING:

        @overload
        def resource(
            self,
            service_name: Literal["sqs"],
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool = True,
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            aws_access_key_id: str | None = None,
            aws_secret_access_key: str | None = None,
            aws_session_token: str | None = None,
            config: Any = None,
        ) -> Resource: ...

        @overload
        def resource(
            self,
            service_name: str,
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool = True,
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            aws_access_key_id: str | None = None,
            aws_secret_access_key: str | None = None,
            aws_session_token: str | None = None,
            config: Any = None,
        ) -> Any: ...

    def resource(
        self,
        service_name: str,
        region_name: str | None = None,
        api_version: str | None = None,
        use_ssl: bool = True,
        verify: bool | str | None = None,
        endpoint_url: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        config: Any = None,
    ) -> Any:
        """A resource, which is boto3's: of ``sqs`` on our client, of any other service on boto3's.

        Args:
            service_name: ``sqs``, or any name that boto3 has resources for.
            region_name, api_version, use_ssl, verify, endpoint_url, config: as for ``client``.
            aws_access_key_id, aws_secret_access_key, aws_session_token: as for ``client``.

        Raises:
            ModuleNotFoundError: boto3 is not installed.
            boto3.exceptions.ResourceNotExistsError: no such resource.
            For ``sqs``: what ``client`` raises.
        """
        arguments = {**_named(locals()), "config": for_botocore(config)}
        boto3_session = self._boto3(f"resource({service_name!r})")
        if service_name == "sqs":
            from . import _resource

            return _resource.make(boto3_session, self.client, arguments)
        return boto3_session.resource(service_name, **arguments)

    @property
    def events(self) -> SessionEvents:
        """boto3's event emitter for this session. Clients that are made from now on have its handlers."""
        from ._session_events import SessionEvents

        events = self._boto3("events").events
        self._is_listened_to = True
        return SessionEvents(events)

    def get_credentials(self) -> Any:
        """The credentials as botocore finds them, a ``botocore.credentials.Credentials`` or None; needs boto3."""
        return self._boto3("get_credentials()").get_credentials()

    def get_available_services(self) -> list[str]:
        """The names that ``client`` takes: with boto3 installed all of its services, else ``sqs``."""
        try:
            return list(self._boto3("get_available_services()").get_available_services())
        except ModuleNotFoundError:
            return ["sqs"]

    def get_available_resources(self) -> list[str]:
        """The names that ``resource`` takes; needs boto3."""
        return list(self._boto3("get_available_resources()").get_available_resources())

    def get_available_partitions(self) -> list[str]:
        """The names of AWS's partitions, ``aws`` and so on; needs boto3's data."""
        return list(self._boto3("get_available_partitions()").get_available_partitions())

    def get_available_regions(
        self, service_name: str, partition_name: str = "aws", allow_non_regional: bool = False
    ) -> list[str]:
        """The regions that a service is known to be in; needs boto3's data.

        Args:
            service_name: ``sqs`` and so on.
            partition_name: the partition to look in.
            allow_non_regional: True to list endpoints that are no regions too (FIPS, global).
        """
        asked = self._boto3("get_available_regions()")
        return list(asked.get_available_regions(service_name, partition_name, allow_non_regional))

    def get_partition_for_region(self, region_name: str) -> str:
        """The partition that a region is in; needs boto3's data."""
        return str(self._boto3("get_partition_for_region()").get_partition_for_region(region_name))

    def _connect(self, arguments: dict[str, Any], config: Any) -> SQS:
        """An SQS client of these arguments for the core."""
        from . import _clients

        client = _clients.connect(self._core_session, arguments, config, self._handlers())
        if self._is_listened_to:
            client._listened.make("events")
        return client

    def _handlers(self) -> Any:
        """The session's event emitter as it is now, for a client that is made now; None if it is botocore's own."""
        if not self._is_listened_to:
            return None
        from copy import copy

        return copy(self._boto3("events").events._emitter)

    def _boto3(self, wanted: str) -> Any:
        """boto3's session of the same arguments.

        Args:
            wanted: what it is asked for, to be named if it cannot be had.
        """
        if self._boto3_session is None:
            with lock():
                if self._boto3_session is None:
                    self._boto3_session = _import_boto3(wanted).Session(**given(self._arguments))
        return self._boto3_session


def _named(local: dict[str, Any], *others: str) -> dict[str, Any]:
    """The arguments of ``client`` or ``resource`` that say with which settings.

    Args:
        local: the local variables of the method, before it has any but its arguments.
        others: the names of arguments that boto3 has not.
    """
    return {name: value for name, value in local.items() if name not in ("self", "service_name", *others)}


def given(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that were given: an older boto3 does not know all of them."""
    return {name: value for name, value in arguments.items() if value is not None}


def _told(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What the core says of environment and shared files; what is wrong with them is raised as boto3 does."""
    try:
        return ask(*arguments)
    except Failure as failure:
        from .errorfactory import exception

        error = exception(failure)
    raise error


def for_botocore(config: Any) -> Any:
    """A config that boto3 takes: botocore's. Ours becomes one; anything else is boto3's to judge."""
    if config is None:
        return None
    from .config import UNSIGNED, Config, as_options

    if not isinstance(config, Config):
        return config
    from importlib import import_module

    options = as_options(config)
    if options.get("signature_version") is UNSIGNED:
        options["signature_version"] = import_module("botocore").UNSIGNED
    return import_module("botocore.config").Config(**options)


def _import_boto3(wanted: str) -> Any:
    from importlib import import_module

    try:
        return import_module("boto3")
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        message = f"turbosqs itself is SQS only, {wanted} needs boto3: pip install boto3"
        raise ModuleNotFoundError(message, name=error.name) from None
