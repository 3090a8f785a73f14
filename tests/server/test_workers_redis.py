"""Workers whose limits are shared with other hosts: their supervisor asks for them, and frees what the dead held."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients.running import eventually
from valkey_server import ValkeyServer

from server.asking import CHAT, ask, asking
from server.crews import kill, workers_of
from server.life import Server, aibridge, serving

A_WHILE = "demo?tokens=2000&rate=50"
AT_ONCE = ("--aibridge-max-concurrency", "3")


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    """The URL of a server that counts for several hosts."""
    with tempfile.TemporaryDirectory() as place:
        valkey = ValkeyServer(Path(place))
        valkey.start()
        yield valkey.url
        valkey.stop()


def test_a_limit_is_one_over_the_workers_of_two_hosts(tmp_path: Path, shared: str) -> None:
    flags = (*AT_ONCE, "--redis-url", shared)
    with (
        serving(tmp_path / "one", "--workers", "2", *flags) as one,
        serving(tmp_path / "other", *flags) as other,
        ExitStack() as connections,
    ):
        statuses = [
            connections.enter_context(asking(host.url, CHAT, token=host.token, model=A_WHILE, stream=True)).status
            for host in (one, other, one, one, other)
        ]
        for pid in workers_of(one):
            kill(pid)
        eventually(lambda: _is_free(other), "what the dead workers held")

    assert statuses == [200, 200, 200, 503, 503]


def _is_free(host: Server) -> bool:
    return ask(host.url, CHAT, token=host.token, model="demo").status == 200


def test_a_server_that_is_away_shows_in_the_metrics_of_every_worker(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        valkey = ValkeyServer(Path(place))
        valkey.start()
        with serving(tmp_path / "data", "--workers", "2", *AT_ONCE, "--redis-url", valkey.url) as server:
            before = server.metric("counts_healthy")
            valkey.stop()
            eventually(lambda: _without_counts(server), "counts that are not shared")
            status = ask(server.url, CHAT, token=server.token, model="demo").status

    assert before == 1
    assert status == 200


def _without_counts(server: Server) -> bool:
    ask(server.url, CHAT, token=server.token, model="demo")
    return server.metric("counts_healthy") == 0


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("url", "status"), [("nonsense", 2), ("redis://127.0.0.1?no_such_option=1", 1)])
def test_a_url_that_is_none_is_said(tmp_path: Path, workers: str, url: str, status: int) -> None:
    done = aibridge(
        tmp_path / "data", "server", "--http-address", "127.0.0.1:0", "--workers", workers, "--redis-url", url
    )

    assert done.returncode == status
    assert done.stderr.startswith("aibridge: --redis-url: ")
    assert done.stderr.count("\n") == 1
