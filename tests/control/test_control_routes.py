"""The control plane's routes: what is there, what is not, and what an error looks like."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from control_driver import Answer, Control, raising

from aibridge import __version__
from aibridge.store.database import Database


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
