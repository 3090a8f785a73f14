"""What a limiter says when it says no, and what it is told about how a call ended."""

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """How a call ended, for those who learn from it.

    IGNORED is everything that teaches nothing about the work: the client left, the request was bad, or another limit
    refused it further in. It is what a cancellation leaves behind.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


@dataclass(init=False, slots=True)  # a generated `__init__` is interpreted, wherever this is compiled
class Rejection:
    """No, for now.

    `limit` is the name of the limit that said so. `allowed` is how much it allows: calls (or their cost) per `window`
    seconds, or, with a window of 0, permits held at one time. `retry_after` is in seconds and exact, without jitter;
    `retry.hint` makes of it what goes on the wire.
    """

    limit: str
    allowed: float
    window: float
    retry_after: float

    def __init__(self, limit: str, allowed: float, window: float, retry_after: float) -> None:
        self.limit = limit
        self.allowed = allowed
        self.window = window
        self.retry_after = retry_after
