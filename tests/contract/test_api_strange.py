"""What no client of ours would send is answered with an error that says what is wrong, and nothing else happens."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from api_users import V2, User, api
from clients.running import PATIENCE

if TYPE_CHECKING:
    from postgres import Postgres

LIMIT = '{"name": "strange", "unit": "requests", "window": 60, "amount": '
SURROGATE = "\\ud800"
NUL = "\\u0000"
BODIES = {
    "nothing": ("/users", b""),
    "no object": ("/users", b"[]"),
    "null": ("/users", b"null"),
    "a byte order mark": ("/users", b'\xef\xbb\xbf{"username": "a"}'),
    "no UTF-8": ("/users", b'{"username": "\xff\xfe"}'),
    "UTF-16": ("/users", '{"username": "a"}'.encode("utf-16")),
    "half a character": ("/users", f'{{"username": "{SURROGATE}"}}'.encode()),
    "half a character in a password": ("/users/login", f'{{"email": "a", "password": "{SURROGATE} "}}'.encode()),
    "NUL in a name": ("/users", f'{{"username": "strange", "name": "{NUL}"}}'.encode()),
    "NUL in a pattern": ("/aibridge/limits", f'{LIMIT}1, "model": "{NUL}"}}'.encode()),
    "NUL in a group": ("/organizations/default/groups", f'{{"name": "a{NUL}b"}}'.encode()),
    "a line break in a key": (
        "/aibridge/providers",
        rb'{"name": "strange", "kind": "openai", "base_url": "https://a.example", "key": "a\r\nX: y"}',
    ),
    "deep arrays": ("/users", b"[" * 100_000),
    "deep objects": ("/authcheck", b'{"checks":' + b'{"a":' * 50_000),
    "a number of many digits": ("/aibridge/limits", f"{LIMIT}{'9' * 5000}}}".encode()),
    "a number beyond 64 bits": ("/aibridge/limits", f"{LIMIT}{2**64}}}".encode()),
    "a negative number": ("/aibridge/limits", f"{LIMIT}-1}}".encode()),
    "a number beyond floats": ("/aibridge/limits", f'{LIMIT}1, "queue_timeout": 1e999}}'.encode()),
    "no number": ("/aibridge/limits", f"{LIMIT}NaN}}".encode()),
    "a port that is none": (
        "/aibridge/providers",
        b'{"name": "strange", "kind": "openai", "base_url": "https://a.example:99999"}',
    ),
    "an unknown field": ("/users", b'{"username": "strange", "is_owner": true}'),
}
TARGETS = {
    "NUL in a path": ("/users/%00", 404),
    "no UTF-8 in a path": ("/groups/%ff%fe", 404),
    "half a character in a path": ("/organizations/%ed%a0%80", 404),
    "no percent-encoding in a path": ("/users/%zz", 404),
    "a slash within a name": ("/users/a%2fb", 404),
    "dots that lead up": ("/users/..%2f..%2fusers", 404),
    "a name of thousands": (f"/users/{'a' * 3000}", 404),
    "NUL in the name of a limit": ("/aibridge/limits/%00", 404),
    "NUL in the name of a token": ("/users/me/keys/tokens/%00", 404),
    "a parameter twice": ("/users?limit=1&limit=2", 400),
    "an unknown parameter": ("/users?sort=name", 400),
    "a number of many digits": ("/users?limit=99999999999999999999", 400),
    "digits of another script": ("/users?limit=%D9%A1", 400),
    "a negative offset": ("/users?offset=-1", 400),
    "an offset beyond 32 bits": ("/users?offset=2147483648", 400),
    "NUL in a cursor": ("/users?after_id=%00", 400),
    "a cursor of many digits": (f"/audit?after_id={'9' * 40}", 400),
    "a cursor where there are no pages": ("/audit/csv?after_id=1", 400),
    "NUL in a search": ("/users?q=%00", 400),
    "NUL in a filter": ("/audit?actor=%00", 200),
    "half a character in a filter": ("/aibridge/interceptions?model=%ed%a0%80", 200),
    "the first instant, and before": ("/audit?date_from=0001-01-01T00:00:00%2B14:00", 200),
    "the last instant, and after": ("/aibridge/interceptions?started_before=9999-12-31T23:59:59-14:00", 200),
    "an instant of no zone": ("/audit?date_from=2026-11-29T00:00:00", 400),
    "a day of no month": ("/audit?date_from=2026-02-30T00:00:00Z", 400),
}
WRONG_METHODS = {
    ("PUT", "/users"): {"GET", "HEAD", "POST"},
    ("OPTIONS", "/aibridge/limits/x"): {"GET", "HEAD", "PUT", "DELETE"},
    ("DELETE", "/users/roles"): {"GET", "HEAD"},
    ("TRACE", "/users/me"): {"GET", "HEAD", "DELETE"},
    ("HEAD", "/aibridge/limits/watch"): {"GET"},
    ("GET", "/users/login"): {"POST"},
}
"""By a request that is none: the methods that there are. Fixed words of a path hide users of such a name."""


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgres"))]
)
def owner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    data_dir = tmp_path_factory.mktemp("strange") / "data"
    if request.param == "sqlite":
        with served(data_dir) as owner:
            yield owner
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        with served(data_dir, "--database-url", postgres.new()) as owner:
            yield owner


@contextmanager
def served(data_dir: Path, *arguments: str) -> Iterator[User]:
    """A server that must not have had to log a fault at the end."""
    with api(data_dir, *arguments) as (server, owner, _):
        yield owner
        assert "Traceback" not in server.logged()


def answer(
    owner: User, method: str, path: str, body: bytes | None = None, media_type: str = "application/json"
) -> tuple[int, dict[str, str], bytes]:
    """Send something that a client library would not."""
    with closing(http.client.HTTPConnection(urlsplit(owner.url).netloc, timeout=PATIENCE)) as connection:
        connection.request(
            method, f"{V2}{path}", body, {"Authorization": f"Bearer {owner.token}", "Content-Type": media_type}
        )
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def assert_is_an_error(headers: dict[str, str], body: bytes) -> None:
    assert headers["content-type"] == "application/json"
    error = json.loads(body)
    assert set(error) == {"message", "detail", "validations"}
    assert error["message"]


@pytest.mark.parametrize("name", BODIES)
def test_a_strange_body_is_refused(owner: User, name: str) -> None:
    path, body = BODIES[name]

    status, headers, told = answer(owner, "POST", path, body)

    assert status == 400
    assert_is_an_error(headers, told)


@pytest.mark.parametrize("name", TARGETS)
def test_a_strange_target_is_answered(owner: User, name: str) -> None:
    path, expected = TARGETS[name]

    status, headers, told = answer(owner, "GET", path)

    assert status == expected
    if status != 200:
        assert_is_an_error(headers, told)


@pytest.mark.parametrize(("method", "path"), WRONG_METHODS)
def test_a_wrong_method_is_told_the_right_ones(owner: User, method: str, path: str) -> None:
    status, headers, told = answer(owner, method, path)

    assert status == 405
    assert set(headers["allow"].split(", ")) == WRONG_METHODS[method, path]
    if method != "HEAD":
        assert_is_an_error(headers, told)


def test_a_body_is_read_as_json_whatever_it_is_called(owner: User) -> None:
    """As `curl -d` calls it, too. What a page of another site could send needs more than the right body."""
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"):
        status, _, told = answer(owner, "POST", "/authcheck", b'{"checks": {}}', media_type)
        assert (status, json.loads(told)) == (200, {})


def test_a_body_that_is_too_large_is_refused_before_its_end(owner: User) -> None:
    where = urlsplit(owner.url)
    head = (
        f"POST {V2}/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.token}\r\nContent-Length: {1 << 40}\r\n"
    )
    with socket.create_connection((where.hostname, where.port), PATIENCE) as connection:
        connection.sendall(f"{head}\r\n".encode() + b" " * ((1 << 20) + 1))
        said = connection.recv(1 << 16)

    assert said.startswith(b"HTTP/1.1 413 ")
