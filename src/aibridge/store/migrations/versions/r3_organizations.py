"""Organizations, groups and roles; what a user and a token are in them; providers, limits and settings; the audit log.

Tables that change in more than a column are set aside, made anew and filled again, which is the same on both engines
and leaves every constraint with the name that it has in a new database.
"""

import sqlalchemy as sa
from alembic import op

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store.migrations.columns import BYTES, FLAG, INTEGER, TEXT

revision = "3"
down_revision = "2"

_NEW = (
    "audit_log",
    "settings",
    "limits",
    "providers",
    "group_members",
    "groups",
    "custom_roles",
    "organization_members",
    "identities",
)
"""Tables that only this revision has, those that refer to others first; `organizations` is the last of all."""
_FREE_NAME = (
    "CASE WHEN EXISTS (SELECT 1 FROM old_users AS elder WHERE lower(elder.username) = lower(old_users.username) "
    "AND (elder.created_at, elder.id) < (old_users.created_at, old_users.id)) "
    "THEN substr(username, 1, 55) || '-' || substr(id, 1, 8) ELSE username END"
)
"""Names have at most 64 characters."""


def upgrade() -> None:
    """Everybody becomes a member of the built-in organization, and every token one for it; an owner stays one.

    Names that differ in case alone were two, and are one name now: the oldest user keeps it, the others' gets the
    beginning of their id.
    """
    _set_aside("users", "tokens")
    _organizations()
    _people()
    _groups_and_roles()
    _tokens()
    _configuration()
    _execute_for_built_in(
        "INSERT INTO organizations (id, name, display_name, description, icon, created_at, updated_at) "
        "VALUES (:organization, 'default', 'Default', '', '', 0, 0)"
    )
    op.execute(
        "INSERT INTO users (id, username, name, status, login_type, roles, created_at, updated_at) "  # noqa: S608 - what stands here
        f"SELECT id, {_FREE_NAME}, '', 'active', 'none', CASE WHEN is_owner THEN '[\"owner\"]' ELSE '[]' END, "
        "created_at, created_at FROM old_users"
    )
    _execute_for_built_in(
        "INSERT INTO organization_members (organization_id, user_id, roles, created_at, updated_at) "
        "SELECT :organization, id, '[]', created_at, created_at FROM old_users"
    )
    _execute_for_built_in(
        "INSERT INTO tokens (id, user_id, organization_id, kind, name, digest, last_four, created_at, expires_at, "
        "last_used_at, revoked_at, priority) "
        "SELECT id, user_id, :organization, 'token', name, digest, last_four, created_at, expires_at, "
        "last_used_at, revoked_at, priority FROM old_tokens"
    )
    _forget("tokens", "users")
    # The last value of this fact: programs from before there were migrations read it, and leave the database alone.
    op.execute("UPDATE facts SET value = 3 WHERE name = 'schema_version'")


def downgrade() -> None:
    """Keep users who are not deleted, and of their tokens those that an older program would not let do more.

    That is those that are bound neither to scopes nor to objects, are no sessions, and belong to nobody who is
    suspended.
    """
    for table in _NEW:
        op.drop_table(table)
    _set_aside("users", "tokens")
    op.drop_table("organizations")
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
        sa.Column("priority", TEXT, nullable=False, server_default="interactive"),
        sqlite_strict=True,
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.execute(
        "INSERT INTO users (id, username, is_owner, created_at) "
        "SELECT id, username, roles LIKE '%\"owner\"%', created_at FROM old_users WHERE deleted_at IS NULL"
    )
    op.execute(
        "INSERT INTO tokens (id, user_id, name, digest, last_four, created_at, expires_at, last_used_at, revoked_at, "
        "priority) "
        "SELECT id, user_id, name, digest, last_four, created_at, expires_at, last_used_at, revoked_at, priority "
        "FROM old_tokens WHERE kind = 'token' AND scopes IS NULL AND \"only\" IS NULL "
        "AND user_id IN (SELECT id FROM old_users WHERE deleted_at IS NULL AND status <> 'suspended')"
    )
    _forget("tokens", "users")
    op.execute("UPDATE facts SET value = 2 WHERE name = 'schema_version'")


def _set_aside(*tables: str) -> None:
    for table in tables:
        op.execute(f"CREATE TABLE old_{table} AS SELECT * FROM {table}")  # noqa: S608 - names that stand here
    for table in reversed(tables):
        op.drop_table(table)


def _execute_for_built_in(statement: str) -> None:
    op.execute(sa.text(statement).bindparams(organization=str(DEFAULT_ORGANIZATION)))


def _forget(*tables: str) -> None:
    for table in tables:
        op.drop_table(f"old_{table}")


def _organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False, unique=True),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("icon", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("email", TEXT),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("login_type", TEXT, nullable=False),
        sa.Column("roles", TEXT, nullable=False),
        sa.Column("password_hash", TEXT),
        sa.Column("organization_id", TEXT, sa.ForeignKey("organizations.id")),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sa.Column("last_seen_at", INTEGER),
        sa.Column("deleted_at", INTEGER),
        sqlite_strict=True,
    )
    _unique_among("users", "users_by_username", "lower(username)", "deleted_at IS NULL")
    _unique_among("users", "users_by_email", "lower(email)", "deleted_at IS NULL AND email IS NOT NULL")
    op.create_table(
        "identities",
        sa.Column("issuer", TEXT, primary_key=True),
        sa.Column("subject", TEXT, primary_key=True),
        sa.Column("user_id", TEXT, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])


def _unique_among(table: str, name: str, expression: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [sa.text(expression)], unique=True, sqlite_where=where, postgresql_where=where)


def _groups_and_roles() -> None:
    op.create_table(
        "organization_members",
        sa.Column("organization_id", TEXT, sa.ForeignKey("organizations.id"), primary_key=True),
        sa.Column("user_id", TEXT, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("roles", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_organization_members_user_id", "organization_members", ["user_id"])
    op.create_table(
        "custom_roles",
        sa.Column("organization_id", TEXT, sa.ForeignKey("organizations.id"), primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("permissions", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "groups",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("organization_id", TEXT, sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("groups_by_name", "groups", ["organization_id", "name"], unique=True)
    op.create_table(
        "group_members",
        sa.Column("group_id", TEXT, sa.ForeignKey("groups.id"), primary_key=True),
        sa.Column("user_id", TEXT, sa.ForeignKey("users.id"), primary_key=True),
        sqlite_strict=True,
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"])


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("user_id", TEXT, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("organization_id", TEXT, sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("digest", BYTES, nullable=False),
        sa.Column("last_four", TEXT, nullable=False),
        sa.Column("scopes", TEXT),
        sa.Column("only", TEXT),
        sa.Column("parent_id", TEXT),
        sa.Column("replaced_by", TEXT),
        sa.Column("created_by", TEXT),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("expires_at", INTEGER),
        sa.Column("last_used_at", INTEGER),
        sa.Column("revoked_at", INTEGER),
        sa.Column("priority", TEXT, nullable=False, server_default="interactive"),
        sqlite_strict=True,
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])


def _configuration() -> None:
    op.create_table(
        "providers",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False, unique=True),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("base_url", TEXT, nullable=False),
        sa.Column("enabled", FLAG, nullable=False),
        sa.Column("internal", FLAG, nullable=False),
        sa.Column("sealed_key", BYTES),
        sa.Column("master_key_id", TEXT),
        sa.Column("last_four", TEXT),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "limits",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("organization_id", TEXT, sa.ForeignKey("organizations.id")),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "settings",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_log",
        sa.Column("number", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.Column("actor_id", TEXT),
        sa.Column("actor_name", TEXT, nullable=False),
        sa.Column("token_id", TEXT),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("resource_id", TEXT, nullable=False),
        sa.Column("resource_name", TEXT, nullable=False),
        sa.Column("organization_id", TEXT),
        sa.Column("before", TEXT),
        sa.Column("after", TEXT),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("user_agent", TEXT, nullable=False),
        sa.Column("digest", BYTES, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_log_organization_id", "audit_log", ["organization_id"])
