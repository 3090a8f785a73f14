"""Master keys that change from one start to the next: what an old one sealed opens on, until it may be dropped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.asking import ask, change
from server.life import Server, aibridge, demo_provider, serving

PROVIDERS = "/api/v2/aibridge/providers"
OPTION = "CODER_AIBRIDGE_ENCRYPTION_KEYS"
FIRST, SECOND, THIRD = ("11" * 32, "22" * 32, "33" * 32)
SECRET = "sk-canary-of-the-vault"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Where the provider is."""
    with demo_provider() as url:
        yield url


def add(server: Server, url: str) -> None:
    """Add a provider with a key."""
    body = {"name": "vault", "kind": "openai", "base_url": f"{url}/v1", "key": SECRET, "internal": True}
    assert change(server.url, "POST", PROVIDERS, body, token=server.token).status == 201


def key_sent(server: Server, url: str) -> str:
    """The key that the provider gets with a call, or the status where it gets none."""
    answer = ask(server.url, "/vault/v1/chat/completions", token=server.token, model="demo")
    if answer.status != 200:
        return str(answer.status)
    calls = ask(url, "/demo/calls").json
    return str(dict(calls[-1]["headers"])["authorization"]).removeprefix("Bearer ")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_key_is_replaced_in_three_starts(tmp_path: Path, provider: str, workers: str) -> None:
    data, flags = tmp_path / "data", ("--workers", workers)
    with serving(data, *flags, env={OPTION: FIRST}) as server:
        token = server.token
        add(server, provider)
        assert server.stop() == 0
    with serving(data, *flags, env={OPTION: f"{SECOND},{FIRST}"}, token=token) as server:
        assert key_sent(server, provider) == SECRET
        assert server.stop() == 0
        assert server.logged().count(": 1 provider keys") == 1
    with serving(data, *flags, env={OPTION: SECOND}, token=token) as server:
        assert key_sent(server, provider) == SECRET
        assert server.stop() == 0
        assert server.logged() == ""


def test_a_key_of_the_data_directory_gives_way_to_one_that_is_given(tmp_path: Path, provider: str) -> None:
    data = tmp_path / "data"
    with serving(data) as server:
        token = server.token
        add(server, provider)
        assert server.stop() == 0
    with serving(data, env={OPTION: FIRST}, token=token) as server:
        assert key_sent(server, provider) == SECRET
        assert server.stop() == 0
    (data / "encryption.key").unlink()
    with serving(data, env={OPTION: FIRST}, token=token) as server:
        assert key_sent(server, provider) == SECRET


def test_without_the_key_that_is_needed_a_provider_is_left_out_and_that_is_said(tmp_path: Path, provider: str) -> None:
    data = tmp_path / "data"
    with serving(data, env={OPTION: FIRST}) as server:
        token = server.token
        add(server, provider)
        assert server.stop() == 0
    with serving(data, env={OPTION: THIRD}, token=token) as server:
        assert key_sent(server, provider) == "404"
        assert server.stop() == 0
        logged = server.logged()
    with serving(data, env={OPTION: f"{THIRD},{FIRST}"}, token=token) as server:
        assert key_sent(server, provider) == SECRET
    assert "nothing was resealed" in logged
    assert "the provider vault is left out" in logged
    assert OPTION in logged
    assert SECRET not in logged


def test_a_file_that_holds_no_key_is_said_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "encryption.key").write_text("not a key\n")
    done = aibridge(data, "server", "--http-address", "127.0.0.1:0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "encryption.key cannot be used: it holds no key of 64 hex digits" in done.stderr
    assert done.stderr.count("\n") == 1
