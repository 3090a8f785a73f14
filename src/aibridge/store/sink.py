"""The ledger's records into the database, in batches that may be repeated.

Measured, since this is most of what a recorded call costs outside the event loop: given to the driver as the journal
has it, a row costs a quarter of what it does through SQLAlchemy; an interception whose start and ending come together
costs one statement instead of two; and a None costs 0.6 us, because the driver looks for an adapter for each. So what
is rare is not looked for: a batch is written as if nothing of it were there, and again, slowly, when that was wrong.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Dialect, Text, UpdateBase, and_, bindparam, exists, func, literal_column, select
from sqlalchemy.exc import DataError

from aibridge.domain.interception import Ending, Interception
from aibridge.domain.row import End, Start, Use, end_of, start_of
from aibridge.store import schema
from aibridge.store.database import Database

_LOG = logging.getLogger(__name__)
_INTERCEPTIONS = schema.interceptions.c
_USAGES = schema.token_usages.c
_LARGEST = 2**63 - 1
"""What the database's integers hold. A count beyond it is nonsense, but must not keep a batch from being written."""
_LOOKED_UP_AT_ONCE = 1_000
_Row = TypeVar("_Row", Start, End)

_STARTING = Interception.__struct_fields__
_ENDING = ("status", "http_status", "error", "first_byte_at", "ended_at", "response_id")
_USING = tuple(column.name for column in _USAGES)
_TEXT_OR_NONE = {"session_id", "error", "response_id"}
"""Given to the driver as empty text where they are absent, and told apart by the database."""


def _given(name: str) -> object:
    if name in _TEXT_OR_NONE:
        return func.nullif(bindparam(name, type_=Text), literal_column("''"))
    return bindparam(name)


_OPEN = and_(_INTERCEPTIONS.id == bindparam("interception_id"), _INTERCEPTIONS.ended_at.is_(None))
_END = schema.interceptions.update().where(_OPEN).values({name: _given(name) for name in _ENDING})


class _NotNew(Exception):  # noqa: N818 - no error, but a turn
    """Some ending of the batch is in the database already or has no start there, or something comes twice."""


class _Bulk:
    """A statement that is run over many rows, each a tuple of the values of `parameters`."""

    def __init__(self, statement: UpdateBase, dialect: Dialect, parameters: Sequence[str]) -> None:
        compiled = statement.compile(dialect=dialect)
        if compiled.positiontup != list(parameters):
            raise AssertionError(f"rows of {parameters} do not fit {compiled}")
        self._sql = str(compiled)

    def run(self, connection: Connection, rows: Sequence[tuple[object, ...]]) -> int:
        """Run it over the rows; answers how many rows of the database it changed."""
        return connection.exec_driver_sql(self._sql, rows).rowcount if rows else 0


class LedgerSink:
    """Writes the ledger's records.

    `unmatched` counts endings whose start is not in the database. They are logged, with what they used, and not stored.
    """

    def __init__(self, database: Database) -> None:
        self.unmatched = 0
        self._database = database
        dialect = database.dialect
        start = database.insert(schema.interceptions).values({name: _given(name) for name in _STARTING})
        both = database.insert(schema.interceptions).values({name: _given(name) for name in (*_STARTING, *_ENDING)})
        ended = both.on_conflict_do_update(
            index_elements=[_INTERCEPTIONS.id],
            set_={name: both.excluded[name] for name in _ENDING},
            where=_INTERCEPTIONS.ended_at.is_(None),
        )
        use = database.insert(schema.token_usages)
        used = select(*(bindparam(each.name, type_=each.type) for each in _USAGES)).where(exists().where(_OPEN))
        self._start = _Bulk(start.on_conflict_do_nothing(), dialect, _STARTING)
        self._end = _Bulk(_END, dialect, (*_ENDING, "interception_id"))
        self._both = _Bulk(ended, dialect, (*_STARTING, *_ENDING))
        use_each = use.values({name: bindparam(name) for name in _USING})
        self._use = _Bulk(use_each.on_conflict_do_nothing(), dialect, _USING)
        self._use_if_open = _Bulk(
            use.from_select(_USING, used).on_conflict_do_nothing(), dialect, (*_USING, "interception_id")
        )

    def write(self, started: Iterable[Interception], ended: Iterable[Ending]) -> None:
        """Write a batch of records that are not rows yet; see `write_rows`."""
        self.write_rows([start_of(each) for each in started], [end_of(each) for each in ended])

    def write_rows(self, started: Sequence[Start], ended: Sequence[End]) -> None:
        """Write a batch in one transaction: all of it, or nothing when this raises.

        Repeating a batch, or any part of it, changes nothing. Of several starts or endings of one interception the
        first counts. An ending may come with its start or in a later batch.

        Raises:
            DatabaseUnavailable: the database cannot be used now; write the same batch again later.
        """
        try:
            with self._database.appending() as connection:
                self._write_new(connection, started, ended)
        except (_NotNew, OverflowError, DataError):  # the latter two of a count that is too large
            endings = _first_of_each(ended)
            with self._database.appending() as connection:
                unmatched = self._write_any(connection, _first_of_each(started), endings)
            self.unmatched += len(unmatched)
            for interception_id in unmatched:
                _LOG.warning("not stored, since its start is missing: %s", _told(endings[interception_id]))

    def _write_new(self, connection: Connection, started: Sequence[Start], ended: Sequence[End]) -> None:
        """Write what nearly every batch is: no ending is in the database yet, and every start is there or here.

        Raises:
            _NotNew: it is not so.
        """
        starts = {start[0]: start for start in started}
        if len(starts) != len(started):
            raise _NotNew
        both = []
        later = []
        used = []
        for interception_id, outcome, use in ended:
            start = starts.pop(interception_id, None)
            if start is not None:
                both.append(start + outcome)
            else:
                later.append((*outcome, interception_id))
            if use is not None:
                used.append(use)
        self._start.run(connection, [*starts.values()])
        if self._both.run(connection, both) + self._end.run(connection, later) != len(ended):
            raise _NotNew
        self._use.run(connection, used)

    def _write_any(self, connection: Connection, starts: Mapping[str, Start], endings: Mapping[str, End]) -> list[str]:
        """Write what is new of a batch; answer which endings have no start.

        Only what is about to be ended gets its usage: the first ending counts as a whole. Rows are locked before, since
        another process may be at the same batch.
        """
        self._start.run(connection, [*starts.values()])
        unmatched = list(_unknown(connection, list(endings)))
        used = [(*_bounded(use), interception_id) for interception_id, _, use in endings.values() if use]
        self._use_if_open.run(connection, used)
        self._end.run(connection, [(*outcome, interception_id) for interception_id, outcome, _ in endings.values()])
        return unmatched


def _first_of_each(rows: Iterable[_Row]) -> dict[str, _Row]:
    first: dict[str, _Row] = {}
    for row in rows:
        first.setdefault(row[0], row)
    return first


def _bounded(use: Use) -> tuple[object, ...]:
    return (use[0], *(min(count, _LARGEST) for count in use[1:5]), *use[5:])


def _told(end: End) -> str:
    """What the log has of an ending."""
    interception_id, outcome, use = end
    values = zip(("id", *_ENDING, *_USING[1:]), (interception_id, *outcome, *(use or ())[1:]), strict=False)
    return ", ".join(f"{name}={value!r}" for name, value in values)


def _unknown(connection: Connection, ids: Sequence[str]) -> Iterable[str]:
    """Which of the ids are not in the database. Of the others, the rows are locked where there are locks of rows."""
    for start in range(0, len(ids), _LOOKED_UP_AT_ONCE):
        asked = ids[start : start + _LOOKED_UP_AT_ONCE]
        query = select(_INTERCEPTIONS.id).where(_INTERCEPTIONS.id.in_(asked)).order_by(_INTERCEPTIONS.id)
        known = set(connection.execute(query.with_for_update()).scalars())
        yield from (interception_id for interception_id in asked if interception_id not in known)
