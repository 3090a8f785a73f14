"""Who goes first where callers wait: people before batch jobs."""

from enum import StrEnum

_BATCH = b"batch"


class Priority(StrEnum):
    """What the calls of a token are."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """Nobody does: these calls go when no other waits."""
    CHOSEN = "chosen"
    """Trusted to say so for each call, in the header X-AI-Bridge-Priority; interactive where it says nothing."""


def is_batch(priority: Priority, header: bytes | None) -> bool:
    """Whether a call goes when no other waits: `header` is what it says of itself, `interactive` or `batch`.

    Only a trusted token's word counts: were it heeded from others, all would be interactive.
    """
    if priority is Priority.CHOSEN:
        return header is not None and header.strip().lower() == _BATCH
    return priority is Priority.BATCH
