"""The functions that carry aiobotocore's calls: its own, those that it inherits of botocore's, aiohttp's."""

from __future__ import annotations

from ..listeners import CLIENT_METHODS, ENDPOINT_METHODS, SOCKETS, Functions

_known: Functions | None = None


def functions() -> Functions:
    """Those of the aiobotocore that is imported."""
    global _known
    if _known is None:
        _known = _find()
    return _known


def _find() -> Functions:
    import aiobotocore.awsrequest
    import aiobotocore.endpoint
    from aiobotocore.client import AioBaseClient
    from aiobotocore.endpoint import AioEndpoint
    from aiobotocore.hooks import AioHierarchicalEmitter
    from aiobotocore.httpsession import AIOHTTPSession
    from aiobotocore.signers import AioRequestSigner
    from aiohttp import BaseConnector, ClientSession
    from botocore.endpoint import Endpoint

    return Functions(
        AioBaseClient,
        AioHierarchicalEmitter,
        {
            AioBaseClient: CLIENT_METHODS,
            AioEndpoint: ENDPOINT_METHODS,
            # Inherited.
            Endpoint: ("make_request", "prepare_request"),
            AioRequestSigner: ("handler", "sign", "get_auth", "get_auth_instance"),
            AIOHTTPSession: ("send",),
        },
        ("aiobotocore", "botocore"),
        (
            # Programs that have moto answer put something else there.
            (vars(aiobotocore.awsrequest), "AioAWSResponse", ("aiobotocore",), "wrapped"),
            (vars(aiobotocore.endpoint), "convert_to_response_dict", ("aiobotocore",), "wrapped"),
            (vars(ClientSession), "_request", ("aiohttp",), "wrapped"),
            (vars(ClientSession), "request", ("aiohttp",), "wrapped"),
            (vars(BaseConnector), "connect", ("aiohttp",), "wrapped"),
            *SOCKETS,
        ),
    )
