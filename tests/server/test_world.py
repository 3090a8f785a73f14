"""What a process knows of the database: never older than what it was asked for, and what it tells in return."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from people import person, token_of

from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import MintedToken, TokenKind
from aibridge.domain.user import UserStatus
from aibridge.server.world import World
from aibridge.store import changes, presence, schema, tokens, users
from aibridge.store.database import Database, DatabaseUnavailable
from aibridge.store.sealing import Keyring
from aibridge.store.snapshot import snapshot
from aibridge.store.users import User

KEYRING = Keyring([bytes(32)])
NOW = time.time_ns() // 1000
DAY = 86_400_000_000
PATIENCE = 10.0
SNAPSHOT = "aibridge.server.world.snapshot"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        yield database


@pytest.fixture
def ann(database: Database) -> User:
    return person(database, "ann", now=NOW)


def in_a_world(database: Database, scenario: Callable[[World], Awaitable[None]]) -> World:
    """Play a scenario in a world whose sessions last an hour."""

    async def play() -> World:
        world = World(database, KEYRING, session_duration=3600.0)
        await world.refresh()
        await scenario(world)
        return world

    return asyncio.run(play())


def kept(database: Database, token: MintedToken) -> tokens.StoredToken:
    with database.reading() as connection:
        return tokens.one(connection, token.id)


def there(database: Database, user: User) -> User:
    with database.reading() as connection:
        return users.one(connection, user.id)


class Slow:
    """Snapshots that are taken and then held back, until they may be seen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = threading.Semaphore(0)
        self.may_be_seen = threading.Event()
        self.at_once = 0
        self.most_at_once = 0
        monkeypatch.setattr(SNAPSHOT, self)

    def __call__(self, database: Database, keyring: Keyring, *, now: int) -> Snapshot:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        found = snapshot(database, keyring, now=now)
        self.taken.release()
        self.may_be_seen.wait(PATIENCE)
        self.at_once -= 1
        return found


def test_what_was_committed_before_is_known_though_a_look_was_under_way(
    database: Database, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: World) -> None:
        slow = Slow(monkeypatch)
        first = token_of(database, ann, now=NOW)
        early = asyncio.create_task(world.refresh())
        await asyncio.to_thread(slow.taken.acquire)
        second = token_of(database, ann, now=NOW)  # too late for the look that is under way
        late = [asyncio.create_task(world.refresh()) for _ in range(5)]
        slow.may_be_seen.set()
        await early
        await late[0]
        assert {first.id, second.id} <= world.snapshot.tokens.keys()
        await asyncio.gather(*late)
        assert slow.most_at_once == 1

    in_a_world(database, scenario)


def test_a_snapshot_is_taken_only_where_something_has_changed(
    database: Database, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: World) -> None:
        taken: list[Snapshot] = []

        def take(database: Database, keyring: Keyring, *, now: int) -> Snapshot:
            taken.append(snapshot(database, keyring, now=now))
            return taken[-1]

        monkeypatch.setattr(SNAPSHOT, take)
        for _ in range(3):
            await world.refresh()
        assert taken == []
        token_of(database, ann, now=NOW)
        for _ in range(3):
            await world.refresh()
        assert len(taken) == 1

    in_a_world(database, scenario)


def test_tokens_that_are_long_expired_are_no_longer_kept_in_memory(database: Database, ann: User) -> None:
    async def scenario(world: World) -> None:
        present, now = token_of(database, ann, now=NOW), time.time_ns() // 1000
        with database.writing() as connection:
            expired = schema.tokens.update().where(schema.tokens.c.id == present.id)
            connection.execute(expired.values(expires_at=now - 2 * 3_600_000_000))
        await world.refresh()
        assert present.id not in world.snapshot.tokens

    in_a_world(database, scenario)


def test_while_the_database_is_away_the_last_snapshot_serves_and_the_log_says_so_once(
    database: Database, ann: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = token_of(database, ann, now=NOW)

    def away(*_: object) -> int:
        raise DatabaseUnavailable("gone fishing")

    async def scenario(world: World) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(changes, "version", away)
            for _ in range(3):
                await world.refresh()
            assert token.id in world.snapshot.tokens
        with database.writing() as connection:
            tokens.revoke(connection, token.id, NOW)
        await world.refresh()
        assert token.id not in world.snapshot.tokens

    in_a_world(database, scenario)
    assert caplog.messages == ["serving on from memory: gone fishing"]


def test_uses_wake_the_dormant_lengthen_sessions_and_are_told_once(
    database: Database, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = token_of(database, ann, now=NOW, kind=TokenKind.SESSION, expires_at=NOW + 60_000_000)
    with database.writing() as connection:
        users.set_status(connection, ann.id, UserStatus.DORMANT, now=NOW)

    async def scenario(world: World) -> None:
        world.used[session.id] = NOW + 1
        world.used["nosuchtokn"] = NOW + 1
        await world.note_uses()
        assert world.used == {}
        await world.refresh()
        known = world.snapshot.tokens[session.id]
        assert known.expires_at == (NOW + 1) / 1e6 + 3600.0
        told: list[object] = []
        monkeypatch.setattr(presence, "used", lambda _database, uses, *_, **__: told.append(uses))
        await world.note_uses()
        assert told == [[]]

    in_a_world(database, scenario)
    assert kept(database, session).last_used_at == NOW + 1
    assert there(database, ann).status is UserStatus.ACTIVE
    assert there(database, ann).last_seen_at == NOW + 1


def test_a_use_while_others_are_noted_is_noted_the_next_time(
    database: Database, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (token_of(database, ann, now=NOW) for _ in range(2))
    note = presence.used

    async def scenario(world: World) -> None:
        def noting(*given: object, **named: float) -> None:
            world.used.setdefault(other.id, NOW)
            note(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(presence, "used", noting)
        world.used[one.id] = NOW
        await world.note_uses()
        assert world.used == {other.id: NOW}
        await world.note_uses()

    in_a_world(database, scenario)
    assert kept(database, one).last_used_at == kept(database, other).last_used_at == NOW


def test_what_cannot_be_noted_now_stops_nothing(database: Database, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of(database, ann, now=NOW)

    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("gone fishing")

    async def scenario(world: World) -> None:
        for name in ("used", "tidy"):
            monkeypatch.setattr(presence, name, away)
        world.used[token.id] = NOW
        await world.note_uses()
        await world.tidy()

    in_a_world(database, scenario)


def test_what_is_long_over_is_tidied_away(database: Database) -> None:
    away = person(database, "away", now=NOW - 91 * DAY)
    session = token_of(database, away, now=NOW - 420 * DAY, kind=TokenKind.SESSION, expires_at=NOW - 401 * DAY)
    in_a_world(database, World.tidy)
    assert there(database, away).status is UserStatus.DORMANT
    with pytest.raises(LookupError):
        kept(database, session)
