"""A caller of few words: one request, what came back of it, and whether it came to its end."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from clients.running import PATIENCE

CHAT = "/openai/v1/chat/completions"
RESPONSES = "/openai/v1/responses"
MESSAGES = "/anthropic/v1/messages"
PROMPT = "What is the canary in the mine for?"
_READ = 1 << 16


class Words(TypedDict, total=False):
    """What may be said with a request. With a model it is a POST, otherwise a GET."""

    token: str
    model: str
    stream: bool
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer. `whole` says whether its framing came to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Answering:
    """An answer whose head is here."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def some(self) -> bytes:
        """The next bytes."""
        return self._response.read1(_READ)

    def rest(self) -> Answer:
        """Read on to the end, or to where it broke off."""
        parts, whole = [], True
        try:
            while part := self.some():
                parts.append(part)
        except (http.client.IncompleteRead, OSError):
            whole = False
        self._response.close()  # the connection is free for the next question
        return Answer(
            status=self.status,
            headers={name.lower(): value for name, value in self._response.headers.items()},
            body=b"".join(parts),
            whole=whole and not self._response.length,
        )


def question(model: str, *, stream: bool = False) -> bytes:
    """The body of a call, as all three protocols understand it."""
    messages = [{"role": "user", "content": PROMPT}]
    fields = {"model": model, "messages": messages, "input": PROMPT, "max_tokens": 9999, "stream": stream}
    return json.dumps(fields).encode()


def connection_to(url: str, *, tls: ssl.SSLContext | None = None, source: str = "") -> http.client.HTTPConnection:
    """A connection to a server, opened with the first request; `source` is the address to come from."""
    where = urlsplit(url).netloc
    origin = (source, 0) if source else None
    if tls is None:
        return http.client.HTTPConnection(where, timeout=PATIENCE, source_address=origin)
    return http.client.HTTPSConnection(where, timeout=PATIENCE, source_address=origin, context=tls)


def asked(connection: http.client.HTTPConnection, path: str, **words: Unpack[Words]) -> Answering:
    """Ask over a connection, and wait for the head of the answer."""
    headers = dict(words.get("headers", {}))
    if token := words.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    if model := words.get("model"):
        headers["Content-Type"] = "application/json"
        connection.request("POST", path, question(model, stream=words.get("stream", False)), headers)
    else:
        connection.request("GET", path, headers=headers)
    return Answering(connection.getresponse())


@contextmanager
def asking(
    url: str, path: str, *, tls: ssl.SSLContext | None = None, source: str = "", **words: Unpack[Words]
) -> Iterator[Answering]:
    """An answer that has begun; the connection is closed at the end of the block, whether it was read or not."""
    connection = connection_to(url, tls=tls, source=source)
    try:
        yield asked(connection, path, **words)
    finally:
        connection.close()


def ask(url: str, path: str, *, tls: ssl.SSLContext | None = None, source: str = "", **words: Unpack[Words]) -> Answer:
    """Ask, and read the whole answer."""
    with asking(url, path, tls=tls, source=source, **words) as answering:
        return answering.rest()


def change(url: str, method: str, path: str, body: object = None, *, token: str) -> Answer:
    """Send JSON to the control plane, and read the whole answer."""
    connection = connection_to(url)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return Answering(connection.getresponse()).rest()
    finally:
        connection.close()
