"""The priority of a token's calls."""

import sqlalchemy as sa
from alembic import op

from aibridge.store.migrations.columns import TEXT

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Everybody's calls are those of people who wait, until somebody says otherwise."""
    op.add_column("tokens", sa.Column("priority", TEXT, nullable=False, server_default="interactive"))
    op.execute("UPDATE facts SET value = 2 WHERE name = 'schema_version'")


def downgrade() -> None:
    """All calls are alike."""
    op.drop_column("tokens", "priority")
    op.execute("UPDATE facts SET value = 1 WHERE name = 'schema_version'")
