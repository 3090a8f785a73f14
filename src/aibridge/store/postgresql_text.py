"""Text on its way to PostgreSQL, which holds every character but one.

Clients choose some of what is stored, such as the name of a model, and JSON can say U+0000. SQLite takes it. There it
is neither refused, which would stop a whole batch of the ledger, nor looked for in vain: it is replaced in what is
stored and in what is searched for. Imported where PostgreSQL is used.
"""

from psycopg import Connection
from psycopg.types.string import StrDumperUnknown


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in obj else obj)


def replace_nul(connection: Connection) -> None:
    """Let texts of a connection hold any character."""
    connection.adapters.register_dumper(str, _Text)
