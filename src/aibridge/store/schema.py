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

The condition of a partial index is said for SQLite, and `postgresql` makes it its own: said here, it would have
SQLAlchemy import that dialect in every process.
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
    text,
)

REVISION = "3"
"""The migration that leads to this schema. A database of a later one was written by a newer program."""

metadata = MetaData()

# SQLite's strict tables know neither BIGINT nor BOOLEAN: its INTEGER is both, up to 64 bits.
_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
_FLAG = Boolean().with_variant(Integer(), "sqlite")
# Bytes in order, and lower() for ASCII alone: what SQLite does, and whatever the locale of a server is.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


facts = Table(
    "facts",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("value", _INTEGER, nullable=False),
    sqlite_strict=True,
)
"""What the database says of itself: `changes`, which grows with every change to what is in a snapshot.

And `schema_version`, for programs from before there were migrations; see `founding`.
"""

organizations = Table(
    "organizations",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("name", _TEXT, nullable=False, unique=True),
    Column("display_name", _TEXT, nullable=False),
    Column("description", _TEXT, nullable=False),
    Column("icon", _TEXT, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)

users = Table(
    "users",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("username", _TEXT, nullable=False),
    Column("email", _TEXT),
    Column("name", _TEXT, nullable=False),
    Column("status", _TEXT, nullable=False),
    Column("login_type", _TEXT, nullable=False),
    # Site roles besides `member`, which everybody has: a JSON array of names.
    Column("roles", _TEXT, nullable=False),
    Column("password_hash", _TEXT),
    # Of service accounts, the one they belong to.
    Column("organization_id", _TEXT, ForeignKey("organizations.id")),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    Column("last_seen_at", _INTEGER),
    Column("deleted_at", _INTEGER),
    # A name is free again when its user is gone; the row stays, since records of calls tell who made them.
    Index("users_by_username", text("lower(username)"), unique=True, sqlite_where=text("deleted_at IS NULL")),
    Index(
        "users_by_email",
        text("lower(email)"),
        unique=True,
        sqlite_where=text("deleted_at IS NULL AND email IS NOT NULL"),
    ),
    sqlite_strict=True,
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", _TEXT, primary_key=True),
    Column("subject", _TEXT, primary_key=True),
    Column("user_id", _TEXT, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)
"""Who somebody is at an OpenID provider: issuer and subject together are the one name there that never changes."""

organization_members = Table(
    "organization_members",
    metadata,
    Column("organization_id", _TEXT, ForeignKey("organizations.id"), primary_key=True),
    Column("user_id", _TEXT, ForeignKey("users.id"), primary_key=True, index=True),
    # Besides `organization-member`, which every member has: a JSON array of names, without the organization.
    Column("roles", _TEXT, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)

custom_roles = Table(
    "custom_roles",
    metadata,
    Column("organization_id", _TEXT, ForeignKey("organizations.id"), primary_key=True),
    Column("name", _TEXT, primary_key=True),
    Column("display_name", _TEXT, nullable=False),
    Column("permissions", _TEXT, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)

groups = Table(
    "groups",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("organization_id", _TEXT, ForeignKey("organizations.id"), nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("display_name", _TEXT, nullable=False),
    Column("source", _TEXT, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    Index("groups_by_name", "organization_id", "name", unique=True),
    sqlite_strict=True,
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", _TEXT, ForeignKey("groups.id"), primary_key=True),
    Column("user_id", _TEXT, ForeignKey("users.id"), primary_key=True, index=True),
    sqlite_strict=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("user_id", _TEXT, ForeignKey("users.id"), nullable=False, index=True),
    # Whose calls its calls are.
    Column("organization_id", _TEXT, ForeignKey("organizations.id"), nullable=False),
    # `token`, or `session` for one that signing in made.
    Column("kind", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("last_four", _TEXT, nullable=False),
    # JSON arrays: names of scopes, and ids of the objects it is for; null for no bound.
    Column("scopes", _TEXT),
    Column("only", _TEXT),
    # The token it was made with, and the one that replaced it.
    Column("parent_id", _TEXT),
    Column("replaced_by", _TEXT),
    Column("created_by", _TEXT),
    Column("created_at", _INTEGER, nullable=False),
    Column("expires_at", _INTEGER),
    Column("last_used_at", _INTEGER),
    Column("revoked_at", _INTEGER),
    Column("priority", _TEXT, nullable=False, server_default="interactive"),
    sqlite_strict=True,
)

providers = Table(
    "providers",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("name", _TEXT, nullable=False, unique=True),
    Column("display_name", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("base_url", _TEXT, nullable=False),
    Column("enabled", _FLAG, nullable=False),
    Column("internal", _FLAG, nullable=False),
    # The key, sealed; which master key opens it; and its last four characters.
    Column("sealed_key", LargeBinary),
    Column("master_key_id", _TEXT),
    Column("last_four", _TEXT),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)

limits = Table(
    "limits",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("organization_id", _TEXT, ForeignKey("organizations.id")),
    # A `domain.rule.Rule` as JSON.
    Column("rule", _TEXT, nullable=False),
    Column("created_at", _INTEGER, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("value", _TEXT, nullable=False),
    Column("updated_at", _INTEGER, nullable=False),
    sqlite_strict=True,
)
"""What is set over the API and is no option, as JSON: `appearance`."""

audit_log = Table(
    "audit_log",
    metadata,
    # 1, 2, 3 ... without gaps: each entry has the digest of the one before in it.
    Column("number", _INTEGER, primary_key=True, autoincrement=False),
    Column("at", _INTEGER, nullable=False),
    Column("actor_id", _TEXT),
    Column("actor_name", _TEXT, nullable=False),
    Column("token_id", _TEXT),
    Column("action", _TEXT, nullable=False),
    Column("resource", _TEXT, nullable=False),
    Column("resource_id", _TEXT, nullable=False),
    Column("resource_name", _TEXT, nullable=False),
    Column("organization_id", _TEXT, index=True),
    # JSON objects; null where there was, or is, nothing.
    Column("before", _TEXT),
    Column("after", _TEXT),
    Column("address", _TEXT, nullable=False),
    Column("user_agent", _TEXT, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""What was changed, by whom, from where. It refers to what may be gone, so it has no foreign keys."""

interceptions = Table(
    "interceptions",
    metadata,
    # In the order of `Interception` and then of `Ending`, as `sink` gives them.
    Column("id", _TEXT, primary_key=True),
    Column("actor_id", _TEXT, nullable=False),
    Column("token_id", _TEXT, nullable=False),
    Column("provider", _TEXT, nullable=False),
    Column("route", _TEXT, nullable=False),
    Column("model", _TEXT, nullable=False),
    Column("streaming", _INTEGER, nullable=False),
    Column("client", _TEXT, nullable=False),
    Column("session_id", _TEXT),
    Column("user_agent", _TEXT, nullable=False),
    Column("started_at", _INTEGER, nullable=False),
    # Null until the end, and `ended_at` never after it.
    Column("status", _TEXT),
    Column("http_status", _INTEGER),
    Column("error", _TEXT),
    Column("first_byte_at", _INTEGER),
    Column("ended_at", _INTEGER),
    Column("response_id", _TEXT),
    # Ends in the order of the listing, so that a page is read and never sorted.
    Index("interceptions_by_actor", "actor_id", "id"),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)

token_usages = Table(
    "token_usages",
    metadata,
    Column("interception_id", _TEXT, primary_key=True),
    Column("input_tokens", _INTEGER, nullable=False),
    Column("output_tokens", _INTEGER, nullable=False),
    Column("cache_read_input_tokens", _INTEGER, nullable=False),
    Column("cache_write_input_tokens", _INTEGER, nullable=False),
    Column("extra", _TEXT, nullable=False),
    Column("source", _TEXT, nullable=False),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)
"""What was used, where that is known; `extra` is a JSON object of the provider's further kinds.

An interception has at most one row here. When it was, and the response's name, are told by the interception.
"""
