"""A server on the loopback that answers the API's endpoints with what a test says, and notes what it was asked.

What it is sent is read with the contract's types, and so is what a test lets it answer: neither can be wrong in form.
"""

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from aibridge.contract.endpoint import PREFIX, Endpoint
from aibridge.contract.errors import ErrorBody
from aibridge.contract.roles import decode_hook, encode_hook
from aibridge.contract.table import ENDPOINTS


class Call(NamedTuple):
    """What was asked."""

    operation: str
    path: dict[str, str]
    query: Any
    body: Any
    token: str | None


class Refusal(NamedTuple):
    """An answer that is an error."""

    status: int
    body: ErrorBody


class Standin:
    """`answers` has by operation what is answered, or a function of the call that says it."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[Call] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def asked(self, operation: str) -> Call:
        """The only call of this operation."""
        (call,) = [call for call in self.calls if call.operation == operation]
        return call

    def answer(self, method: str, target: str, token: str | None, content: bytes) -> tuple[int, str, bytes]:
        parts = urlsplit(target)
        endpoint, path = _matched(method, parts.path)
        pairs = {name: values[0] for name, values in parse_qs(parts.query).items()}
        query = endpoint.query and msgspec.convert(pairs, endpoint.query, strict=False, dec_hook=decode_hook)
        body = endpoint.body and msgspec.json.decode(content, type=endpoint.body, dec_hook=decode_hook)
        call = Call(endpoint.operation, path, query, body, token)
        self.calls.append(call)
        answer = self.answers[endpoint.operation]
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(call)
        if isinstance(answer, Refusal):
            return answer.status, "application/json", msgspec.json.encode(answer.body)
        if endpoint.media_type == "text/csv":
            return 200, "text/csv", answer.encode()
        if endpoint.response is None:
            return endpoint.status, "application/json", b""
        encoded = msgspec.json.encode(answer, enc_hook=encode_hook)
        msgspec.json.decode(encoded, type=endpoint.response, dec_hook=decode_hook)
        return endpoint.status, "application/json", encoded

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        standin = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                token = self.headers.get("coder-session-token")
                status, kind, answer = standin.answer(self.command, self.path, token, content)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 -- names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as above
                pass

        return Handler


def _matched(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    for endpoint in ENDPOINTS:
        form = re.sub(r"\{(\w+)(?::path)?\}", r"(?P<\1>[^/]+)", PREFIX + endpoint.path)
        match = re.fullmatch(form, path)
        if match and endpoint.method == method:
            return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
    raise AssertionError(f"there is no {method} {path}")
