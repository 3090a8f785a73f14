"""Who is told of each new snapshot: at once of the present one, then of what changes, whatever others make of it."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from aibridge.domain.rule import Rule, Unit
from aibridge.domain.snapshot import Snapshot
from aibridge.server.world import World
from aibridge.store import limits, sealing
from aibridge.store.database import Database

FEW = Rule(name="few", unit=Unit.CONCURRENT, amount=1)


def test_a_follower_hears_of_the_present_and_of_every_change_though_another_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, ...]] = []

    def listen(snapshot: Snapshot) -> None:
        heard.append(tuple(rule.name for rule in snapshot.rules))

    def fail(snapshot: Snapshot) -> None:
        if snapshot.rules:
            raise RuntimeError("no rules, please")

    async def scenario(database: Database) -> None:
        world = World(database, sealing.keyring((), tmp_path), session_duration=60.0)
        world.follow(fail)
        world.follow(listen)
        await world.refresh()
        with database.writing() as connection:
            limits.insert(connection, FEW, now=1)
        for _ in range(3):
            await world.refresh()

    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        asyncio.run(scenario(database))

    assert heard == [(), (), ("few",)]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "a part of what has changed in the database could not be put into force"
    ]


def test_a_follower_that_fails_on_the_present_is_told_so_and_follows_no_more(tmp_path: Path) -> None:
    heard: list[Snapshot] = []

    def fail(snapshot: Snapshot) -> None:
        heard.append(snapshot)
        raise RuntimeError("not today")

    async def scenario(database: Database) -> None:
        world = World(database, sealing.keyring((), tmp_path), session_duration=60.0)
        with pytest.raises(RuntimeError, match="not today"):
            world.follow(fail)
        await world.refresh()

    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        asyncio.run(scenario(database))

    assert len(heard) == 1
