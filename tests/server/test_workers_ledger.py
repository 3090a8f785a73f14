"""The ledger over lives with one process and with several, each ended by `kill -9`: nothing lost, nothing twice."""

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from clients.running import eventually

from server.asking import CHAT, ask
from server.crews import kill, workers_of
from server.life import Server, demo_provider, ledger, provided_by, serving
from server.test_killed import SLOW_STREAM, Load

LIVES = (("1", "all"), ("3", "all"), ("2", "the supervisor"), ("1", "all"))
"""How many workers each life has, and which of its processes is killed."""


USAGES = "SELECT status FROM token_usages JOIN interceptions ON interceptions.id = token_usages.interception_id"


@dataclass(frozen=True, kw_only=True)
class Doomed(Server):
    """A server whose workers are killed with it."""

    def kill(self) -> None:
        for pid in workers_of(self):
            with suppress(ProcessLookupError):
                kill(pid)
        super().kill()


class Callers(Load):
    """Callers that go when their server is about to stop, too: an orphaned worker refuses what is new."""

    def _streams(self) -> None:
        with suppress(StopIteration):
            super()._streams()


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    answered: set[str]
    interceptions: list[tuple[str | None, str, str]]
    """Provider's response id, status and model of each."""
    usages: Counter[str]
    """How many usages are recorded of the interceptions of each status."""
    directories: list[str]
    """What is left of the workers' directories."""


@pytest.fixture(scope="module", params=["1", "2"])
def aftermath(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Aftermath:
    """What all those lives have left, once a last one with so many workers has tidied up."""
    data_dir = tmp_path_factory.mktemp("lives") / "data"
    answered: set[str] = set()
    token = ""
    with demo_provider() as url:
        flags = (*provided_by(url), "--aibridge-drain-timeout", "1s")
        for workers, killed in LIVES:
            with serving(data_dir, *flags, "--workers", workers, token=token) as server:
                token = server.token
                doomed = Doomed(**{name: getattr(server, name) for name in Doomed.__dataclass_fields__})
                load = Callers(doomed if killed == "all" else server, token)
                load.run()
                answered |= load.answered
        with serving(data_dir, *flags, "--workers", request.param, token=token) as server:
            journal = data_dir / "journal"
            idle = {f"worker-{number}" for number in range(int(request.param) if request.param != "1" else 0, 3)}
            eventually(lambda: not idle & {path.name for path in journal.iterdir()}, "directories that are taken over")
            eventually(lambda: _open(data_dir) == 0, "interceptions that have all ended")
            assert server.stop() == 0
    with closing(sqlite3.connect(data_dir / "aibridge.db")) as database:
        rows = database.execute("SELECT response_id, status, model FROM interceptions").fetchall()
        usages = database.execute(USAGES).fetchall()
    left = [path.name for path in (data_dir / "journal").glob("worker-*")]
    return Aftermath(
        answered=answered, interceptions=rows, usages=Counter(status for (status,) in usages), directories=sorted(left)
    )


def _open(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "aibridge.db")) as database:
        count: int = database.execute("SELECT count(*) FROM interceptions WHERE ended_at IS NULL").fetchone()[0]
        return count


def test_every_answered_call_is_in_the_ledger_once(aftermath: Aftermath) -> None:
    responses = Counter(response for response, *_ in aftermath.interceptions if response is not None)
    completed = {response for response, status, _ in aftermath.interceptions if status == "completed"}

    assert len(aftermath.answered) >= len(LIVES) * 50
    assert aftermath.answered <= completed
    assert max(responses.values()) == 1


def test_every_completed_call_has_its_usage_once(aftermath: Aftermath) -> None:
    completed = [response for response, status, _ in aftermath.interceptions if status == "completed"]

    assert aftermath.usages["completed"] == len(completed)
    assert aftermath.usages["interrupted"] <= 1  # of the stream that an orphaned worker had time to end


def test_what_was_running_in_each_life_is_recorded_as_interrupted(aftermath: Aftermath) -> None:
    endless = [status for _, status, model in aftermath.interceptions if model == SLOW_STREAM]

    assert endless == ["interrupted"] * len(LIVES)


def test_only_the_directories_of_workers_that_there_are_stay(aftermath: Aftermath) -> None:
    assert aftermath.directories in ([], ["worker-0", "worker-1"])


def test_a_start_of_several_processes_ships_what_the_one_process_left(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        token = server.token
        with closing(sqlite3.connect(server.data_dir / "aibridge.db", isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            ask(server.url, CHAT, token=token, model="demo")
            server.kill()
            database.execute("ROLLBACK")
    with serving(tmp_path / "data", "--workers", "2", token=token) as server:
        (record,) = server.interceptions(1)
        assert server.stop() == 0

    assert record["status"] == "completed"


def test_an_orderly_stop_ships_what_every_worker_wrote(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", "3") as server:
        statuses = [ask(server.url, CHAT, token=server.token, model="demo").status for _ in range(20)]
        assert server.stop() == 0

    assert statuses == [200] * 20
    assert len(ledger(tmp_path / "data")) == 20


def test_starts_of_several_processes_leave_no_files_behind(tmp_path: Path) -> None:
    left = []
    for _ in range(3):
        with serving(tmp_path / "data", "--workers", "2", token="none") as server:
            ask(server.url, "/healthz")
            assert server.stop() == 0
        left.append(sum(1 for _ in (tmp_path / "data" / "journal").glob("*.journal")))

    assert left == [1, 1, 1]
