"""What a path names: found in the database, and what of it a permission is asked of.

An endpoint's permission is asked of one object: the last thing that its path names, in the organization and with the
owner it has. What somebody may not read is not there for them, so each thing also has what must be readable to learn
that it exists.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping

import msgspec
from sqlalchemy import Connection

from aibridge.contract.endpoint import Needs
from aibridge.control.errors import NotFound
from aibridge.domain.authorize import Object
from aibridge.domain.permission import Action, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.store import custom_roles, groups, limits, members, organizations, providers, token_rows, tokens, users
from aibridge.store.custom_roles import StoredRole
from aibridge.store.groups import Group
from aibridge.store.limits import StoredLimit
from aibridge.store.members import Member
from aibridge.store.names import SELF
from aibridge.store.organizations import Organization
from aibridge.store.providers import StoredProvider
from aibridge.store.token_rows import StoredToken
from aibridge.store.users import User


class Things:
    """What was found: an attribute for each parameter of the path, and none for the others.

    `limit` and `provider` are None for what is in the server's configuration, or nowhere; the path says its name.
    """

    organization: Organization
    user: User
    member: Member
    key: StoredToken
    group: Group
    role: StoredRole
    limit: StoredLimit | None
    provider: StoredProvider | None

    def __init__(self, named: Mapping[str, str], me: str | None) -> None:
        self.named = named
        self._me = me
        self._object = Object(resource=Resource.ANY)
        self._organization_id: uuid.UUID | None = None
        self._owner_id: str | None = None
        self._missing = False

    def find(self, connection: Connection) -> None:
        """Find all that the path names, in its order.

        Raises:
            NotFound: something is not there.
        """
        for name, text in self.named.items():
            finder = _FINDERS.get(name)
            if finder is not None:
                with _absent():
                    finder(self, connection, text)

    def seen(self) -> Object | None:
        """What must be readable to know that the thing is there; None where the path names none."""
        return None if self._object.resource is Resource.ANY else self._object

    def require_found(self) -> None:
        """Say that something is not there, to those who may know.

        Raises:
            NotFound: it is not.
        """
        if self._missing:
            raise NotFound

    def asked(self, needs: Needs) -> tuple[Action, Object]:
        """What to ask of whom: the permission as the thing wants it.

        A service account is a kind of its own: it belongs to an organization, and its tokens to whoever keeps it.
        """
        action, resource = needs.action, needs.resource
        user = getattr(self, "user", None)
        # It may see itself, as everybody may.
        itself = user is not None and user.id == self._me and action is Action.READ
        if user is not None and user.service_account_of is not None and resource in _OF_SERVICE_ACCOUNTS and not itself:
            return _OF_SERVICE_ACCOUNTS[resource](action), self._object
        what = Object(
            resource=resource,
            organization_id=self._organization_id,
            owner_id=self._me if itself else self._owner_id,
            id=self._object.id if self._is_named(needs) else None,
        )
        return action, what

    def _is_named(self, needs: Needs) -> bool:
        """Whether the path names the thing that is asked of, and not only where it is: what is listed, or made.

        Roles are given to whom the path names. A token that is for certain objects makes none and lists none.
        """
        return needs.resource is self._object.resource or needs.action is Action.ASSIGN

    def find_organization(self, connection: Connection, text: str) -> None:
        """Find an organization, by id or name."""
        self.organization = organizations.one(connection, text)
        self._organization_id = self.organization.id
        self._object = _organizational(Resource.ORGANIZATION, self.organization.id, str(self.organization.id))

    def find_user(self, connection: Connection, text: str) -> None:
        """Find a user, by id, name or `me`; in an organization that the path names, a member of it."""
        if text == SELF:
            if self._me is None:
                raise LookupError
            text = self._me
        if self._organization_id is not None:
            self._find_member(connection, self._organization_id, text)
            return
        self.user = user = users.one(connection, text)
        if user.service_account_of is not None:
            self._organization_id = user.service_account_of
            self._object = _organizational(Resource.SERVICE_ACCOUNT, user.service_account_of, user.id)
        else:
            self._owner_id = user.id
            self._object = Object(resource=Resource.USER, owner_id=user.id, id=user.id)

    def _find_member(self, connection: Connection, organization_id: uuid.UUID, text: str) -> None:
        """Find a user, and their membership if they are a member.

        Who is none, and who does not exist, are alike to those who may not add them: else whoever may read the members
        of one organization would learn who else there is.
        """
        place = Object(resource=Resource.ORGANIZATION_MEMBER, organization_id=organization_id)
        self._object = place
        try:
            self.user = users.one(connection, text)
        except LookupError:
            self._missing = True
            return
        self._object = msgspec.structs.replace(place, id=self.user.id)
        with contextlib.suppress(LookupError):
            self.member = members.one(connection, organization_id, self.user.id)
            self._owner_id = self.user.id
            self._object = msgspec.structs.replace(place, id=self.user.id, owner_id=self.user.id)

    def find_key(self, connection: Connection, text: str) -> None:
        """Find a token of the user, by id."""
        self._take(token_rows.one(connection, text))

    def find_token_name(self, connection: Connection, text: str) -> None:
        """Find a token of the user, by name."""
        self._take(tokens.named(connection, self.user.id, text))

    def _take(self, key: StoredToken) -> None:
        if key.user_id != self.user.id:
            raise LookupError
        self.key = key
        if self.user.service_account_of is None:
            self._organization_id = key.organization_id
            self._object = Object(
                resource=Resource.API_KEY, organization_id=key.organization_id, owner_id=self.user.id, id=key.id
            )

    def find_group(self, connection: Connection, text: str) -> None:
        """Find a group, by id."""
        self.group = groups.one(connection, text)
        self._organization_id = self.group.organization_id
        self._object = _organizational(Resource.GROUP, self.group.organization_id, self.group.id)

    def find_role(self, connection: Connection, text: str) -> None:
        """Find a role that the organization made, by name."""
        self.role = custom_roles.one(connection, _role_identifier(text, self.organization.id))
        self._object = _organizational(Resource.ASSIGN_ORG_ROLE, self.organization.id, text)

    def find_limit(self, connection: Connection, text: str) -> None:
        """Find a limit of the database, by name."""
        self.limit = None
        with contextlib.suppress(LookupError):
            self.limit = limits.one(connection, text)
            self._organization_id = self.limit.organization_id
        self._object = Object(resource=Resource.LIMIT, organization_id=self._organization_id, id=text)

    def find_provider(self, connection: Connection, text: str) -> None:
        """Find a provider of the database, by id or name."""
        self.provider = None
        with contextlib.suppress(LookupError):
            self.provider = providers.one(connection, text)
        id_ = text if self.provider is None else self.provider.id
        self._object = Object(resource=Resource.PROVIDER, id=id_)


_FINDERS: Mapping[str, Callable[[Things, Connection, str], None]] = {
    "organization": Things.find_organization,
    "user": Things.find_user,
    "key": Things.find_key,
    "token_name": Things.find_token_name,
    "group": Things.find_group,
    "role_name": Things.find_role,
    "limit": Things.find_limit,
    "provider": Things.find_provider,
}

_KEPT_AS: Mapping[Action, Action] = {
    Action.READ_PERSONAL: Action.READ,
    Action.UPDATE_PERSONAL: Action.UPDATE,
    Action.ASSIGN: Action.UPDATE,
}
_OF_SERVICE_ACCOUNTS: Mapping[Resource, Callable[[Action], Action]] = {
    Resource.USER: lambda action: _KEPT_AS.get(action, action),
    Resource.API_KEY: lambda action: Action.READ if action is Action.READ else Action.UPDATE,
}
"""What is asked of a service account, by what would be asked of a person."""


def _role_identifier(name: str, organization_id: uuid.UUID) -> RoleIdentifier:
    try:
        return RoleIdentifier(name, organization_id)
    except ValueError:
        raise LookupError from None


def _organizational(resource: Resource, organization_id: uuid.UUID, id_: str) -> Object:
    return Object(resource=resource, organization_id=organization_id, id=id_)


@contextlib.contextmanager
def _absent() -> Iterator[None]:
    try:
        yield
    except LookupError:
        raise NotFound from None
