"""A small world with somebody of every kind in it, made once; whatever is done to it in a test is undone after it."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from argon2 import PasswordHasher
from control_driver import NOW, Control
from sqlalchemy import Connection, select

from aibridge.control.dependencies import BreakerPresent, Dependencies, LimitPresent
from aibridge.control.passwords import Passwords
from aibridge.domain.interception import Interception
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.provider import ProviderKind
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import CustomRole
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.domain.scope import EVERYTHING
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.user import LoginType
from aibridge.overload.breaker import State
from aibridge.store import (
    audit,
    custom_roles,
    groups,
    limits,
    members,
    organizations,
    providers,
    schema,
    snapshot,
    tokens,
    users,
)
from aibridge.store.database import Database
from aibridge.store.sealing import Keyring

T = TypeVar("T")
INSTANT = NOW * 1_000_000
PASSWORD = "a quiet place by the sea"
PASSWORDS = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
BREAKER = BreakerPresent(
    name="openai:main:gpt-5",
    provider="openai",
    credential="main",
    model="gpt-5",
    state=State.OPEN,
    seconds_left=12.5,
    calls=20,
    failures=11,
    slow=2,
    trips=3,
    rejections=400,
)

Dump = dict[str, list[tuple[Any, ...]]]


class Breakers:
    """One breaker, and how often it was reset."""

    def __init__(self) -> None:
        self.resets = 0

    def present(self) -> Sequence[BreakerPresent]:
        return [BREAKER]

    def reset(self, name: str) -> None:
        assert name == BREAKER.name
        self.resets += 1


class Undone(Database):
    """A database all of whose transactions are parts of one, which is never committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.connection.begin_nested() as savepoint:
            yield self.connection
            savepoint.rollback()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.connection.begin_nested():
            yield self.connection


class AtOnce(Dependencies, frozen=True, kw_only=True):
    """Asks the database without a thread in between: thousands of questions are asked."""

    async def in_thread(self, work: Callable[[], T]) -> T:
        return work()


class World:
    """People, things and tokens by short names: see `_people` and `_things`."""

    def __init__(self, connection: Connection) -> None:
        self.database = Undone(connection)
        self.home = DEFAULT_ORGANIZATION
        self.here = organizations.insert(connection, name="here", now=INSTANT).id
        self.elsewhere = organizations.insert(connection, name="elsewhere", now=INSTANT).id
        self.ids: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.token_ids: dict[str, str] = {}
        self.breakers = Breakers()
        self.keyring = Keyring([bytes(32)])
        self._people(connection)
        self._things(connection)
        self.known: Snapshot = self.present_snapshot()
        self.rules = [
            self.rule("site", subject=Subject.USER, unit=Unit.COST),
            self.rule("here", organization=str(self.here)),
            self.rule("elsewhere", organization=str(self.elsewhere)),
        ]
        self.control = self.composed()

    def composed(self, **dependencies: Any) -> Control:
        """The control plane over this world; `dependencies` in place of the usual ones."""
        given: dict[str, Any] = {
            "snapshot": lambda: self.known,
            "refresh": self.refresh,
            "keyring": self.keyring,
            "passwords": PASSWORDS,
            "breakers": self.breakers,
            "limits": self.present,
        }
        return Control(self.database, world=AtOnce, **(given | dependencies))

    async def present(self) -> Sequence[LimitPresent]:
        return [LimitPresent(rule=rule, subjects=[], decisions={}) for rule in self.rules]

    async def refresh(self) -> None:
        """As after each change: whoever was shut out is no longer known."""
        self.known = self.present_snapshot()

    def present_snapshot(self) -> Snapshot:
        """Who is known now."""
        return snapshot.snapshot(self.database)

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever happens in the block has not happened after it."""
        known, resets = self.known, self.breakers.resets
        savepoint = self.database.connection.begin_nested()
        try:
            yield
        finally:
            savepoint.rollback()
            self.known, self.breakers.resets = known, resets

    def dump(self) -> Dump:
        """All that is in the database."""
        found = {
            table.name: [tuple(row) for row in self.database.connection.execute(select(table))]
            for table in schema.metadata.sorted_tables
        }
        return found | {"breakers": [(self.breakers.resets,)]}

    def entries(self) -> list[audit.Entry]:
        """The audit log, the newest first."""
        return list(audit.rows(self.database.connection, audit.Query()))

    def person(self, name: str, *roles: str, of: uuid.UUID | None = None, **values: Any) -> str:
        """Somebody of the site or of an organization with these roles, and their token; the answer is its text."""
        connection, place = self.database.connection, of or self.home
        if "service_account_of" not in values:
            values = {"organization_ids": (place,)} | values
        site = [RoleIdentifier(role) for role in roles if of is None]
        self.ids[name] = users.insert(connection, username=name, roles=site, **values, now=INSTANT).id
        if of is not None and roles:
            held = [RoleIdentifier(role, of) for role in roles]
            members.set_roles(connection, of, name, held, now=INSTANT)
        return self.token(name, name, of=place)

    def token(self, name: str, whose: str, *, of: uuid.UUID | None = None, **values: Any) -> str:
        """A token of somebody; `values` are further ones of `tokens.mint`."""
        minted = tokens.mint(
            self.database.connection,
            user_id=self.ids[whose],
            organization_id=of or self.home,
            name=name,
            parent=EVERYTHING,
            now=INSTANT,
            **values,
        )
        self.tokens[name] = minted.text
        self.token_ids[name] = minted.id
        return minted.text

    def _people(self, connection: Connection) -> None:
        password_hash = PASSWORDS._hasher.hash(PASSWORD)
        for name in ("owner", "auditor", "user-admin", "template-admin"):
            self.person(name, name)
        self.person("member")
        self.person("second", "owner")
        for place, suffix in ((self.here, "here"), (self.elsewhere, "elsewhere")):
            for role in ("admin", "auditor", "user-admin", "template-admin"):
                self.person(f"{role}-{suffix}", f"organization-{role}", of=place)
        self.person(
            "mia", of=self.here, email="mia@example.com", login_type=LoginType.PASSWORD, password_hash=password_hash
        )
        self.person("ben", of=self.here)
        self.person("noa", of=self.elsewhere)
        self.person("bot", of=self.here, service_account_of=self.here)
        self.person("chief", "organization-admin", of=self.here, service_account_of=self.here)
        self.token("narrow", "owner", scopes=("ai_model_price:read",))
        self.token("listed", "owner", only=(str(self.elsewhere),))

    def _things(self, connection: Connection) -> None:
        group = groups.insert(connection, self.here, name="team", now=INSTANT)
        self.ids["team"] = group.id
        groups.update(connection, group.id, add_users=["mia"], now=INSTANT)
        reads = Permission(resource=Resource.GROUP, action=Action.READ)
        role = CustomRole(identifier=RoleIdentifier("reader", self.here), permissions=(reads,))
        custom_roles.insert(connection, role, now=INSTANT)
        limits.insert(connection, self.rule("site", subject=Subject.USER, unit=Unit.COST), now=INSTANT)
        limits.insert(connection, self.rule("here", organization=str(self.here)), now=INSTANT)
        limits.insert(connection, self.rule("elsewhere", organization=str(self.elsewhere)), now=INSTANT)
        provider = providers.insert(
            connection,
            self.keyring,
            name="vendor",
            kind=ProviderKind.OPENAI,
            base_url="https://api.example.com",
            key="sk-1234567890abcdef",
            now=INSTANT,
        )
        self.ids["vendor"] = provider.id
        for place in (None, self.home, self.here, self.elsewhere):
            audit.record(
                connection,
                audit.Who(actor_name="somebody"),
                action=Action.UPDATE,
                resource=Resource.ORGANIZATION,
                resource_id=str(place),
                resource_name="x",
                organization_id=place,
                now=INSTANT,
            )
        calls = [msgspec.structs.asdict(self.call(name)) for name in ("member", "mia", "noa")]
        connection.execute(schema.interceptions.insert(), calls)

    def call(self, name: str) -> Interception:
        """A call that somebody made."""
        return Interception(
            id=f"call-{name}",
            actor_id=self.ids[name],
            token_id=self.token_ids[name],
            provider="openai",
            route="/v1/chat/completions",
            model="gpt-5",
            streaming=False,
            client="curl",
            session_id=None,
            user_agent="curl/8",
            started_at=INSTANT,
        )

    @staticmethod
    def rule(name: str, **values: Any) -> Rule:
        """A rule of requests, or what `values` say."""
        given: dict[str, Any] = {"name": name, "unit": Unit.REQUESTS, "amount": 10, "window": 60.0}
        return Rule(**given | values)


@contextlib.contextmanager
def world(directory: Path) -> Iterator[World]:
    """A world in a new database."""
    database = Database.open(f"sqlite:///{directory}/aibridge.db")
    with contextlib.closing(database), contextlib.suppress(Gone), database.writing() as connection:
        yield World(connection)
        raise Gone


class Gone(Exception):  # noqa: N818 (the end of a world, and nobody's mistake)
    """Nothing of it is kept."""
