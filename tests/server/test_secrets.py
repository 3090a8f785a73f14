"""Canaries: secrets that go through a server, and must be nowhere when one looks for them afterwards."""

import http.client
from contextlib import suppress
from dataclasses import dataclass

import pytest

from server.asking import CHAT, MESSAGES, PROMPT, RESPONSES, ask
from server.life import Server, command, demo_provider, provided_by, serving

PROVIDER_KEY = "sk-canary-of-the-provider"
OWN_KEY = "sk-canary-of-a-caller"
COOKIE = "canary-of-a-cookie"
INVENTED = "aib_canary0000_" + "c" * 49


@dataclass(frozen=True, kw_only=True)
class Search:
    """Everything that a server left behind, by where it lies."""

    places: dict[str, bytes]
    secret: str
    """The owner's token without its public id."""

    def found(self, canary: str) -> list[str]:
        """Where a canary lies."""
        return [place for place, content in self.places.items() if canary.encode() in content]


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    place = tmp_path_factory.mktemp("secrets")
    env = {"OPENAI_API_KEY": PROVIDER_KEY, "ANTHROPIC_API_KEY": PROVIDER_KEY}
    flags = ("--aibridge-structured-logging", "--aibridge-send-actor-headers")
    with demo_provider() as url, serving(place / "data", *provided_by(url), *flags, env=env) as server:
        say_everything(server)
        server.interceptions(int(server.metric("interceptions_total")))
        metrics = ask(server.url, "/metrics").body
        listed = ask(server.url, "/api/v2/aibridge/interceptions", token=server.token).body
        tokens = command(server, "tokens", "list", "--output", "json").stdout.encode()
        calls = command(server, "interceptions", "list", "--output", "json").stdout.encode()
        assert server.stop() == 0
    left = {str(path): path.read_bytes() for path in (place / "data").rglob("*") if path.is_file()}
    said = server.said().replace(server.token, "").encode()  # a first start says it, once
    logged = server.logged().encode()
    places = {"stdout": said, "stderr": logged, "metrics": metrics, "list": listed, "tokens": tokens, "calls": calls}
    return Search(places=places | left, secret=server.token.rpartition("_")[2])


def say_everything(server: Server) -> None:
    """Calls that succeed and fail, each with a secret wherever one may stand."""
    token = server.token
    headers = {"Cookie": f"coder_session_token={token}; other={COOKIE}", "X-Api-Key": token}
    own = {"X-Coder-AI-Governance-Token": token, "X-Api-Key": OWN_KEY, "Cookie": f"other={COOKIE}"}
    for path in (CHAT, RESPONSES, MESSAGES):
        for model in ("demo", "demo?status=500", "demo?fault=reset", "demo?fault=truncate&tokens=9&after=3"):
            with suppress(http.client.HTTPException):
                ask(server.url, path, token=token, model=model, stream=True, headers=headers)
        ask(server.url, path, token=OWN_KEY, model="demo", headers=own)
        ask(server.url, path, token=INVENTED, model="demo")
        ask(server.url, f"{path}?coder_session_token={token}&key={PROVIDER_KEY}", token=token, model="demo")
        ask(server.url, f"{path}/nowhere?api_key={token}", token=token, model="demo")
    for path in ("/api/v2/aibridge/interceptions", "/openai/v1/models", "/nowhere", "/readyz"):
        for question in (f"?coder_session_token={token}", f"?key={OWN_KEY}", f"?q={token}"):
            ask(server.url, path + question, token=token, headers=headers)


@pytest.mark.parametrize("canary", [PROVIDER_KEY, OWN_KEY, COOKIE, INVENTED])
def test_no_secret_that_went_through_is_left_anywhere(search: Search, canary: str) -> None:
    assert search.found(canary) == []


def test_no_token_is_left_but_for_its_digest(search: Search) -> None:
    assert search.found(search.secret) == []


def test_no_prompt_is_left_anywhere(search: Search) -> None:
    assert search.found(PROMPT) == []


def test_the_search_does_find_what_is_there(search: Search) -> None:
    places = search.found("demo?status=500")

    assert {"stderr", "metrics", "list", "calls"} <= {*places}
    assert [place for place in places if "/journal/" in place]
    assert [place for place in places if "/aibridge.db" in place]
