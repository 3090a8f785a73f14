"""What is printed at the start: which providers answer, and the token that is shown once."""

from pathlib import Path

import pytest

from aibridge.domain.provider import Provider, ProviderKind
from aibridge.welcome import text
from server.asking import CHAT, ask, change
from server.life import demo_provider, serving

PROVIDERS = "/api/v2/aibridge/providers"
URL = "http://127.0.0.1:4001"
OWN = Provider.at("own", ProviderKind.OPENAI, "https://own.example/v1", "key")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_providers_of_the_database_are_named_in_place_of_the_demo(tmp_path: Path, workers: str) -> None:
    flags = ("--workers", workers)
    with demo_provider() as provider:
        added = {"name": "added", "kind": "openai", "base_url": f"{provider}/v1", "key": "sk-canary", "internal": True}
        with serving(tmp_path / "data", *flags) as server:
            token = server.token
            assert "the demo provider answers" in server.said()
            assert change(server.url, "POST", PROVIDERS, added, token=token).status == 201
            assert server.stop() == 0
        with serving(tmp_path / "data", *flags, token=token) as server:
            said = server.said()
            answer = ask(server.url, "/added/v1/chat/completions", token=token, model="demo")
            assert ask(server.url, CHAT, token=token, model="demo").status == 404
    assert answer.status == 200
    assert f"added: {provider.removeprefix('http://')}" in said
    assert "demo provider" not in said
    assert "sk-canary" not in said


def test_one_of_the_configuration_is_named_in_place_of_one_of_the_database(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        token = server.token
        for name in ("openai", "other"):
            body = {"name": name, "kind": "openai", "base_url": "https://elsewhere.example/v1"}
            assert change(server.url, "POST", PROVIDERS, body, token=token).status == 201
        assert server.stop() == 0
    with serving(tmp_path / "data", env={"OPENAI_API_KEY": "sk-own"}, token=token) as server:
        said = server.said()
    assert "  openai: api.openai.com\n" in said
    assert "  other: elsewhere.example\n" in said
    assert said.count("elsewhere.example") == 1


def test_the_token_is_shown_where_no_calls_are_served(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--aibridge-enabled=false") as server:
        said = server.said()
        me = ask(server.url, "/api/v2/users/me", token=server.token)
    assert me.json["username"] == "owner"
    assert "The AI routes are switched off" in said
    assert "Try it" not in said


def test_a_later_start_shows_what_is_served_and_no_token() -> None:
    assert text(URL, None, [OWN], demo=False).splitlines() == [f"AI Bridge listens on {URL}", "  own: own.example"]
    assert "aib_" not in text(URL, None, [], demo=True)


def test_the_call_to_try_is_one_of_a_provider_that_has_a_key() -> None:
    keyless = Provider.at("keyless", ProviderKind.ANTHROPIC, "https://a.example")
    said = text(URL, "aib_canary", [keyless, OWN], demo=False)
    assert f"curl {URL}/own/v1/models -H 'Authorization: Bearer aib_canary'\n" in said
    alone = text(URL, "aib_canary", [keyless], demo=False)
    assert f"curl {URL}/keyless/v1/models" in alone
    assert "anthropic-version" in alone
