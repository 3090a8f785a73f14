"""The first user of all, made in the database that a server will open."""

import asyncio
from collections.abc import Mapping

import click

from aibridge.cli.database import now, opened
from aibridge.contract.apikeys import GeneratedToken
from aibridge.control.passwords import Passwords
from aibridge.domain.password import objections
from aibridge.store import audit, first_owner, users

_TOKEN_NAME = "first"  # noqa: S105 -- a name
_WHO = audit.Who(actor_name="command line")
"""Who did it, for the audit log: somebody at the machine, who could do anything."""


def make_first_user(
    flags: Mapping[str, str | None], *, username: str, email: str | None, name: str, password: str | None
) -> GeneratedToken:
    """Make an owner and a token for them, both or neither, while there is no user.

    Args:
        flags: where the data is.
        username: what they are called.
        email: their address, if any.
        name: their full name, may be empty.
        password: what they sign in with, None if they do not.

    Raises:
        click.ClickException: there is a user already, something is not allowed, or the database cannot be used.
    """
    password_hash = None if password is None else _hash(password, username, email)
    with opened(flags) as database, database.writing() as connection:
        if users.count(connection):
            raise click.ClickException(
                "there is a user already, so --first makes no other: sign in with `aibridge login`, and leave it out"
            )
        minted = first_owner.insert(
            connection,
            _WHO,
            username=username,
            token_name=_TOKEN_NAME,
            email=email,
            name=name,
            password_hash=password_hash,
            now=now(),
        )
    return GeneratedToken(key=minted.text, id=minted.id, expires_at=None)


def _hash(password: str, username: str, email: str | None) -> str:
    wrong = objections(password, username=username, email=email or "")
    if wrong:
        raise click.UsageError(f"--password-stdin: {' '.join(wrong)}")

    async def hashed() -> str:
        return await Passwords().hash(password)

    return asyncio.run(hashed())
