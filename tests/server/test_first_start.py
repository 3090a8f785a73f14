"""The first minute: what a person sees who starts a server, and what works of it."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.running import PATIENCE

from aibridge import __version__
from server.asking import CHAT, MESSAGES, ask
from server.life import Server, aibridge, demo_provider, environment, provided_by, serving

SOON = 2.5
"""Seconds from the start of the process to the first answer. On a machine of one's own it is 0.7."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a directory that did not exist, with nothing configured."""
    with serving(tmp_path_factory.mktemp("first") / "data") as server:
        yield server


def test_the_first_call_is_answered_soon(tmp_path: Path) -> None:
    since = time.monotonic()
    with serving(tmp_path / "data") as server:
        answer = ask(server.url, CHAT, token=server.token, model="demo")
    seconds = time.monotonic() - since

    print(f"first answered call after {seconds:.2f} s")  # noqa: T201 (the figure)
    assert answer.status == 200
    assert seconds < SOON


def test_the_curl_call_works_as_it_is_printed(first: Server) -> None:
    lines = first.said().splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("curl "))
    length = next(number for number, line in enumerate(lines[start:]) if not line.endswith("\\"))
    command = "\n".join(lines[start : start + length + 1])
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env=environment(first.data_dir),
    )

    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_the_lines_for_clients_name_routes_that_are_served(first: Server) -> None:
    exports = dict(
        word.split("=", 1)
        for line in first.said().splitlines()
        if "export" in line
        for word in line.split()
        if "=" in word
    )

    chat = ask(exports["OPENAI_BASE_URL"], "/openai/v1/chat/completions", token=exports["OPENAI_API_KEY"], model="demo")
    messages = ask(exports["ANTHROPIC_BASE_URL"], MESSAGES, token=exports["ANTHROPIC_AUTH_TOKEN"], model="demo")
    assert exports["OPENAI_BASE_URL"] == f"{first.url}/openai/v1"
    assert exports["ANTHROPIC_BASE_URL"] == f"{first.url}/anthropic"
    assert (chat.status, messages.status) == (200, 200)


def test_the_token_is_in_no_second_start(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        token = server.token
        server.stop()

    with serving(tmp_path / "data") as server:
        said = server.said() + server.logged()
        answer = ask(server.url, CHAT, token=token, model="demo")

    assert token
    assert "aib_" not in said
    assert answer.status == 200


def test_a_start_that_failed_leaves_the_token_for_the_next_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        failed = aibridge(tmp_path / "data", "server", "--http-address", "127.0.0.1:0", "--prometheus-address", address)
    with serving(tmp_path / "data") as server:
        answer = ask(server.url, CHAT, token=server.token, model="demo")

    assert (failed.returncode, failed.stdout) == (1, "")
    assert answer.status == 200


def test_a_new_data_directory_is_for_its_owner_alone(first: Server) -> None:
    places = (first.data_dir, first.data_dir / "journal", first.data_dir / "aibridge.db")

    assert [place.stat().st_mode & 0o077 for place in places] == [0, 0, 0]


def test_a_key_makes_the_real_provider_the_one_that_is_served(tmp_path: Path) -> None:
    with serving(tmp_path / "data", env={"OPENAI_API_KEY": "sk-canary"}) as server:
        said = server.said()

    assert "demo provider" not in said
    assert "openai: api.openai.com" in said
    assert "sk-canary" not in said


def test_a_base_url_makes_the_provider_there_the_one_that_is_served(tmp_path: Path) -> None:
    with demo_provider() as url, serving(tmp_path / "data", *provided_by(url)) as server:
        chat = ask(server.url, CHAT, token=server.token, model="demo")
        messages = ask(server.url, MESSAGES, token=server.token, model="demo")
        paths = [call["path"] for call in ask(url, "/demo/calls").json]
        said = server.said()

    assert (chat.status, messages.status) == (200, 200)
    assert paths == ["/v1/chat/completions", "/v1/messages"]
    assert f"openai: {url.removeprefix('http://')}" in said


def test_without_the_ai_routes_their_paths_are_unknown_ones(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--aibridge-enabled=false") as server:
        chat = ask(server.url, CHAT, token=server.token, model="demo")
        managed = ask(server.url, "/api/v2/aibridge/openai/v1/models", token=server.token)
        health = ask(server.url, "/healthz")

    assert (chat.status, managed.status, health.status) == (404, 404, 200)
    assert chat.json["message"] == f"route not supported: POST {CHAT}"
    assert managed.json["message"] == "route not supported: GET /api/v2/aibridge/openai/v1/models"


def test_the_build_info_says_where_the_server_is_and_what_it_is(first: Server) -> None:
    info = ask(first.url, "/api/v2/buildinfo").json

    assert info == {"external_url": first.url, "version": __version__}
