"""The database: the only room that speaks SQL.

May import `domain`, SQLAlchemy (Core, not the ORM) and msgspec. Every function blocks and may be called from any
thread; an event loop calls it from one. What a query returns is complete: no row or cursor leaves this room.

Trouble that may pass (locked, unreadable, full, all connections busy) is `DatabaseUnavailable`, whatever the driver
calls it. The data plane never comes here: it reads a `Snapshot` and writes to the journal.
"""
