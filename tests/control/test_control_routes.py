"""The control plane's routes: what is there, what is not, and what an error looks like."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from anyio import CapacityLimiter
from control_driver import Answer, Control, raising
from people import person, token_of

from aibridge import __version__
from aibridge.control import dependencies
from aibridge.control.dependencies import Dependencies
from aibridge.domain.errors import AtCapacity
from aibridge.domain.snapshot import Snapshot
from aibridge.store.database import Database, DatabaseUnavailable
from aibridge.store.snapshot import snapshot

NOW = 1_790_000_000_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        yield database


def assert_is_an_error(answer: Answer, status: int, message: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["message"] == message
    assert set(answer.json) == {"message", "detail", "validations"}


def test_health_is_a_word(database: Database) -> None:
    answer = Control(database).call("/healthz")
    assert (answer.status, answer.body) == (200, b"ok")
    assert Control(database).call("/healthz", method="HEAD").status == 200


def test_readiness_is_told_with_what_is_noted(database: Database) -> None:
    answer = Control(database, ready=lambda: (True, {"journal": "lags 2 s"})).call("/readyz")
    assert answer.status == 200
    assert answer.json == {"ready": True, "reasons": {"journal": "lags 2 s"}}


def test_not_ready_names_the_reasons_and_when_to_come_back(database: Database) -> None:
    reasons = {"draining": "the server is stopping", "journal": "the disk is full"}
    answer = Control(database, ready=lambda: (False, reasons)).call("/readyz")
    assert_is_an_error(answer, 503, "Not ready.")
    assert answer.json["detail"] == "draining: the server is stopping; journal: the disk is full"
    assert answer.json["validations"] == [
        {"field": "draining", "detail": "the server is stopping"},
        {"field": "journal", "detail": "the disk is full"},
    ]
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_metrics_are_there_only_when_somebody_collects_them(database: Database) -> None:
    async def metrics() -> bytes:
        return b"# HELP x\nx 1\n"

    answer = Control(database, metrics=metrics).call("/metrics")
    assert (answer.status, answer.body) == (200, b"# HELP x\nx 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert_is_an_error(Control(database).call("/metrics"), 404, "route not supported: GET /metrics")


def test_build_info_tells_address_and_version(database: Database) -> None:
    answer = Control(database).call("/api/v2/buildinfo")
    assert answer.status == 200
    assert answer.json == {"external_url": "https://ai.example.com", "version": __version__}


@pytest.mark.parametrize(
    "path", ["/", "/healthz/", "/api/v2", "/api/v2/aibridge", "/api/v2/aibridge/interceptions/x", "/nope", '/"<b>\n']
)
def test_only_exact_paths_are_routes(database: Database, path: str) -> None:
    assert_is_an_error(Control(database).call(path), 404, f"route not supported: GET {path}")


def test_an_absurd_host_is_refused_whatever_is_asked_for(database: Database) -> None:
    for path in ("/nope", "/healthz", "/api/v2/buildinfo"):
        assert_is_an_error(Control(database).call(path, host="[:"), 400, "The Host header is not one.")


def test_a_wrong_method_is_told_which_are_right(database: Database) -> None:
    answer = Control(database).call("/healthz", method="POST")
    assert_is_an_error(answer, 405, "Method Not Allowed: POST /healthz")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_fault_of_ours_keeps_its_reason_to_itself(database: Database) -> None:
    answer = Control(database, external_url=raising(RuntimeError("secret"))).call("/api/v2/buildinfo")
    assert_is_an_error(answer, 500, "Internal error.")
    assert b"secret" not in answer.body
    assert str(answer.raised) == "secret"


def test_only_so_many_wait_for_the_database(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "WAITING", 2)
    gate = threading.Event()

    async def scenario() -> None:
        world = Dependencies(
            database=database,
            snapshot=Snapshot,
            ready=lambda: (True, {}),
            clock=lambda: 0.0,
            external_url=lambda: "",
            threads=CapacityLimiter(1),
        )
        present = [asyncio.create_task(world.in_thread(gate.wait)) for _ in range(3)]
        while world.threads.statistics().tasks_waiting < 2:  # noqa: ASYNC110 - nothing else tells that they wait
            await asyncio.sleep(0)
        with pytest.raises(AtCapacity, match="at capacity") as refusal:
            await world.in_thread(gate.wait)
        assert refusal.value.retry_after == 2.0
        gate.set()
        assert await asyncio.gather(*present) == [True] * 3
        assert await world.in_thread(gate.wait)

    try:
        asyncio.run(scenario())
    finally:
        gate.set()


def test_what_somebody_may_do_is_told_while_others_write(database: Database) -> None:
    token = token_of(database, person(database, "ann", now=NOW), now=NOW).text
    known = snapshot(database)
    control = Control(database, snapshot=lambda: known)
    body = {"checks": {"x": {"action": "read", "object": {"resource": "user", "owner_id": "me"}}}}
    with database.writing():
        answer = control.call("/api/v2/authcheck", token, method="POST", body=body)
    assert (answer.status, answer.json) == (200, {"x": True})


def test_a_path_begins_no_line_of_the_log(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    away = raising(DatabaseUnavailable("it is gone"))
    assert Control(database, snapshot=away).call("/api/v2/users/a\nb").status == 503
    assert [record.getMessage() for record in caplog.records] == ["'GET /api/v2/users/a\\nb': it is gone"]
