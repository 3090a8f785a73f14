"""Who people are where it is decided what they may do: one of them, or all at once."""

import time
import uuid
from collections.abc import Iterator

import pytest
from people_samples import AUDITOR, NOBODY, OWNER, a_role, a_user, an_organization
from sqlalchemy import Connection, event
from store_samples import NOW

from aibridge.domain import scope
from aibridge.domain.authorize import Subject
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.role import RoleIdentifier
from aibridge.store import custom_roles, members, schema, subjects, users
from aibridge.store.database import Database

MEMBER = RoleIdentifier("member")
HERE = RoleIdentifier("organization-member", DEFAULT_ORGANIZATION)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def test_somebody_is_a_member_and_what_else_they_were_made(connection: Connection) -> None:
    acme = an_organization(connection)
    lead, unused = a_role(acme.id), a_role(acme.id, "unused")
    for role in (lead, unused):
        custom_roles.insert(connection, role, now=NOW)
    ann = a_user(connection, roles=(AUDITOR,), organization_ids=(DEFAULT_ORGANIZATION, acme.id))
    admin = RoleIdentifier("organization-admin", acme.id)
    members.set_roles(connection, acme.id, ann.id, (lead.identifier, admin), now=NOW)
    in_acme = {RoleIdentifier("organization-member", acme.id), lead.identifier, admin}
    subject = subjects.subject_of(connection, ann.id)
    assert subject == Subject(
        actor_id=ann.id, roles=frozenset({MEMBER, AUDITOR, HERE, *in_acme}), custom_roles=frozenset({lead})
    )
    assert subjects.subjects(connection)[ann.id].subject(ann.id) == subject
    reading = scope.parse(["limit:read"])
    assert subjects.subject_of(connection, ann.id, reading).scope == reading
    assert subjects.subjects(connection)[ann.id].subject(ann.id, reading).scope == reading


def test_who_is_in_no_organization_is_a_member_of_the_site_alone(connection: Connection) -> None:
    ann = a_user(connection, organization_ids=())
    assert subjects.subject_of(connection, ann.id).roles == {MEMBER}
    assert subjects.subjects(connection)[ann.id].roles == {MEMBER}


def test_who_is_deleted_is_no_subject(connection: Connection) -> None:
    ann, bob = a_user(connection), a_user(connection, "bob")
    users.delete(connection, ann.id, now=NOW)
    assert set(subjects.subjects(connection)) == {bob.id}
    for nobody in (ann.id, NOBODY):
        with pytest.raises(LookupError):
            subjects.subject_of(connection, nobody)


def test_equal_sets_of_roles_are_one_object(connection: Connection) -> None:
    ann, bob, root = a_user(connection), a_user(connection, "bob"), a_user(connection, "root", roles=(OWNER,))
    everybody = subjects.subjects(connection)
    assert everybody[ann.id] is everybody[bob.id]
    assert everybody[root.id].roles == {MEMBER, OWNER, HERE}


def test_everybody_at_once_is_three_queries_and_as_each_alone(connection: Connection) -> None:
    organization_ids = [DEFAULT_ORGANIZATION, *(an_organization(connection, name).id for name in ("b", "c"))]
    for organization_id in organization_ids:
        custom_roles.insert(connection, a_role(organization_id), now=NOW)
    for number in range(12):
        joined = organization_ids[: number % 4]
        user = a_user(connection, f"u{number}", roles=(OWNER,) if number % 3 == 0 else (), organization_ids=joined)
        for organization_id in joined[number % 2 :]:
            members.set_roles(connection, organization_id, user.id, (a_role(organization_id).identifier,), now=NOW)
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda _, __, statement, *___: statements.append(statement))
    everybody = subjects.subjects(connection)
    assert len(statements) == 3
    assert len(everybody) == 12
    for user_id, standing in everybody.items():
        assert standing.subject(user_id) == subjects.subject_of(connection, user_id)


def test_ten_thousand_people_are_known_in_half_a_second(connection: Connection) -> None:
    """The bound is of the processor's time, since other tests run at the same time."""
    places = [str(DEFAULT_ORGANIZATION), *(str(an_organization(connection, f"o{number}").id) for number in range(9))]
    ids = [str(uuid.UUID(int=number + 1, version=4)) for number in range(10_000)]
    stamps: dict[str, object] = {"created_at": NOW, "updated_at": NOW}
    plain = {**stamps, "name": "", "status": "active", "login_type": "none", "roles": "[]"}
    connection.execute(schema.users.insert(), [{**plain, "id": each, "username": f"u-{each}"} for each in ids])
    memberships = [
        {"organization_id": places[(number + more) % 10], "user_id": user_id, "roles": '["organization-auditor"]'}
        for number, user_id in enumerate(ids)
        for more in range(2)
    ]
    connection.execute(schema.organization_members.insert(), [{**each, **stamps} for each in memberships])
    began = time.process_time()
    everybody = subjects.subjects(connection)
    took = time.process_time() - began
    assert len(everybody) == 10_000
    assert len({id(standing) for standing in everybody.values()}) == 10
    print(f"10,000 people in 20,000 memberships: {took * 1000:.0f} ms")  # noqa: T201 (shown with -s)
    assert took < 0.5
