"""What Alembic runs to run a step: over the connection that it is given, within the transaction that is open there."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
