"""Providers that are added, changed and removed while a server runs, by a stand-in for the database's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients.running import eventually

from server.asking import CHAT, Answer, ask, asking
from server.life import Server, demo_provider, serving

ADDED = "/api/v2/aibridge/added/v1/chat/completions"
LONG = "demo?tokens=60&rate=40"
"""A model whose streams last longer than a snapshot."""
WITH_PROVIDERS_OF_A_FILE = """
import os, pathlib
import msgspec
from aibridge import cli
from aibridge.domain.provider import Provider, ProviderKind
from aibridge.server.world import World

async def refresh(self, refreshed=World.refresh):
    await refreshed(self)
    rows = msgspec.json.decode(pathlib.Path(os.environ["PROVIDERS"]).read_bytes())
    providers = tuple(Provider.at(kind=ProviderKind(row.pop("kind")), **row) for row in rows)
    if providers != self.snapshot.providers:
        self.snapshot = msgspec.structs.replace(self.snapshot, providers=providers)
        self._tell()

World.refresh = refresh
cli.main()
"""
"""The command, but that each snapshot has the providers of a file as those of its database."""


class Live:
    """A server, and the file with its providers."""

    def __init__(self, server: Server, file: Path) -> None:
        self.server = server
        self._file = file

    def has(self, *providers: dict[str, Any]) -> None:
        """Let these be the providers of the database."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(providers))
        new.replace(self._file)

    def ask(self, path: str = ADDED, model: str = "demo") -> Answer:
        return ask(self.server.url, path, token=self.server.token, model=model)

    def becomes(self, status: int, path: str = ADDED) -> None:
        eventually(lambda: self.ask(path).status == status, f"a {status} of {path}")


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """A provider of its own process."""
    with demo_provider() as url:
        yield url


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server for which nothing is configured."""
    file = tmp_path / "providers.json"
    file.write_text("[]")
    env = {"PROVIDERS": str(file)}
    with serving(tmp_path / "data", env=env, program=WITH_PROVIDERS_OF_A_FILE) as server:
        yield Live(server, file)
        assert server.stop() == 0


def added(url: str, key: str = "sk-one", **others: Any) -> dict[str, Any]:
    return {"name": "added", "kind": "openai", "base_url": f"{url}/v1", "key": key, "internal": True, **others}


def seen(demo: str) -> dict[str, str]:
    """The headers of the last call that the provider saw."""
    return dict(ask(demo, "/demo/calls").json[-1]["headers"])


def test_a_provider_comes_changes_and_goes_with_calls_in_progress(live: Live, demo: str) -> None:
    server = live.server
    assert live.ask(CHAT).status == 200
    assert live.ask().status == 404

    live.has(added(demo))
    live.becomes(200)
    assert live.ask(CHAT).status == 404  # the demo of a server without providers has given way
    assert seen(demo)["authorization"] == "Bearer sk-one"

    live.has(added(demo, "sk-two"))
    eventually(lambda: (live.ask(), seen(demo)["authorization"] == "Bearer sk-two")[1], "the new key")

    with asking(server.url, ADDED, token=server.token, model=LONG, stream=True) as stream:
        assert stream.status == 200
        live.has()
        live.becomes(404)
        answer = stream.rest()
    assert answer.whole
    assert answer.text.rstrip().endswith("data: [DONE]")
    eventually(lambda: ask(demo, "/demo/stats").json["open_connections"] == 1, "a provider that only we ask")
    live.becomes(200, CHAT)
    assert server.logged().count("WARNING") == 0, server.logged()


def test_another_place_is_asked_from_then_on_and_the_first_one_no_more(live: Live, demo: str) -> None:
    live.has(added(demo))
    live.becomes(200)
    with demo_provider() as other:
        live.has(added(other))
        eventually(lambda: (live.ask(), ask(other, "/demo/stats").json["total"] > 0)[1], "a call at the new place")
        before = ask(demo, "/demo/stats").json["total"]
        assert live.ask().status == 200
        now = ask(demo, "/demo/stats").json
        assert (now["total"], now["open_connections"]) == (before, 1)  # the connection that asks this


def test_where_a_provider_may_not_be_is_a_502_that_says_so(live: Live, demo: str) -> None:
    live.has(added(demo, internal=False), added(demo.replace("http:", "https:"), name="tls", internal=False))
    live.becomes(502)
    for path, reason in ((ADDED, "http://"), ("/tls/v1/chat/completions", "not public: loopback")):
        answer = live.ask(path)
        assert answer.status == 502
        assert answer.json["error"]["code"] == "upstream_forbidden"
        assert reason in answer.json["detail"]
        assert "127.0.0.1" not in answer.text
