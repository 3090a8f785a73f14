"""Names for recorded calls."""

from random import getrandbits
from typing import Final

_MOST_IN_A_MILLISECOND: Final = 1 << 12
_COUNTS: Final = tuple([f"{count:03x}" for count in range(_MOST_IN_A_MILLISECOND)])
"""The numbers of a millisecond's ids, written out once."""


class InterceptionIds:
    """Ids for the calls of one process, no two alike; up to 4096 of a millisecond sort as they are handed out.

    The twelve bits behind the time count, from 0 in each millisecond, and the other 62 are drawn anew for it, and for
    each 4096 (RFC 9562, 6.2, method 1): cheaper than to draw all 74 for each id.
    """

    def __init__(self) -> None:
        self._millisecond = -1
        self._count = 0
        self._beginning = ""
        self._end = ""

    def next(self, instant: int) -> str:
        """An id for a call that begins at `instant`, in UTC microseconds."""
        self._count += 1
        millisecond = instant // 1000
        if millisecond != self._millisecond or self._count == _MOST_IN_A_MILLISECOND:
            self._begin(millisecond)
        return f"{self._beginning}{_COUNTS[self._count]}{self._end}"

    def _begin(self, millisecond: int) -> None:
        self._millisecond = millisecond
        self._count = 0
        self._beginning = _beginning(millisecond)
        self._end = _end(getrandbits(62))


def interception_id(instant: int, randomness: int) -> str:
    """A new id: a UUID of version 7 (RFC 9562, 5.7), so that ids sort by time and no database has to hand them out.

    `instant` is in UTC microseconds; `randomness` is at least 74 random bits, for example `random.getrandbits(74)`:
    ids have to be unique, not secret.
    """
    return f"{_beginning(instant // 1000)}{_COUNTS[randomness >> 62 & 0xFFF]}{_end(randomness & (1 << 62) - 1)}"


def _beginning(milliseconds: int) -> str:
    return "%08x-%04x-7" % (milliseconds >> 16 & 0xFFFFFFFF, milliseconds & 0xFFFF)  # noqa: UP031 (cheaper than an f-string)


def _end(randomness: int) -> str:
    digits = "%016x" % (1 << 63 | randomness)
    return f"-{digits[:4]}-{digits[4:]}"
