"""Roles: which there are and what they grant; those that organizations make; and what the caller may do."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge.contract.roles import (
    AssignableRole,
    AuthorizationRequest,
    CreateCustomRoleRequest,
    UpdateCustomRoleRequest,
)
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.errors import InvalidBody, Validation
from aibridge.control.ranks import no_rise
from aibridge.domain.authorize import Object, beyond
from aibridge.domain.errors import Forbidden
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import ORGANIZATION_ROLES, SITE_ROLES, CustomRole, may_assign
from aibridge.store import custom_roles
from aibridge.store.custom_roles import StoredRole
from aibridge.store.names import SELF
from aibridge.store.paging import Paging

_Ask = Ask[Any, Any]
_EVERY = Paging(limit=10_000)


def _site_roles(ask: _Ask, _: Connection) -> list[AssignableRole]:
    gives = ask.may(Action.ASSIGN, Object(resource=Resource.ASSIGN_ROLE))
    return [
        AssignableRole(
            name=role.identifier,
            display_name=role.display_name,
            assignable=gives and may_assign(ask.caller.subject.roles, role.identifier),
            built_in=True,
            site_permissions=list(role.everywhere),
            user_permissions=list(role.own),
        )
        for role in SITE_ROLES.values()
    ]


def _organization_roles(ask: _Ask, connection: Connection) -> list[AssignableRole]:
    organization_id = ask.things.organization.id
    made = custom_roles.page(connection, organization_id, _EVERY).roles
    return [*_built_in(ask, organization_id), *(_view(ask, stored) for stored in made)]


def _built_in(ask: _Ask, organization_id: uuid.UUID) -> Iterator[AssignableRole]:
    for role in ORGANIZATION_ROLES.values():
        identifier = role.within(organization_id)
        yield AssignableRole(
            name=identifier,
            display_name=role.display_name,
            assignable=_gives(ask, identifier),
            built_in=True,
            organization_permissions=list(role.permissions),
        )


def _create(ask: Ask[None, CreateCustomRoleRequest], connection: Connection) -> AssignableRole:
    role = _role(ask, ask.body.name, ask.body.organization_permissions)
    made = custom_roles.insert(connection, role, display_name=ask.body.display_name, now=ask.now)
    _record(ask, connection, Action.CREATE, after=made)
    return _view(ask, made)


def _update(ask: Ask[None, UpdateCustomRoleRequest], connection: Connection) -> AssignableRole:
    before, wanted = ask.things.role, ask.body
    permissions = list(before.role.permissions)
    if wanted.organization_permissions is not msgspec.UNSET:
        permissions = wanted.organization_permissions
    role = _role(ask, before.role.identifier.name, permissions)
    display_name = None if wanted.display_name is msgspec.UNSET else wanted.display_name
    with no_rise(ask, connection, role.identifier.organization_id):
        after = custom_roles.update(connection, role, display_name=display_name, now=ask.now)
    _record(ask, connection, Action.UPDATE, before=before, after=after)
    return _view(ask, after)


def _delete(ask: _Ask, connection: Connection) -> None:
    gone = ask.things.role.role.identifier
    with no_rise(ask, connection, gone.organization_id):
        custom_roles.delete(connection, gone, now=ask.now)
    _record(ask, connection, Action.DELETE, before=ask.things.role)


async def _check(ask: Ask[None, AuthorizationRequest]) -> dict[str, bool]:
    """It changes nothing, though it is a POST: it must not wait for those who write, nor keep them waiting."""
    return {
        name: ask.may(
            check.action,
            Object(
                resource=check.object.resource,
                organization_id=check.object.organization_id,
                owner_id=ask.caller.id if check.object.owner_id == SELF else check.object.owner_id,
                id=check.object.id,
            ),
        )
        for name, check in ask.body.checks.items()
    }


def _role(ask: _Ask, name: str, permissions: list[Permission]) -> CustomRole:
    """The role that is asked for, if it is one and the caller's to make."""
    try:
        identifier = RoleIdentifier(name, ask.things.organization.id)
    except ValueError as error:
        raise InvalidBody([Validation(field="name", detail=str(error))]) from None
    try:
        role = CustomRole(identifier=identifier, permissions=tuple(permissions))
    except ValueError as error:
        field = "organization_permissions" if "beyond an organization" in str(error) else "name"
        raise InvalidBody([Validation(field=field, detail=str(error))]) from None
    excess = beyond(ask.caller.subject, role)
    if excess:
        listed = ", ".join(f"{resource}:{action}" for resource, action in excess)
        raise Forbidden("You are not allowed to do this.", f"The role would grant what you may not do here: {listed}.")
    return role


def _gives(ask: _Ask, role: RoleIdentifier) -> bool:
    place = Object(resource=Resource.ASSIGN_ORG_ROLE, organization_id=role.organization_id)
    return ask.may(Action.ASSIGN, place) and may_assign(ask.caller.subject.roles, role)


def _view(ask: _Ask, stored: StoredRole) -> AssignableRole:
    return AssignableRole(
        name=stored.role.identifier,
        display_name=stored.display_name,
        assignable=_gives(ask, stored.role.identifier),
        built_in=False,
        organization_permissions=list(stored.role.permissions),
    )


def _record(
    ask: _Ask,
    connection: Connection,
    action: Action,
    *,
    before: StoredRole | None = None,
    after: StoredRole | None = None,
) -> None:
    name = ask.body.name if ask.endpoint.method == "POST" else ask.things.role.role.identifier.name
    ask.record(
        connection,
        action,
        Resource.ASSIGN_ORG_ROLE,
        id=name,
        name=name,
        organization_id=ask.things.organization.id,
        before=None if before is None else _logged(before),
        after=None if after is None else _logged(after),
    )


def _logged(stored: StoredRole) -> dict[str, object]:
    return {"display_name": stored.display_name, "permissions": [str(one) for one in stored.role.permissions]}


HANDLERS: Mapping[str, Handler | AsyncHandler] = {
    "site_roles": _site_roles,
    "organization_roles": _organization_roles,
    "create_organization_role": _create,
    "update_organization_role": _update,
    "delete_organization_role": _delete,
    "check_authorization": _check,
}
