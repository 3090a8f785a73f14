"""A server with an owner and a plain member, each with a token: whom the tests of the API's contract ask as."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import msgspec
from clients.running import PATIENCE
from server.life import Server, serving

V2 = "/api/v2"
_PASSWORD = "correct horse battery 9"


class User(msgspec.Struct, frozen=True):
    """Somebody with a token, and what they and it are called."""

    url: str
    token: str
    id: str
    username: str
    key: str

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer, None where it has no body."""
        return asked(self.url, self.token, method, path, body)


def asked(url: str, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask with a token for a path below `/api/v2`."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{V2}{path}", content, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            status, text = answer.status, answer.read()
    except HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else None


@contextmanager
def api(data_dir: Path, *arguments: str) -> Iterator[tuple[Server, User, User]]:
    """A server, its owner and a member."""
    with serving(data_dir, *arguments) as server:
        owner = _who(server.url, server.token)
        status, made = owner.ask("POST", "/users", {"username": "member", "password": _PASSWORD})
        assert status == 201
        status, token = owner.ask("POST", f"/users/{made['id']}/keys/tokens", {"token_name": "first"})
        assert status == 201
        yield server, owner, _who(server.url, token["key"])


def _who(url: str, token: str) -> User:
    _, user = asked(url, token, "GET", "/users/me")
    _, tokens = asked(url, token, "GET", "/users/me/keys/tokens")
    return User(url, token, user["id"], user["username"], tokens["keys"][0]["id"])
