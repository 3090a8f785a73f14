"""Who may give which roles, and change whom: what the permission to do so leaves open."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection

from aibridge.control.ask import Ask
from aibridge.domain.authorize import Object
from aibridge.domain.errors import Forbidden
from aibridge.domain.permission import Action, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import MEMBER, may_assign, may_manage
from aibridge.store import subjects


def require_rank(ask: Ask[Any, Any], connection: Connection, user_id: str) -> None:
    """Refuse to change somebody who holds a role that the caller could not give them.

    Else whoever may set passwords could sign in as an owner.

    Raises:
        Forbidden: they hold one.
    """
    theirs = subjects.subject_of(connection, user_id).roles - {MEMBER.identifier}  # everybody is one
    if not may_manage(ask.caller.subject.roles, theirs):
        beyond = ", ".join(str(role) for role in sorted(theirs) if not may_assign(ask.caller.subject.roles, role))
        raise Forbidden("You are not allowed to change this user.", f"They hold roles that you may not give: {beyond}.")


def require_giving(
    ask: Ask[Any, Any],
    resource: Resource,
    what: Object,
    before: Iterable[RoleIdentifier],
    after: Iterable[RoleIdentifier],
) -> None:
    """Refuse to give, or take, a role that is not the caller's to give.

    Raises:
        Forbidden: it names the first such role.
    """
    held: Collection[RoleIdentifier] = ask.caller.subject.roles
    old, new = frozenset(before), frozenset(after)
    for role in sorted(new ^ old):
        if not may_assign(held, role):
            raise Forbidden("You are not allowed to do this.", f"The role {role} is not yours to give or to take.")
    if old - new:
        ask.require(Action.UNASSIGN, Object(resource=resource, organization_id=what.organization_id, id=what.id))
