"""The audit log: what it tells, what it refuses to tell, and that nothing about it changes unseen."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_samples import noted
from sqlalchemy import Connection, inspect
from store_samples import NOW, url_of

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Resource
from aibridge.domain.token import mint
from aibridge.store import audit, schema
from aibridge.store.audit import Entry, Query, Verified, Who
from aibridge.store.database import Database

ANN = Who(actor_id="u1", actor_name="ann", token_id="t1", address="192.0.2.1", user_agent="curl/8")
BOB = Who(actor_id="u2", actor_name="Bob")
ACME = uuid.UUID(int=9)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def write(connection: Connection, who: Who = ANN, **values: Any) -> Entry:
    usual: dict[str, Any] = {
        "action": Action.UPDATE,
        "resource": Resource.GROUP,
        "resource_id": "g1",
        "resource_name": "staff",
        "now": NOW,
    }
    return audit.record(connection, who, **usual | values)


def numbers(connection: Connection, **query: Any) -> list[int]:
    return [entry.number for entry in audit.page(connection, Query(**query)).entries]


def test_an_entry_is_told_as_it_was_recorded(connection: Connection) -> None:
    before = noted(connection)
    entry = write(
        connection,
        organization_id=ACME,
        before={"name": "a", "members": ["x", {"id": 1}]},
        after={"name": "ä", "members": []},
    )
    assert audit.page(connection, Query()).entries == (entry,)
    assert entry == Entry(
        number=1,
        at=NOW,
        actor_id="u1",
        actor_name="ann",
        token_id="t1",
        action="update",
        resource="group",
        resource_id="g1",
        resource_name="staff",
        organization_id=ACME,
        before={"name": "a", "members": ["x", {"id": 1}]},
        after={"name": "ä", "members": []},
        address="192.0.2.1",
        user_agent="curl/8",
        digest=entry.digest,
    )
    assert len(bytes.fromhex(entry.digest)) == 32
    bare = write(connection, BOB, action="login", before=None, after={})
    assert audit.page(connection, Query(limit=1)).entries == (bare,)
    assert (bare.number, bare.before, bare.after, bare.organization_id) == (2, None, {}, None)
    assert noted(connection) == before


def test_what_callers_say_of_themselves_is_kept_within_bounds(connection: Connection) -> None:
    loud = Who(actor_name="x", address="1" * 99, user_agent="a\0b" + "c" * 999)
    entry = write(connection, loud)
    assert entry.address == "1" * 64
    assert entry.user_agent == "ab" + "c" * 254
    assert audit.verify(connection).broken_at is None


def test_a_change_that_is_given_up_leaves_no_gap(database: Database) -> None:
    with database.writing() as connection:
        write(connection)
    with suppress(ZeroDivisionError), database.writing() as connection:
        write(connection)
        raise ZeroDivisionError
    with database.writing() as connection:
        assert write(connection).number == 2
        assert audit.verify(connection).count == 2


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "Password",
            "new_password",
            "password_hash",
            "passwordHash",
            "key",
            "api_key",
            "apiKey",
            "API-KEY",
        ),
        *("keys", "sealed_key", "token", "tokens", "session_token", "clientSecret", "secrets", "credential", "cookie"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda fields: fields, lambda fields: {"deep": [{"er": fields}]}])
def test_secrets_are_never_written_down(
    connection: Connection, name: str, wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    for fields in ({name: "hunter2"}, {name: 2}, {name: ["hunter2"]}, {name: [["hunter2"]]}):
        for place in ("before", "after"):
            said: dict[str, Any] = {place: wrap(fields)}
            with pytest.raises(ValueError, match=f"the field '{name}'") as raised:
                write(connection, **said)
            assert "hunter2" not in str(raised.value)
    write(connection, after=wrap({name: True}), before=wrap({name: None}))
    assert audit.verify(connection).count == 1


@pytest.mark.parametrize(
    "name", ["token_id", "key_fingerprint", "token_name", "total_tokens", "input_tokens", "keyboard", "monkey", "name"]
)
def test_what_only_sounds_like_a_secret_is_told(connection: Connection, name: str) -> None:
    assert write(connection, after={name: "x"}).after == {name: "x"}


def test_a_token_of_ours_is_known_by_its_form(connection: Connection) -> None:
    text = mint(lambda most: most - 1).text
    with pytest.raises(ValueError, match="'comment' has a token"):
        write(connection, after={"comment": [f"it is {text}, see"]})


def test_each_condition_leaves_out_what_does_not_match(connection: Connection) -> None:
    write(connection, now=NOW)
    write(connection, BOB, now=NOW + 1, action="login", resource=Resource.USER, resource_id="u2", resource_name="Bob")
    write(connection, now=NOW + 2, organization_id=ACME)
    write(connection, now=NOW + 3, organization_id=DEFAULT_ORGANIZATION)
    assert numbers(connection) == [4, 3, 2, 1]
    conditions: tuple[tuple[dict[str, Any], list[int]], ...] = (
        ({"actor": "u2"}, [2]),
        ({"actor": "BOB"}, [2]),
        ({"actor": "ANN"}, [4, 3, 1]),
        ({"action": "login"}, [2]),
        ({"resource": "user"}, [2]),
        ({"resource_id": "g1"}, [4, 3, 1]),
        ({"resource_name": "Bob"}, [2]),
        ({"organization_ids": frozenset()}, []),
        ({"organization_ids": frozenset((ACME,))}, [3]),
        ({"organization_ids": frozenset((ACME, DEFAULT_ORGANIZATION))}, [4, 3]),
        ({"date_from": NOW + 1}, [4, 3, 2]),
        ({"date_to": NOW + 1}, [2, 1]),
        ({"date_from": NOW + 1, "date_to": NOW + 2, "actor": "ann"}, [3]),
    )
    for query, expected in conditions:
        assert numbers(connection, **query) == expected, query
        assert audit.page(connection, Query(limit=0, **query)).count == len(expected)
        assert [entry.number for entry in audit.rows(connection, Query(limit=0, **query))] == expected


def test_pages_follow_one_another(connection: Connection) -> None:
    for _ in range(5):
        write(connection)
    assert numbers(connection, limit=2) == [5, 4]
    assert numbers(connection, limit=2, after_id="4") == [3, 2]
    assert numbers(connection, limit=2, offset=1, after_id="4") == [2, 1]
    assert audit.page(connection, Query(limit=2, after_id="4")).count == 5
    for nothing in ("", "x", "-1", "²", "9" * 19):
        with pytest.raises(LookupError, match="there is no entry"):
            audit.page(connection, Query(after_id=nothing))


def test_long_logs_are_read_in_pieces(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)
    for amount in range(8):
        assert audit.verify(connection).count == amount
        assert [entry.number for entry in audit.rows(connection, Query())] == list(range(amount, 0, -1))
        write(connection)


def test_a_log_as_it_was_written_is_whole_and_its_last_digest_is_told(connection: Connection) -> None:
    assert audit.verify(connection) == Verified(count=0, broken_at=None, digest=bytes(32).hex())
    entries = [write(connection, after={"amount": amount}) for amount in range(3)]
    assert audit.verify(connection) == Verified(count=3, broken_at=None, digest=entries[-1].digest)
    assert len({entry.digest for entry in entries}) == 3


AMOUNT = 5
_COLUMNS = [column.name for column in schema.audit_log.columns]


@pytest.fixture(scope="module")
def written_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a log of a few entries."""
    directory = tmp_path_factory.mktemp("log")
    with closing(Database.open(url_of(directory))) as database, database.writing() as connection:
        for number in range(AMOUNT):
            write(
                connection,
                ANN if number % 2 else BOB,
                organization_id=ACME if number % 2 else None,
                before={"n": number},
                now=NOW + number,
            )
    return directory / "data" / "aibridge.db"


class Tampering:
    """The log, within a transaction that is given up at the end."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def execute(self, statement: str, *values: object) -> None:
        self.connection.exec_driver_sql(statement, values)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.exec_driver_sql("SELECT * FROM audit_log ORDER BY number")]

    @property
    def broken_at(self) -> int | None:
        return audit.verify(self.connection).broken_at


@pytest.fixture(scope="module")
def opened_log(written_log: Path) -> Iterator[Database]:
    with closing(Database.open(f"sqlite:///{written_log}")) as database:
        yield database


def tampered(database: Database, tamper: Callable[[Tampering], object]) -> int | None:
    """Where a log is found broken that somebody wrote to."""
    broken_at: int | None = None
    with suppress(ZeroDivisionError), database.writing() as connection:
        log = Tampering(connection)
        assert log.broken_at is None
        before = log.rows
        tamper(log)
        assert log.rows != before
        broken_at = log.broken_at
        raise ZeroDivisionError
    return broken_at


_NUMBER = st.integers(1, AMOUNT)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(data=st.data())
def test_any_edit_of_any_column_breaks_the_chain_there(opened_log: Database, data: st.DataObject) -> None:
    number, column = data.draw(_NUMBER), data.draw(st.sampled_from(_COLUMNS[1:]))
    position = _COLUMNS.index(column)

    def edit(log: Tampering) -> None:
        present = log.rows[number - 1][position]
        kind = schema.audit_log.c[column].type.python_type
        drawn: st.SearchStrategy[object]
        if kind is int:
            drawn = st.integers(0, 2**62)
        elif kind is bytes:
            drawn = st.binary(max_size=40)
        else:
            drawn = _TEXT | st.just(f"{present} ")
        if schema.audit_log.c[column].nullable:
            drawn = drawn | st.none()
        value = data.draw(drawn.filter(lambda value: value != present))
        log.execute(f'UPDATE audit_log SET "{column}" = ? WHERE number = ?', value, number)  # noqa: S608

    broken_at = tampered(opened_log, edit)
    assert broken_at == number


@given(number=_NUMBER)
def test_any_row_that_is_gone_is_missed(opened_log: Database, number: int) -> None:
    assert tampered(opened_log, lambda log: log.execute("DELETE FROM audit_log WHERE number = ?", number)) == number


@given(number=_NUMBER)
def test_rows_do_not_close_up_over_one_that_is_gone(opened_log: Database, number: int) -> None:
    def close_up(log: Tampering) -> None:
        log.execute("DELETE FROM audit_log WHERE number = ?", number)
        for later in range(number + 1, AMOUNT + 1):
            log.execute("UPDATE audit_log SET number = ? WHERE number = ?", later - 1, later)

    assert tampered(opened_log, close_up) == number


@given(first=_NUMBER, second=_NUMBER, digests=st.booleans())
def test_no_two_rows_change_places(opened_log: Database, first: int, second: int, digests: bool) -> None:
    first, second = sorted((first, second))
    if first == second:
        return

    def swap(log: Tampering) -> None:
        columns = [name for name in _COLUMNS[1:] if digests or name != "digest"]
        rows = log.rows
        for number, row in ((first, rows[second - 1]), (second, rows[first - 1])):
            for name in columns:
                value = row[_COLUMNS.index(name)]
                log.execute(f'UPDATE audit_log SET "{name}" = ? WHERE number = ?', value, number)  # noqa: S608

    assert tampered(opened_log, swap) == first


def test_a_row_that_nobody_recorded_is_found(opened_log: Database) -> None:
    def add(log: Tampering) -> None:
        row = (AMOUNT + 1, *log.rows[-1][1:])
        log.execute(f"INSERT INTO audit_log VALUES ({', '.join('?' * len(row))})", *row)  # noqa: S608

    assert tampered(opened_log, add) == AMOUNT + 1


def test_all_that_a_table_has_is_in_the_digest(opened_log: Database) -> None:
    with opened_log.reading() as connection:
        assert [column["name"] for column in inspect(connection).get_columns("audit_log")] == _COLUMNS
