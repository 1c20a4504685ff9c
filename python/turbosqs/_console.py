"""``turbosqs console``: the console of the embedded SQS for any SQS, through our client and the user's credentials."""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import secrets
import sys
import threading
import time
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from turbosqs import _core
from turbosqs._signals import heed_stops

#: The most that a request of the page may hold: a message of 1 MiB in which each byte is an escape, and some more.
MAX_BODY = 7 << 20

#: Queues on a page of the list: each costs a request for its attributes.
PAGE = 20

#: Seconds between looks at what is shown, since they cost requests.
REFRESH = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what ``turbosqs console`` takes."""
    parser.add_argument("--endpoint-url", metavar="URL", help="an SQS other than AWS's, such as http://127.0.0.1:9324")
    parser.add_argument("--profile", metavar="NAME", help="the profile of the credentials and settings")
    parser.add_argument("--region", metavar="NAME", help="the region of the queues")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(arguments: argparse.Namespace) -> int:
    """Serves the console until SIGINT or SIGTERM.

    Returns:
        The exit status: 0 after a clean stop, 2 when it could not start.
    """
    wait_for_stop = heed_stops()
    try:
        sqs = _client(arguments)
        server = ConsoleServer(arguments.port, sqs)
    except Exception as error:  # noqa: BLE001 (whatever is wrong with settings and credentials, in its own words)
        print(f"turbosqs console: {error}", file=sys.stderr)
        return 2
    thread = threading.Thread(target=server.serve_forever, name="turbosqs-console", daemon=True)
    thread.start()
    print(server.url, flush=True)
    print("Whoever has this address acts with your rights: it is for you alone.", file=sys.stderr, flush=True)
    if sys.stdout.isatty() and not arguments.no_browser:
        webbrowser.open(server.url)
    try:
        wait_for_stop()
    finally:
        server.shutdown()
        server.server_close()
    return 0


def _client(arguments: argparse.Namespace) -> Any:
    from turbosqs.session import Session

    session = Session(profile_name=arguments.profile, region_name=arguments.region)
    # Each request is somebody's click, and is to be counted as what it is.
    return session.client("sqs", endpoint_url=arguments.endpoint_url, batching=False)


class ConsoleServer(ThreadingHTTPServer):
    """The page on the loopback interface, below a path that nobody can guess.

    Args:
        port: the port; 0 for any that is free.
        sqs: the client by which the page acts.
    """

    daemon_threads = True

    def __init__(self, port: int, sqs: Any) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.sqs = sqs
        self.token = secrets.token_urlsafe(32)
        self.names: tuple[float, list[str]] | None = None
        self.traffic: dict[tuple[str, str], list[int]] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where the page is, token and all."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def call(self, action: str, members: dict[str, Any]) -> dict[str, Any]:
        """Makes a call for the page, and writes it down."""
        reply: dict[str, Any] = self.sqs._make_api_call(action, members)
        status = reply.pop("ResponseMetadata", {})
        del status
        url = members.get("QueueUrl", "")
        kind = "fifo" if str(url).endswith(".fifo") else "standard"
        with self.lock:
            usage = self.traffic.setdefault((kind, action), [0, 0])
            usage[0] += 1
            usage[1] += _carried(action, reply)
        if action in ("CreateQueue", "DeleteQueue"):
            self.names = None
        return reply

    def queue_urls(self) -> list[str]:
        """All queues, by their URLs; asked for again when the list is some refreshes old."""
        if self.names is None or time.monotonic() - self.names[0] > 6 * REFRESH:
            urls: list[str] = []
            token: dict[str, Any] = {}
            while True:
                reply = self.call("ListQueues", {"MaxResults": 1000, **token})
                urls += reply.get("QueueUrls", [])
                if "NextToken" not in reply:
                    break
                token = {"NextToken": reply["NextToken"]}
            self.names = (time.monotonic(), sorted(urls, key=_name))
        return self.names[1]

    def overview(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """What the page shows of queues and traffic."""

        def asked(name: str, default: str = "") -> str:
            return query.get(name, [default])[0]

        only, search = asked("only"), asked("search")
        urls = [url for url in self.queue_urls() if (_name(url) == only if only else search in _name(url))]
        offset, limit = int(asked("offset", "0")), min(int(asked("limit", str(PAGE))), PAGE)
        rows = [self._row(url) for url in urls[offset : offset + limit]]
        with self.lock:
            traffic = [
                {"kind": kind, "action": action, "requests": requests, "messages": messages}
                for (kind, action), (requests, messages) in sorted(self.traffic.items())
            ]
        meta = self.sqs.meta
        account = urls[0].split("/")[-2] if urls else ""
        return {
            "total": len(urls),
            "queues": [row for row in rows if row is not None],
            "traffic": traffic,
            "now": int(time.time() * 1000),
            "refresh": REFRESH,
            "pageSize": PAGE,
            "region": meta.region_name,
            "account": account,
            "endpoint": meta.endpoint_url,
        }

    def _row(self, url: str) -> dict[str, Any] | None:
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        try:
            found = self.call("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": names}).get("Attributes", {})
        except self.sqs.exceptions.QueueDoesNotExist:
            # Deleted since it was listed.
            self.names = None
            return None
        visible, in_flight, delayed = (int(found.get(name, 0)) for name in names)
        return {
            "name": _name(url),
            "url": url,
            "fifo": url.endswith(".fifo"),
            "visible": visible,
            "inFlight": in_flight,
            "delayed": delayed,
        }


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _carried(action: str, reply: dict[str, Any]) -> int:
    """How many messages a call was about."""
    if action.endswith("Batch"):
        return len(reply.get("Successful", []))
    if action == "ReceiveMessage":
        return len(reply.get("Messages", []))
    return int(action in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility"))


def _binary(value: Any, convert: Any) -> Any:
    """The value with each ``BinaryValue`` in it converted."""
    match value:
        case dict():
            return {
                key: convert(member) if key == "BinaryValue" else _binary(member, convert)
                for key, member in value.items()
            }
        case list():
            return [_binary(member, convert) for member in value]
        case _:
            return value


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _RefusedError(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    """One connection of the page."""

    server: ConsoleServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version = "turbosqs"
    sys_version = ""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests hold the token."""

    def _place(self) -> str:
        """What is asked for, below the token.

        Raises:
            _RefusedError: the request is no request of the page's.
        """
        host = self.headers.get("Host", "")
        own = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        origin = self.headers.get("Origin")
        foreign = origin is not None and origin not in {f"http://{name}" for name in own}
        if host not in own or foreign or self.headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "AccessDenied", "The request comes from elsewhere.")
        token, slash, place = self.path.lstrip("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            text = "The address lacks the token: take the one that turbosqs console printed."
            raise _RefusedError(HTTPStatus.FORBIDDEN, "AccessDenied", text)
        return place

    def do_GET(self) -> None:
        """Shows the page, a file of it, or what it shows."""
        self._answer(self._show)

    def do_POST(self) -> None:
        """Makes a call."""
        self._answer(self._act)

    def _show(self) -> tuple[str, bytes]:
        place = urlsplit(self._place())
        if place.path == "_turbosqs/overview":
            return "application/json", json.dumps(self.server.overview(parse_qs(place.query))).encode()
        found = _core.console_file(place.path)
        if found is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "NotFound", "There is nothing here.")
        return found[0], found[1]

    def _act(self) -> tuple[str, bytes]:
        self._place()
        action = self.headers.get("X-Amz-Target", "").removeprefix("AmazonSQS.")
        if action not in self.server.sqs.meta.service_model.operation_names:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "InvalidAction", f"SQS has no action {action!r}.")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", "The request is too long."
            )
        try:
            members = _binary(json.loads(self.rfile.read(int(length))), base64.b64decode)
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "SerializationException", str(error)) from None
        return "application/json", json.dumps(_binary(self.server.call(action, members), _text)).encode()

    def _answer(self, act: Any) -> None:
        from turbosqs.exceptions import BotoCoreError, ClientError

        status, headers = 200, {}
        try:
            kind, body = act()
        except _RefusedError as refused:
            status, kind = refused.status, "application/json"
            headers = {"x-amzn-query-error": f"{refused.code};Sender", "Connection": "close"}
            body = json.dumps({"__type": refused.code, "message": str(refused)}).encode()
        except ClientError as error:
            status, kind = error.response["ResponseMetadata"]["HTTPStatusCode"], "application/json"
            headers = {"x-amzn-query-error": f"{error.response['Error']['Code']};Sender"}
            body = json.dumps({"__type": "", "message": error.response["Error"]["Message"]}).encode()
        except (BotoCoreError, TypeError, ValueError) as error:
            # Arguments that do not fit, or no way to SQS.
            status, kind = 502, "application/json"
            headers = {"x-amzn-query-error": f"{type(error).__name__};Sender"}
            body = json.dumps({"__type": type(error).__name__, "message": str(error)}).encode()
        page = _core.console_file("")
        assert page is not None
        headers |= {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": page[2],
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
