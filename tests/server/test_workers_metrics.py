"""Whichever worker is scraped shows the whole server, and what a dead one counted is not forgotten."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.asking import CHAT, ask, asking
from server.crews import kill, replaced, workers_of
from server.life import Server, free_port, serving

CALLS = 24
SCRAPES = 12
A_WHILE = "demo?tokens=2000&rate=50"


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with workers that has answered some calls, each on a connection of its own."""
    with serving(tmp_path_factory.mktemp("crew") / "data", "--workers", "3") as server:
        for _ in range(CALLS):
            assert ask(server.url, CHAT, token=server.token, model="demo").status == 200
        yield server


def test_every_scrape_shows_the_calls_of_all_workers(crew: Server) -> None:
    assert {crew.metric("interceptions_total") for _ in range(SCRAPES)} == {CALLS}


def test_what_is_in_flight_is_that_of_all_workers(crew: Server) -> None:
    with ExitStack() as connections:
        for _ in range(6):
            connections.enter_context(asking(crew.url, CHAT, token=crew.token, model=A_WHILE, stream=True))
        seen = {crew.metric("calls_inflight") for _ in range(SCRAPES)}

    assert seen == {6}


def test_the_scrape_tells_how_many_workers_serve(crew: Server) -> None:
    assert {crew.metric("workers") for _ in range(SCRAPES)} == {3}


def test_scrapes_at_the_same_moment_are_all_answered(crew: Server) -> None:
    with ExitStack() as connections:
        scrapes = [connections.enter_context(asking(crew.url, "/metrics")) for _ in range(SCRAPES)]
        answers = [scrape.rest() for scrape in scrapes]

    assert {answer.status for answer in answers} == {200}
    assert all(b"coder_ai_gateway_workers 3.0" in answer.body for answer in answers)


def test_what_was_scraped_does_not_shrink_when_workers_die(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", "2") as server:
        for _ in range(CALLS):
            ask(server.url, CHAT, token=server.token, model="demo")
        before = server.metric("interceptions_total")
        for _ in range(2):
            pids = workers_of(server)
            for pid in pids:
                kill(pid)
            replaced(server, pids, 2)
        after = server.metric("interceptions_total")
        in_flight = server.metric("calls_inflight")

    assert before == after == CALLS
    assert in_flight == 0


def test_the_port_of_the_metrics_shows_all_workers_and_is_the_only_one_that_does(tmp_path: Path) -> None:
    metrics = f"127.0.0.1:{free_port()}"
    with serving(tmp_path / "data", "--workers", "2", "--prometheus-address", metrics) as server:
        for _ in range(10):
            ask(server.url, CHAT, token=server.token, model="demo")
        scraped = [ask(f"http://{metrics}", "/metrics").text for _ in range(6)]
        elsewhere = ask(server.url, "/metrics").status
        seconds = server.seconds_to_stop()

    assert all("coder_ai_gateway_workers 2.0" in text for text in scraped)
    assert all('status="completed"} 10.0' in text for text in scraped)
    assert elsewhere == 404
    assert seconds < 5.0
