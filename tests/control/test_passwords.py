"""Passwords at rest: what matches, what takes as long, and how many are looked at."""

import threading
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
from argon2 import PasswordHasher, extract_parameters

from aibridge.control.passwords import Passwords
from aibridge.domain.errors import AtCapacity

SECRET = "tr4verse-the-moor"


class Counting(PasswordHasher):
    """Cheap, and knows what it was asked to compare with."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{"time_cost": 1, "memory_cost": 64, "parallelism": 1} | parameters)
        self.compared: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        self.compared.append(hash if isinstance(hash, str) else hash.decode())
        return super().verify(hash, password)


class Held(PasswordHasher):
    """Hashes only once it is let."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.let = threading.Event()
        self.lock = threading.Lock()
        self.now = self.most = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.let.wait(30)
        with self.lock:
            self.now -= 1
        return super().hash(password, salt=salt)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    anyio.run(scenario)


def test_only_the_password_itself_matches() -> None:
    async def scenario() -> None:
        passwords = Passwords(Counting())
        stored = await passwords.hash(SECRET)

        assert SECRET not in stored
        assert stored != await passwords.hash(SECRET)
        assert await passwords.matches(SECRET, stored)
        for other in ("", SECRET[:-1], SECRET.upper(), f"{SECRET}\0", "\ud800", "x" * 100_000):
            assert not await passwords.matches(other, stored)

    run(scenario)


def test_the_parameters_are_those_of_the_library_unless_given() -> None:
    async def scenario() -> None:
        passwords = Passwords()
        stored = await passwords.hash(SECRET)
        parameters = extract_parameters(stored)

        assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert extract_parameters(passwords._nobody) == parameters
        assert await passwords.matches(SECRET, stored)

    run(scenario)


def test_one_password_typed_in_two_ways_is_one() -> None:
    async def scenario() -> None:
        passwords = Passwords(Counting())

        assert await passwords.matches("\u0041\u030angstrom", await passwords.hash("\u00c5ngstrom"))

    run(scenario)


@pytest.mark.parametrize("stored", [None, "", "junk"])
def test_where_there_is_no_password_comparing_costs_as_much(stored: str | None) -> None:
    async def scenario() -> None:
        hasher = Counting()
        passwords = Passwords(hasher)

        assert not await passwords.matches(SECRET, stored)
        (compared,) = hasher.compared
        assert extract_parameters(compared) == extract_parameters(await passwords.hash(SECRET))

    run(scenario)


def test_a_password_too_long_to_be_one_costs_as_much() -> None:
    async def scenario() -> None:
        hasher = Counting()
        passwords = Passwords(hasher)

        assert not await passwords.matches("y" * 65, hasher.hash("y" * 65))
        assert len(hasher.compared) == 1

    run(scenario)


def test_a_hash_with_other_parameters_is_to_be_made_again() -> None:
    async def scenario() -> None:
        stored = await Passwords(Counting()).hash(SECRET)
        stronger = Passwords(Counting(time_cost=2))

        assert not Passwords(Counting()).needs_rehash(stored)
        assert stronger.needs_rehash(stored)
        assert await stronger.matches(SECRET, stored)
        assert not stronger.needs_rehash(await stronger.hash(SECRET))

    run(scenario)


def test_few_are_looked_at_and_few_wait() -> None:
    async def scenario() -> None:
        hasher = Held()
        passwords = Passwords(hasher, at_once=2, waiting=3)
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(passwords.hash, SECRET)
                while hasher.now < 2:
                    await anyio.lowlevel.checkpoint()
                with pytest.raises(AtCapacity) as caught:
                    await passwords.hash(SECRET)
                hasher.let.set()
        finally:
            hasher.let.set()

        assert caught.value.detail.startswith("5 passwords are being looked at")
        assert caught.value.retry_after == pytest.approx(0.2 * 5 / 2)
        assert hasher.most == 2
        assert await passwords.hash(SECRET)

    run(scenario)


def test_how_long_to_wait_follows_from_how_long_a_hash_takes() -> None:
    async def scenario() -> None:
        times = iter([10.0, 13.0, 20.0, 21.0])
        hasher = Held()
        hasher.let.set()
        passwords = Passwords(hasher, at_once=1, waiting=0, clock=lambda: next(times))
        await passwords.hash(SECRET)
        hasher.let.clear()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(passwords.hash, SECRET)
                while not hasher.now:
                    await anyio.lowlevel.checkpoint()
                with pytest.raises(AtCapacity) as caught:
                    await passwords.hash(SECRET)
                hasher.let.set()
        finally:
            hasher.let.set()

        assert caught.value.retry_after == 3.0

    run(scenario)


def test_who_leaves_the_line_makes_room() -> None:
    async def scenario() -> None:
        hasher = Held()
        passwords = Passwords(hasher, at_once=1, waiting=1)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(passwords.hash, SECRET)
                while not hasher.now:
                    await anyio.lowlevel.checkpoint()
                with anyio.move_on_after(0.01) as gone:
                    await passwords.hash(SECRET)
                assert gone.cancelled_caught
                tasks.start_soon(passwords.hash, SECRET)
                await anyio.wait_all_tasks_blocked()
                hasher.let.set()
        finally:
            hasher.let.set()

    run(scenario)
