"""Whether to ask again, and when. Nothing is asked again unless the client was told to."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

LONGEST: Final = 60.0
"""Seconds that a client waits at most before it asks again; who is told to wait longer gets the error."""

_FIRST: Final = 0.25
"""Seconds before the first repetition where the server did not say; doubled for each one after it."""

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may arrive twice without harm (RFC 9110, 9.2.2)."""

_NOT_NOW: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Statuses of what was not begun, if the server says when to come back."""

_PASSING: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses of what may have been begun, and may end better next time."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds after which a response wants to be asked again (RFC 9110, 10.2.3); None where it does not say.

    `retry-after-ms` is the same in milliseconds, and more exact.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    return _until(text) if seconds is None else seconds


def wait_after_status(method: str, status: int, headers: Mapping[str, str], attempt: int) -> float | None:
    """Seconds to wait before asking again after a response, the `attempt`-th, from 0; None if asking is no use."""
    asked = retry_after(headers)
    if asked is not None and status in _NOT_NOW:
        return asked if asked <= LONGEST else None
    if status in _PASSING:
        return wait_after_failure(method, attempt)
    return None


def wait_after_failure(method: str, attempt: int) -> float | None:
    """Seconds to wait before asking again where no response came, the `attempt`-th time; None if that may do harm."""
    if method not in _IDEMPOTENT:
        return None
    # Spread, so that clients that failed together do not come back together.
    return float(min(_FIRST * 2**attempt, LONGEST) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdecimal() else None


def _until(text: str) -> float | None:
    """Seconds until a date of HTTP, none for one that has passed."""
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())
