"""What known tools do below ``_make_api_call``, beside a call of the core's: the headers that they would have added.

Of the headers of a request SQS heeds one, ``X-Amzn-Trace-Id``, which becomes the system attribute ``AWSTraceHeader`` of
the messages that are sent. AWS documents the attribute itself as overriding the header, and as outside of a message's
quotas; so it is given to each message, and those that share a request keep the trace of their own callers
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
"""

from __future__ import annotations

import os
from functools import wraps
from inspect import signature, unwrap
from types import MappingProxyType, MethodType, SimpleNamespace

from botocore import handlers
from botocore.awsrequest import AWSRequest, AWSRequestPreparer, HTTPHeaders
from botocore.endpoint import Endpoint
from botocore.exceptions import ClientError

from .tools import note_response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .tools import Layer

    #: A handler of an event, and whether nothing comes of it for a request and the arguments of its call.
    _Handler = tuple[Any, Callable[[Any, dict[str, Any]], bool] | None]

#: In small letters.
_HEADER = "x-amzn-trace-id"
# Not in every botocore.
_add_invocation = getattr(handlers, "add_recursion_detection_header", None)
_ATTRIBUTE = "AWSTraceHeader"
_USER_AGENT = "User-Agent"
#: What a reply has of a message that was sent with system attributes.
_DIGEST = "MD5OfMessageSystemAttributes"


class Tools:
    """Tools that trace a call.

    What they are asked stands in the way of every call, and is colder than what a loop would have: so there is little
    of it, and in few functions.

    Attributes:
        around: wrappers of ``Endpoint.make_request``, outermost first.
        preparing: wrappers of ``Endpoint.prepare_request``, outermost first.
        handlers: handlers of events, by event: each with what tells whether it can be left out.
        are_asked: whether any of them looks at a request, and may add headers to it.
        see_attempts: whether there are handlers that see each attempt of a call: for botocore it is a request.
    """

    def __init__(
        self,
        around: tuple[Any, ...] = (),
        preparing: tuple[Any, ...] = (),
        handlers: dict[str, list[_Handler]] | None = None,
    ) -> None:
        self.around = around
        self.preparing = preparing
        self.handlers = {} if handlers is None else handlers
        self.are_asked = bool(self.preparing or self.handlers)
        self._created = self.handlers.get("request-created", ())
        self._signing = self.handlers.get("before-sign", ())
        self.see_attempts = bool(self._created)
        # The trace of a function's invocation, which some tools leave as it is; elsewhere there is none.
        self._add_invocation = _add_invocation if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None
        self._beside: tuple[Tools | None, Tools] | None = None

    @staticmethod
    def of(layers: dict[str, list[Layer]]) -> Tools | None:
        """Those whose wrappers stand around functions that carry calls, by the functions' names; None if none do."""
        if not any(layers.get(name) for name in ("_make_api_call", "prepare_request", "make_request")):
            # Requests of urllib3 are none of ours.
            return None
        around, preparing = (
            tuple(layer.wrapper for layer in layers.get(name, ())) for name in ("make_request", "prepare_request")
        )
        return Tools(around, preparing)

    def beside(self, others: Tools | None) -> Tools:
        """These handlers and the others' wrappers; the same object for the same others."""
        if others is None:
            return self
        if self._beside is None or self._beside[0] is not others:
            self._beside = others, Tools(others.around, others.preparing, self.handlers)
        return self._beside[1]

    def run_around(
        self, client: Any, url: str, operation_name: str, call: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Any:
        """Have the wrappers of ``Endpoint.make_request`` run around a call of the core's.

        Args:
            client: botocore's client.
            url: where botocore would send its requests.
            operation_name: such as ``SendMessage``.
            call: makes it.
            arguments: what it is given, and after them True: it is inside of the wrappers.

        Returns:
            The reply.

        Raises:
            What ``call`` raises.
        """
        asked = _Asked(call, arguments)
        _, reply = self.ask_around(client, url, operation_name, _make_request, asked)
        if asked.error is not None:
            raise asked.error
        return reply

    def ask_around(self, client: Any, url: str, operation_name: str, inner: Callable[..., Any], asked: Any) -> Any:
        """Call what stands in the place of ``Endpoint.make_request``, with its wrappers around.

        Args:
            client, url, operation_name: as above.
            inner: what is called, with a model and a request as that is.
            asked: the call, which it finds in the request's context.
        """
        endpoint = client._endpoint
        outermost, *others = self.around
        for wrapper in reversed(others):
            inner = _around(wrapper, inner, endpoint)
        request = {
            "url": url,
            "method": "POST",
            "url_path": "/",
            "headers": {},
            "body": b"",
            "context": {ASKED: asked},
        }
        return outermost(inner, endpoint, (client.meta.service_model.operation_model(operation_name), request), {})

    def header(self, client: Any, url: str, operation_name: str, api_params: dict[str, Any]) -> str | None:
        """The trace header that a request of the call would leave with, asked of one that does not.

        Args:
            client, url, operation_name: as above.
            api_params: the call's arguments.
        """
        request = _new(_Request)
        request.url = url
        request.context = {}
        if self._add_invocation is not None:
            self._add_invocation({"headers": request.headers})
        for handler, _ in self._created:
            handler(request=request, operation_name=operation_name, event_name=f"request-created.sqs.{operation_name}")
        for handler, is_idle in self._signing:
            if is_idle is not None and is_idle(request, api_params):
                continue
            signer = client._request_signer
            handler(
                request=request,
                signing_name=signer.signing_name,
                region_name=signer.region_name,
                signature_version=signer.signature_version,
                request_signer=signer,
                operation_name=operation_name,
                event_name=f"before-sign.sqs.{operation_name}",
            )
        if self.preparing:
            endpoint = client._endpoint
            for wrapper in self.preparing:
                wrapper(_prepare_request, endpoint, (request,), {})
        headers = request._headers
        if headers is not None:
            for name, value in headers.raw_items():
                if name.lower() == _HEADER:
                    return value  # type: ignore[no-any-return]
        return None

    def repeated(self, url: str, operation_name: str, response: dict[str, Any]) -> None:
        """Have those that see attempts see the ones that were made again, as the response to a call says.

        Args:
            url, operation_name: as above.
            response: a reply, or that of a refusal.
        """
        for _ in range(response.get("ResponseMetadata", {}).get("RetryAttempts", 0)):
            for handler, _ in self._created:
                handler(
                    request=_Request(url),
                    operation_name=operation_name,
                    event_name=f"request-created.sqs.{operation_name}",
                )


class _Request(AWSRequest):  # type: ignore[misc]
    """A request that is not sent. One is made for each call, and its headers when somebody asks for them: few do."""

    _request_preparer = AWSRequestPreparer()
    method = "POST"
    data = b""
    params: Mapping[str, Any] = MappingProxyType({})
    auth_path = None
    stream_output = False
    _headers: HTTPHeaders | None = None

    def __init__(self, url: str) -> None:
        self.url = url
        self.context: dict[str, Any] = {}

    @property
    def headers(self) -> HTTPHeaders:
        if self._headers is None:
            self._headers = HTTPHeaders()
        return self._headers


#: Makes an object, and calls no function of Python's for it.
_new: Any = object.__new__


#: The key of a call in the context of the request that stands for it.
ASKED = "turbosqs"


class _Asked:
    """A call of the core's that is made where botocore would make a request.

    Attributes:
        error: the refusal that it came to.
    """

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.error: ClientError | None = None
        self._call = call
        self._arguments = arguments

    def make(self) -> dict[str, Any]:
        try:
            parsed: dict[str, Any] = self._call(*self._arguments, True)
        except ClientError as refusal:
            # For botocore a refusal is a reply up to here.
            self.error, parsed = refusal, refusal.response
        return parsed


# It looks like what it stands for, and is one for all calls: a tool records where that was written.
@wraps(MethodType(unwrap(Endpoint.make_request), Endpoint.__new__(Endpoint)))
def _make_request(operation_model: Any, request_dict: Any) -> Any:  # noqa: ARG001
    parsed = request_dict["context"][ASKED].make()
    metadata = parsed["ResponseMetadata"]
    note_response(metadata["HTTPStatusCode"], metadata["HTTPHeaders"])
    return SimpleNamespace(status_code=metadata["HTTPStatusCode"]), parsed


# The same, but found at once.
_make_request.__signature__ = signature(_make_request)  # type: ignore[attr-defined]


def _around(wrapper: Any, wrapped: Any, instance: Any) -> Callable[..., Any]:
    """A wrapper around a function, which the next wrapper takes for what is inside."""

    @wraps(wrapped)
    def call(*args: Any) -> Any:
        return wrapper(wrapped, instance, args, {})

    return call


def _prepare_request(request: Any) -> Any:
    """What header hooks call on to."""
    return request


def added_name(handlers: list[Any]) -> str:
    """What handlers of ``request-created`` add to the User-Agent."""
    if not handlers:
        return ""
    request = _Request("")
    request.headers[_USER_AGENT] = before = "turbosqs"
    for handler in handlers:
        handler(request=request)
    # botocore sends the last one of several.
    last: str = request.headers.get_all(_USER_AGENT)[-1]
    return last.removeprefix(before).strip()


def url_of(client: Any) -> str:
    """Where botocore sends all requests of a client of SQS."""
    return f"{client.meta.endpoint_url.rstrip('/')}/"


def with_trace(operation_name: str, api_params: dict[str, Any], header: str) -> tuple[dict[str, Any], Any]:
    """The arguments of a call, with a trace for each message that has none.

    Returns:
        The arguments; and what to take out of the reply again: True, or the Ids of a batch's entries. The caller's own
        arguments stay as they are.
    """
    value = {"DataType": "String", "StringValue": header}
    if operation_name == "SendMessage":
        if api_params.get("MessageSystemAttributes") is None:
            return {**api_params, "MessageSystemAttributes": {_ATTRIBUTE: value}}, True
    elif operation_name == "SendMessageBatch" and type(api_params.get("Entries")) in (list, tuple):
        entries, traced = [], set()
        for entry in api_params["Entries"]:
            # Others are for the validation to complain of.
            if isinstance(entry, dict) and entry.get("MessageSystemAttributes") is None:
                traced.add(entry.get("Id"))
                entries.append({**entry, "MessageSystemAttributes": {_ATTRIBUTE: value}})
            else:
                entries.append(entry)
        return {**api_params, "Entries": entries}, traced
    return api_params, None


def without_digest(reply: dict[str, Any], traced: Any) -> dict[str, Any]:
    """A reply without the digests of attributes that the caller did not give."""
    if traced is True:
        reply.pop(_DIGEST, None)
    else:
        for entry in reply.get("Successful", ()):
            if entry.get("Id") in traced:
                entry.pop(_DIGEST, None)
    return reply
