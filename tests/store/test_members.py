"""Members of organizations, and their roles there."""

from collections.abc import Iterator

import pytest
from people_samples import NOBODY, NOWHERE, a_role, a_token, a_user, an_organization, noted, revoked_at
from sqlalchemy import Connection
from store_samples import NOW

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.role import RoleIdentifier
from aibridge.store import custom_roles, groups, members, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.members import Member, Query
from aibridge.store.organizations import Organization


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


@pytest.fixture
def acme(connection: Connection) -> Organization:
    return an_organization(connection)


def names(connection: Connection, organization: Organization, **query: object) -> list[str]:
    page = members.page(connection, organization.id, Query(**query))  # type: ignore[arg-type]
    return [member.username for member in page.members]


def test_a_member_has_roles_in_one_organization(connection: Connection, acme: Organization) -> None:
    ann = a_user(connection, "Ann", name="Ann O.", email="a@b")
    admin, plain = (RoleIdentifier(name, acme.id) for name in ("organization-admin", "organization-member"))
    custom_roles.insert(connection, a_role(acme.id), now=NOW)
    lead = a_role(acme.id).identifier
    version = noted(connection)
    member = members.add(connection, acme.id, "ann", roles=(plain, admin, lead, admin), now=NOW + 1)
    assert noted(connection) == version + 1
    assert member == Member(
        organization_id=acme.id,
        user_id=ann.id,
        username="Ann",
        name="Ann O.",
        email="a@b",
        roles=(lead, admin),
        created_at=NOW + 1,
        updated_at=NOW + 1,
    )
    assert members.one(connection, acme.id, "ANN") == members.one(connection, acme.id, ann.id) == member
    assert members.one(connection, DEFAULT_ORGANIZATION, ann.id).roles == ()
    changed = members.set_roles(connection, acme.id, ann.id, (admin,), now=NOW + 2)
    assert (changed.roles, changed.created_at, changed.updated_at) == ((admin,), NOW + 1, NOW + 2)
    assert members.one(connection, DEFAULT_ORGANIZATION, ann.id).roles == ()
    assert noted(connection) == version + 2


def test_who_is_no_member_is_not_found(connection: Connection, acme: Organization) -> None:
    ann = a_user(connection)
    with pytest.raises(LookupError, match="'ann' is no member"):
        members.one(connection, acme.id, ann.id)
    with pytest.raises(LookupError, match="'ann' is no member"):
        members.set_roles(connection, acme.id, "ann", (), now=NOW)
    with pytest.raises(LookupError, match="'ann' is no member"):
        members.remove(connection, acme.id, "ann", now=NOW)
    with pytest.raises(LookupError, match="no user"):
        members.add(connection, acme.id, NOBODY, now=NOW)
    with pytest.raises(LookupError, match="no organization"):
        members.add(connection, NOWHERE, ann.id, now=NOW)
    with pytest.raises(LookupError, match="no organization"):
        members.page(connection, NOWHERE, Query())


def test_a_member_joins_once(connection: Connection, acme: Organization) -> None:
    members.add(connection, acme.id, a_user(connection).id, now=NOW)
    with pytest.raises(Conflict, match="'ann' is a member of 'acme' already") as refused:
        members.add(connection, acme.id, "ann", now=NOW)
    assert refused.value.field == "user"


def test_only_roles_of_the_organization_are_given(connection: Connection, acme: Organization) -> None:
    other = an_organization(connection, "other")
    custom_roles.insert(connection, a_role(other.id), now=NOW)
    ann, bob = a_user(connection, organization_ids=(acme.id,)), a_user(connection, "bob")
    for role in (
        RoleIdentifier("organization-admin"),
        RoleIdentifier("owner"),
        RoleIdentifier("owner", acme.id),
        RoleIdentifier("organization-admin", other.id),
        RoleIdentifier("lead", other.id),
        RoleIdentifier("lead", acme.id),
    ):
        with pytest.raises(Invalid, match=f"{role.name}") as refused:
            members.set_roles(connection, acme.id, ann.id, (role,), now=NOW)
        assert refused.value.field == "roles"
        with pytest.raises(Invalid):
            members.add(connection, acme.id, bob.id, roles=(role,), now=NOW)
    assert names(connection, acme) == ["ann"]
    assert members.one(connection, acme.id, ann.id).roles == ()


def test_a_service_account_stays_where_it_belongs(connection: Connection, acme: Organization) -> None:
    service = a_user(connection, "ci", service_account_of=acme.id)
    with pytest.raises(Conflict, match="is a service account of this organization"):
        members.remove(connection, acme.id, service.id, now=NOW)
    with pytest.raises(Invalid, match="a service account of another organization"):
        members.add(connection, DEFAULT_ORGANIZATION, service.id, now=NOW)
    assert users.one(connection, service.id).organization_ids == (acme.id,)


def test_who_leaves_leaves_groups_and_tokens_of_the_organization(connection: Connection, acme: Organization) -> None:
    ann = a_user(connection, organization_ids=(acme.id, DEFAULT_ORGANIZATION))
    bob = a_user(connection, "bob", organization_ids=(acme.id,))
    for organization_id in (acme.id, DEFAULT_ORGANIZATION):
        group = groups.insert(connection, organization_id, name="g", now=NOW)
        groups.update(connection, group.id, add_users=(ann.id,), now=NOW)
    here, there = a_token(connection, ann, acme.id), a_token(connection, ann, DEFAULT_ORGANIZATION)
    before, bobs = a_token(connection, ann, acme.id, revoked_at=NOW), a_token(connection, bob, acme.id)
    version = noted(connection)
    members.remove(connection, acme.id, "ann", now=NOW + 7)
    assert noted(connection) == version + 1
    assert users.one(connection, ann.id).organization_ids == (DEFAULT_ORGANIZATION,)
    assert [each.organization_id for each in groups.of_user(connection, ann.id)] == [DEFAULT_ORGANIZATION]
    assert [revoked_at(connection, each) for each in (here, there, before, bobs)] == [NOW + 7, None, NOW, None]
    assert names(connection, acme) == ["bob"]


def test_the_listing_is_in_the_order_of_usernames_a_page_at_a_time(connection: Connection, acme: Organization) -> None:
    a_user(connection, "elsewhere")
    made = {name: a_user(connection, name, organization_ids=(acme.id,)) for name in ("c", "B", "a", "D")}
    assert names(connection, acme) == ["a", "B", "c", "D"]
    assert names(connection, acme, limit=2, offset=1) == ["B", "c"]
    page = members.page(connection, acme.id, Query(limit=1, after_id=made["B"].id))
    assert ([member.username for member in page.members], page.count) == (["c"], 4)
    members.remove(connection, acme.id, "B", now=NOW)
    assert names(connection, acme, after_id=made["B"].id) == ["c", "D"]
    assert names(connection, acme, search="d") == ["D"]
    assert names(connection, acme, search="_") == []
    with pytest.raises(LookupError):
        names(connection, acme, after_id=NOBODY)
    with pytest.raises(Invalid):
        names(connection, acme, search="x" * 300)
