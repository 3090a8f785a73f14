"""What of a caller reaches its provider: who calls, where that is asked for, and nothing that is ours or forged."""

from collections.abc import Iterator

import pytest
from clients.running import Running, running_server

from server.asking import CHAT, MESSAGES, ask
from server.life import demo_provider, provided_by

FORGED = {
    "X-AI-Bridge-Actor-ID": "somebody-else",
    "X-AI-Bridge-Actor-Metadata-Username": "root",
    "X-AI-Bridge-Actor-Metadata-Email": "root@example.com",
}
KEYS = {"OPENAI_API_KEY": "sk-central", "ANTHROPIC_API_KEY": "sk-ant-central"}
both_families = pytest.mark.parametrize("path", [CHAT, MESSAGES])


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with demo_provider() as url:
        yield url


@pytest.fixture(scope="module")
def discreet(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Running]:
    """A server that does not say who calls."""
    with running_server(tmp_path_factory.mktemp("discreet"), *provided_by(provider), env=KEYS) as server:
        yield server


@pytest.fixture(scope="module")
def open_about_it(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Running]:
    """A server that does."""
    flags = (*provided_by(provider), "--aibridge-send-actor-headers")
    with running_server(tmp_path_factory.mktemp("open"), *flags, env=KEYS) as server:
        yield server


def seen(provider: str) -> dict[str, str]:
    """The headers of the last call that the provider saw."""
    return dict(ask(provider, "/demo/calls").json[-1]["headers"])


def actors(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("x-ai-bridge-")}


@both_families
def test_the_provider_is_told_who_calls_where_that_is_asked_for(
    open_about_it: Running, provider: str, path: str
) -> None:
    ask(open_about_it.url, path, token=open_about_it.token, model=f"demo?id={path}", headers=FORGED)
    headers = seen(provider)
    (record,) = open_about_it.interceptions(1, model=f"demo?id={path}")

    assert actors(headers) == {
        "x-ai-bridge-actor-id": record["initiator"]["id"],
        "x-ai-bridge-actor-metadata-username": "owner",
    }


@both_families
def test_the_provider_is_told_nothing_of_it_otherwise(discreet: Running, provider: str, path: str) -> None:
    ask(discreet.url, path, token=discreet.token, model="demo", headers=FORGED)

    assert actors(seen(provider)) == {}


def test_openai_gets_its_key_and_not_our_token(discreet: Running, provider: str) -> None:
    ask(discreet.url, CHAT, token=discreet.token, model="demo", headers={"Cookie": f"it={discreet.token}"})

    assert seen(provider)["authorization"] == "Bearer sk-central"
    assert discreet.token not in str(seen(provider))


def test_anthropic_gets_its_key_and_not_our_token(discreet: Running, provider: str) -> None:
    ask(discreet.url, MESSAGES, token=discreet.token, model="demo", headers={"Cookie": f"it={discreet.token}"})

    assert seen(provider)["x-api-key"] == "sk-ant-central"
    assert "authorization" not in seen(provider)
    assert discreet.token not in str(seen(provider))


def test_a_key_of_the_callers_own_goes_in_place_of_the_central_one(discreet: Running, provider: str) -> None:
    headers = {"X-Coder-AI-Governance-Token": discreet.token}
    ask(discreet.url, CHAT, token="sk-of-my-own", model="demo", headers=headers)

    assert seen(provider)["authorization"] == "Bearer sk-of-my-own"
    assert discreet.token not in str(seen(provider))
