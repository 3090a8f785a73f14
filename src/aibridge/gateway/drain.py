"""The first look at the door: a gateway that is about to stop takes no new calls."""

from collections.abc import Callable

from aibridge.domain.errors import Draining
from aibridge.gateway.call import Call, Check

RETRY_AFTER = 2.0
"""Seconds: by then another replica, or the restarted process, answers."""


def stopping() -> Draining:
    """What a caller is told whom the stop concerns, whether its call was new or under way."""
    return Draining(
        "AI Bridge is shutting down. Please try again later.",
        "The gateway is being stopped or restarted; calls under way are given time to finish.",
        retry_after=RETRY_AFTER,
    )


def drain(draining: Callable[[], bool]) -> Check:
    """Refuse what comes after the gateway was told to stop. What is under way goes on."""

    def check(_: Call) -> Draining | None:
        return stopping() if draining() else None

    return check
