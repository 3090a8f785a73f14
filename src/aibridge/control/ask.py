"""One request for an endpoint, as its handler sees it: who asks, for what, and what they may."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request

from aibridge.contract.endpoint import Access, Endpoint, Of
from aibridge.contract.roles import encode_hook
from aibridge.control.caller import Caller, Origin
from aibridge.control.dependencies import Dependencies
from aibridge.control.errors import NotFound
from aibridge.control.things import Things
from aibridge.domain.authorize import Object, authorize
from aibridge.domain.errors import Forbidden, Unauthenticated
from aibridge.domain.permission import Action, Resource
from aibridge.domain.user import UserStatus
from aibridge.store import audit, subjects, token_rows, users

Q = TypeVar("Q")
B = TypeVar("B")
T = TypeVar("T")

Handler = Callable[["Ask[Any, Any]", Connection], object]
"""Answers in a thread, within one transaction: one that writes if the endpoint changes something."""
AsyncHandler = Callable[["Ask[Any, Any]"], Awaitable[object]]
"""Answers in the event loop, and asks the database by `Ask.reading` and `Ask.writing`."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What of a kind the caller may read: everything, what is of certain organizations, and what is their own."""

    everything: bool
    organizations: frozenset[uuid.UUID]
    own: bool

    def __bool__(self) -> bool:
        return self.everything or bool(self.organizations) or self.own


class Ask(Generic[Q, B]):
    """A request whose caller is known and may do what the endpoint does.

    `query` and `body` are what was sent, read and checked; `things` is what the path names. An endpoint that needs a
    permission of what its body names calls `require` itself.
    """

    def __init__(
        self, endpoint: Endpoint, request: Request, world: Dependencies, caller: Caller | None, origin: Origin
    ) -> None:
        self.endpoint = endpoint
        self.request = request
        self.world = world
        self.origin = origin
        self.query = cast("Q", None)
        self.body = cast("B", None)
        self.things = Things({}, None)
        self._caller = caller
        self._authorized = False

    @property
    def caller(self) -> Caller:
        """Who asks.

        Raises:
            RuntimeError: the endpoint is a public one: nobody was asked who they are.
        """
        if self._caller is None:
            raise RuntimeError(f"{self.endpoint.operation} is public and has no caller")
        return self._caller

    @property
    def own_origins(self) -> tuple[str, str]:
        """URLs that lead here: the external one, and scheme and host of this request."""
        return self.world.external_url(), f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"

    @property
    def now(self) -> int:
        """The time, in UTC microseconds."""
        return int(self.world.clock() * 1e6)

    def authorize(self, connection: Connection) -> None:
        """Find what the path names, and refuse whoever may not do this to it.

        Raises:
            NotFound: it is not there, or not for the caller.
            Forbidden: the caller may see it, and may not do this.
        """
        needs = self.endpoint.needs
        named = cast("Mapping[str, str]", self.request.path_params)
        self.things = Things(named, None if needs is Access.PUBLIC else self.caller.id)
        self.things.find(connection)
        self._authorized = True
        if isinstance(needs, Access):
            return
        if needs.of is Of.PATH:
            action, what = self.things.asked(needs)
            self.require(action, what, self.things.seen())
            self.things.require_found()
        elif needs.of is Of.VISIBLE:
            self.sight(needs.resource)

    def may(self, action: Action, what: Object) -> bool:
        """Whether the caller may do this to that."""
        return authorize(self.caller.subject, action, what).allowed

    def require(self, action: Action, what: Object, seen: Object | None = None) -> None:
        """Refuse unless the caller may do this to that. `seen` is what they must be able to read to be told more.

        Raises:
            Forbidden: they may not; the reason is in it.
            NotFound: they may not even know of it.
        """
        decision = authorize(self.caller.subject, action, what)
        if decision:
            return
        if seen is not None and not self.may(Action.READ, seen):
            raise NotFound
        raise Forbidden("You are not allowed to do this.", f"{what.resource}:{action}: {decision.reason}.")

    def sight(self, resource: Resource) -> Sight:
        """What of a kind the caller may read: of the organization that the path names, or of all.

        Raises:
            Forbidden: nothing at all.
            NotFound: they may not even know of the organization.
        """
        subject = self.caller.subject
        organization = getattr(self.things, "organization", None)
        within = None if organization is None else organization.id

        def reads(organization_id: uuid.UUID | None = None, owner_id: str | None = None) -> bool:
            return self.may(Action.READ, Object(resource=resource, organization_id=organization_id, owner_id=owner_id))

        theirs = {role.organization_id for role in subject.roles if role.organization_id is not None}
        sight = Sight(
            everything=reads(within),
            organizations=frozenset(place for place in (theirs if within is None else {within}) if reads(place)),
            own=reads(within, subject.actor_id),
        )
        if not sight:
            self.require(Action.READ, Object(resource=resource, organization_id=within), self.things.seen())
        return sight

    async def reading(self, work: Callable[[Connection], T]) -> T:
        """Do something in a thread, within a transaction that sees one state of the database."""

        def transaction() -> T:
            with self.world.database.reading() as connection:
                return work(connection)

        return await self.world.in_thread(transaction)

    async def writing(self, work: Callable[[Connection], T]) -> T:
        """Do something in a thread, within a transaction that may write, and let this process know of it at once.

        Who asks, and whether they still may, is looked at again within it: what memory says may be half a second old.
        """

        def transaction() -> T:
            with self.world.database.writing() as connection:
                self._look_again(connection)
                if self._authorized:
                    self.authorize(connection)
                return work(connection)

        result = await self.world.in_thread(transaction)
        await self.world.refresh()
        return result

    def _look_again(self, connection: Connection) -> None:
        """See how the caller stands now.

        Raises:
            Unauthenticated: the token is not in force any more, or its user is suspended or gone.
        """
        caller = self._caller
        if caller is None:
            return
        try:
            token, user = token_rows.one(connection, caller.actor.token_id), users.one(connection, caller.id)
            stands = token.in_force(self.now) and user.status is not UserStatus.SUSPENDED
        except LookupError:
            stands = False
        if not stands:
            raise Unauthenticated("The token is not valid.", "It was revoked, or its user suspended, a moment ago.")
        subject = subjects.subject_of(connection, caller.id, caller.subject.scope)
        self._caller = msgspec.structs.replace(caller, subject=subject)

    def record(  # noqa: PLR0913 (what an entry of the audit log is)
        self,
        connection: Connection,
        action: Action | str,
        resource: Resource,
        *,
        id: str,  # noqa: A002 (as everywhere in the API)
        name: str,
        organization_id: uuid.UUID | None = None,
        before: msgspec.Struct | Mapping[str, Any] | None = None,
        after: msgspec.Struct | Mapping[str, Any] | None = None,
        by: tuple[str | None, str] | None = None,
    ) -> None:
        """Write a change into the audit log, within its transaction. `by` is id and name where there is no caller."""
        actor = None if self._caller is None else self._caller.actor
        actor_id, actor_name = by or ((None, "") if actor is None else (actor.id, actor.username))
        who = audit.Who(
            actor_id=actor_id,
            actor_name=actor_name,
            token_id=None if actor is None else actor.token_id,
            address=self.origin.address,
            user_agent=self.origin.user_agent,
        )
        audit.record(
            connection,
            who,
            action=action,
            resource=resource,
            resource_id=id,
            resource_name=name,
            organization_id=organization_id,
            before=_plain(before),
            after=_plain(after),
            now=self.now,
        )


def _plain(value: msgspec.Struct | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return cast("dict[str, Any]", msgspec.to_builtins(value, enc_hook=encode_hook))
