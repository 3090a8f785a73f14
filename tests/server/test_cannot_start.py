"""What keeps a server from starting: one line that says why, an exit code, and nothing broken on the way."""

import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from aibridge.store.database import Database
from aibridge.store.first_owner import first_owner
from server.asking import CHAT, ask
from server.life import aibridge, serving


def started(data_dir: Path, *arguments: str, address: str = "127.0.0.1:0") -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    return aibridge(data_dir, "server", "--http-address", address, *arguments)


def check(done: subprocess.CompletedProcess[str], code: int, reason: str) -> None:
    """It ended with this code and one line, which contains the reason."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("aibridge: ")
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr


def a_token(data_dir: Path) -> None:
    """Make a database in which there is a user with a token."""
    with closing(Database.open(f"sqlite:///{data_dir}/aibridge.db")) as database:
        first_owner(database, username="ada", token_name="laptop", now=time.time_ns() // 1000)


def alter(data_dir: Path, statement: str) -> None:
    """Change what is in the database of a server that does not run."""
    with closing(sqlite3.connect(data_dir / "aibridge.db")) as database, database:
        database.execute(statement)


def test_a_data_directory_has_one_server(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        second = started(tmp_path / "data")
        answer = ask(server.url, CHAT, token=server.token, model="demo")
        records = server.interceptions(1)

    check(second, 1, f"journal directory {tmp_path}/data/journal is in use by another process")
    assert answer.status == 200
    assert records[0]["status"] == "completed"


@pytest.mark.parametrize("flag", ["--http-address", "--prometheus-address"])
def test_a_port_has_one_server(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = started(tmp_path / "data", flag, address)

    check(done, 1, f"cannot listen on {address}: Address already in use")


def test_an_address_that_is_not_ours_is_said(tmp_path: Path) -> None:
    a_token(tmp_path / "data")

    check(started(tmp_path / "data", address="192.0.2.1:0"), 1, "cannot listen on 192.0.2.1:0: Cannot assign requested")


def test_an_open_address_is_refused_while_there_is_no_token(tmp_path: Path) -> None:
    check(
        started(tmp_path / "data", address="0.0.0.0:0"),
        1,
        "--http-address 0.0.0.0:0 can be reached from other machines, and there is no token yet that would keep them "
        "out. Make one first: aibridge users create --first --username NAME",
    )


def test_an_open_address_is_served_once_there_is_a_token(tmp_path: Path) -> None:
    done = aibridge(tmp_path / "data", "users", "create", "--first", "--username", "ada")
    token = next(line.strip() for line in done.stdout.splitlines() if line.strip().startswith("aib_"))
    with serving(tmp_path / "data", address="0.0.0.0:0", token=token) as server:
        answer = ask(server.url, CHAT, token=token, model="demo")

    assert "ada owns this gateway." in done.stdout
    assert server.url.startswith("http://127.0.0.1:")
    assert "aib_" not in server.said()
    assert answer.status == 200


def test_an_open_address_is_refused_when_the_only_token_is_revoked(tmp_path: Path) -> None:
    a_token(tmp_path / "data")
    alter(tmp_path / "data", "UPDATE tokens SET revoked_at = created_at")

    check(started(tmp_path / "data", address="0.0.0.0:0"), 1, "there is no token yet")


def test_an_open_address_is_refused_when_the_only_token_is_expired(tmp_path: Path) -> None:
    a_token(tmp_path / "data")
    alter(tmp_path / "data", "UPDATE tokens SET expires_at = created_at")

    with (
        pytest.raises(AssertionError, match="there is no token yet"),
        serving(tmp_path / "data", address="0.0.0.0:0"),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://user:canary-secret@db/aibridge", "a database of the kind 'mysql' is not supported"),
        ("sqlite://", "the database URL must name a file"),
        ("canary-secret", "the database URL is not one"),
    ],
)
def test_a_database_that_is_none_is_a_wrong_option(tmp_path: Path, url: str, reason: str) -> None:
    done = started(tmp_path / "data", "--database-url", url)

    check(done, 2, reason)
    assert "canary-secret" not in done.stderr


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("Dear diary, this is not a database. " * 100)

    check(
        started(tmp_path / "data", "--database-url", f"sqlite:///{tmp_path}/notes.db"),
        1,
        "file is not a database",
    )


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    a_token(tmp_path / "data")
    alter(tmp_path / "data", "UPDATE alembic_version SET version_num = '999'")

    check(started(tmp_path / "data"), 1, "the database has schema revision 999")


def test_a_data_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    check(started(tmp_path / "data"), 1, f"cannot open the database {tmp_path}/data/aibridge.db")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--aibridge-rate-limit=-1",), '--aibridge-rate-limit: "-1" from flag --aibridge-rate-limit is not allowed'),
        (("--aibridge-max-concurency=1",), "No such option '--aibridge-max-concurency'"),
        (("--trusted-proxies=10.0.0.0/99",), "--trusted-proxies"),
        (("--tls-cert-file=/dev/null",), "needs --tls-key-file, too"),
    ],
)
def test_a_wrong_option_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    check(started(tmp_path / "data", *arguments), 2, reason)
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def no_certificate(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A first start with files that are no certificate and no key."""
    place = tmp_path_factory.mktemp("tls")
    (place / "cert.pem").write_text("not a certificate")
    (place / "key.pem").write_text("not a key")
    files = ("--tls-cert-file", str(place / "cert.pem"), "--tls-key-file", str(place / "key.pem"))
    return started(place / "data", *files)


def test_a_certificate_that_is_none_ends_the_start(no_certificate: subprocess.CompletedProcess[str]) -> None:
    assert no_certificate.returncode == 1
    assert no_certificate.stderr.count("\n") == 1
    assert "Traceback" not in no_certificate.stderr


def test_a_certificate_that_is_none_is_named_in_place_of_a_welcome(
    no_certificate: subprocess.CompletedProcess[str],
) -> None:
    check(no_certificate, 1, "cert.pem")
