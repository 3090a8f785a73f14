"""Callers without a valid token: what they are told, and that inventing tokens buys nothing."""

from collections.abc import Iterator

import pytest
from clients.running import Running, running_server

from server.asking import CHAT, MESSAGES, Answer, ask

ALLOWED = 10
"""Failed attempts a second and address."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("strangers")) as server:
        yield server


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that believes the proxies of this machine but one."""
    with running_server(tmp_path_factory.mktemp("proxied"), "--trusted-proxies", "127.0.0.1/32") as server:
        yield server


def invented(number: int) -> str:
    """A token with the form of ours, another one for each number."""
    return f"aib_{number:010d}_{number:049d}"


def guess(server: Running, number: int, *, source: str, forwarded_for: str = "") -> Answer:
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
    return ask(server.url, CHAT, token=invented(number), model="demo", headers=headers, source=source)


def guesses(server: Running, *, source: str, forwarded_for: str = "") -> list[int]:
    """The statuses of guess after guess, until one is not a 401."""
    statuses: list[int] = []
    while len(statuses) < 200 and {*statuses} <= {401}:
        statuses.append(guess(server, len(statuses), source=source, forwarded_for=forwarded_for).status)
    return statuses


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_who_sends_no_token_is_told_where_it_goes(server: Running, path: str) -> None:
    answer = ask(server.url, path, model="demo", source="127.0.0.9")

    assert answer.status == 401
    assert answer.json["message"] == "No token was sent."
    assert "`Authorization: Bearer TOKEN` or `X-Api-Key: TOKEN`" in answer.json["detail"]
    assert answer.json["error"]["type"] == ("invalid_request_error" if path == CHAT else "authentication_error")


def test_invented_tokens_are_401_and_then_429(server: Running) -> None:
    *before, last = guesses(server, source="127.0.0.2")

    assert len(before) >= ALLOWED
    assert last == 429


def test_who_guessed_too_often_is_told_when_to_come_back(server: Running) -> None:
    guesses(server, source="127.0.0.3")
    answer = guess(server, 0, source="127.0.0.3")

    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == f'"address";q={ALLOWED};w=1'
    assert "from this address" in answer.json["detail"]


def test_a_valid_token_passes_where_many_have_failed(server: Running) -> None:
    guesses(server, source="127.0.0.4")

    assert ask(server.url, CHAT, token=server.token, model="demo", source="127.0.0.4").status == 200


def test_another_address_is_not_the_worse_for_it(server: Running) -> None:
    guesses(server, source="127.0.0.5")

    assert guess(server, 0, source="127.0.0.6").status == 401


def test_guesses_are_counted(server: Running) -> None:
    before = [server.rejections("unauthenticated"), server.metric("rejections_total", limit="address")]
    statuses = guesses(server, source="127.0.0.7")

    assert server.rejections("unauthenticated") == before[0] + statuses.count(401)
    assert server.metric("rejections_total", limit="address") == before[1] + 1


def test_a_forwarded_address_does_not_count_without_a_trusted_proxy(server: Running) -> None:
    statuses = [guess(server, n, source="127.0.0.8", forwarded_for=f"203.0.113.{n}").status for n in range(100)]

    assert 429 in statuses


def test_a_forwarded_address_counts_when_a_trusted_proxy_says_it(behind_a_proxy: Running) -> None:
    *before, last = guesses(behind_a_proxy, source="127.0.0.1", forwarded_for="203.0.113.1")

    assert ({*before}, last) == ({401}, 429)
    assert guess(behind_a_proxy, 0, source="127.0.0.1", forwarded_for="203.0.113.2").status == 401


def test_a_client_cannot_invent_who_stands_before_the_proxy(behind_a_proxy: Running) -> None:
    statuses = [
        guess(behind_a_proxy, n, source="127.0.0.1", forwarded_for=f"198.51.100.{n}, 203.0.113.3").status
        for n in range(100)
    ]

    assert 429 in statuses


def test_a_forwarded_address_does_not_count_from_elsewhere(behind_a_proxy: Running) -> None:
    statuses = [guess(behind_a_proxy, n, source="127.0.0.2", forwarded_for=f"203.0.113.{n}").status for n in range(100)]

    assert 429 in statuses


def test_the_control_plane_asks_for_a_token_as_well(server: Running) -> None:
    answer = ask(server.url, "/api/v2/aibridge/interceptions", token=invented(1))

    assert (answer.status, answer.json["message"]) == (401, "The token is not valid.")


def test_guesses_at_the_control_plane_are_paced_as_well(server: Running) -> None:
    statuses = [
        ask(server.url, "/api/v2/aibridge/interceptions", token=invented(n), source="127.0.0.10").status
        for n in range(100)
    ]

    assert 429 in statuses
