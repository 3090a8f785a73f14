"""What the data plane knows of the control plane, kept up to date."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from time import time

from aibridge.domain.snapshot import Snapshot
from aibridge.store import changes, presence
from aibridge.store.database import Database, DatabaseUnavailable
from aibridge.store.sealing import Keyring
from aibridge.store.snapshot import snapshot

_log = logging.getLogger("aibridge")


class World:
    """The newest snapshot, and what is to be told the database in return."""

    def __init__(self, database: Database, keyring: Keyring, *, session_duration: float) -> None:
        self.snapshot: Snapshot = snapshot(database, keyring)
        self.used: dict[str, int] = {}
        """When tokens were used since that was last noted, in UTC microseconds."""
        self._database = database
        self._keyring = keyring
        self._session_duration = session_duration
        self._looking = asyncio.Lock()
        self._version = -1
        self._reachable = True
        self._followers: list[Callable[[Snapshot], object]] = []

    def follow(self, heed: Callable[[Snapshot], object]) -> None:
        """Have `heed` called with each new snapshot, in the event loop, and now with the present one.

        What it does must not wait. If it fails on a later one, the log has it, and the others are told all the same.

        Raises:
            Exception: what it raises on the present one.
        """
        heed(self.snapshot)
        self._followers.append(heed)

    async def refresh(self) -> None:
        """Take a new snapshot when something has changed. While the database is away, the last one serves on.

        Whatever was committed before this was called is in force when it returns.
        """
        async with self._looking:  # a look that began before may be of before
            await self._look()

    async def _look(self) -> None:
        try:
            version = await asyncio.to_thread(changes.version, self._database)
            if version != self._version:
                now = int(time() * 1e6)
                self.snapshot = await asyncio.to_thread(snapshot, self._database, self._keyring, now=now)
                self._version = version
                self._tell()
        except DatabaseUnavailable as problem:
            if self._reachable:
                _log.warning("serving on from memory: %s", problem)
            self._reachable = False
        else:
            self._reachable = True

    def _tell(self) -> None:
        for heed in self._followers:
            try:
                heed(self.snapshot)
            except Exception:  # noqa: BLE001 (whatever it is: the rest of what is new holds)
                _log.exception("a part of what has changed in the database could not be put into force")

    async def note_uses(self) -> None:
        """Tell the database when tokens were last used, and by whom; the next `refresh` sees what that changes."""
        uses = list(self.used.items())
        self.used.clear()
        known = self.snapshot.tokens
        seen = {known[token_id].actor.id: at for token_id, at in uses if token_id in known}
        with contextlib.suppress(DatabaseUnavailable):  # a use that is not noted now is followed by others
            await asyncio.to_thread(presence.used, self._database, uses, seen, session_duration=self._session_duration)

    async def tidy(self) -> None:
        """Forget sessions that are long over, and let fall dormant who was not seen for `DORMANT_AFTER`."""
        with contextlib.suppress(DatabaseUnavailable):
            await asyncio.to_thread(presence.tidy, self._database, int(time() * 1e6))
