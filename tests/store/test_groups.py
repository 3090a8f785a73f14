"""Groups of members, kept by hand or by what a provider says."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from people_samples import NOBODY, NOWHERE, UNKEPT, a_user, an_organization, noted
from sqlalchemy import Connection
from store_samples import NOW

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import group_sync, groups
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.groups import Group, GroupMember, Query

HERE = DEFAULT_ORGANIZATION


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def names(connection: Connection, **query: object) -> list[str]:
    return [group.name for group in groups.page(connection, Query(**query)).groups]  # type: ignore[arg-type]


def test_a_group_is_kept_as_given(connection: Connection) -> None:
    bob, ann = a_user(connection, "Bob"), a_user(connection, "ann")
    version = noted(connection)
    made = groups.insert(connection, HERE, name="ML / Öl", display_name="ML", now=NOW)
    group = groups.update(connection, made.id, add_users=("BOB", ann.id), now=NOW + 1)
    assert noted(connection) == version + 2
    members = (GroupMember(id=ann.id, username="ann"), GroupMember(id=bob.id, username="Bob"))
    assert group == Group(
        id=made.id,
        organization_id=HERE,
        name="ML / Öl",
        display_name="ML",
        source="user",
        members=members,
        created_at=NOW,
        updated_at=NOW + 1,
    )
    assert group.member_ids == (ann.id, bob.id)
    assert (made.members, made.updated_at) == ((), NOW)
    assert str(uuid.UUID(group.id)) == group.id


def test_a_group_is_found_by_id_or_in_its_organization_by_name(connection: Connection) -> None:
    acme = an_organization(connection)
    group = groups.insert(connection, acme.id, name="g", now=NOW)
    assert groups.one(connection, group.id) == groups.one(connection, group.id.upper()) == group
    assert groups.one(connection, "g", organization_id=acme.id) == group
    assert groups.one(connection, group.id, organization_id=acme.id) == group
    for text, organization_id in (
        ("g", None),
        ("g", HERE),
        (group.id, HERE),
        ("G", acme.id),
        (NOBODY, None),
        (UNKEPT, None),
    ):
        with pytest.raises(LookupError, match="there is no group"):
            groups.one(connection, text, organization_id=organization_id)


@pytest.mark.parametrize("name", ["", " g", "g ", "a\nb", UNKEPT, "x" * 257, NOBODY])
def test_what_cannot_be_a_name_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        groups.insert(connection, HERE, name=name, now=NOW)
    assert refused.value.field == "name"


def test_a_name_is_one_groups_of_an_organization(connection: Connection) -> None:
    acme = an_organization(connection)
    g = groups.insert(connection, HERE, name="g", now=NOW)
    h = groups.insert(connection, HERE, name="h", now=NOW)
    groups.insert(connection, acme.id, name="g", now=NOW)
    version = noted(connection)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: groups.insert(connection, HERE, name="g", now=NOW),
        lambda: groups.update(connection, h.id, name="g", now=NOW),
    )
    for refuse in refusals:
        with pytest.raises(Conflict, match="a group 'g'") as refused:
            refuse()
        assert refused.value.field == "name"
    assert noted(connection) == version
    assert groups.update(connection, g.id, name="g", display_name="G", now=NOW).display_name == "G"
    with pytest.raises(Invalid):
        groups.update(connection, g.id, display_name=UNKEPT, now=NOW)
    with pytest.raises(LookupError):
        groups.insert(connection, NOWHERE, name="g", now=NOW)


def test_members_come_and_go(connection: Connection) -> None:
    ann, bob, carol = (a_user(connection, name) for name in ("ann", "bob", "carol"))
    group = groups.insert(connection, HERE, name="g", display_name="G", now=NOW)
    groups.update(connection, group.id, add_users=(ann.id, bob.id), now=NOW)
    changed = groups.update(connection, group.id, add_users=(bob.id, carol.id), remove_users=("ann",), now=NOW)
    assert changed.member_ids == (bob.id, carol.id)
    assert groups.update(connection, group.id, remove_users=(ann.id,), now=NOW).member_ids == (bob.id, carol.id)
    assert (changed.name, changed.display_name) == ("g", "G")


def test_only_members_of_the_organization_are_let_in(connection: Connection) -> None:
    acme = an_organization(connection)
    ann = a_user(connection)
    group = groups.insert(connection, acme.id, name="g", now=NOW)
    for field, change in (
        ("add_users", {"add_users": (ann.id,)}),
        ("add_users", {"add_users": (NOBODY,)}),
        ("remove_users", {"remove_users": (NOBODY,)}),
        ("remove_users", {"add_users": ("ann",), "remove_users": (ann.id,)}),
    ):
        with pytest.raises(Invalid) as refused:
            groups.update(connection, group.id, now=NOW, **change)  # type: ignore[arg-type]
        assert refused.value.field == field
    assert groups.one(connection, group.id).members == ()


def test_a_group_that_is_deleted_is_gone(connection: Connection) -> None:
    ann = a_user(connection)
    gone, kept = (groups.insert(connection, HERE, name=name, now=NOW) for name in ("gone", "kept"))
    for group in (gone, kept):
        groups.update(connection, group.id, add_users=(ann.id,), now=NOW)
    version = noted(connection)
    groups.delete(connection, gone.id)
    assert noted(connection) == version + 1
    assert [group.name for group in groups.of_user(connection, ann.id)] == ["kept"]
    with pytest.raises(LookupError):
        groups.delete(connection, gone.id)


def test_the_listing_is_in_the_order_of_names_a_page_at_a_time(connection: Connection) -> None:
    acme = an_organization(connection)
    ann = a_user(connection, organization_ids=(HERE, acme.id))
    for organization_id, name in ((HERE, "a"), (HERE, "c"), (acme.id, "b"), (acme.id, "a")):
        group = groups.insert(connection, organization_id, name=name, display_name=f"the {name}", now=NOW)
        groups.update(connection, group.id, add_users=(ann.id,) if name != "c" else (), now=NOW)
    assert names(connection) == ["a", "a", "b", "c"]
    assert names(connection, organization_ids=(HERE,)) == ["a", "c"]
    assert names(connection, organization_ids=()) == []
    assert names(connection, user_id=ann.id) == ["a", "a", "b"]
    assert names(connection, search="THE B") == ["b"]
    assert names(connection, search="%") == []
    assert names(connection, limit=2, offset=1) == ["a", "b"]
    everything = groups.page(connection, Query())
    assert everything.count == 4
    seen: list[Group] = []
    after_id: str | None = None
    while page := groups.page(connection, Query(limit=1, after_id=after_id)).groups:
        seen.extend(page)
        after_id = page[-1].id
    assert tuple(seen) == everything.groups
    assert [group.id for group in groups.page(connection, Query(ids=(seen[1].id, NOBODY))).groups] == [seen[1].id]
    with pytest.raises(LookupError):
        names(connection, after_id=NOBODY)
    with pytest.raises(Invalid):
        names(connection, search="x" * 300)


def test_a_sign_in_puts_somebody_where_the_provider_says(connection: Connection) -> None:
    acme = an_organization(connection)
    ann, bob = a_user(connection, organization_ids=(HERE, acme.id)), a_user(connection, "bob")
    groups.update(connection, groups.insert(connection, HERE, name="by-hand", now=NOW).id, add_users=("ann",), now=NOW)
    groups.insert(connection, HERE, name="closed", now=NOW)

    def sync(user_id: str, *wanted: str) -> tuple[str, ...]:
        return group_sync.set_memberships(connection, user_id, HERE, wanted, now=NOW)

    group_sync.set_memberships(connection, ann.id, acme.id, ["there"], now=NOW)
    assert sync(bob.id, "x", "y") == ()
    assert sync(ann.id, "x", "z", "closed", "", NOBODY, "x") == ("", NOBODY, "closed")
    assert {(each.name, each.source) for each in groups.of_user(connection, ann.id)} == {
        ("by-hand", "user"),
        ("there", "oidc"),
        ("x", "oidc"),
        ("z", "oidc"),
    }
    version = noted(connection)
    sync(ann.id, "z", "x")
    assert noted(connection) == version
    sync(ann.id, "y")
    assert noted(connection) == version + 1
    assert [each.name for each in groups.of_user(connection, ann.id)] == ["by-hand", "there", "y"]
    assert [each.name for each in groups.of_user(connection, bob.id)] == ["x", "y"]
    sync(ann.id)
    assert [each.name for each in groups.of_user(connection, ann.id)] == ["by-hand", "there"]
    with pytest.raises(LookupError):
        group_sync.set_memberships(connection, bob.id, acme.id, ["x"], now=NOW)
