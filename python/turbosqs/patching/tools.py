"""The instrumentation that is known: what each tool puts around botocore's functions, and which handlers it registers.

Known means that a call may go to the core while they are there, and that they record of it what they record of
botocore's own. Whatever stands around ``_make_api_call`` has run by the time the core is asked. What is further down is
run beside the core's call (``tracing.py``): it looks at the request, and adds headers to it. Everything is known by
where it was written, so a release of a tool that hooks elsewhere is not known there, and its calls are botocore's.

Read in opentelemetry-instrumentation-botocore 0.66, ddtrace 4.16, sentry-sdk 2.75, aws-xray-sdk 2.15, elastic-apm 6.26
and newrelic 14.1.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: By the function's name, what may stand around it.
WRAPPERS: dict[str, frozenset[str]] = {
    "_make_api_call": frozenset(
        (
            "opentelemetry.instrumentation.botocore.BotocoreInstrumentor._patched_api_call",
            "ddtrace.contrib.internal.botocore.patch.patched_api_call",
            "sentry_sdk.integrations.boto3._client._patch_botocore_client.<locals>.sentry_patched_make_api_call",
            "aws_xray_sdk.ext.botocore.patch._xray_traced_botocore",
            "elasticapm.instrumentation.packages.botocore.BotocoreInstrumentation.call_if_sampling",
            # Around aiobotocore's.
            "opentelemetry.instrumentation.botocore.AiobotocoreInstrumentor._patched_api_call",
            "ddtrace.contrib.internal.aiobotocore.patch._wrapped_api_call",
            "aws_xray_sdk.ext.aiobotocore.patch._xray_traced_aiobotocore",
            "elasticapm.instrumentation.packages.asyncio.aiobotocore.AioBotocoreInstrumentation.call_if_sampling",
            # Does nothing for a client of SQS.
            "newrelic.hooks.external_aiobotocore.wrap_client__make_api_call",
        )
    ),
    # They add headers to the request.
    "prepare_request": frozenset(
        (
            "opentelemetry.instrumentation.botocore.BotocoreInstrumentor._patched_endpoint_prepare_request",
            "opentelemetry.instrumentation.botocore.AiobotocoreInstrumentor._patched_endpoint_prepare_request",
            "aws_xray_sdk.ext.boto_utils.inject_header",
        )
    ),
    # Its span of a call.
    "make_request": frozenset(
        (
            "newrelic.hooks.external_botocore._nr_endpoint_make_request_",
            "newrelic.hooks.external_aiobotocore.wrap_endpoint_make_request",
        )
    ),
    # Reads an argument that no operation of SQS has.
    "_emit_api_params": frozenset(("newrelic.hooks.external_botocore.wrap_emit_api_params",)),
}

#: By event, the handlers.
HANDLERS = {
    "request-created": frozenset(("sentry_sdk.integrations.boto3._instrumentation._sentry_request_created",)),
    "before-sign": frozenset(
        (
            "sentry_sdk.integrations.boto3._instrumentation._sentry_before_sign",
            "ddtrace.contrib.internal.botocore.patch._botocore_before_sign_handler",
            "ddtrace.contrib.internal.aiobotocore.patch._aiobotocore_before_sign_handler",
        )
    ),
}


def _is_frozen(request: Any, api_params: dict[str, Any]) -> bool:  # noqa: ARG001
    """Whether a transaction of Sentry's has fixed what it tells others, as its first call does."""
    span = request.context.get("_sentrysdk_span")
    # A transaction's span, or one that is streamed.
    root = getattr(span, "containing_transaction", None) or getattr(span, "_segment", None)
    baggage = getattr(root, "_baggage", None)
    return baggage is not None and not baggage.mutable


def _bears_context(request: Any, api_params: dict[str, Any]) -> bool:  # noqa: ARG001
    """Whether Datadog has put the same context into the message, and so decided whether the trace is kept."""
    entries = api_params.get("Entries")
    message = entries[0] if isinstance(entries, list) and entries else api_params
    attributes = message.get("MessageAttributes") if isinstance(message, dict) else None
    return isinstance(attributes, dict) and "_datadog" in attributes


#: Handlers that write headers which SQS does not heed, and when nothing else comes of them: then there is no need to
#: have them written.
IDLE: dict[str, Callable[[Any, dict[str, Any]], bool]] = {
    "sentry_sdk.integrations.boto3._instrumentation._sentry_before_sign": _is_frozen,
    "ddtrace.contrib.internal.botocore.patch._botocore_before_sign_handler": _bears_context,
}

#: Handlers that only add a name to the User-Agent, the same each time, for AWS's own statistics: the core adds it too.
NAMING = frozenset(
    ("aws_lambda_powertools.shared.user_agent._create_feature_function.<locals>.add_powertools_feature",)
)

#: Functions of urllib3, aiohttp and Python's sockets.
_OTHERS = ("urlopen", "request", "_request", "connect", "socket", "getaddrinfo", "create_connection")

#: Packages whose wrappers of them record requests of those libraries: the core makes none.
LIBRARIES = ("ddtrace.", "elasticapm.", "newrelic.", "opentelemetry.instrumentation.", "sentry_sdk.")

#: Functions that turn a tool's wrapper into one of another shape; they have it in their closure, under this name.
_ADAPTERS = {"ddtrace.contrib.internal.trace_utils.with_traced_module.<locals>.with_mod.<locals>.wrapper": "func"}

#: Wrappers that are plain functions and have what they wrap in their closure, under this name.
_CLOSURES = {
    "sentry_sdk.integrations.boto3._client._patch_botocore_client.<locals>.sentry_patched_make_api_call": (
        "orig_make_api_call"
    )
}


def written(function: Any) -> str:
    """Where a function was written: its module and its name there; of a bound one, its object's class."""
    if isinstance(function, partial):
        return written(function.func)
    if type(function) is MethodType:
        return f"{_name(type(function.__self__))}.{function.__func__.__name__}"
    if type(function) is not FunctionType:
        return _name(function if isinstance(function, type) else type(function))
    # Not __module__, which decorators copy.
    name = f"{function.__globals__.get('__name__', '?')}.{function.__qualname__}"
    if name in _ADAPTERS:
        return written(_closed_over(function, _ADAPTERS[name]))
    return name


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _closed_over(function: Any, name: str) -> Any:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return cells[name].cell_contents if name in cells else None


def note_response(status: int, headers: dict[str, str]) -> None:
    """What New Relic's wrapper of Python's HTTP connections adds to the span that is open."""
    from newrelic.api.time_trace import current_trace

    process_response = getattr(current_trace(), "process_response", None)
    if process_response is not None:
        process_response(status, list(headers.items()))


class Layer:
    """A wrapper around a function.

    Attributes:
        name: where it was written.
        wrapper: takes what it wraps, the object, the arguments and the keyword arguments, as wrapt's wrappers do;
            None if it is of another kind.
        inner: what it wraps; None if that cannot be told.
    """

    def __init__(self, value: Any) -> None:
        # Of a class: to ask a mock for an attribute is to get one.
        self.wrapper: Any = value._self_wrapper if hasattr(type(value), "_self_wrapper") else None
        self.name = written(value if self.wrapper is None else self.wrapper)
        if self.name in _CLOSURES:
            self.inner = _closed_over(value, _CLOSURES[self.name])
        elif self.wrapper is not None:
            self.inner = value.__wrapped__
        else:
            self.inner = None

    def is_known(self, name: str) -> bool:
        """Whether it may stand around the function of that name."""
        if name in _OTHERS:
            return self.name.startswith(LIBRARIES) and self.inner is not None
        return self.name in WRAPPERS.get(name, ())
