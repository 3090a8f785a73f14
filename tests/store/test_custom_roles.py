"""Roles that organizations make."""

from collections.abc import Callable, Iterator

import pytest
from people_samples import NOWHERE, UNKEPT, a_role, a_user, an_organization, noted
from sqlalchemy import Connection
from store_samples import NOW

from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.roles import CustomRole
from aibridge.store import custom_roles, members, schema
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.custom_roles import StoredRole
from aibridge.store.database import Database
from aibridge.store.organizations import Organization
from aibridge.store.paging import Paging


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


@pytest.fixture
def acme(connection: Connection) -> Organization:
    return an_organization(connection)


def test_a_role_is_kept_as_given(connection: Connection, acme: Organization) -> None:
    role = CustomRole(
        identifier=RoleIdentifier("Lead-2", acme.id),
        permissions=(
            Permission(resource=Resource.LIMIT, action=Action.ANY),
            Permission(resource=Resource.ANY, action=Action.READ),
            Permission(resource=Resource.INTERCEPTION, action=Action.READ, negate=True),
        ),
    )
    version = noted(connection)
    stored = custom_roles.insert(connection, role, display_name="The lead", now=NOW)
    assert noted(connection) == version + 1
    assert stored == StoredRole(role=role, display_name="The lead", created_at=NOW, updated_at=NOW)
    assert custom_roles.one(connection, role.identifier) == stored
    assert custom_roles.insert(connection, a_role(acme.id, "x"), now=NOW).display_name == "x"


def test_a_role_that_is_not_there_is_not_found(connection: Connection, acme: Organization) -> None:
    custom_roles.insert(connection, a_role(acme.id), now=NOW)
    for identifier in (
        RoleIdentifier("lead"),
        RoleIdentifier("LEAD", acme.id),
        RoleIdentifier("other", acme.id),
        RoleIdentifier("lead", NOWHERE),
        RoleIdentifier(UNKEPT, acme.id),
        RoleIdentifier("organization-admin", acme.id),
    ):
        with pytest.raises(LookupError, match="there is no custom role"):
            custom_roles.one(connection, identifier)
        with pytest.raises(LookupError, match="there is no custom role"):
            custom_roles.delete(connection, identifier, now=NOW)
    with pytest.raises(LookupError, match="there is no custom role"):
        custom_roles.update(connection, a_role(acme.id, "other"), now=NOW)
    with pytest.raises(LookupError, match="there is no organization"):
        custom_roles.insert(connection, a_role(NOWHERE), now=NOW)


def test_a_name_is_one_roles_in_any_case(connection: Connection, acme: Organization) -> None:
    custom_roles.insert(connection, a_role(acme.id), now=NOW)
    custom_roles.insert(connection, a_role(an_organization(connection, "other").id), now=NOW)
    with pytest.raises(Conflict, match="a role 'LEAD' in 'acme' already") as refused:
        custom_roles.insert(connection, a_role(acme.id, "LEAD"), now=NOW)
    assert refused.value.field == "name"


def test_what_a_role_grants_changes_for_all_who_have_it(connection: Connection, acme: Organization) -> None:
    before, after = a_role(acme.id), a_role(acme.id, negate=True)
    custom_roles.insert(connection, before, display_name="Lead", now=NOW)
    version = noted(connection)
    assert custom_roles.update(connection, after, now=NOW + 1) == StoredRole(
        role=after, display_name="Lead", created_at=NOW, updated_at=NOW + 1
    )
    assert custom_roles.update(connection, after, display_name="L", now=NOW).display_name == "L"
    assert custom_roles.update(connection, after, display_name="", now=NOW).display_name == "lead"
    assert noted(connection) == version + 3
    refusals: tuple[Callable[[], object], ...] = (
        lambda: custom_roles.update(connection, after, display_name=UNKEPT, now=NOW),
        lambda: custom_roles.insert(connection, a_role(acme.id, "x"), display_name=UNKEPT, now=NOW),
    )
    for refuse in refusals:
        with pytest.raises(Invalid) as refused:
            refuse()
        assert refused.value.field == "display_name"


def test_a_role_that_is_deleted_is_taken_from_all_who_have_it(connection: Connection, acme: Organization) -> None:
    other = an_organization(connection, "other")
    ann = a_user(connection, organization_ids=(acme.id, other.id))
    bob = a_user(connection, "bob", organization_ids=(acme.id,))
    roles = [a_role(acme.id, "lead"), a_role(acme.id, "lead-2"), a_role(other.id, "lead")]
    for role in roles:
        custom_roles.insert(connection, role, now=NOW)
    lead, second, elsewhere = (role.identifier for role in roles)
    admin = RoleIdentifier("organization-admin", acme.id)
    members.set_roles(connection, acme.id, ann.id, (lead, admin, second), now=NOW)
    members.set_roles(connection, acme.id, bob.id, (second,), now=NOW)
    members.set_roles(connection, other.id, ann.id, (elsewhere,), now=NOW)
    version = noted(connection)
    custom_roles.delete(connection, lead, now=NOW + 1)
    assert noted(connection) == version + 1
    left = members.one(connection, acme.id, ann.id)
    assert (left.roles, left.updated_at) == ((second, admin), NOW + 1)
    untouched = members.one(connection, acme.id, bob.id)
    assert (untouched.roles, untouched.updated_at) == ((second,), NOW)
    assert members.one(connection, other.id, ann.id).roles == (elsewhere,)
    assert set(custom_roles.every(connection)) == {second, elsewhere}


def test_the_listing_is_in_the_order_of_names_a_page_at_a_time(connection: Connection, acme: Organization) -> None:
    custom_roles.insert(connection, a_role(an_organization(connection, "other").id), now=NOW)
    for name in ("c", "a", "b"):
        custom_roles.insert(connection, a_role(acme.id, name), now=NOW)

    def names(**paging: object) -> list[str]:
        page = custom_roles.page(connection, acme.id, Paging(**paging))  # type: ignore[arg-type]
        assert page.count == 3
        return [stored.role.identifier.name for stored in page.roles]

    assert names() == ["a", "b", "c"]
    assert names(limit=1, offset=1) == ["b"]
    assert names(limit=1, after_id="a") == ["b"]
    custom_roles.insert(connection, a_role(acme.id, "d"), now=NOW)
    custom_roles.delete(connection, a_role(acme.id, "b").identifier, now=NOW)
    assert names(after_id="b") == ["c", "d"]
    with pytest.raises(Invalid):
        names(after_id=UNKEPT)
    with pytest.raises(LookupError):
        custom_roles.page(connection, NOWHERE, Paging())


def test_definitions_are_of_those_that_are_asked_for(connection: Connection, acme: Organization) -> None:
    other = an_organization(connection, "other")
    here, second, there = a_role(acme.id), a_role(acme.id, "second"), a_role(other.id)
    for role in (here, second, there):
        custom_roles.insert(connection, role, now=NOW)
    built_in = (RoleIdentifier("owner"), RoleIdentifier("organization-admin", acme.id))
    assert custom_roles.of(connection, (here.identifier, *built_in)) == {here}
    assert custom_roles.of(connection, (second.identifier, there.identifier)) == {second, there}
    assert custom_roles.of(connection, built_in) == frozenset()
    assert custom_roles.of(connection, (RoleIdentifier("lead"), RoleIdentifier("lead", NOWHERE))) == frozenset()
    assert custom_roles.of(connection, ()) == frozenset()
    assert custom_roles.every(connection) == {role.identifier: role for role in (here, second, there)}


def test_a_role_of_a_newer_program_denies_everything(connection: Connection, acme: Organization) -> None:
    known, unknown = a_role(acme.id), a_role(acme.id, "newer")
    for role in (known, unknown):
        custom_roles.insert(connection, role, now=NOW)
    written = '[{"resource": "teleporter", "action": "read", "negate": true}]'
    mine = schema.custom_roles.c.name == "newer"
    connection.execute(schema.custom_roles.update().where(mine).values(permissions=written))
    nothing = (Permission(resource=Resource.ANY, action=Action.ANY, negate=True),)
    assert custom_roles.every(connection)[unknown.identifier].permissions == nothing
    assert custom_roles.every(connection)[known.identifier] == known
    (role,) = custom_roles.of(connection, (unknown.identifier,))
    assert role.permissions == nothing
