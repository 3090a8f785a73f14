"""One value per key, for keys that strangers may invent: never more than a maximum, and nobody forgiven by eviction."""

from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

PROBES: Final = 16
"""How many values are asked, at most, whether they are idle before a new key has to share."""


class Keyed(Generic[K, V]):
    """A value for each of at most `maximum` keys, made by `make` when a key is first seen.

    When all places are taken, a new key takes the place of a value that is `idle`: one whose loss changes no later
    decision. The next `PROBES` places in turn are asked, so a look-up costs constant time. When all of these are busy,
    the new key shares one overflow value with all others in its position, until a place is found for it, where it
    starts afresh. So a flood of keys cannot push out a busy one, and while it lasts its keys together get what one key
    gets. `moved` is called before a value loses its place or is shared: what has been looked up by now, or
    is being, may be another value the next time.
    """

    __slots__ = ("_hand", "_idle", "_keys", "_make", "_maximum", "_moved", "_overflow", "_values")

    def __init__(
        self,
        make: Callable[[], V],
        idle: Callable[[V, float], bool],
        maximum: int,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        if maximum < 1:
            raise ValueError(f"maximum must be at least 1, not {maximum}")
        self._make = make
        self._idle = idle
        self._maximum = maximum
        self._moved = moved
        self._values: dict[K, V] = {}
        self._keys: list[K] = []  # the places in turn, as on the face of a clock
        self._hand = 0
        self._overflow = make()

    def get(self, key: K, now: float) -> V:
        """The value of `key`, which may be new."""
        value = self._values.get(key)
        return value if value is not None else self._place(key, now)

    def known(self, key: K) -> V | None:
        """The value of `key` if it has a place; looking changes nothing."""
        return self._values.get(key)

    def keys(self) -> list[K]:
        """The keys that have a place now."""
        return list(self._keys)

    def values(self) -> Iterator[V]:
        """Every value there is, also that of the keys without a place."""
        yield from self._values.values()
        yield self._overflow

    def __len__(self) -> int:
        return len(self._values)

    def _place(self, key: K, now: float) -> V:
        if len(self._keys) < self._maximum:
            self._keys.append(key)
        elif self._free_hand(now):
            self._moved()
            del self._values[self._keys[self._hand]]
            self._keys[self._hand] = key
        else:
            self._moved()
            return self._overflow
        value = self._values[key] = self._make()
        return value

    def _free_hand(self, now: float) -> bool:
        """Turn the hand to the next place whose value is idle, if there is one within reach."""
        for _ in range(min(PROBES, self._maximum)):
            self._hand = (self._hand + 1) % self._maximum
            if self._idle(self._values[self._keys[self._hand]], now):
                return True
        return False
