"""Tokens that are made and revoked by the command line while a server runs on the same data directory."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients.running import Running, eventually, running_server

from server.asking import CHAT, ask
from server.life import aibridge, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("tokens")) as server:
        yield server


def created(data_dir: Path, name: str, *arguments: str) -> dict[str, Any]:
    """A token of the user `ada`, as JSON has it."""
    done = aibridge(data_dir, "tokens", "create", name, "--user", "ada", "--output", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    token: dict[str, Any] = json.loads(done.stdout)
    return token


def listed(data_dir: Path) -> dict[str, dict[str, Any]]:
    """All tokens, by id."""
    done = aibridge(data_dir, "tokens", "list", "--output", "json")
    return {token["id"]: token for token in json.loads(done.stdout)}


def status(server: Running, token: str) -> int:
    return ask(server.url, CHAT, token=token, model="demo").status


def seconds_until(fact: Callable[[], bool]) -> float:
    since = time.monotonic()
    eventually(fact, "what was changed")
    return time.monotonic() - since


def test_a_new_token_works_within_two_seconds(server: Running) -> None:
    token = created(server.data_dir, "new")["token"]

    assert seconds_until(lambda: status(server, token) == 200) < 2


def test_a_revoked_token_is_refused_within_five_seconds(server: Running) -> None:
    token = created(server.data_dir, "revoked")
    eventually(lambda: status(server, token["token"]) == 200, "a new token that works")
    done = aibridge(server.data_dir, "tokens", "revoke", token["id"], "--yes")

    assert (done.returncode, done.stdout) == (0, f"{token['id']} is revoked.\n")
    assert seconds_until(lambda: status(server, token["token"]) == 401) < 5


def test_a_token_that_expires_is_refused_from_then_on(server: Running) -> None:
    token = created(server.data_dir, "short", "--expires", "1s")["token"]

    assert seconds_until(lambda: status(server, token) == 401) < 2


def test_the_list_shows_the_last_four_and_never_the_rest(server: Running) -> None:
    token = created(server.data_dir, "shown")
    done = aibridge(server.data_dir, "tokens", "list")
    (line,) = [line for line in done.stdout.splitlines() if token["id"] in line]

    assert token["token"][-4:] in line.split()
    assert token["token"][15:-4] not in done.stdout
    assert server.token[15:-4] not in done.stdout


def test_calls_are_recorded_under_the_user_of_the_token(server: Running) -> None:
    token = created(server.data_dir, "recorded")
    eventually(lambda: status(server, token["token"]) == 200, "a new token that works")

    def records() -> list[Any]:
        found = json.loads(server.get("/api/v2/aibridge/interceptions?initiator=ada&limit=1000"))["results"]
        return [record for record in found if record["api_key_id"] == token["id"]]

    eventually(lambda: len(records()) == 1, "the call's record")
    assert records()[0]["initiator"]["username"] == "ada"


def test_the_last_use_is_noted_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        unused = created(server.data_dir, "unused")["id"]
        assert status(server, server.token) == 200
        server.stop()
    tokens = listed(tmp_path / "data")

    assert tokens.pop(unused)["last_used"] is None
    assert [token["last_used"] is not None for token in tokens.values()] == [True]
