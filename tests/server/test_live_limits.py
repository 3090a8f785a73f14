"""Limits that are created, changed and deleted in the database while calls are served: in force within a second."""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from clients.running import Running, eventually
from sqlalchemy import Connection
from valkey_server import ValkeyServer

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.store import limits
from aibridge.store.database import Database
from server.asking import CHAT, ask, asking
from server.life import Server, serving

A_WHILE = "demo?tokens=2000&rate=50"
"""A model whose streams last until their clients leave."""
ONE = Rule(name="few", unit=Unit.CONCURRENT, amount=1)
QUEUED = Rule(name="few", unit=Unit.CONCURRENT, amount=1, queue_timeout=60.0, queue_size=9)
SPENT = Rule(name="seldom", unit=Unit.REQUESTS, amount=1, window=3600.0, subject=Subject.USER)


@pytest.fixture(params=["1", "2"], ids=["one process", "two workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", "--workers", request.param) as running:
        yield running


@contextmanager
def changing(server: Running) -> Iterator[Connection]:
    """A transaction in the server's database."""
    with closing(Database.open(f"sqlite:///{server.data_dir}/aibridge.db")) as database, database.writing() as changes:
        yield changes


def create(server: Running, rule: Rule) -> None:
    with changing(server) as connection:
        limits.insert(connection, rule, now=time.time_ns() // 1000)


def change(server: Running, rule: Rule) -> None:
    with changing(server) as connection:
        limits.update(connection, rule, now=time.time_ns() // 1000)


def delete(server: Running, rule: Rule) -> None:
    with changing(server) as connection:
        limits.delete(connection, rule.name)


def call(server: Running, model: str = "demo") -> int:
    return ask(server.url, CHAT, token=server.token, model=model).status


def always(status: int, server: Running, model: str = "demo") -> Callable[[], bool]:
    """Whether every worker answers so, as far as twenty new connections find them."""
    return lambda: {call(server, model) for _ in range(20)} == {status}


def shown(server: Running) -> dict[str, tuple[int, float]]:
    """By its name, the amount of each limit that the control plane shows, and what is used of it."""
    results = json.loads(server.get("/api/v2/aibridge/limits"))["results"]
    return {one["name"]: (one["amount"], sum(use["used"] for use in one["subjects"])) for one in results}


def known(server: Running, *names: str) -> Callable[[], bool]:
    """Whether every worker goes by these limits and no others, as far as twenty new connections find them."""
    return lambda: all([*shown(server)] == [*names] for _ in range(20))


def test_a_limit_is_in_force_soon_changes_and_goes(server: Server) -> None:
    assert call(server) == 200
    create(server, SPENT)
    eventually(always(429, server), "a limit in force")
    eventually(lambda: shown(server) == {"seldom": (1, 1)}, "a limit that is shown")
    assert server.metric("limit_decisions_total", rule="seldom", outcome="admitted") == 1
    change(server, Rule(name="seldom", unit=Unit.REQUESTS, amount=10_000, window=3600.0, subject=Subject.USER))
    eventually(always(200, server), "a larger limit in force")
    delete(server, SPENT)
    eventually(known(server), "no limit any more")
    assert always(200, server)()
    assert server.metric("limit_decisions_total", rule="seldom") == 0


def test_what_is_in_progress_when_a_limit_changes_and_goes_is_counted_and_goes_on(server: Server) -> None:
    create(server, Rule(name="few", unit=Unit.CONCURRENT, amount=2))
    eventually(known(server, "few"), "a limit in force")
    with asking(server.url, CHAT, token=server.token, model=A_WHILE, stream=True) as stream:
        assert stream.status == 200
        eventually(lambda: shown(server) == {"few": (2, 1)}, "the stream's permit")
        change(server, ONE)
        eventually(always(503, server), "a smaller limit in force")
        eventually(lambda: shown(server) == {"few": (1, 1)}, "what every worker shows")  # they look one by one
        delete(server, ONE)
        eventually(known(server), "no limit any more")
        assert always(200, server)()
        assert stream.some()
        create(server, ONE)  # it counts from now
        eventually(known(server, "few"), "the limit anew")
        assert shown(server) == {"few": (1, 0)}
    eventually(lambda: server.metric("calls_inflight") == 0, "the end of the stream")
    assert shown(server) == {"few": (1, 0)}


def test_who_waits_for_a_limit_goes_when_it_is_deleted(server: Server) -> None:
    create(server, QUEUED)
    eventually(known(server, "few"), "a limit in force")
    statuses: list[int] = []
    with asking(server.url, CHAT, token=server.token, model=A_WHILE, stream=True):
        waiting = [threading.Thread(target=lambda: statuses.append(call(server))) for _ in range(4)]
        for thread in waiting:
            thread.start()
        eventually(lambda: server.metric("limit_queue_depth", rule="few") == 4, "calls that wait")
        assert statuses == []
        delete(server, QUEUED)
        for thread in waiting:
            thread.join(10.0)
    assert statuses == [200] * 4


def test_a_limit_for_a_model_makes_the_body_heeded_and_only_as_long_as_it_is_there(server: Server) -> None:
    create(server, Rule(name="dear", unit=Unit.REQUESTS, amount=1, window=3600.0, model="demo?dear*"))
    dear = "demo?dear=1"
    eventually(always(429, server, dear), "a limit in force")
    assert always(200, server)()
    with changing(server) as connection:
        limits.delete(connection, "dear")
        limits.insert(connection, SPENT, now=1)
    eventually(known(server, "seldom"), "the other limit in force")
    call(server)
    assert {call(server) for _ in range(20)} == {429}
    assert {call(server, dear) for _ in range(20)} == {429}


def test_a_limit_of_the_configuration_wins_and_the_log_says_so_once(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("limits: [{name: few, unit: requests, amount: 1000, window: 1h}]\n")
    with serving(tmp_path / "data", "--config", str(config)) as server:
        create(server, ONE)
        create(server, SPENT)
        eventually(always(429, server), "the other limit in force")
        assert shown(server)["few"][0] == 1000
        delete(server, SPENT)
        eventually(always(200, server), "no limit of the database")
        assert server.logged().count("the limit 'few' of the database is ignored") == 1


def test_a_limit_is_one_over_hosts_that_learn_of_it_one_after_the_other(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        valkey = ValkeyServer(Path(place))
        valkey.start()
        flags = ("--redis-url", valkey.url)
        with (
            serving(tmp_path / "one", "--workers", "2", *flags) as one,
            serving(tmp_path / "other", *flags) as other,
        ):
            create(one, ONE)
            eventually(known(one, "few"), "a limit in force")
            with asking(one.url, CHAT, token=one.token, model=A_WHILE, stream=True) as stream:
                assert stream.status == 200
                eventually(always(503, one), "a limit that is full")
                assert always(200, other)()
                create(other, ONE)
                eventually(always(503, other), "the limit in force there, too")
                delete(one, ONE)
                eventually(known(one), "no limit any more")
                assert always(200, one)()
                assert call(other) == 503
            eventually(lambda: call(other) == 200, "what is given back where the limit is no more")
        valkey.stop()
