"""Setting a password: one's own, with the old one; or somebody else's, whom one may change."""

from collections.abc import Mapping
from time import monotonic

from sqlalchemy import Connection

from aibridge.contract.users import UpdateUserPasswordRequest
from aibridge.control.ask import Ask, AsyncHandler
from aibridge.control.errors import Conflicting, InvalidBody, Validation
from aibridge.control.ranks import require_rank, require_unbounded
from aibridge.control.users import check_password, record
from aibridge.domain.errors import RateLimited
from aibridge.domain.token import TokenKind
from aibridge.store import tokens, users


async def _update_user_password(ask: Ask[None, UpdateUserPasswordRequest]) -> None:
    user, own = ask.things.user, ask.things.user.id == ask.caller.id
    require_unbounded(ask)
    known = await ask.reading(lambda connection: users.password_hash(connection, user.id))
    if own and known is not None:
        await _check_old_password(ask, known)
    check_password(ask.body.password, user.username, user.email)
    fresh = await ask.world.passwords.hash(ask.body.password)

    def change(connection: Connection) -> None:
        if not own:
            require_rank(ask, connection, user.id)
        elif users.password_hash(connection, user.id) != known:
            raise Conflicting("The password was changed in the meantime.", "old_password")
        users.set_password(connection, user.id, fresh)
        kept = ask.caller.actor.token_id if own else None
        tokens.revoke_all(connection, user.id, kind=TokenKind.SESSION, except_id=kept, now=ask.now)
        record(ask, connection, "set_password", before=user, after=users.one(connection, user.id))

    await ask.writing(change)


async def _check_old_password(ask: Ask[None, UpdateUserPasswordRequest], known: str) -> None:
    """A session that was left open is no reason to let somebody in for good, nor a way to guess at the password."""
    throttle, place = ask.world.throttle, (ask.origin.address, ask.things.user.id)
    rejection = throttle.attempt(*place, monotonic())
    if rejection is not None:
        raise RateLimited("Too many attempts. Please try again later.", rejection=rejection)
    try:
        right = await ask.world.passwords.matches(ask.body.old_password or "", known)
    except BaseException:
        throttle.unused(*place, monotonic())
        raise
    if not right:
        raise InvalidBody([Validation(field="old_password", detail="Old password is incorrect.")])
    throttle.succeeded(*place, monotonic())


HANDLERS: Mapping[str, AsyncHandler] = {"update_user_password": _update_user_password}
