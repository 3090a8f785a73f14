"""The tables and their indexes.

Instants are integers of UTC microseconds: exact where floats are not, the same in every engine where date types are
not, and at most eight bytes in an index. Tables are STRICT in SQLite, so that a wrong type is an error there
as it is elsewhere.

The ledger's two tables are written far more often than they are read, and are made for that:

* Their ids are UUIDs of version 7, so the order of ids is that of time. The newest first is the primary key backwards,
  and writing appends to the table's end. There is no index over `started_at`.
* The one further index is over the actor, since most people may see no more than their own, a few among all. Provider,
  model and client have few values each: a page of one of them is soon full along the primary key, and an index of
  theirs would add a quarter to what it costs to write a record (measured: 2.4 of 8.2 us are the actor's).
* They lie in the tree of their primary key (WITHOUT ROWID in SQLite): one tree to write instead of two.
* They hold no foreign keys: a record must not be refused because a person is gone.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

VERSION = 2
"""Of this schema. A database with a higher one was written by a newer program, one with a lower one is upgraded."""

metadata = MetaData()

# SQLite's strict tables know neither BIGINT nor BOOLEAN: its INTEGER is both, up to 64 bits.
_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
_FLAG = Boolean().with_variant(Integer(), "sqlite")

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", _INTEGER, nullable=False),
    sqlite_strict=True,
)
"""What the database says of itself: `schema_version`, and `changes`, which grows with every change to who may call."""

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("is_owner", _FLAG, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    Column("expires_at", _INTEGER),
    Column("last_used_at", _INTEGER),
    Column("revoked_at", _INTEGER),
    Column("priority", Text, nullable=False, server_default="interactive"),
    sqlite_strict=True,
)

interceptions = Table(
    "interceptions",
    metadata,
    # In the order of `Interception` and then of `Ending`, as `sink` gives them.
    Column("id", Text, primary_key=True),
    Column("actor_id", Text, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("streaming", _INTEGER, nullable=False),
    Column("client", Text, nullable=False),
    Column("session_id", Text),
    Column("user_agent", Text, nullable=False),
    Column("started_at", _INTEGER, nullable=False),
    # Null until the end, and `ended_at` never after it.
    Column("status", Text),
    Column("http_status", _INTEGER),
    Column("error", Text),
    Column("first_byte_at", _INTEGER),
    Column("ended_at", _INTEGER),
    Column("response_id", Text),
    # Ends in the order of the listing, so that a page is read and never sorted.
    Index("interceptions_by_actor", "actor_id", "id"),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)

token_usages = Table(
    "token_usages",
    metadata,
    Column("interception_id", Text, primary_key=True),
    Column("input_tokens", _INTEGER, nullable=False),
    Column("output_tokens", _INTEGER, nullable=False),
    Column("cache_read_input_tokens", _INTEGER, nullable=False),
    Column("cache_write_input_tokens", _INTEGER, nullable=False),
    Column("extra", Text, nullable=False),
    Column("source", Text, nullable=False),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)
"""What was used, where that is known; `extra` is a JSON object of the provider's further kinds.

An interception has at most one row here. When it was, and the response's name, are told by the interception.
"""
