"""Passwords at rest: argon2id with the parameters of RFC 9106's second choice, which is argon2-cffi's default.

A hash takes 64 MiB and a sixth of a second on every core it finds, by design. So it is made in a thread, two at once,
and only few may wait: who comes beyond that is told to come back, instead of everybody waiting for everybody. Each
process that serves has its own two.
"""

from base64 import b64encode
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aibridge.domain.errors import AtCapacity
from aibridge.domain.password import MAXIMUM_LENGTH, normalized

__all__ = ["AT_ONCE", "WAITING", "Passwords"]

T = TypeVar("T")

AT_ONCE = 2
"""Hashes at one time: 128 MiB."""
WAITING = 16
"""Callers that may wait for one of these, about 1.5 s for the last."""
_FIRST_GUESS = 0.2
"""Seconds a hash takes, until one was measured."""


class Passwords:
    """Hashes passwords and compares them. Made and used in one event loop.

    `clock` gives seconds of a steady clock; it measures how long a hash takes, to tell others how long to wait.
    """

    def __init__(
        self,
        hasher: PasswordHasher | None = None,
        *,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = _hash_of_nobody(self._hasher)
        self._threads = CapacityLimiter(at_once)
        self._at_once = at_once
        self._most = at_once + waiting
        self._present = 0
        self._clock = clock
        self._takes = _FIRST_GUESS

    async def hash(self, password: str) -> str:
        """What to store of a password, which `domain.password.objections` has nothing against.

        Raises:
            AtCapacity: too many passwords are being looked at; it says when to come back.
        """
        return await self._in_thread(lambda: self._hasher.hash(_bytes(password)))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether it is the password whose hash is stored.

        Without one (an unknown user, or one who signs in otherwise) the answer is no and takes as long to give, so that
        nobody learns from a clock who has an account.

        Raises:
            AtCapacity: too many passwords are being looked at; it says when to come back.
        """
        return await self._in_thread(lambda: self._matches(password, stored))

    def needs_rehash(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's: then hash the password again at a sign-in.

        Raises:
            ValueError: it is no hash of a password.
        """
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, password: str, stored: str | None) -> bool:
        given = _bytes(password)
        if stored is None or len(normalized(password)) > MAXIMUM_LENGTH or not _is_hash(self._hasher, stored):
            self._verifies(self._nobody, given)
            return False
        return self._verifies(stored, given)

    def _verifies(self, stored: str, given: bytes) -> bool:
        try:
            return self._hasher.verify(stored, given)
        except VerificationError:
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._present >= self._most:
            # The whole line, at the pace of the latest: when it is gone there is room.
            wait = self._takes * self._present / self._at_once
            raise AtCapacity.caller(
                f"{self._most} passwords are being looked at or wait for it, which is as many as may.", retry_after=wait
            )
        self._present += 1
        try:
            return await to_thread.run_sync(self._timed, work, limiter=self._threads)
        finally:
            self._present -= 1

    def _timed(self, work: Callable[[], T]) -> T:
        began = self._clock()
        try:
            return work()
        finally:
            self._takes = self._clock() - began


def _bytes(password: str) -> bytes:
    return normalized(password).encode("utf-8", "surrogatepass")


def _is_hash(hasher: PasswordHasher, stored: str) -> bool:
    try:
        hasher.check_needs_rehash(stored)
    except InvalidHashError:
        return False
    return True


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """A hash with today's parameters that no password has: comparing with it takes as long as with any other."""
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (b64encode(bytes(length)).decode().rstrip("=") for length in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v=19${costs}${salt}${digest}"
