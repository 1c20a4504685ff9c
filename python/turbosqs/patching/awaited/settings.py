"""From what aiobotocore resolved for a client to what the core is built from."""

from __future__ import annotations

from ..settings import UnknownSettingError, arguments_of, check, endpoint_of, resolving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What aiohttp's connector does when it is not told otherwise.
_DEFAULTS = {"use_dns_cache": True, "ttl_dns_cache": 10, "force_close": False, "socket_factory": None}


async def core_arguments(client: Any, name: str) -> dict[str, Any]:
    """The arguments of ``_core.Client`` for a client of aiobotocore's, but for its credentials.

    Args:
        client: aiobotocore's.
        name: what handlers add to the User-Agent.

    Raises:
        UnknownSettingError: there are none that would do the same.
        botocore.exceptions.BotoCoreError: botocore finds no endpoint.
    """
    from aiobotocore.endpoint import AioEndpoint
    from aiobotocore.httpsession import AIOHTTPSession
    from aiobotocore.signers import AioRequestSigner

    check(client, (AioEndpoint, AIOHTTPSession, AioRequestSigner))
    session = client._endpoint.http_session
    for name, value in session._connector_args.items():
        # How long an idle connection is kept is the core's own affair.
        if name != "keepalive_timeout" and (name not in _DEFAULTS or value != _DEFAULTS[name]):
            raise UnknownSettingError(f"connector_args has {name!r}")
    if (session._proxy_config.settings or {}).get("proxy_use_forwarding_for_https"):
        raise UnknownSettingError("aiobotocore does not forward requests to HTTPS endpoints")
    operation, context = resolving(client)
    resolved = await client._resolve_endpoint_ruleset(operation, {}, context)
    return arguments_of(client, endpoint_of(client, resolved, context), ("aiobotocore",), name)
