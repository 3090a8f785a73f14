"""Whom an identity provider means, who comes for the first time, and where people are put by what it says."""

from collections.abc import Iterator

import pytest
from people_samples import AUDITOR, NOWHERE, OWNER, a_role, a_user, an_organization, noted
from sqlalchemy import Connection
from store_samples import NOW

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.user import LoginType
from aibridge.store import custom_roles, groups, members, signing_in, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.users import User

ISSUER = "https://id.example.com"
OIDC = LoginType.OIDC


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def known(connection: Connection, subject: str = "s1", email: str | None = None, issuer: str = ISSUER) -> User | None:
    return signing_in.known(connection, issuer, subject, email, NOW)


def test_who_was_linked_is_known_whatever_their_address_is_now(connection: Connection) -> None:
    ann = a_user(connection, email="ann@example.com", login_type=OIDC)
    bob = a_user(connection, "bob", email="bob@example.com", login_type=OIDC)
    users.link(connection, ISSUER, "s1", ann.id, now=NOW)
    for email in (None, "new@example.com", bob.email):
        assert known(connection, "s1", email) == ann
    assert known(connection, "s1", issuer="https://other.example.com") is None
    assert known(connection, "s2") is None


def test_a_verified_address_finds_somebody_once_and_links_them(connection: Connection) -> None:
    ann = a_user(connection, email="ann@example.com", login_type=OIDC)
    assert known(connection, "s1", "nobody@example.com") is None
    assert known(connection, "s1") is None
    assert known(connection, "s1", "ANN@example.com") == ann
    assert known(connection, "s1") == ann


def test_an_address_leads_to_nobody_whom_the_provider_calls_something_else(connection: Connection) -> None:
    ann = a_user(connection, email="ann@example.com", login_type=OIDC)
    assert known(connection, "s1", "ann@example.com") == ann
    with pytest.raises(Conflict, match="has another name for the user") as raised:
        known(connection, "s2", "ann@example.com")
    assert raised.value.field == "email"
    assert known(connection, "s2") is None
    assert known(connection, "t1", "ann@example.com", issuer="https://other.example.com") == ann


@pytest.mark.parametrize("login_type", [LoginType.PASSWORD, LoginType.NONE])
def test_the_address_of_who_signs_in_otherwise_lets_nobody_in(connection: Connection, login_type: LoginType) -> None:
    a_user(connection, email="ann@example.com", login_type=login_type)
    before = noted(connection)
    with pytest.raises(Conflict, match="does not sign in by OpenID Connect") as raised:
        known(connection, "s1", "ann@example.com")
    assert raised.value.field == "email"
    assert noted(connection) == before
    assert known(connection, "s1") is None


def test_who_is_deleted_is_not_known_and_comes_anew(connection: Connection) -> None:
    ann = a_user(connection, email="ann@example.com", login_type=OIDC)
    users.link(connection, ISSUER, "s1", ann.id, now=NOW)
    users.delete(connection, ann.id, now=NOW)
    assert known(connection, "s1", "ann@example.com") is None
    again = signing_in.arrived(connection, "ann", "ann@example.com", "", NOW)
    assert again.id != ann.id


def test_who_comes_first_is_a_plain_member_without_a_password(connection: Connection) -> None:
    ann = signing_in.arrived(connection, "ann", "ann@example.com", "Ann A.", NOW)
    assert (ann.username, ann.email, ann.name) == ("ann", "ann@example.com", "Ann A.")
    assert (ann.login_type, ann.roles, ann.organization_ids) == (OIDC, (), (DEFAULT_ORGANIZATION,))
    assert users.password_hash(connection, ann.id) is None


def test_namesakes_are_numbered_and_names_stay_names(connection: Connection) -> None:
    longest = "x" * 64
    called = [
        signing_in.arrived(connection, name, f"{number}@example.com", "", NOW).username
        for number, name in enumerate(["ann", "Ann", "ann", longest, longest])
    ]
    assert called == ["ann", "Ann2", "ann3", longest, f"{'x' * 60}2"]


def test_an_address_that_is_taken_is_no_reason_for_another_name(connection: Connection) -> None:
    a_user(connection, "bob", email="ann@example.com")
    with pytest.raises(Conflict) as raised:
        signing_in.arrived(connection, "ann", "ann@example.com", "", NOW)
    assert raised.value.field == "email"


def test_what_cannot_be_a_name_is_said(connection: Connection) -> None:
    with pytest.raises(Invalid) as raised:
        signing_in.arrived(connection, "a b", "ann@example.com", "", NOW)
    assert raised.value.field == "username"


def test_the_numbers_come_to_an_end(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "_MOST_NAMESAKES", 3)
    for number in range(2):
        signing_in.arrived(connection, "ann", f"{number}@example.com", "", NOW)
    with pytest.raises(Conflict, match="a thousand users") as raised:
        signing_in.arrived(connection, "ann", "more@example.com", "", NOW)
    assert raised.value.field == "username"


def test_of_what_is_not_said_nothing_changes(connection: Connection) -> None:
    ann = a_user(connection, roles=(AUDITOR,))
    group = groups.insert(connection, DEFAULT_ORGANIZATION, name="team", source=groups.BY_OIDC, now=NOW)
    groups.join(connection, group.id, ann.id)
    before = noted(connection)
    assert signing_in.place(connection, ann.id, None, None, NOW) == []
    assert noted(connection) == before
    assert users.one(connection, ann.id).roles == (AUDITOR,)
    assert [one.name for one in groups.of_user(connection, ann.id)] == ["team"]


def test_roles_that_are_said_take_the_place_of_those_before(connection: Connection) -> None:
    a_user(connection, "root", roles=(OWNER,))
    ann = a_user(connection, roles=(AUDITOR,))
    admin = RoleIdentifier("user-admin")
    assert signing_in.place(connection, ann.id, [admin], None, NOW) == []
    assert users.one(connection, ann.id).roles == (admin,)
    before = noted(connection)
    assert signing_in.place(connection, ann.id, [admin], None, NOW) == []
    assert noted(connection) == before
    assert signing_in.place(connection, ann.id, [], None, NOW) == []
    assert users.one(connection, ann.id).roles == ()


def test_the_last_owner_stays_one_and_that_is_told(connection: Connection) -> None:
    root = a_user(connection, "root", roles=(OWNER,))
    (told,) = signing_in.place(connection, root.id, [AUDITOR], None, NOW)
    assert "'root' is the last owner" in told
    assert users.one(connection, root.id).roles == (OWNER,)


def test_a_role_that_there_is_not_is_told_and_the_rest_is_given(connection: Connection) -> None:
    ann = a_user(connection)
    admin = RoleIdentifier("organization-admin", DEFAULT_ORGANIZATION)
    (told,) = signing_in.place(connection, ann.id, [RoleIdentifier("king"), admin], ["team"], NOW)
    assert "'king' is no role of the site" in told
    assert users.one(connection, ann.id).roles == ()
    assert members.one(connection, DEFAULT_ORGANIZATION, ann.id).roles == (admin,)
    assert [one.name for one in groups.of_user(connection, ann.id)] == ["team"]


def test_roles_of_organizations_go_to_their_members_alone(connection: Connection) -> None:
    acme, other = an_organization(connection), an_organization(connection, "other")
    ann = a_user(connection, organization_ids=(DEFAULT_ORGANIZATION, acme.id))
    lead = a_role(acme.id)
    custom_roles.insert(connection, lead, now=NOW)
    foreign = [RoleIdentifier("organization-admin", place) for place in (other.id, NOWHERE)]
    told = signing_in.place(connection, ann.id, [lead.identifier, *foreign], None, NOW)
    assert sorted(told) == sorted(map(str, foreign))
    assert members.one(connection, acme.id, ann.id).roles == (lead.identifier,)
    assert members.one(connection, DEFAULT_ORGANIZATION, ann.id).roles == ()
    assert {*users.one(connection, ann.id).organization_ids} == {DEFAULT_ORGANIZATION, acme.id}
    assert signing_in.place(connection, ann.id, [], None, NOW) == []
    assert members.one(connection, acme.id, ann.id).roles == ()


def test_groups_that_are_said_are_those_of_the_built_in_organization(connection: Connection) -> None:
    ann = a_user(connection)
    groups.insert(connection, DEFAULT_ORGANIZATION, name="kept", now=NOW)
    assert signing_in.place(connection, ann.id, None, ["team", "kept"], NOW) == ["kept"]
    assert [one.name for one in groups.of_user(connection, ann.id)] == ["team"]
    assert signing_in.place(connection, ann.id, None, [], NOW) == []
    assert groups.of_user(connection, ann.id) == ()


def test_who_is_no_member_there_is_put_into_no_group(connection: Connection) -> None:
    acme = an_organization(connection)
    ann = a_user(connection, organization_ids=(acme.id,))
    (told,) = signing_in.place(connection, ann.id, None, ["team"], NOW)
    assert "no member" in told
    assert groups.of_user(connection, ann.id) == ()
