"""A line for each request and each response, where a logger was given. No token and no secret is in them."""

import logging
import re
from typing import Final

import httpx2
import msgspec

from aibridge.sdk._token import HEADER

_TYPES: Final = frozenset({"application/json", "text/plain", "text/html"})
"""Content types whose bodies are text for people."""

_SHOWN: Final = 4096
"""Characters of a body at most."""

_SECRET: Final = re.compile(r"(passwords?|tokens?|secrets?|keys?|credentials?)\Z", re.IGNORECASE)
"""How the names of fields end that hold secrets: `old_password`, `session_token`, `key`."""

_HIDDEN: Final = "(hidden)"


class Log:
    """Writes to a logger at its debug level; with `bodies` also what was sent and what came, if it is text."""

    __slots__ = ("_bodies", "_logger")

    def __init__(self, logger: logging.Logger | None, *, bodies: bool) -> None:
        self._logger = logger
        self._bodies = bodies

    def request(self, request: httpx2.Request, content: bytes | None) -> None:
        """Tell what is sent. `content` is None where there is no body, or it is a stream."""
        if self._logger is not None and self._logger.isEnabledFor(logging.DEBUG):
            told = self._told(request, request.headers, content)
            self._logger.debug("sdk request: %s %s%s", request.method, request.url, told)

    def response(self, response: httpx2.Response, content: bytes | None) -> None:
        """Tell what came. `content` is None where it is a stream."""
        if self._logger is not None and self._logger.isEnabledFor(logging.DEBUG):
            request = response.request
            told = self._told(request, response.headers, content)
            self._logger.debug("sdk response: %s %s: %d%s", request.method, request.url, response.status_code, told)

    def _told(self, request: httpx2.Request, headers: httpx2.Headers, content: bytes | None) -> str:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not self._bodies or not content or kind not in _TYPES:
            return ""
        text = _without_secrets(content) if kind == "application/json" else content.decode(errors="replace")
        token = request.headers.get(HEADER)
        if token:
            text = text.replace(token, _HIDDEN)
        return f" {text[:_SHOWN]}"


def _without_secrets(content: bytes) -> str:
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError:
        # What is not understood may hold anything.
        return "(no JSON)"
    return msgspec.json.encode(_cleaned(value)).decode()


def _cleaned(value: object) -> object:
    match value:
        case dict():
            return {name: _HIDDEN if _SECRET.search(name) and one else _cleaned(one) for name, one in value.items()}
        case list():
            return [_cleaned(one) for one in value]
        case _:
            return value
