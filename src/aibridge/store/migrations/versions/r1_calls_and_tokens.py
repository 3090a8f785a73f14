"""Users, their tokens, and the ledger of their calls."""

import sqlalchemy as sa
from alembic import op

from aibridge.store.migrations.columns import BYTES, FLAG, INTEGER, TEXT

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make them, from nothing."""
    op.create_table(
        "facts",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "users",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("username", TEXT, nullable=False, unique=True),
        sa.Column("is_owner", FLAG, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("user_id", TEXT, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("digest", BYTES, nullable=False),
        sa.Column("last_four", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("expires_at", INTEGER),
        sa.Column("last_used_at", INTEGER),
        sa.Column("revoked_at", INTEGER),
        sqlite_strict=True,
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.create_table(
        "interceptions",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("actor_id", TEXT, nullable=False),
        sa.Column("token_id", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("streaming", INTEGER, nullable=False),
        sa.Column("client", TEXT, nullable=False),
        sa.Column("session_id", TEXT),
        sa.Column("user_agent", TEXT, nullable=False),
        sa.Column("started_at", INTEGER, nullable=False),
        sa.Column("status", TEXT),
        sa.Column("http_status", INTEGER),
        sa.Column("error", TEXT),
        sa.Column("first_byte_at", INTEGER),
        sa.Column("ended_at", INTEGER),
        sa.Column("response_id", TEXT),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("interceptions_by_actor", "interceptions", ["actor_id", "id"])
    op.create_table(
        "token_usages",
        sa.Column("interception_id", TEXT, primary_key=True),
        sa.Column("input_tokens", INTEGER, nullable=False),
        sa.Column("output_tokens", INTEGER, nullable=False),
        sa.Column("cache_read_input_tokens", INTEGER, nullable=False),
        sa.Column("cache_write_input_tokens", INTEGER, nullable=False),
        sa.Column("extra", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.execute("INSERT INTO facts (name, value) VALUES ('schema_version', 1), ('changes', 0)")
