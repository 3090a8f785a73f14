"""What a client sends, and what becomes of what comes back."""

import asyncio
import enum
import gc
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
import pytest

from aibridge import sdk
from aibridge.sdk import AsyncClient, Client, Error, RoleIdentifier
from aibridge.sdk.client import FixedSessionToken
from sdk.sdk_server import Answer, Ask, Server, serving

TOKEN = "aib_secret"
ORGANIZATION = uuid.UUID("6c1e7bb4-0d8e-4a8e-9a51-0e7a4d0c8e11")


class Thing(msgspec.Struct):
    name: str
    roles: list[RoleIdentifier] = []


class Colour(enum.Enum):
    RED = "red"


def things(client: Any, **asked: Any) -> Any:
    return client.request("POST", "/things", **asked)


def test_a_request_carries_the_token_and_says_what_it_sends(ask: Ask, server: Server) -> None:
    ask(lambda client: things(client, body={"a": 1}), session_token=TOKEN)
    assert (server.only.method, server.only.path, server.only.body) == ("POST", "/things", b'{"a":1}')
    assert server.only.headers["coder-session-token"] == TOKEN
    assert server.only.headers["content-type"] == "application/json"
    assert server.only.headers["accept"] == "application/json"


def test_without_a_body_there_is_no_type_of_it_and_without_a_token_no_header(ask: Ask, server: Server) -> None:
    ask(lambda client: client.request("GET", "/things"))
    assert "content-type" not in server.only.headers
    assert "coder-session-token" not in server.only.headers


def test_roles_travel_as_their_string_form(ask: Ask, server: Server) -> None:
    roles = [RoleIdentifier("owner"), RoleIdentifier("organization-admin", ORGANIZATION)]
    server.answers.append(Answer(body=b'{"name":"x","roles":["auditor","member:%b"]}' % str(ORGANIZATION).encode()))
    answer = ask(lambda client: things(client, body=Thing("x", roles), response=Thing))
    assert msgspec.json.decode(server.only.body) == {
        "name": "x",
        "roles": ["owner", f"organization-admin:{ORGANIZATION}"],
    }
    assert answer == Thing("x", [RoleIdentifier("auditor"), RoleIdentifier("member", ORGANIZATION)])


@pytest.mark.parametrize("body", [b"raw", bytearray(b"raw"), memoryview(b"raw")])
def test_bytes_go_as_they_are(ask: Ask, server: Server, body: object) -> None:
    ask(lambda client: things(client, body=body, headers={"content-type": "text/plain"}))
    assert server.only.body == b"raw"
    assert server.only.headers["content-type"] == "text/plain"


def test_no_character_is_escaped_for_html(ask: Ask, server: Server) -> None:
    ask(lambda client: things(client, body="<a & b>"))
    assert server.only.body == b'"<a & b>"'


def test_a_stream_is_sent_in_pieces_and_only_once(ask: Ask, server: Server, flavour: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    async def asynchronous() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    server.answers.append(Answer(503, headers={"content-type": "application/json", "retry-after": "0"}))
    body = pieces() if flavour == "threads" else asynchronous()
    with pytest.raises(Error):
        ask(lambda client: things(client, body=body), retries=3)
    assert server.only.body == b"onetwo"
    assert server.only.headers["transfer-encoding"] == "chunked"


def test_a_query_is_encoded_by_kind(ask: Ask, server: Server) -> None:
    query = {
        "q": "a&b c/d",
        "left_out": None,
        "yes": True,
        "since": datetime(2026, 1, 2, tzinfo=UTC),
        "id": ORGANIZATION,
        "colour": Colour.RED,
        "several": ["x", "y"],
        "number": 3,
    }
    ask(lambda client: client.request("GET", "/things", query=query))
    assert server.only.path == (
        f"/things?q=a%26b%20c%2Fd&yes=true&since=2026-01-02T00%3A00%3A00Z&id={ORGANIZATION}"
        "&colour=red&several=x&several=y&number=3"
    )


def test_the_server_may_be_below_a_path(ask: Ask, server: Server) -> None:
    ask(lambda client: client.request("GET", "/api/v2/things", query={"a": 1}), url=f"{server.url}/gateway/")
    assert server.only.path == "/gateway/api/v2/things?a=1"


@pytest.mark.parametrize("path", ["things", "@evil.example/", "http://evil.example/things", ""])
def test_a_path_cannot_lead_elsewhere(ask: Ask, server: Server, path: str) -> None:
    with pytest.raises(ValueError, match="path: "):
        ask(lambda client: client.request("GET", path), session_token=TOKEN)
    assert not server.asked


@pytest.mark.parametrize("path", ["//evil.example/x", "/@evil.example", "/\\evil.example"])
def test_a_path_that_looks_like_a_place_is_a_path(ask: Ask, server: Server, path: str) -> None:
    ask(lambda client: client.request("GET", path), session_token=TOKEN)
    assert server.only.headers["host"] in server.url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bridge.example",
        "ftp://bridge.example",
        "https://",
        "https://a:b@bridge.example",
        "http://x/?a=1",
        "http://x#y",
    ],
)
def test_what_is_no_place_of_a_server_is_refused(url: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="url: "):
            kind(url)


def test_headers_of_the_client_and_of_the_request_are_sent(ask: Ask, server: Server) -> None:
    ask(
        lambda client: client.request("GET", "/things", headers={"X-Two": "2", "x-one": "other"}),
        headers={"X-Coder-Bypass-Ratelimit": "true", "X-One": "1"},
    )
    assert server.only.headers["x-coder-bypass-ratelimit"] == "true"
    assert (server.only.headers["x-one"], server.only.headers["x-two"]) == ("other", "2")


def test_there_is_no_option_to_go_round_the_limits() -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(TypeError, match="bypass"):
            kind("http://127.0.0.1", bypass_ratelimits=True)  # type: ignore[call-arg]


def test_a_provider_is_asked_before_each_request(ask: Ask, server: Server) -> None:
    class Renewed:
        count = 0

        def token(self) -> str:
            self.count += 1
            return f"token-{self.count}"

    renewed = Renewed()
    for _ in range(2):
        ask(lambda client: client.request("GET", "/"), session_token=renewed)
    assert [asked.headers["coder-session-token"] for asked in server.asked] == ["token-1", "token-2"]


def test_a_token_can_be_set_later(ask: Ask, server: Server) -> None:
    def use(client: Any) -> Any:
        client.session_token = "later"
        assert client.session_token == "later"
        return client.request("GET", "/")

    ask(use, session_token=TOKEN)
    assert server.only.headers["coder-session-token"] == "later"


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\r\nx: y", f"{TOKEN}é"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_told(ask: Ask, server: Server, token: str) -> None:
    with pytest.raises(ValueError, match="session_token: ") as caught:
        ask(lambda client: client.request("GET", "/"), session_token=token)
    assert TOKEN not in str(caught.value)
    assert not server.asked


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(FixedSessionToken(TOKEN))


def test_a_request_without_the_token_has_no_other_either_and_goes_round_no_limit(flavour: str, server: Server) -> None:
    settings: dict[str, Any] = {
        "headers": {"Coder-Session-Token": "other", "X-Coder-Bypass-Ratelimit": "true"},
        "cookies": {"coder_session_token": "cookie"},
    }
    if flavour == "threads":
        with httpx2.Client(**settings) as given, Client(server.url, TOKEN, http_client=given) as client:
            assert client.request_without_token("GET", "/", response=dict[str, str]) == {}
    else:

        async def main() -> None:
            async with (
                httpx2.AsyncClient(**settings) as given,
                AsyncClient(server.url, TOKEN, http_client=given) as client,
            ):
                assert await client.request_without_token("GET", "/", response=dict[str, str]) == {}

        asyncio.run(main())
    assert not {"coder-session-token", "cookie", "x-coder-bypass-ratelimit"} & set(server.only.headers)


def test_cookies_are_not_kept(ask: Ask, server: Server) -> None:
    server.answers.append(
        Answer(headers={"content-type": "application/json", "set-cookie": "coder_session_token=x; Path=/"})
    )

    def twice_in_threads(client: Client) -> None:
        client.request("GET", "/")
        client.request("GET", "/")

    async def twice(client: AsyncClient) -> None:
        await client.request("GET", "/")
        await client.request("GET", "/")

    ask(lambda client: twice_in_threads(client) if isinstance(client, Client) else twice(client))
    assert len(server.asked) == 2
    assert "cookie" not in server.asked[1].headers


def in_a_thread(url: str) -> None:
    with httpx2.Client(follow_redirects=True) as given:
        Client(url, TOKEN, http_client=given).request("GET", "/")


def in_a_loop(url: str) -> None:
    async def main() -> None:
        async with httpx2.AsyncClient(follow_redirects=True) as given:
            await AsyncClient(url, TOKEN, http_client=given).request("GET", "/")

    asyncio.run(main())


def test_a_redirect_is_not_followed_even_by_a_client_that_would(flavour: str, server: Server) -> None:
    with serving() as other:
        server.answers.append(Answer(307, b"", {"location": f"{other.url}/steal"}))
        with pytest.raises(Error) as caught:
            (in_a_thread if flavour == "threads" else in_a_loop)(server.url)
        assert other.asked == []
    assert caught.value.message == "unexpected redirect"
    assert f"{other.url}/steal" in caught.value.detail
    assert "never followed" in str(caught.value)


def test_what_was_opened_is_closed_and_what_was_given_is_not(server: Server) -> None:
    with httpx2.Client() as given:
        with Client(server.url, http_client=given):
            pass
        assert not given.is_closed
    with Client(server.url) as client:
        pass
    assert client.http_client.is_closed

    async def main() -> None:
        async with httpx2.AsyncClient() as given:
            async with AsyncClient(server.url, http_client=given):
                pass
            assert not given.is_closed
        async with AsyncClient(server.url) as client:
            pass
        assert client.http_client.is_closed

    asyncio.run(main())
    gc.collect()


def test_logs_tell_what_was_asked_and_what_came(ask: Ask, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "here")
    ask(lambda client: things(client, body={"a": 1}), logger=logging.getLogger("here"), session_token=TOKEN)
    assert caplog.messages[-2:] == [
        f"sdk request: POST {server.url}/things",
        f"sdk response: POST {server.url}/things: 200",
    ]
    assert TOKEN not in caplog.text


def test_logs_have_bodies_where_asked_and_no_secret(ask: Ask, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "here")
    answer = {"session_token": "s3cret", "key": ["s3cret"], "keys": [{"name": "n", "last_four": "abcd"}], "told": TOKEN}
    server.answers.append(Answer(body=msgspec.json.encode(answer)))
    ask(
        lambda client: things(client, body={"email": "me", "old_password": "s3cret"}),
        logger=logging.getLogger("here"),
        log_bodies=True,
        session_token=TOKEN,
    )
    sent, came = caplog.messages[-2:]
    assert sent.endswith('/things {"email":"me","old_password":"(hidden)"}')
    assert came.endswith('200 {"session_token":"(hidden)","key":"(hidden)","keys":"(hidden)","told":"(hidden)"}')
    assert "s3cret" not in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (Answer(body=b"plain", headers={"content-type": "text/plain; charset=utf-8"}), " plain"),
        (Answer(body=b"<p>" + TOKEN.encode(), headers={"content-type": "text/html"}), " <p>(hidden)"),
        (Answer(body=b"\x00\x01", headers={"content-type": "application/octet-stream"}), ""),
        (Answer(body=b"half {"), " (no JSON)"),
    ],
)
def test_only_text_is_logged(
    ask: Ask, server: Server, caplog: pytest.LogCaptureFixture, answer: Answer, shown: str
) -> None:
    caplog.set_level(logging.DEBUG, "here")
    server.answers.append(answer)
    ask(
        lambda client: client.request("GET", "/"),
        logger=logging.getLogger("here"),
        log_bodies=True,
        session_token=TOKEN,
    )
    assert caplog.messages[-1] == f"sdk response: GET {server.url}/: 200{shown}"


def test_the_package_says_what_it_is() -> None:
    assert {"Client", "AsyncClient", "Error", "RoleIdentifier"} <= set(sdk.__all__)
