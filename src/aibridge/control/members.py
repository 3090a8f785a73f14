"""Who belongs to an organization, and which roles they hold in it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aibridge.contract.organizations import (
    OrganizationMember,
    OrganizationMembersResponse,
    UpdateMemberRolesRequest,
)
from aibridge.contract.shapes import Page
from aibridge.control.ask import Ask, Handler
from aibridge.control.errors import Conflicting, NotFound
from aibridge.control.instants import instant
from aibridge.control.paging import cursor, paged
from aibridge.control.ranks import no_rise, require_giving
from aibridge.domain.authorize import Object
from aibridge.domain.permission import Action, Resource
from aibridge.store import members
from aibridge.store import members as stored

_Ask = Ask[Any, Any]


def _view(member: stored.Member) -> OrganizationMember:
    return OrganizationMember(
        organization_id=member.organization_id,
        user_id=member.user_id,
        username=member.username,
        name=member.name,
        email=member.email,
        roles=list(member.roles),
        created_at=instant(member.created_at),
        updated_at=instant(member.updated_at),
    )


def _list(ask: Ask[Page, None], connection: Connection) -> OrganizationMembersResponse:
    organization_id = ask.things.organization.id
    if not ask.sight(Resource.ORGANIZATION_MEMBER).everything:
        try:
            own = [_view(members.one(connection, organization_id, ask.caller.id))]
        except LookupError:  # since the snapshot was taken
            raise NotFound from None
        return OrganizationMembersResponse(members=own, count=len(own))
    with cursor():
        page = members.page(connection, organization_id, stored.Query(**paged(ask.query)))
    return OrganizationMembersResponse(members=[_view(member) for member in page.members], count=page.count)


def _one(ask: _Ask, _: Connection) -> OrganizationMember:
    return _view(_member(ask))


def _add(ask: _Ask, connection: Connection) -> OrganizationMember:
    added = members.add(connection, ask.things.organization.id, ask.things.user.id, now=ask.now)
    _record(ask, connection, Action.CREATE, after=added)
    return _view(added)


def _remove(ask: _Ask, connection: Connection) -> None:
    member = _member(ask)
    theirs = Object(resource=Resource.ASSIGN_ORG_ROLE, organization_id=member.organization_id, id=member.user_id)
    if member.user_id != ask.caller.id:
        # Whoever is in no organization cannot sign in: who holds a role of the site is not for others to shut out.
        held = (*member.roles, *ask.things.user.roles)
        require_giving(ask, connection, Resource.ASSIGN_ORG_ROLE, theirs, before=held, after=())
    elif ask.things.user.organization_ids == (member.organization_id,):
        raise Conflicting("You would be in no organization, and could not sign in.", "user")
    members.remove(connection, member.organization_id, member.user_id, now=ask.now)
    _record(ask, connection, Action.DELETE, before=member)


def _update_roles(ask: Ask[None, UpdateMemberRolesRequest], connection: Connection) -> OrganizationMember:
    before = _member(ask)
    what = Object(resource=Resource.ASSIGN_ORG_ROLE, organization_id=before.organization_id, id=before.user_id)
    wanted = ask.body.roles
    require_giving(ask, connection, Resource.ASSIGN_ORG_ROLE, what, before=before.roles, after=wanted)
    with no_rise(ask, connection, before.organization_id):
        after = members.set_roles(connection, before.organization_id, before.user_id, wanted, now=ask.now)
    _record(ask, connection, "set_roles", before=before, after=after)
    return _view(after)


def _member(ask: _Ask) -> stored.Member:
    member: stored.Member | None = getattr(ask.things, "member", None)
    if member is None:
        raise NotFound
    return member


def _record(
    ask: _Ask,
    connection: Connection,
    action: Action | str,
    *,
    before: stored.Member | None = None,
    after: stored.Member | None = None,
) -> None:
    ask.record(
        connection,
        action,
        Resource.ORGANIZATION_MEMBER,
        id=ask.things.user.id,
        name=ask.things.user.username,
        organization_id=ask.things.organization.id,
        before=None if before is None else _view(before),
        after=None if after is None else _view(after),
    )


HANDLERS: Mapping[str, Handler] = {
    "organization_members": _list,
    "organization_member": _one,
    "add_organization_member": _add,
    "remove_organization_member": _remove,
    "update_organization_member_roles": _update_roles,
}
