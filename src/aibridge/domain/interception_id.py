"""Names for recorded calls."""

from functools import lru_cache


def interception_id(instant: int, randomness: int) -> str:
    """A new id: a UUID of version 7 (RFC 9562, 5.7), so that ids sort by time and no database has to hand them out.

    `instant` is in UTC microseconds; `randomness` is at least 74 random bits, for example `random.getrandbits(74)`:
    ids have to be unique, not secret.
    """
    digits = "%03x%016x" % (randomness >> 62 & 0xFFF, 1 << 63 | randomness & (1 << 62) - 1)  # noqa: UP031 (cheaper than an f-string)
    return f"{_beginning(instant // 1000)}{digits[:3]}-{digits[3:7]}-{digits[7:]}"


@lru_cache(maxsize=8)
def _beginning(milliseconds: int) -> str:
    """What the ids of a millisecond begin with: many are made in one, when there is much to do."""
    return f"{milliseconds >> 16 & 0xFFFFFFFF:08x}-{milliseconds & 0xFFFF:04x}-7"
