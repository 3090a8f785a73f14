"""What is changed over the API of one process holds in all: the workers of a server, and servers with one database."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from clients.running import eventually
from postgres import Postgres

from server.asking import CHAT, Answer, ask, change
from server.life import Server, demo_provider, serving

API = "/api/v2"
SOON = 2.0
"""Seconds within which what is new is in force everywhere."""
REFUSED_SOON = 5.0
"""Seconds within which a token that is not good any more is refused everywhere."""
TRIES = 20
"""New connections, of which one in a million times all find the same of two workers."""
KEY = "11" * 32
"""The master key that servers with one database share."""


class Site:
    """Servers that should be one; changes are made at the first."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        self.url = servers[0].url
        self.owner = servers[0].token

    def change(self, method: str, path: str, body: object = None) -> Any:
        """Change something, which must succeed."""
        answer = change(self.url, method, f"{API}{path}", body, token=self.owner)
        assert answer.status < 300, answer
        return answer.json if answer.body else None

    def everywhere(self, path: str, token: str) -> set[int]:
        """How calls are answered, as far as new connections find the processes."""
        return {self.call(server, path, token).status for server in self.servers for _ in range(TRIES)}

    def call(self, server: Server, path: str, token: str) -> Answer:
        return ask(server.url, path, token=token, model="demo")

    def token_of(self, username: str) -> tuple[str, str]:
        """A new user's token, which is known everywhere: its id and its text."""
        self.change("POST", "/users", {"username": username, "login_type": "none"})
        made = self.change("POST", f"/users/{username}/keys/tokens", {"token_name": "x"})
        eventually(lambda: self.everywhere(CHAT, made["key"]) == {200}, "a token that is known everywhere")
        return made["id"], made["key"]


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    with demo_provider() as url:
        yield url


@pytest.fixture(
    params=["two workers", pytest.param("two servers", marks=pytest.mark.xdist_group("postgres"))], scope="module"
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("everywhere")
    if request.param == "two workers":
        with serving(place / "data", "--workers", "2") as server:
            yield Site([server])
            assert server.stop() == 0
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = postgres.new()
    env = {"CODER_DATABASE_URL": url, "CODER_AIBRIDGE_ENCRYPTION_KEYS": KEY}
    with ExitStack() as running:
        first = running.enter_context(serving(place / "first", env=env))
        second = running.enter_context(serving(place / "second", env=env, token=first.token))
        yield Site([first, second])
        assert [server.stop() for server in (first, second)] == [0, 0]
        assert [server.logged() for server in (first, second)] == ["", ""]
    postgres.drop(url)


def seconds_until(fact: Callable[[], bool]) -> float:
    since = time.monotonic()
    eventually(fact, "what was changed")
    return time.monotonic() - since


def refused(site: Site, token: str) -> Callable[[], bool]:
    """Whether a token is let in nowhere: 429 is what too many that are unknown get."""
    return lambda: site.everywhere(CHAT, token) <= {401, 429}


def test_a_revoked_token_is_refused_everywhere(site: Site) -> None:
    token_id, token = site.token_of("ada")
    site.change("DELETE", f"/users/ada/keys/{token_id}")
    assert seconds_until(refused(site, token)) < REFUSED_SOON


def test_the_tokens_of_somebody_who_is_suspended_are_refused_everywhere_and_good_again_later(site: Site) -> None:
    _, token = site.token_of("bob")
    site.change("PUT", "/users/bob/status/suspend")
    assert seconds_until(refused(site, token)) < REFUSED_SOON
    site.change("PUT", "/users/bob/status/activate")
    assert seconds_until(lambda: site.everywhere(CHAT, token) == {200}) < REFUSED_SOON


def test_a_new_limit_is_in_force_everywhere(site: Site) -> None:
    _, token = site.token_of("cid")
    limit = {"unit": "requests", "amount": 1, "window": 3600.0, "subject": "user", "only": ["cid"]}
    site.change("POST", "/aibridge/limits", limit | {"name": "few"})
    assert seconds_until(lambda: site.everywhere(CHAT, token) == {429}) < SOON
    assert site.everywhere(CHAT, site.owner) == {200}
    site.change("PUT", "/aibridge/limits/few", limit | {"amount": 100_000})
    assert seconds_until(lambda: site.everywhere(CHAT, token) == {200}) < SOON
    site.change("DELETE", "/aibridge/limits/few")


def test_a_new_provider_is_served_everywhere_until_it_is_deleted(site: Site, demo: str) -> None:
    path = "/added/v1/chat/completions"
    body = {"name": "added", "kind": "openai", "base_url": f"{demo}/v1", "key": "sk-canary", "internal": True}
    site.change("POST", "/aibridge/providers", body)
    assert seconds_until(lambda: site.everywhere(path, site.owner) == {200}) < SOON
    calls = ask(demo, "/demo/calls").json
    assert {dict(call["headers"])["authorization"] for call in calls} == {"Bearer sk-canary"}
    site.change("DELETE", "/aibridge/providers/added")
    assert seconds_until(lambda: site.everywhere(path, site.owner) == {404}) < SOON
    eventually(lambda: site.everywhere(CHAT, site.owner) == {200}, "the demo provider again")


def test_the_calls_of_all_are_in_one_ledger(site: Site) -> None:
    models = {f"demo?tokens={number}" for number, _ in enumerate(site.servers, 41)}
    for server, model in zip(site.servers, sorted(models), strict=True):
        assert ask(server.url, CHAT, token=site.owner, model=model).status == 200

    def listed(server: Server) -> set[str]:
        calls = json.loads(server.get(f"{API}/aibridge/interceptions?limit=1000"))["results"]
        return {call["model"] for call in calls if call["ended_at"]} & models

    eventually(lambda: all(listed(server) == models for server in site.servers), "records of all")
