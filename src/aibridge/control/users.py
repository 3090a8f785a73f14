"""Users: who there is, what they are called, whether they are let in, and which roles of the site they hold."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge.contract import organizations as organizations_contract
from aibridge.contract.endpoint import Needs
from aibridge.contract.users import (
    CreateUserRequest,
    UpdateRolesRequest,
    UpdateUserProfileRequest,
    User,
    UserRoles,
    UsersQuery,
    UsersResponse,
)
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.errors import InvalidBody, NotFound, Validation
from aibridge.control.instants import instant
from aibridge.control.organizations import organization_view
from aibridge.control.paging import cursor, paged
from aibridge.control.ranks import no_rise, require_giving, require_rank
from aibridge.domain.authorize import Object
from aibridge.domain.errors import Forbidden
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.password import objections
from aibridge.domain.permission import Action, Resource
from aibridge.domain.roles import OWNER, may_assign
from aibridge.domain.user import LoginType, UserStatus
from aibridge.store import members, organizations, users
from aibridge.store import users as stored
from aibridge.store.organizations import Query as OrganizationsQuery

_Ask = Ask[Any, Any]


def view(user: stored.User) -> User:
    """A user as the API shows it."""
    return User(
        id=user.id,
        username=user.username,
        email=user.email,
        name=user.name,
        status=user.status,
        login_type=user.login_type,
        roles=list(user.roles),
        organization_ids=list(user.organization_ids),
        service_account_of=user.service_account_of,
        created_at=instant(user.created_at),
        updated_at=instant(user.updated_at),
        last_seen_at=instant(user.last_seen_at),
    )


def _users(ask: Ask[UsersQuery, None], connection: Connection) -> UsersResponse:
    sight = ask.sight(Resource.USER)
    query = stored.Query(
        search=ask.query.q,
        status=ask.query.status,
        ids=None if sight.everything else (ask.caller.id,),
        **paged(ask.query),
    )
    with cursor():
        page = users.page(connection, query)
    return UsersResponse(users=[view(user) for user in page.users], count=page.count)


async def _create_user(ask: Ask[None, CreateUserRequest]) -> User:
    wanted = ask.body
    of = wanted.service_account_of
    _require_making(ask)
    login_type = _login_type(wanted)
    password_hash = None
    if wanted.password is not None:
        check_password(wanted.password, wanted.username, wanted.email)
        password_hash = await ask.world.passwords.hash(wanted.password)

    def create(connection: Connection) -> User:
        _require_making(ask)
        for organization_id in wanted.organization_ids or ():
            _check_organization(connection, str(organization_id))
        if of is not None:
            _check_organization(connection, str(of))
        user = users.insert(
            connection,
            username=wanted.username,
            email=wanted.email,
            name=wanted.name,
            login_type=login_type,
            password_hash=password_hash,
            organization_ids=wanted.organization_ids,
            service_account_of=of,
            now=ask.now,
        )
        record(ask, connection, Action.CREATE, after=user)
        return view(user)

    return await ask.writing(create)


def _require_making(ask: Ask[None, CreateUserRequest]) -> None:
    """Refuse whoever may not make such a user: before a password is hashed, and when it is to be kept."""
    of = ask.body.service_account_of
    if of is not None:
        _check_nobody(ask.body.email)
        ask.require(Action.CREATE, Object(resource=Resource.SERVICE_ACCOUNT, organization_id=of))
        return
    ask.require(Action.CREATE, Object(resource=Resource.USER))
    for organization_id in set(ask.body.organization_ids or ()) - {DEFAULT_ORGANIZATION}:
        ask.require(Action.CREATE, Object(resource=Resource.ORGANIZATION_MEMBER, organization_id=organization_id))


def _user(ask: _Ask, _: Connection) -> User:
    return view(ask.things.user)


def _delete_user(ask: _Ask, connection: Connection) -> None:
    user = ask.things.user
    require_rank(ask, connection, user.id)
    users.delete(connection, user.id, now=ask.now)
    record(ask, connection, Action.DELETE, before=user)


def _update_user_profile(ask: Ask[None, UpdateUserProfileRequest], connection: Connection) -> User:
    before, wanted = ask.things.user, ask.body
    kept = {
        name: getattr(before, name) if getattr(wanted, name) is msgspec.UNSET else getattr(wanted, name)
        for name in ("username", "name", "email")
    }
    if before.service_account_of is not None:
        _check_nobody(kept["email"])
    if before.id != ask.caller.id:
        require_rank(ask, connection, before.id)
    # What somebody signs in with, and is found by, is for those to change who may change somebody.
    if (kept["username"], kept["email"]) != (before.username, before.email):
        ask.require(*ask.things.asked(Needs(action=Action.UPDATE, resource=Resource.USER)))
    if kept["email"] != before.email:
        _check_address(ask, before)
    after = users.set_profile(connection, before.id, **kept, now=ask.now)
    record(ask, connection, Action.UPDATE, before=before, after=after)
    return view(after)


def _suspend_user(ask: _Ask, connection: Connection) -> User:
    if ask.things.user.id == ask.caller.id:
        raise InvalidBody([Validation(field="user", detail="You cannot suspend yourself.")])
    return _set_status(ask, connection, UserStatus.SUSPENDED)


def _activate_user(ask: _Ask, connection: Connection) -> User:
    return _set_status(ask, connection, UserStatus.ACTIVE)


def _set_status(ask: _Ask, connection: Connection, status: UserStatus) -> User:
    before = ask.things.user
    require_rank(ask, connection, before.id)
    after = users.set_status(connection, before.id, status, now=ask.now)
    said = "suspend" if status is UserStatus.SUSPENDED else "activate"
    record(ask, connection, said, before=before, after=after)
    return view(after)


def _user_roles(ask: _Ask, connection: Connection) -> UserRoles:
    user = ask.things.user
    held = {
        organization_id: list(members.one(connection, organization_id, user.id).roles)
        for organization_id in user.organization_ids
    }
    return UserRoles(roles=list(user.roles), organization_roles=held)


def _update_user_roles(ask: Ask[None, UpdateRolesRequest], connection: Connection) -> User:
    before, wanted = ask.things.user, ask.body.roles
    what = Object(resource=Resource.ASSIGN_ROLE, id=before.id)
    require_giving(ask, connection, Resource.ASSIGN_ROLE, what, before=before.roles, after=wanted)
    with no_rise(ask, connection, None):
        after = users.set_roles(connection, before.id, wanted, now=ask.now)
    record(ask, connection, "set_roles", before=before, after=after)
    return view(after)


def _user_organizations(ask: _Ask, connection: Connection) -> list[organizations_contract.Organization]:
    found = organizations.page(connection, OrganizationsQuery(user_id=ask.things.user.id, limit=1000)).organizations
    return [
        organization_view(organization)
        for organization in found
        if ask.may(
            Action.READ,
            Object(resource=Resource.ORGANIZATION, organization_id=organization.id, id=str(organization.id)),
        )
    ]


def _first_user(ask: _Ask, connection: Connection) -> None:
    del ask
    if not users.count(connection):
        raise NotFound


def _check_address(ask: _Ask, user: stored.User) -> None:
    """Refuse to give another address to an account that somebody uses who signs in by OpenID Connect.

    Whoever has that address at the provider would be let into it by it, and bring their roles along.

    Raises:
        Forbidden: it is one, and the caller is no owner.
    """
    used = user.login_type is LoginType.OIDC and user.last_seen_at is not None
    if used and not may_assign(ask.caller.subject.roles, OWNER.identifier):
        raise Forbidden("You are not allowed to do this.", "The identity provider says this user's address.")


def _check_nobody(email: str | None) -> None:
    """A service account is nobody's: with an address it would keep whoever has that one from signing in with it."""
    if email is not None:
        raise InvalidBody([Validation(field="email", detail="A service account has no email address.")])


def _login_type(wanted: CreateUserRequest) -> LoginType:
    login_type = wanted.login_type or (LoginType.PASSWORD if wanted.password is not None else LoginType.NONE)
    if (login_type is LoginType.PASSWORD) != (wanted.password is not None):
        detail = "must be given for the login type 'password', and for no other"
        raise InvalidBody([Validation(field="password", detail=detail)])
    return login_type


def check_password(password: str, username: str, email: str | None) -> None:
    """Refuse a new password that is none.

    Raises:
        InvalidBody: it says all that is wrong with it.
    """
    wrong = objections(password, username=username, email=email or "")
    if wrong:
        raise InvalidBody([Validation(field="password", detail=detail) for detail in wrong])


def _check_organization(connection: Connection, organization_id: str) -> None:
    try:
        organizations.one(connection, organization_id)
    except LookupError as error:
        raise InvalidBody([Validation(field="organization_ids", detail=str(error))]) from None


def record(
    ask: _Ask,
    connection: Connection,
    action: Action | str,
    *,
    before: stored.User | None = None,
    after: stored.User | None = None,
) -> None:
    """Write what became of a user into the audit log."""
    user = after or before
    if user is None:
        raise Forbidden("nothing was changed")
    ask.record(
        connection,
        action,
        Resource.USER if user.service_account_of is None else Resource.SERVICE_ACCOUNT,
        id=user.id,
        name=user.username,
        organization_id=user.service_account_of,
        before=None if before is None else view(before),
        after=None if after is None else view(after),
    )


HANDLERS: Mapping[str, Handler | AsyncHandler] = {
    "users": _users,
    "create_user": _create_user,
    "user": _user,
    "delete_user": _delete_user,
    "update_user_profile": _update_user_profile,
    "suspend_user": _suspend_user,
    "activate_user": _activate_user,
    "user_roles": _user_roles,
    "update_user_roles": _update_user_roles,
    "user_organizations": _user_organizations,
    "first_user": _first_user,
}
