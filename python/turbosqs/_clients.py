"""How a session's SQS clients are made."""

from __future__ import annotations

from ._core import Client, Failure
from ._green import may_wait
from ._logs import install
from .batching import as_argument
from .sqs import SQS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core
    from .batching import Batching


def fill_up(session: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments for the core: a client's, and where it names none, its session's.

    Args:
        session: the session's arguments.
        arguments: the client's.

    Raises:
        DataNotFoundError: an API version that SQS does not have.
        PartialCredentialsError: a token without keys.
    """
    from ._operations import API_VERSION

    if arguments["api_version"] not in (None, API_VERSION):
        from .exceptions import DataNotFoundError

        raise DataNotFoundError(data_path=f"sqs/{arguments['api_version']}/service-2")
    config = arguments["config"]
    if arguments["region_name"] is None and (config is None or config.region_name is None):
        arguments["region_name"] = session["region_name"]
    if arguments["aws_access_key_id"] is None and arguments["aws_secret_access_key"] is None:
        for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_account_id"):
            # An empty string counts as none here and only here, as in boto3's session.
            arguments[name] = session[name] or None
        if arguments["aws_session_token"] is not None and arguments["aws_access_key_id"] is None:
            from .exceptions import PartialCredentialsError

            # boto3 goes on without a key and fails at the first call, with a TypeError.
            raise PartialCredentialsError(provider="explicit", cred_var="aws_access_key_id")
    if config is None:
        arguments["config"] = {}
    else:
        from .config import as_options

        arguments["config"] = options = as_options(config)
        if config.connect_timeout is not None:
            # Beside a config, a defaults mode of the environment or the profile has no say in it.
            options.setdefault("connect_timeout", config.connect_timeout)
    return {**arguments, "profile_name": session["profile_name"]}


def connect(session: _core.Session, arguments: dict[str, Any], config: Any, events: Any) -> SQS:
    """A client on a core of its own.

    Args:
        session: what it shares with the session's other clients.
        arguments: of ``fill_up``, and ``batching``.
        config: what it was made with, for ``meta.config``.
        events: the session's event emitter; None if nobody has added handlers.

    Raises:
        What ``Session.client`` does.
    """
    install()
    arguments["batching"] = as_argument(arguments["batching"])
    try:
        core = Client(arguments, session=session)
        if core.has_source and may_wait():
            core.ask_source()
        if core.general or arguments["config"]:
            from . import _general

            _general.check(core.general, arguments["config"])
    except Failure as failure:
        from .errorfactory import exception

        error = exception(failure)
    else:
        if arguments["verify"] is False:
            from .config import warn_of_no_verification

            warn_of_no_verification(core.endpoint_url)
        return SQS(core, config, arguments["profile_name"], arguments, events)
    raise error


def connect_for(client: Any, batching: Batching | bool | None) -> Any:
    """Our client for one of botocore's, which goes on resolving credentials."""
    from ._delegate import Owner
    from .patching.listeners import name_added
    from .patching.settings import UnknownSettingError, core_arguments

    try:
        arguments = core_arguments(client, name_added(client))
    except UnknownSettingError as error:
        import warnings

        message = f"this client is boto3's own, not one on the Rust core, which has no setting for it: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        return client
    install()
    core = Client({**arguments, "batching": as_argument(batching)}, resolved=True)
    return SQS(core, owner=Owner(client))
