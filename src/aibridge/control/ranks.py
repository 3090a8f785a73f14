"""Who may give which roles, and change whom: what the permission to do so leaves open."""

import contextlib
import uuid
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection

from aibridge.control.ask import Ask
from aibridge.domain.authorize import Object, authorize, beyond
from aibridge.domain.errors import Forbidden
from aibridge.domain.permission import PAIRS, Action, Pair, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import MEMBER, ORGANIZATION_MEMBER, may_assign, may_manage
from aibridge.domain.scope import EVERYTHING, narrower
from aibridge.store import custom_roles, subjects

_EVERYBODYS = frozenset((MEMBER.name, ORGANIZATION_MEMBER.name))


def require_rank(ask: Ask[Any, Any], connection: Connection, user_id: str) -> None:
    """Refuse to change somebody who holds a role that the caller could not give them.

    Else whoever may set passwords could sign in as an owner, and whoever makes tokens for service accounts could do
    what the strongest of them may.

    Raises:
        Forbidden: they hold one.
    """
    theirs = [role for role in subjects.subject_of(connection, user_id).roles if role.name not in _EVERYBODYS]
    if not may_manage(ask.caller.subject.roles, theirs):
        beyond = ", ".join(str(role) for role in sorted(theirs) if not may_assign(ask.caller.subject.roles, role))
        raise Forbidden("You are not allowed to change this user.", f"They hold roles that you may not give: {beyond}.")


def require_giving(  # noqa: PLR0913 (who, where, and what they hold and shall hold)
    ask: Ask[Any, Any],
    connection: Connection,
    resource: Resource,
    what: Object,
    *,
    before: Iterable[RoleIdentifier],
    after: Iterable[RoleIdentifier],
) -> None:
    """Refuse to give, or take, a role that is not the caller's to give; or to give more than the caller may do.

    Raises:
        Forbidden: it names the first such role.
    """
    held: Collection[RoleIdentifier] = ask.caller.subject.roles
    old, new = frozenset(before), frozenset(after)
    for role in sorted(new ^ old):
        if not may_assign(held, role):
            raise Forbidden(
                "You are not allowed to do this.", f"The role {role} is not yours to give or to take, or there is none."
            )
    for custom in custom_roles.of(connection, new - old):
        if beyond(ask.caller.subject, custom):
            detail = f"The role {custom.identifier} grants what you may not do there."
            raise Forbidden("You are not allowed to do this.", detail)
    if old - new:
        ask.require(Action.UNASSIGN, Object(resource=resource, organization_id=what.organization_id, id=what.id))


@contextlib.contextmanager
def no_rise(ask: Ask[Any, Any], connection: Connection, organization_id: uuid.UUID | None) -> Iterator[None]:
    """While the block changes roles: refuse what lets the caller do more there than before. Nobody raises themselves.

    So a role that denies something is not for those to change whom it denies it.

    Raises:
        Forbidden: it names the first thing that they could do now.
    """

    def allowed() -> set[Pair]:
        subject = subjects.subject_of(connection, ask.caller.id, ask.caller.subject.scope)
        place = {pair: Object(resource=pair[0], organization_id=organization_id) for pair in PAIRS}
        return {(resource, action) for (resource, action), what in place.items() if authorize(subject, action, what)}

    before = allowed()
    yield
    for resource, action in sorted(allowed() - before):
        raise Forbidden("You are not allowed to do this.", f"It would let yourself do {resource}:{action}.")


def require_unbounded(ask: Ask[Any, Any]) -> None:
    """Refuse what leads to a session, which has no bounds, to whoever came with a token that has some.

    Raises:
        Forbidden: they did.
    """
    if not narrower(ask.caller.subject.scope, EVERYTHING):
        raise Forbidden(
            "You are not allowed to do this.",
            "It would lead to a session without bounds, and the token that you came with has a scope or a list.",
        )
