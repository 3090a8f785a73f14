"""Tokens that signing in made: they go on while they are used, and leave nothing behind.

Instants are UTC microseconds.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, bindparam, or_

from aibridge.domain.token import TokenKind
from aibridge.store import changes, schema

RENEWED_EVERY = 3_600_000_000
"""Microseconds after which use makes a session longer again."""

_TOKENS = schema.tokens.c
_SLIDE = (
    schema.tokens.update()
    .where(
        _TOKENS.id == bindparam("token_id"),
        _TOKENS.kind == TokenKind.SESSION.value,
        _TOKENS.revoked_at.is_(None),
        _TOKENS.expires_at < bindparam("short_of"),
    )
    .values(expires_at=bindparam("until"))
)


def sweep(connection: Connection, before: int) -> int:
    """Delete the sessions that expired or were revoked before an instant; answers how many.

    Tokens' rows stay, since records of calls name them.
    """
    over = and_(_TOKENS.kind == TokenKind.SESSION, or_(_TOKENS.expires_at < before, _TOKENS.revoked_at < before))
    swept = connection.execute(schema.tokens.delete().where(over)).rowcount
    if swept:
        changes.note(connection)
    return swept


def slide(connection: Connection, uses: Iterable[tuple[str, int]], duration: float) -> None:
    """Let sessions go on for `duration` seconds from their last use, given as pairs of token id and instant.

    One that was made longer within the last hour, or a tenth of its duration, is left alone: not every use writes.
    """
    length = round(duration * 1e6)
    grain = min(RENEWED_EVERY, length // 10)
    rows = [{"token_id": name, "until": at + length, "short_of": at + length - grain} for name, at in uses]
    if rows and connection.execute(_SLIDE, rows).rowcount:
        changes.note(connection)
