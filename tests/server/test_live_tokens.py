"""Tokens that are made and revoked by the command line while a server runs on the same data directory."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clients.running import Running, eventually, running_server

from aibridge.store import tokens
from aibridge.store.database import Database
from server.asking import CHAT, ask
from server.life import command, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("tokens")) as server:
        assert command(server, "users", "create", "--username", "ada").returncode == 0
        yield server


def created(server: Running, name: str, *arguments: str) -> dict[str, Any]:
    """A token of the user `ada`, as JSON has it."""
    done = command(server, "tokens", "create", name, "--user", "ada", "--output", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    token: dict[str, Any] = json.loads(done.stdout)
    return token


def last_uses(data_dir: Path) -> dict[str, int | None]:
    """When each token was last used, as the database of a server that has ended tells."""
    with closing(Database.open(f"sqlite:///{data_dir}/aibridge.db")) as database, database.reading() as connection:
        found = tokens.page(connection, tokens.Query(now=0, include_expired=True)).tokens
        return {token.id: token.last_used_at for token in found}


def status(server: Running, token: str) -> int:
    return ask(server.url, CHAT, token=token, model="demo").status


def seconds_until(fact: Callable[[], bool]) -> float:
    since = time.monotonic()
    eventually(fact, "what was changed")
    return time.monotonic() - since


def test_a_new_token_works_within_two_seconds(server: Running) -> None:
    token = created(server, "new")["key"]

    assert seconds_until(lambda: status(server, token) == 200) < 2


def test_a_revoked_token_is_refused_within_five_seconds(server: Running) -> None:
    token = created(server, "revoked")
    eventually(lambda: status(server, token["key"]) == 200, "a new token that works")
    done = command(server, "tokens", "revoke", token["id"], "--user", "ada", "--yes")

    assert (done.returncode, done.stdout) == (0, f"{token['id']} is revoked.\n")
    assert seconds_until(lambda: status(server, token["key"]) == 401) < 5


def test_a_token_that_expires_is_refused_from_then_on(server: Running) -> None:
    token = created(server, "short", "--lifetime", "1s")["key"]

    assert seconds_until(lambda: status(server, token) == 401) < 5


def test_the_list_shows_the_last_four_and_never_the_rest(server: Running) -> None:
    token = created(server, "shown")
    done = command(server, "tokens", "list", "--user", "ada")
    (line,) = [line for line in done.stdout.splitlines() if token["id"] in line]

    assert token["key"][-4:] in line.split()
    assert token["key"][15:-4] not in done.stdout
    assert server.token[15:-4] not in done.stdout


def test_calls_are_recorded_under_the_user_of_the_token(server: Running) -> None:
    token = created(server, "recorded")
    eventually(lambda: status(server, token["key"]) == 200, "a new token that works")

    def records() -> list[Any]:
        found = json.loads(server.get("/api/v2/aibridge/interceptions?initiator=ada&limit=1000"))["results"]
        return [record for record in found if record["api_key_id"] == token["id"]]

    eventually(lambda: len(records()) == 1, "the call's record")
    assert records()[0]["initiator"]["username"] == "ada"


def test_the_last_use_is_noted_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        unused = json.loads(command(server, "tokens", "create", "unused", "--output", "json").stdout)["id"]
        assert status(server, server.token) == 200
        server.stop()
    uses = last_uses(tmp_path / "data")

    assert uses.pop(unused) is None
    assert [used is not None for used in uses.values()] == [True]
