"""What the data plane knows of the control plane, kept up to date."""

import asyncio
import contextlib
import logging

from aibridge.domain.snapshot import Snapshot
from aibridge.store import tokens
from aibridge.store.database import Database, DatabaseUnavailable

_log = logging.getLogger("aibridge")


class World:
    """The newest snapshot, and what is to be told the database in return."""

    def __init__(self, database: Database) -> None:
        self.snapshot: Snapshot = tokens.snapshot(database)
        self.used: dict[str, int] = {}
        """When tokens were used since that was last noted, in UTC microseconds."""
        self._database = database
        self._version = -1
        self._reachable = True

    async def refresh(self) -> None:
        """Take a new snapshot when something has changed. While the database is away, the last one serves on."""
        try:
            version = await asyncio.to_thread(tokens.version, self._database)
            if version != self._version:
                self.snapshot = await asyncio.to_thread(tokens.snapshot, self._database)
                self._version = version
        except DatabaseUnavailable as problem:
            if self._reachable:
                _log.warning("serving on from memory: %s", problem)
            self._reachable = False
        else:
            self._reachable = True

    async def note_uses(self) -> None:
        """Tell the database when tokens were last used."""
        uses = list(self.used.items())
        self.used.clear()
        with contextlib.suppress(DatabaseUnavailable):  # a use that is not noted now is followed by others
            await asyncio.to_thread(tokens.mark_used, self._database, uses)
