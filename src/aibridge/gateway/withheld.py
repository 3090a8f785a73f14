"""An answer that is kept from the client, in case another attempt gets a better one."""

from collections.abc import Callable

from aibridge.domain.errors import UpstreamFailed

MOST_KEPT = 64 * 1024
"""Bytes of a body that are kept; an error is never so long, and what is longer goes to the client."""
BETTERED = frozenset((502, 503, 529))
"""What a provider answers when it did not take the call: another attempt cannot do the work twice.

Not 429: that one is for the client, with its hint, since only the client can ask for less. Not 500 or 504: the work may
have been done.
"""


class Withheld(UpstreamFailed):
    """The provider's refusal, whole and unsent. `begin` gives its head to the reply."""

    code = "upstream_failed"

    def __init__(self, answered: int, retry_after: bytes | None, begin: Callable[[], None]) -> None:
        super().__init__(f"The provider answered {answered}.")
        self.answered = answered
        self.retry_after_header = retry_after
        self.begin = begin
        self._parts: list[bytes] = []
        self._size = 0

    def keeps(self, part: bytes) -> bool:
        """Keep the next bytes of the body; false when that would be too many."""
        self._size += len(part)
        if self._size > MOST_KEPT:
            return False
        self._parts.append(part)
        return True

    @property
    def body(self) -> bytes:
        """What was kept."""
        return b"".join(self._parts)
