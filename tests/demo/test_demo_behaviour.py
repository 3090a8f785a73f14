"""The keys: where they may be given, what they allow, and that the page about them is in step."""

from pathlib import Path

import msgspec
import pytest
from demo_client import CHAT, MESSAGES, ask, asking, send, within

from aibridge.demo import Behaviour, BehaviourError, DemoServer, describe, override
from aibridge.demo.behaviour import asked, table

PAGE = Path(__file__).parents[2] / "docs" / "demo-provider.md"


def test_the_documentation_shows_the_keys_as_they_are() -> None:
    assert table() in PAGE.read_text()


def test_every_key_is_a_field_with_its_default() -> None:
    assert {key.name: key.default for key in describe()} == msgspec.structs.asdict(Behaviour())
    assert {key.name: key.choices for key in describe() if key.choices}.keys() == {"fault"}


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("latency", "soon", "latency: 'soon' is not a number from 0 to 3600"),
        ("latency", "-1", "latency: '-1' is not a number from 0 to 3600"),
        ("latency", "nan", "latency: 'nan' is not a number from 0 to 3600"),
        ("tokens", "1.5", "tokens: '1.5' is not a whole number from 0 to 100000"),
        ("retry-after", "86401", "retry_after: '86401' is not a number from 0 to 86400"),
        ("burst", "maybe", "burst: 'maybe' is not true or false"),
        ("fault", "rain", "fault: 'rain' is not one of close_idle, "),
        ("status", "204", "status: 204 is not 200 or an error from 400 to 599"),
        ("status", "600", "status: '600' is not a whole number from 200 to 599"),
        ("id", "x" * 101, "is not a text of at most 100 characters"),
        ("speed", "1", "'speed' is not a key of the demo provider; it has latency, tokens, "),
    ],
)
def test_what_a_key_does_not_allow_is_named(name: str, text: str, complaint: str) -> None:
    with pytest.raises(BehaviourError) as raised:
        override(Behaviour(), [(name, text)])
    assert complaint in str(raised.value)


def test_a_header_comes_before_the_models_query_and_that_before_the_server() -> None:
    server = Behaviour(tokens=1, cached=1, rate=1)
    both = asked(server, "demo?tokens=2&cached=2", (("tokens", "3"),))
    assert (both.tokens, both.cached, both.rate) == (3, 2, 1)


def test_keys_are_taken_from_headers_models_and_the_server() -> None:
    async def test(server: DemoServer) -> None:
        by_header = await send(server, "POST", CHAT, asking(CHAT), {"X-Demo-Tokens": "2"})
        by_model = await ask(server, CHAT, model="demo?tokens=3")
        by_server = await ask(server, CHAT)
        counts = [reply.json["usage"]["completion_tokens"] for reply in (by_header, by_model, by_server)]
        assert counts == [2, 3, 4]

    within(test, Behaviour(tokens=4))


def test_a_bad_key_is_a_bad_request_that_says_what_is_allowed() -> None:
    async def test(server: DemoServer) -> None:
        unknown = await send(server, "POST", CHAT, asking(CHAT), {"x-demo-speed": "9"})
        assert unknown.status == 400
        assert unknown.error["message"].startswith("'speed' is not a key of the demo provider; it has latency, ")
        bad = await ask(server, MESSAGES, model="demo?latency=never")
        assert (bad.status, bad.error["message"]) == (400, "latency: 'never' is not a number from 0 to 3600")
        prompt = await ask(server, MESSAGES, "demo-tool:ls {oops", tools=[{"name": "ls"}])
        assert prompt.status == 400
        assert prompt.error["message"].startswith("tool: the arguments for ls are not a JSON object: ")

    within(test)


def test_only_the_first_calls_of_an_id_fail() -> None:
    async def test(server: DemoServer) -> None:
        async def statuses(name: str, count: int) -> list[int]:
            return [(await ask(server, CHAT, model=f"demo?status=429&times=2&id={name}")).status for _ in range(count)]

        assert await statuses("a", 4) == [429, 429, 200, 200]
        assert await statuses("b", 1) == [429]
        await send(server, "DELETE", "/demo/calls")
        assert await statuses("a", 3) == [429, 429, 200]

    within(test)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        (CHAT, 401, "invalid_request_error"),
        (CHAT, 429, "requests"),
        (CHAT, 500, "server_error"),
        (MESSAGES, 429, "rate_limit_error"),
        (MESSAGES, 500, "api_error"),
        (MESSAGES, 529, "overloaded_error"),
    ],
)
def test_an_error_has_the_vendors_shape_and_the_wait_that_was_asked(path: str, status: int, kind: str) -> None:
    async def test(server: DemoServer) -> None:
        bare = await ask(server, path, model=f"demo?status={status}", stream=True)
        assert (bare.status, bare.error["type"], bare.whole) == (status, kind, True)
        assert "retry-after" not in bare.headers
        for seconds in ("7", "0.25"):
            patient = await ask(server, path, model=f"demo?status={status}&retry_after={seconds}")
            assert patient.headers["retry-after"] == seconds

    within(test)
