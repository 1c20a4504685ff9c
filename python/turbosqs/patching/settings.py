"""From what botocore resolved for a client to what the core is built from."""

from __future__ import annotations

import socket

import botocore
from botocore import UNSIGNED
from botocore.endpoint import Endpoint
from botocore.httpsession import URLLib3Session, get_cert_path
from botocore.signers import RequestSigner
from botocore.validate import ParamValidationDecorator

from .model import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class UnknownSettingError(Exception):
    """The client is set up in a way that the core has no setting for."""


def core_arguments(client: Any, name: str) -> dict[str, Any]:
    """The arguments of ``_core.Client`` for a client of botocore's, but for its credentials.

    Args:
        client: botocore's.
        name: what handlers add to the User-Agent.

    Raises:
        UnknownSettingError: there are none that would do the same.
        botocore.exceptions.BotoCoreError: botocore finds no endpoint.
    """
    check(client, (Endpoint, URLLib3Session, RequestSigner))
    operation, context = resolving(client)
    resolved = client._resolve_endpoint_ruleset(operation, {}, context)
    return arguments_of(client, endpoint_of(client, resolved, context), ("Boto3", "Botocore"), name)


def check(client: Any, kinds: tuple[type, ...]) -> None:
    """Look at the classes of a client's endpoint, HTTP session and signer.

    Raises:
        UnknownSettingError: they are others.
    """
    found = (type(client._endpoint), type(client._endpoint.http_session), type(client._request_signer))
    if found != kinds:
        raise UnknownSettingError(f"its parts are {found}")


def arguments_of(client: Any, endpoint: tuple[str, str], names: tuple[str, ...], name: str) -> dict[str, Any]:
    """The arguments of ``_core.Client`` for a client.

    Args:
        client: botocore's, or one like it.
        endpoint: the endpoint's URL, and the region that requests are signed for.
        names: those that the library gives itself in the User-Agent.
        name: what handlers add to it.

    Raises:
        UnknownSettingError: there are none that would do the same.
    """
    config, signer = client.meta.config, client._request_signer
    session = client._endpoint.http_session
    # The core's requests are JSON. Those of botocores that spoke the older protocol mean the same.
    if protocol(client.meta.service_model) not in ("json", "query"):
        raise UnknownSettingError(f"the protocol is {protocol(client.meta.service_model)}")
    endpoint_url, region_name = endpoint
    proxies = session._proxy_config
    return {
        "region_name": region_name,
        "endpoint_url": endpoint_url,
        # botocore brings authorities of its own along.
        "verify": get_cert_path(session._verify) if session._verify else False,
        "config": {
            "signature_version": _signature_version(signer),
            "connect_timeout": config.connect_timeout,
            "read_timeout": config.read_timeout,
            "parameter_validation": isinstance(client._serializer, ParamValidationDecorator),
            "max_pool_connections": config.max_pool_connections,
            # Resolved already, NO_PROXY and all.
            "proxies": dict(proxies._proxies),
            "proxies_config": dict(proxies._proxies_settings) or None,
            "client_cert": config.client_cert,
            "retries": {name: config.retries.get(name) for name in ("mode", "total_max_attempts")},
            "tcp_keepalive": any(option[:2] == _KEEPALIVE for option in session._socket_options),
            **_user_agent(client._user_agent_creator, config, names, name),
        },
    }


_KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def resolving(client: Any) -> tuple[Any, dict[str, Any]]:
    """What a client is asked for its endpoint with: an operation, and a context, which takes what it says beside that.

    Endpoint and region are the same for all operations.
    """
    operation = client.meta.service_model.operation_model("ListQueues")
    return operation, {"client_region": client.meta.region_name, "client_config": client.meta.config}


def endpoint_of(client: Any, resolved: Any, context: dict[str, Any]) -> tuple[str, str]:
    """Where a client sends requests, and the region that it signs them for, from what it has said.

    Raises:
        UnknownSettingError: it asks for more than that.
    """
    # Before botocore 1.33 it does not tell of the endpoint's properties, which SQS has none of.
    url, headers, *_ = resolved
    signing = context.get("signing", {})
    if headers or signing.get("signing_name", client._request_signer.signing_name) != "sqs":
        raise UnknownSettingError(f"the endpoint asks for {headers} and {signing}")
    return url, signing.get("region") or client._request_signer.region_name


def _signature_version(signer: Any) -> Any:
    if signer.signature_version is UNSIGNED or signer.signature_version == "v4":
        return signer.signature_version
    raise UnknownSettingError(f"the signature version is {signer.signature_version}")


def _user_agent(creator: Any, config: Any, names: tuple[str, ...], last: str) -> dict[str, str | None]:
    """The core names itself; what the program adds of its own goes with it."""
    name, version = creator._session_user_agent_name, creator._session_user_agent_version
    parts = [
        f"{name}/{version}" if name and version and name not in names else None,
        # aiobotocore says what it stands on.
        None if (extra := creator._session_user_agent_extra) == f"botocore/{botocore.__version__}" else extra,
        config.user_agent_extra,
        last,
    ]
    return {
        "user_agent": getattr(config, "_supplied_user_agent", None),
        "user_agent_extra": " ".join(filter(None, parts)) or None,
        "user_agent_appid": config.user_agent_appid,
    }
