"""`aibridge db`: the schema up and down, and everything to a file and back."""

import fcntl
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from aibridge.cli import cli
from aibridge.store import changes, schema
from aibridge.store.database import Database

if TYPE_CHECKING:
    from postgres import Postgres


class Shell:
    """Somebody who runs `aibridge db` against one database."""

    def __init__(self, data_dir: Path, url: str | None = None) -> None:
        self.data_dir = data_dir
        self.url = url or f"sqlite:///{data_dir}/aibridge.db"

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        environ = {"CODER_DATA_DIR": str(self.data_dir), "CODER_DATABASE_URL": self.url, "CODER_CONFIG_PATH": None}
        return CliRunner().invoke(cli, ["db", *arguments], input=typed, env=environ)

    def note_a_setting(self) -> None:
        with closing(Database.open(self.url)) as database, database.writing() as connection:
            connection.execute(schema.settings.insert().values(name="appearance", value="{}", updated_at=1))
            changes.note(connection)

    def settings(self) -> list[str]:
        with closing(Database.open(self.url)) as database, database.reading() as connection:
            return list(connection.execute(select(schema.settings.c.name)).scalars())

    def revision(self) -> str | None:
        with closing(Database.open(self.url, prepare=False)) as database:
            return database.revision()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "data")
    shell.note_a_setting()
    return shell


def test_a_backup_is_made_and_restored(shell: Shell, tmp_path: Path) -> None:
    made = shell.run("backup", f"{tmp_path}/backup.db")
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith(f"{shell.data_dir}/aibridge.db is in {tmp_path}/backup.db, ")
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600

    other = Shell(tmp_path / "other")
    restored = other.run("restore", f"{tmp_path}/backup.db", typed="y\n")
    assert restored.exit_code == 0, restored.output
    assert f"Fill {other.data_dir}/aibridge.db from {tmp_path}/backup.db? [y/N]" in restored.stderr
    assert other.settings() == ["appearance"]


@pytest.mark.xdist_group("postgres")
def test_a_database_moves_from_a_file_to_a_server(shell: Shell, tmp_path: Path, postgres: "Postgres") -> None:
    shell.run("backup", f"{tmp_path}/backup.db")
    with postgres.shared() as url:
        server = Shell(tmp_path / "other", url)
        restored = server.run("restore", f"{tmp_path}/backup.db", "--yes")
        assert restored.stdout == f"postgresql:///shared holds what was in {tmp_path}/backup.db.\n"
        assert server.settings() == ["appearance"]


def test_what_is_there_is_replaced_by_force_only_and_after_a_question(shell: Shell, tmp_path: Path) -> None:
    shell.run("backup", f"{tmp_path}/backup.db")
    refused = shell.run("restore", f"{tmp_path}/backup.db", "--yes")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "there is something in the database" in refused.stderr
    assert "--force" in refused.stderr
    aborted = shell.run("restore", f"{tmp_path}/backup.db", "--force", typed="n\n")
    assert aborted.exit_code == 1
    assert "replacing all that is there?" in aborted.stderr
    assert shell.run("restore", f"{tmp_path}/backup.db", "--force", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["restore", "{tmp_path}/nothing.db", "--yes"], "there is no file"),
        (["restore", "{tmp_path}/notes.txt", "--yes", "--force"], "is no backup"),
        (["backup", "{tmp_path}/notes.txt"], "there is already a file"),
        (["backup", "{tmp_path}/nowhere/backup.db"], "cannot write"),
        (["migrate", "--to", "41"], "there is no schema revision '41'; allowed: 1, 2, 3"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, tmp_path: Path, command: list[str], said: str) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary. " * 100)
    failed = shell.run(*(word.replace("{tmp_path}", str(tmp_path)) for word in command))
    assert failed.exit_code in (1, 2)
    assert failed.stdout == ""
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_backup_of_nothing_makes_neither_a_file_nor_a_database(tmp_path: Path) -> None:
    failed = Shell(tmp_path / "data").run("backup", f"{tmp_path}/backup.db")
    assert failed.exit_code == 1
    assert "cannot open the database" in failed.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_schema_goes_down_after_a_question_and_up_again(shell: Shell) -> None:
    assert shell.run("migrate").stdout == "The database is at schema revision 3 already.\n"
    aborted = shell.run("migrate", "--to", "2", typed="n\n")
    assert (aborted.exit_code, shell.revision()) == (1, "3")
    assert "down to 2, and lose what that cannot hold?" in aborted.stderr
    assert shell.run("migrate", "--to", "2", typed="y\n").exit_code == 0
    assert shell.revision() == "2"
    assert shell.run("migrate").stdout == "The database is at schema revision 3 now; it was at 2.\n"
    assert (shell.revision(), shell.settings()) == ("3", [])


def test_a_newer_database_is_left_alone(shell: Shell) -> None:
    with closing(Database.open(shell.url)) as database, database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '41'")
    failed = shell.run("migrate", "--yes")
    assert (failed.exit_code, shell.revision()) == (1, "41")
    assert "only a newer aibridge knows" in failed.stderr


@pytest.mark.parametrize("command", [["migrate", "--to", "2", "--yes"], ["restore", "backup.db", "--force", "--yes"]])
def test_nothing_is_replaced_under_a_running_server(shell: Shell, command: list[str]) -> None:
    (shell.data_dir / "journal").mkdir()
    with (shell.data_dir / "journal" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failed = shell.run(*command)
    assert failed.exit_code == 1
    assert f"a server is running with {shell.data_dir}; stop it first" in failed.stderr
    assert (shell.revision(), shell.settings()) == ("3", ["appearance"])
