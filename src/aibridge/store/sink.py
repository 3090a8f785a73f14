"""The ledger's records into the database, in batches that may be repeated."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

import msgspec
from sqlalchemy import Connection, Dialect, UpdateBase, and_, bindparam, exists, select

# The construct of the same name in SQLAlchemy's PostgreSQL dialect has the same methods.
from sqlalchemy.dialects.sqlite import insert

from aibridge.domain.interception import Ending, Interception
from aibridge.domain.usage import Usage
from aibridge.store import schema
from aibridge.store.database import Database

_LOG = logging.getLogger(__name__)
_INTERCEPTIONS = schema.interceptions.c
_USAGES = schema.token_usages.c
_LARGEST = 2**63 - 1
"""What the database's integers hold. A count beyond it is nonsense, but must not keep a batch from being written."""
_LOOKED_UP_AT_ONCE = 1_000

_START = (
    insert(schema.interceptions)
    .values({name: bindparam(name) for name in Interception.__struct_fields__})
    .on_conflict_do_nothing()
)
_OPEN = and_(_INTERCEPTIONS.id == bindparam("interception_id"), _INTERCEPTIONS.ended_at.is_(None))
_END = (
    schema.interceptions.update()
    .where(_OPEN)
    .values(
        {
            name: bindparam(name)
            for name in ("status", "http_status", "error", "first_byte_at", "ended_at", "response_id")
        }
    )
)
# Only what is about to be ended gets its usage: the first ending counts as a whole, and no usage is without its actor.
_USE = (
    insert(schema.token_usages)
    .from_select(
        [column.name for column in _USAGES],
        select(*(bindparam(column.name, type_=column.type) for column in _USAGES)).where(exists().where(_OPEN)),
    )
    .on_conflict_do_nothing()
)


class _Bulk:
    """A statement that is run over many rows, given to the driver as it is.

    Measured: SQLAlchemy's own handling of each row takes as long as SQLite's writing it.
    """

    def __init__(self, statement: UpdateBase, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._pick = itemgetter(*(compiled.positiontup or ()))

    def run(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> int:
        """Run it over rows, each by the names of its parameters; answers how many rows of the database it changed."""
        return connection.exec_driver_sql(self._sql, [self._pick(row) for row in rows]).rowcount


class LedgerSink:
    """Writes the ledger's records.

    `unmatched` counts endings whose start is not in the database. They are logged, with what they used, and not stored.
    """

    def __init__(self, database: Database) -> None:
        self.unmatched = 0
        self._database = database
        self._start = _Bulk(_START, database.dialect)
        self._use = _Bulk(_USE, database.dialect)
        self._end = _Bulk(_END, database.dialect)

    def write(self, started: Sequence[Interception], ended: Sequence[Ending]) -> None:
        """Write a batch in one transaction: all of it, or nothing when this raises.

        Repeating a batch, or any part of it, changes nothing. Of several starts or endings of one interception the
        first counts. An ending may come with its start or in a later batch.

        Raises:
            DatabaseUnavailable: the database cannot be used now; write the same batch again later.
        """
        # The earliest of each id, since one statement runs over all endings before the next one does.
        endings = {ending.id: ending for ending in reversed(ended)}
        uses = [_use(ending, ending.usage) for ending in endings.values() if ending.usage is not None]
        unmatched: list[str] = []
        with self._database.writing() as connection:
            if started:
                self._start.run(connection, [msgspec.structs.asdict(interception) for interception in started])
            if uses:
                self._use.run(connection, uses)
            if endings:
                closed = self._end.run(connection, [_end(ending) for ending in endings.values()])
                if closed != len(endings):
                    unmatched = list(_unknown(connection, list(endings)))
        self.unmatched += len(unmatched)
        for interception_id in unmatched:
            _LOG.warning("not stored, since its start is missing: %r", endings[interception_id])


def _end(ending: Ending) -> dict[str, object]:
    return {
        "interception_id": ending.id,
        "status": ending.status.value,
        "http_status": ending.http_status,
        "error": ending.error,
        "first_byte_at": ending.first_byte_at,
        "ended_at": ending.ended_at,
        "response_id": ending.response_id,
    }


def _use(ending: Ending, usage: Usage) -> dict[str, object]:
    return {
        "id": ending.id,
        "interception_id": ending.id,
        "response_id": ending.response_id,
        "input_tokens": min(usage.input_tokens, _LARGEST),
        "output_tokens": min(usage.output_tokens, _LARGEST),
        "cache_read_input_tokens": min(usage.cache_read_input_tokens, _LARGEST),
        "cache_write_input_tokens": min(usage.cache_write_input_tokens, _LARGEST),
        "extra": msgspec.json.encode(usage.extra).decode(),
        "source": ending.usage_source.value,
        "created_at": ending.ended_at,
    }


def _unknown(connection: Connection, ids: Sequence[str]) -> Iterable[str]:
    for start in range(0, len(ids), _LOOKED_UP_AT_ONCE):
        asked = ids[start : start + _LOOKED_UP_AT_ONCE]
        known = set(connection.execute(select(_INTERCEPTIONS.id).where(_INTERCEPTIONS.id.in_(asked))).scalars())
        yield from (interception_id for interception_id in asked if interception_id not in known)
