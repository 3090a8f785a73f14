"""The snapshot: which tokens are in it, and what their holders may do."""

import logging
import uuid

import msgspec
import pytest
from people_samples import a_role, a_user, an_organization
from store_samples import MINUTE, NOW

from aibridge.domain.actor import Actor
from aibridge.domain.authorize import Object, authorize
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import PAIRS, Action, Resource
from aibridge.domain.priority import Priority
from aibridge.domain.provider import ProviderKind
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.rule import Rule, Unit
from aibridge.domain.scope import EVERYTHING, Scope
from aibridge.domain.token import KnownToken, MintedToken
from aibridge.domain.user import UserStatus
from aibridge.store import custom_roles, limits, members, providers, schema, subjects, tokens, users
from aibridge.store.database import Database
from aibridge.store.sealing import Keyring
from aibridge.store.snapshot import snapshot
from aibridge.store.users import User

OWNER = RoleIdentifier("owner")
KEYRING = Keyring([bytes(32)])


class World:
    """A database to change, and the snapshot of it as it is then."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def user(self, username: str = "ann", **values: object) -> User:
        with self.database.writing() as connection:
            return a_user(connection, username, **values)

    def token(self, user: User, name: str = "laptop", **values: object) -> MintedToken:
        given = {"organization_id": DEFAULT_ORGANIZATION, "parent": EVERYTHING, "now": NOW} | values
        with self.database.writing() as connection:
            return tokens.mint(connection, user_id=user.id, name=name, **given)  # type: ignore[arg-type]

    def known(self, token: MintedToken) -> KnownToken:
        return snapshot(self.database).tokens[token.id]

    @property
    def names(self) -> set[str]:
        return {known.actor.username for known in snapshot(self.database).tokens.values()}


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_a_token_in_force_is_known_with_its_holder(world: World) -> None:
    ann = world.user()
    token = world.token(ann, expires_at=NOW + 1_500_000, priority=Priority.CHOSEN)
    known = world.known(token)
    assert known.digest == token.digest
    assert known.expires_at == NOW / 1e6 + 1.5
    assert known.actor == Actor(id=ann.id, username="ann", token_id=token.id, priority=Priority.CHOSEN)
    with world.database.reading() as connection:
        assert known.subject == subjects.subject_of(connection, ann.id)
    assert world.known(world.token(ann, "for good")).expires_at is None


def test_revoked_tokens_and_those_of_the_suspended_and_the_gone_are_not_in_it(world: World) -> None:
    people = {name: world.user(name) for name in ("ann", "bob", "cid", "dan", "eve")}
    minted = {name: world.token(user) for name, user in people.items()}
    assert world.names == set(people)
    with world.database.writing() as connection:
        tokens.revoke(connection, minted["bob"].id, NOW)
        users.set_status(connection, people["cid"].id, UserStatus.SUSPENDED, now=NOW)
        users.set_status(connection, people["dan"].id, UserStatus.DORMANT, now=NOW)
        gone = schema.users.update().where(schema.users.c.id == people["eve"].id)
        connection.execute(gone.values(deleted_at=NOW))
    assert world.names == {"ann", "dan"}
    with world.database.writing() as connection:
        users.set_status(connection, people["cid"].id, UserStatus.ACTIVE, now=NOW)
    assert world.names == {"ann", "cid", "dan"}


def test_a_tokens_scope_bounds_what_its_holder_may_do(world: World) -> None:
    ann = world.user(roles=(OWNER,))
    bounded = world.known(world.token(ann, scopes=("api_key:read",), only=("a",)))
    free = world.known(world.token(ann, "free"))
    assert free.subject.scope is EVERYTHING
    assert bounded.subject.scope == Scope(allowed=frozenset({(Resource.API_KEY, Action.READ)}), only=frozenset("a"))
    assert authorize(bounded.subject, Action.READ, Object(resource=Resource.API_KEY, id="a"))
    assert not authorize(bounded.subject, Action.READ, Object(resource=Resource.API_KEY, id="b"))


@pytest.mark.parametrize(
    ("bounds", "may_call"),
    [
        ({}, True),
        ({"scopes": ("all",)}, True),
        ({"scopes": ("aibridge_interception:*",)}, True),
        ({"scopes": ("api_key:read", "aibridge_interception:create")}, True),
        ({"scopes": ("aibridge_interception:read",)}, False),
        ({"scopes": ("aibridge_interception:create",), "only": ("a",)}, False),
    ],
)
def test_who_may_not_record_a_call_may_not_make_one(world: World, bounds: dict[str, object], may_call: bool) -> None:
    assert world.known(world.token(world.user(), "x", **bounds)).actor.may_call is may_call


def test_tokens_of_one_user_are_each_for_what_they_are_for(world: World) -> None:
    ann = world.user()
    reading, free = world.token(ann, "reading", scopes=("api_key:read",)), world.token(ann, "free")
    in_force = snapshot(world.database).tokens
    assert [in_force[token.id].actor.may_call for token in (reading, free)] == [False, True]


def test_who_is_no_member_of_a_tokens_organization_makes_no_calls_with_it(world: World) -> None:
    ann = world.user()
    token = world.token(ann)
    with world.database.writing() as connection:
        acme = an_organization(connection)
        members.add(connection, acme.id, ann.id, now=NOW)
    other = world.token(ann, "acme", organization_id=acme.id)
    assert world.known(other).actor.organization_id == str(acme.id)
    assert world.known(other).actor.may_call
    with world.database.writing() as connection:
        in_acme = schema.organization_members.c.organization_id == str(acme.id)
        connection.execute(schema.organization_members.delete().where(in_acme))
    in_force = snapshot(world.database).tokens
    assert [in_force[each.id].actor.may_call for each in (token, other)] == [True, False]


def test_roles_that_organizations_make_come_with_their_definitions(world: World) -> None:
    ann = world.user()
    token = world.token(ann)
    role = a_role(DEFAULT_ORGANIZATION)
    with world.database.writing() as connection:
        custom_roles.insert(connection, role, now=NOW)
        members.set_roles(connection, DEFAULT_ORGANIZATION, ann.id, (role.identifier,), now=NOW)
    known = world.known(token)
    assert known.subject.custom_roles == {role}
    group = Object(resource=Resource.GROUP, organization_id=DEFAULT_ORGANIZATION)
    assert authorize(known.subject, Action.READ, group)


def test_what_tokens_have_in_common_is_there_once(world: World) -> None:
    people = [world.user(f"user{number}") for number in range(3)]
    minted = [world.token(user, name, scopes=("all",)) for user in people for name in "ab"]
    in_one = snapshot(world.database).tokens
    known = [in_one[token.id] for token in minted]
    assert len({id(each.subject) for each in known}) == 3
    assert len({id(each.subject.roles) for each in known}) == 1
    assert len({id(each.subject.scope) for each in known}) == 1
    assert len({id(each.actor.username) for each in known}) == 3
    assert known[0].subject.scope.allowed == PAIRS


def test_a_token_with_a_scope_of_another_version_is_good_for_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    token = world.token(world.user(roles=(OWNER,)))
    with world.database.writing() as connection:
        bounded = schema.tokens.update().where(schema.tokens.c.id == token.id)
        connection.execute(bounded.values(scopes='["teapot:brew"]'))
    known = world.known(token)
    assert not known.actor.may_call
    assert known.subject.scope.allowed == frozenset()
    (line,) = caplog.messages
    assert "teapot:brew" in line
    assert caplog.records[0].levelno == logging.ERROR


def test_rules_and_providers_are_in_it(world: World) -> None:
    rule = Rule(name="all", unit=Unit.REQUESTS, amount=5, window=1.0)
    with world.database.writing() as connection:
        limits.insert(connection, rule, now=NOW)
        providers.insert(
            connection, KEYRING, name="own", kind=ProviderKind.OPENAI, base_url="https://x.example", key="k", now=NOW
        )
    taken = snapshot(world.database, KEYRING)
    assert taken.rules == (rule,)
    assert [(provider.name, provider.key) for provider in taken.providers] == [("own", "k")]
    assert snapshot(world.database).providers == ()


def test_a_token_of_nobody_is_not_in_it(world: World) -> None:
    token = world.token(world.user(), expires_at=NOW + MINUTE)
    assert snapshot(world.database).token_of(token.text, NOW / 1e6) == world.known(token)
    assert snapshot(world.database).token_of(token.text, (NOW + MINUTE) / 1e6) is None
    assert snapshot(world.database).token_of(f"aib_{uuid.uuid4().hex[:10]}", 0.0) is None


def test_a_token_that_expired_an_hour_ago_is_not_in_it(world: World) -> None:
    ann = world.user()
    short, good = world.token(ann, "short", expires_at=NOW + MINUTE), world.token(ann, "good")
    hour_after = NOW + MINUTE + 60 * MINUTE
    assert snapshot(world.database, now=hour_after - 1).tokens.keys() == {short.id, good.id}
    assert snapshot(world.database, now=hour_after).tokens.keys() == {good.id}


def test_a_rule_that_cannot_be_read_keeps_nothing_else_from_being_known(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    unread = f"newer-{world.database.dialect.name}"  # each is told once by a process, and tests share one
    rule = Rule(name="good", unit=Unit.REQUESTS, amount=5, window=1.0)
    with world.database.writing() as connection:
        for name in ("good", unread):
            limits.insert(connection, msgspec.structs.replace(rule, name=name), now=NOW)
        newer = schema.limits.update().where(schema.limits.c.name == unread)
        connection.execute(newer.values(rule='{"name": "newer", "unit": "teapots", "amount": 5}'))
    token = world.token(world.user())
    for _ in range(2):
        taken = snapshot(world.database)
        assert (taken.rules, [*taken.tokens]) == ((rule,), [token.id])
    (line,) = caplog.messages
    assert line.startswith(f"the limit {unread} is left out: ")
    assert "teapots" in line
