"""Organizations."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge.contract.organizations import (
    CreateOrganizationRequest,
    Organization,
    OrganizationsResponse,
    UpdateOrganizationRequest,
)
from aibridge.contract.shapes import Page
from aibridge.control.ask import Ask, Handler
from aibridge.control.errors import Conflicting
from aibridge.control.instants import instant
from aibridge.control.paging import cursor, paged
from aibridge.domain.permission import Action, Resource
from aibridge.domain.roles import ORGANIZATION_ADMIN
from aibridge.store import members, organizations, users
from aibridge.store import organizations as stored

_Ask = Ask[Any, Any]
_EVERYBODY = 1_000_000
"""Members of one organization: more than there ever are."""


def organization_view(organization: stored.Organization) -> Organization:
    """An organization as the API shows it."""
    return Organization(
        id=organization.id,
        name=organization.name,
        display_name=organization.display_name,
        description=organization.description,
        icon=organization.icon,
        is_default=organization.is_default,
        created_at=instant(organization.created_at),
        updated_at=instant(organization.updated_at),
    )


def _organizations(ask: Ask[Page, None], connection: Connection) -> OrganizationsResponse:
    sight = ask.sight(Resource.ORGANIZATION)
    ids = None if sight.everything else tuple(sorted(sight.organizations))
    with cursor():
        page = organizations.page(connection, stored.Query(ids=ids, **paged(ask.query)))
    return OrganizationsResponse(organizations=[organization_view(one) for one in page.organizations], count=page.count)


def _create(ask: Ask[None, CreateOrganizationRequest], connection: Connection) -> Organization:
    wanted = ask.body
    made = organizations.insert(
        connection,
        name=wanted.name,
        display_name=wanted.display_name,
        description=wanted.description,
        icon=wanted.icon,
        now=ask.now,
    )
    roles = (ORGANIZATION_ADMIN.within(made.id),)
    members.add(connection, made.id, ask.caller.id, roles=roles, now=ask.now)
    _record(ask, connection, Action.CREATE, after=made)
    return organization_view(made)


def _one(ask: _Ask, _: Connection) -> Organization:
    return organization_view(ask.things.organization)


def _update(ask: Ask[None, UpdateOrganizationRequest], connection: Connection) -> Organization:
    before = ask.things.organization
    given = {name: value for name, value in msgspec.structs.asdict(ask.body).items() if value is not msgspec.UNSET}
    after = organizations.update(connection, before.id, **given, now=ask.now)
    _record(ask, connection, Action.UPDATE, before=before, after=after)
    return organization_view(after)


def _delete(ask: _Ask, connection: Connection) -> None:
    organization = ask.things.organization
    # Whoever is in no organization cannot sign in: with their last one, those would go who look after the site.
    for user in users.page(connection, users.Query(organization_id=organization.id, limit=_EVERYBODY)).users:
        if user.roles and user.organization_ids == (organization.id,):
            raise Conflicting(f"{user.username!r} has a role of the site, and would be in no organization.")
    organizations.delete(connection, organization.id, now=ask.now)
    _record(ask, connection, Action.DELETE, before=ask.things.organization)


def _record(
    ask: _Ask,
    connection: Connection,
    action: Action,
    *,
    before: stored.Organization | None = None,
    after: stored.Organization | None = None,
) -> None:
    for organization in (after or before,):
        if organization is not None:
            ask.record(
                connection,
                action,
                Resource.ORGANIZATION,
                id=str(organization.id),
                name=organization.name,
                organization_id=organization.id,
                before=None if before is None else organization_view(before),
                after=None if after is None else organization_view(after),
            )


HANDLERS: Mapping[str, Handler] = {
    "organizations": _organizations,
    "create_organization": _create,
    "organization": _one,
    "update_organization": _update,
    "delete_organization": _delete,
}
