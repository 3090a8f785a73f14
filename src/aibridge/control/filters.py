"""What the listing of interceptions may be asked: `q=key:value …`, or the same keys as parameters of their own.

    q=provider:anthropic client:"Claude Code" started_after:2026-11-01T00:00:00Z
    provider=anthropic&client=Claude+Code&started_after=2026-11-01T00:00:00Z

A value with spaces stands in double quotes within `q`; a value cannot contain one there. Each key counts once.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from aibridge.control.errors import InvalidQuery, Validation
from aibridge.domain.actor import Actor
from aibridge.domain.errors import BadRequest
from aibridge.overload.caller import SESSION_TOKEN
from aibridge.store.interceptions import Query

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
_LARGEST_OFFSET = 2**31 - 1

_FILTERS = ("initiator", "provider", "model", "client", "started_after", "started_before")
_PARAMETERS = ("q", *_FILTERS, "limit", "after_id", "offset")
_TERM = re.compile(r'\s*([^\s:"]+):(?:"([^"]*)"|([^\s"]*))(?=\s|$)')
_DIGITS = re.compile(r"[0-9]{1,10}")
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def query_of(parameters: Iterable[tuple[str, str]], actor: Actor) -> Query:
    """What an actor asks for, of what it may see. Empty parameters are as if they were not there.

    Raises:
        InvalidQuery: it names every parameter that cannot be understood.
        BadRequest: both ways of paging at once.
    """
    reading = _Reading()
    for name, value in parameters:
        if name == "q":
            reading.terms(value)
        elif value and name != SESSION_TOKEN:
            reading.take(name, value, _PARAMETERS)
    initiator = reading.values.get("initiator")
    query = Query(
        visible_to=None if actor.is_owner else actor.id,
        initiator=actor.id if initiator == "me" else initiator,
        provider=reading.values.get("provider"),
        model=reading.values.get("model"),
        client=reading.values.get("client"),
        started_after=reading.instant("started_after"),
        started_before=reading.instant("started_before"),
        limit=reading.integer("limit", 1, LARGEST_LIMIT, DEFAULT_LIMIT),
        offset=reading.integer("offset", 0, _LARGEST_OFFSET, 0),
        after_id=reading.values.get("after_id"),
    )
    if reading.problems:
        raise InvalidQuery(reading.problems)
    if query.after_id is not None and query.offset:
        raise BadRequest("Cannot use both after_id and offset pagination in the same request.")
    return query


class _Reading:
    """The values found so far, and what was wrong on the way."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.problems: list[Validation] = []

    def take(self, name: str, value: str, allowed: tuple[str, ...]) -> None:
        if name not in allowed:
            self._blame(name, f"is not known here; allowed are {', '.join(allowed)}")
        elif name in self.values:
            self._blame(name, "is given more than once")
        else:
            self.values[name] = value

    def terms(self, text: str) -> None:
        text = text.strip()
        end = 0
        while end < len(text):
            term = _TERM.match(text, end)
            if term is None:
                rest = text[end : end + 40].strip()
                self._blame("q", f'expected key:value or key:"value with spaces" at {rest!r}')
                return
            end = term.end()
            name, quoted, plain = term.groups()
            if value := quoted or plain:
                self.take(name, value, _FILTERS)
            else:
                self._blame(name, "has no value")

    def integer(self, name: str, least: int, most: int, default: int) -> int:
        text = self.values.get(name)
        if text is None:
            return default
        if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
            self._blame(name, f"must be a whole number from {least} to {most}")
            return default
        return int(text)

    def instant(self, name: str) -> int | None:
        """UTC microseconds of an RFC 3339 time."""
        text = self.values.get(name)
        if text is None:
            return None
        try:
            moment: datetime = msgspec.convert(text, _Instant)
        except msgspec.ValidationError:
            self._blame(name, "must be a time as in RFC 3339, like 2026-11-01T00:00:00Z (in a URL, + is written %2B)")
            return None
        return (moment - EPOCH) // timedelta(microseconds=1)

    def _blame(self, name: str, detail: str) -> None:
        self.problems.append(Validation(field=name, detail=detail))
