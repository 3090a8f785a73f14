"""`kill -9` under load: what was answered is in the ledger once, what was not is closed, and nothing is there twice."""

import http.client
import json
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field

import pytest
from clients.running import PATIENCE, eventually

from server.asking import CHAT, MESSAGES, asked, connection_to
from server.life import Server, demo_provider, provided_by, serving

ROUNDS = 3
UNARY_CALLERS = 3
STREAM_CALLERS = 3
ANSWERED_PER_ROUND = 50
SLOW_STREAM = "demo?tokens=2000&rate=50"


@dataclass
class Load:
    """Callers that go on until their server is gone, and the ids of what they were answered in full."""

    server: Server
    token: str
    answered: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Call from several threads, and kill the server when enough was answered."""
        threads = [threading.Thread(target=self._unary) for _ in range(UNARY_CALLERS)]
        threads += [threading.Thread(target=self._streams) for _ in range(STREAM_CALLERS)]
        threads.append(threading.Thread(target=self._one_that_never_ends))
        for thread in threads:
            thread.start()
        eventually(lambda: len(self.answered) >= ANSWERED_PER_ROUND, "enough answers")
        self.server.kill()
        for thread in threads:
            thread.join(PATIENCE)

    def _unary(self) -> None:
        with suppress(OSError, http.client.HTTPException), closing(connection_to(self.server.url)) as connection:
            while True:
                answer = asked(connection, CHAT, token=self.token, model="demo").rest()
                if answer.whole and answer.status == 200:
                    self.answered.add(answer.json["id"])

    def _streams(self) -> None:
        model = "demo?tokens=10&rate=500"
        with suppress(OSError, http.client.HTTPException), closing(connection_to(self.server.url)) as connection:
            while True:
                answer = asked(connection, MESSAGES, token=self.token, model=model, stream=True).rest()
                if not answer.whole:
                    return
                start = next(line for line in answer.text.splitlines() if '"message_start"' in line)
                self.answered.add(json.loads(start.removeprefix("data: "))["message"]["id"])

    def _one_that_never_ends(self) -> None:
        with suppress(OSError, http.client.HTTPException), closing(connection_to(self.server.url)) as connection:
            asked(connection, MESSAGES, token=self.token, model=SLOW_STREAM, stream=True).rest()


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What several lives, each ended by `kill -9`, have left in the ledger."""

    answered: set[str]
    interceptions: list[tuple[str, str | None, str | None, str]]
    """Provider's response id, status, error and model of each."""
    usages: int
    unended: int


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    data_dir = tmp_path_factory.mktemp("killed") / "data"
    answered: set[str] = set()
    token = ""
    with demo_provider() as url:
        for _ in range(ROUNDS):
            with serving(data_dir, *provided_by(url), token=token) as server:
                token = server.token
                load = Load(server, token)
                load.run()
                answered |= load.answered
        (data_dir / "journal" / "cursor").unlink()  # behind what is shipped, as a crash at the worst moment leaves it
        with serving(data_dir, *provided_by(url), token=token) as server:
            eventually(lambda: server.metric("journal_lag_records") == 0, "a ledger that has everything")
            assert server.stop() == 0
    with closing(sqlite3.connect(data_dir / "aibridge.db")) as database:
        rows = database.execute("SELECT response_id, status, error, model FROM interceptions").fetchall()
        usages = database.execute("SELECT count(*) FROM token_usages").fetchone()[0]
        unended = database.execute("SELECT count(*) FROM interceptions WHERE ended_at IS NULL").fetchone()[0]
    return Aftermath(answered=answered, interceptions=rows, usages=usages, unended=unended)


def test_every_answered_call_is_in_the_ledger(aftermath: Aftermath) -> None:
    completed = {response for response, status, *_ in aftermath.interceptions if status == "completed"}

    assert len(aftermath.answered) >= ROUNDS * ANSWERED_PER_ROUND
    assert aftermath.answered <= completed


def test_no_answer_is_in_the_ledger_twice(aftermath: Aftermath) -> None:
    responses = [response for response, *_ in aftermath.interceptions if response is not None]

    assert len(responses) == len(set(responses))


def test_every_completed_call_has_its_usage_once(aftermath: Aftermath) -> None:
    completed = [row for row in aftermath.interceptions if row[1] == "completed"]

    assert aftermath.usages == len(completed)


def test_what_was_running_is_recorded_as_interrupted(aftermath: Aftermath) -> None:
    endless = [(status, error) for _, status, error, model in aftermath.interceptions if model == SLOW_STREAM]

    assert endless == [("interrupted", "interrupted")] * ROUNDS


def test_nothing_stays_open(aftermath: Aftermath) -> None:
    assert aftermath.unended == 0
    assert {status for _, status, *_ in aftermath.interceptions} == {"completed", "interrupted"}


def test_what_is_completed_beyond_the_answers_is_what_was_on_its_way(aftermath: Aftermath) -> None:
    completed = sum(status == "completed" for _, status, *_ in aftermath.interceptions)

    assert completed - len(aftermath.answered) <= ROUNDS * (UNARY_CALLERS + STREAM_CALLERS)
