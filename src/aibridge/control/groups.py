"""Groups of an organization's members."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge.contract.groups import CreateGroupRequest, Group, GroupMember, GroupsResponse, UpdateGroupRequest
from aibridge.contract.shapes import Page
from aibridge.control.ask import Ask, Handler
from aibridge.control.errors import InvalidBody, Validation
from aibridge.control.instants import instant
from aibridge.control.paging import cursor, paged
from aibridge.domain.permission import Action, Resource
from aibridge.store import groups, users
from aibridge.store import groups as stored

_Ask = Ask[Any, Any]


def _view(group: stored.Group) -> Group:
    return Group(
        id=group.id,
        organization_id=group.organization_id,
        name=group.name,
        display_name=group.display_name,
        source=group.source,
        members=[GroupMember(id=member.id, username=member.username) for member in group.members],
        created_at=instant(group.created_at),
        updated_at=instant(group.updated_at),
    )


def _list(ask: Ask[Page, None], connection: Connection) -> GroupsResponse:
    query = stored.Query(organization_ids=(ask.things.organization.id,), **paged(ask.query))
    with cursor():
        page = groups.page(connection, query)
    return GroupsResponse(groups=[_view(group) for group in page.groups], count=page.count)


def _create(ask: Ask[None, CreateGroupRequest], connection: Connection) -> Group:
    organization_id, wanted = ask.things.organization.id, ask.body
    made = groups.insert(connection, organization_id, name=wanted.name, display_name=wanted.display_name, now=ask.now)
    _record(ask, connection, Action.CREATE, made, after=made)
    return _view(made)


def _one(ask: _Ask, _: Connection) -> Group:
    return _view(ask.things.group)


def _update(ask: Ask[None, UpdateGroupRequest], connection: Connection) -> Group:
    before, wanted = ask.things.group, ask.body
    after = groups.update(
        connection,
        before.id,
        name=None if wanted.name is msgspec.UNSET else wanted.name,
        display_name=None if wanted.display_name is msgspec.UNSET else wanted.display_name,
        add_users=_ids(connection, "add_users", wanted.add_users),
        remove_users=_ids(connection, "remove_users", wanted.remove_users),
        now=ask.now,
    )
    _record(ask, connection, Action.UPDATE, after, before=before, after=after)
    return _view(after)


def _delete(ask: _Ask, connection: Connection) -> None:
    groups.delete(connection, ask.things.group.id)
    _record(ask, connection, Action.DELETE, ask.things.group, before=ask.things.group)


def _ids(connection: Connection, field: str, named: Iterable[str]) -> list[str]:
    """The ids of users who are given by id or name."""
    found = []
    for index, name in enumerate(named):
        try:
            found.append(users.one(connection, name).id)
        except LookupError as error:
            raise InvalidBody([Validation(field=f"{field}[{index}]", detail=str(error))]) from None
    return found


def _record(  # noqa: PLR0913 (who, where, and what it was and is)
    ask: _Ask,
    connection: Connection,
    action: Action,
    group: stored.Group,
    *,
    before: stored.Group | None = None,
    after: stored.Group | None = None,
) -> None:
    ask.record(
        connection,
        action,
        Resource.GROUP,
        id=group.id,
        name=group.name,
        organization_id=group.organization_id,
        before=None if before is None else _view(before),
        after=None if after is None else _view(after),
    )


HANDLERS: Mapping[str, Handler] = {
    "organization_groups": _list,
    "create_group": _create,
    "group": _one,
    "update_group": _update,
    "delete_group": _delete,
}
