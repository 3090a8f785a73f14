"""Organizations: how they come, change and go with all that is theirs."""

from collections.abc import Callable, Iterator

import pytest
from people_samples import NOBODY, NOWHERE, UNKEPT, a_role, a_token, a_user, an_organization, noted, revoked_at
from sqlalchemy import Connection, func, select
from store_samples import NOW

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.store import custom_roles, groups, members, organizations, schema, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.organizations import Organization, Query


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def names(connection: Connection, **query: object) -> list[str]:
    return [each.name for each in organizations.page(connection, Query(**query)).organizations]  # type: ignore[arg-type]


def test_an_organization_is_kept_as_given(connection: Connection) -> None:
    version = noted(connection)
    acme = organizations.insert(
        connection, name="acme-2", display_name="Acme, Inc.", description="One\nTwo", icon="/a.svg", now=NOW
    )
    assert acme == Organization(
        id=acme.id,
        name="acme-2",
        display_name="Acme, Inc.",
        description="One\nTwo",
        icon="/a.svg",
        is_default=False,
        created_at=NOW,
        updated_at=NOW,
    )
    assert organizations.insert(connection, name="other", now=NOW).display_name == "other"
    assert noted(connection) == version + 2


def test_an_organization_is_found_by_id_or_name(connection: Connection) -> None:
    acme = an_organization(connection)
    for text in (acme.id, str(acme.id), str(acme.id).upper(), "acme"):
        assert organizations.one(connection, text) == acme
    for text in ("", "ACME", NOBODY, UNKEPT):
        with pytest.raises(LookupError, match="there is no organization"):
            organizations.one(connection, text)


def test_the_built_in_one_is_found_as_default_whatever_it_is_called(connection: Connection) -> None:
    built_in = organizations.one(connection, "default")
    assert (built_in.id, built_in.name, built_in.is_default) == (DEFAULT_ORGANIZATION, "default", True)
    renamed = organizations.update(connection, DEFAULT_ORGANIZATION, name="ours", now=NOW)
    assert organizations.one(connection, "default") == organizations.one(connection, "ours") == renamed
    with pytest.raises(Invalid, match="always means the built-in organization"):
        an_organization(connection, "default")
    assert organizations.update(connection, DEFAULT_ORGANIZATION, name="default", now=NOW).name == "default"


@pytest.mark.parametrize(
    "name",
    ["", "Acme", "a b", "-a", "a-", "a--b", "a_b", "ä", "a\n", "x" * 37, UNKEPT, NOBODY, NOBODY.replace("-", "")],
)
def test_what_cannot_be_a_name_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be the name of an organization") as refused:
        an_organization(connection, name)
    assert refused.value.field == "name"
    with pytest.raises(Invalid):
        organizations.update(connection, DEFAULT_ORGANIZATION, name=name, now=NOW)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("display_name", "x" * 257),
        ("display_name", "a\nb"),
        ("description", "x" * 4097),
        ("description", UNKEPT),
        ("icon", UNKEPT),
    ],
)
def test_other_texts_are_bounded_and_without_control_characters(connection: Connection, field: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        organizations.insert(connection, name="acme", now=NOW, **{field: text})
    assert refused.value.field == field


def test_a_name_is_one_organizations(connection: Connection) -> None:
    acme, other = an_organization(connection), an_organization(connection, "other")
    version = noted(connection)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: an_organization(connection),
        lambda: organizations.update(connection, other.id, name="acme", now=NOW),
    )
    for refuse in refusals:
        with pytest.raises(Conflict, match="'acme' is there already") as refused:
            refuse()
        assert refused.value.field == "name"
    assert noted(connection) == version
    assert organizations.update(connection, acme.id, name="acme", now=NOW).name == "acme"


def test_what_is_not_given_stays(connection: Connection) -> None:
    acme = organizations.insert(connection, name="acme", display_name="A", description="d", icon="i", now=NOW)
    version = noted(connection)
    changed = organizations.update(connection, acme.id, description="", now=NOW + 1)
    assert (changed.name, changed.display_name, changed.description, changed.icon) == ("acme", "A", "", "i")
    assert (changed.created_at, changed.updated_at) == (NOW, NOW + 1)
    changed = organizations.update(connection, acme.id, name="b", display_name="B", icon="j", now=NOW + 2)
    assert (changed.name, changed.display_name, changed.description, changed.icon) == ("b", "B", "", "j")
    assert noted(connection) == version + 2
    with pytest.raises(LookupError):
        organizations.update(connection, NOWHERE, now=NOW)


def test_the_listing_is_in_the_order_of_names_a_page_at_a_time(connection: Connection) -> None:
    made = {name: an_organization(connection, name) for name in ("b", "a", "c")}
    ann = a_user(connection, organization_ids=(made["b"].id, DEFAULT_ORGANIZATION))
    assert names(connection) == ["a", "b", "c", "default"]
    assert names(connection, limit=1, offset=1) == ["b"]
    page = organizations.page(connection, Query(limit=1, after_id=str(made["b"].id)))
    assert (page.organizations, page.count) == ((made["c"],), 4)
    assert names(connection, user_id=ann.id) == ["b", "default"]
    assert names(connection, ids=(made["c"].id, NOWHERE)) == ["c"]
    assert names(connection, ids=()) == []
    assert names(connection, search="DEF") == ["default"]
    assert names(connection, search="%") == []
    with pytest.raises(LookupError):
        names(connection, after_id=NOBODY)
    with pytest.raises(Invalid):
        names(connection, search="x" * 300)


def test_the_built_in_one_is_never_deleted(connection: Connection) -> None:
    with pytest.raises(Conflict, match="never deleted"):
        organizations.delete(connection, DEFAULT_ORGANIZATION, now=NOW)


def test_what_is_deleted_takes_all_that_is_its_own_along(connection: Connection) -> None:
    acme, other = an_organization(connection), an_organization(connection, "other")
    ann = a_user(connection, organization_ids=(acme.id, other.id))
    service = a_user(connection, "ci", service_account_of=acme.id)
    gone = a_user(connection, "gone", service_account_of=acme.id)
    users.delete(connection, gone.id, now=NOW)
    kept = {}
    for organization in (acme, other):
        role = a_role(organization.id)
        custom_roles.insert(connection, role, now=NOW)
        members.set_roles(connection, organization.id, ann.id, (role.identifier,), now=NOW)
        group = groups.insert(connection, organization.id, name="g", now=NOW)
        groups.update(connection, group.id, add_users=(ann.id,), now=NOW)
        kept[organization.id] = a_token(connection, ann, organization.id)
        rule = {"name": organization.name, "organization_id": str(organization.id), "rule": "{}"}
        connection.execute(schema.limits.insert(), rule | {"created_at": NOW, "updated_at": NOW})
    a_token(connection, service, acme.id, revoked_at=NOW)
    a_token(connection, service, acme.id, expires_at=NOW + 9)
    version = noted(connection)
    organizations.delete(connection, acme.id, now=NOW + 9)
    assert noted(connection) > version
    with pytest.raises(LookupError):
        organizations.one(connection, "acme")
    with pytest.raises(LookupError):
        users.one(connection, "ci")
    assert users.one(connection, ann.id).organization_ids == (other.id,)
    assert [group.organization_id for group in groups.of_user(connection, ann.id)] == [other.id]
    assert revoked_at(connection, kept[other.id]) is None
    assert set(custom_roles.every(connection)) == {a_role(other.id).identifier}
    for table in (schema.groups, schema.group_members, schema.custom_roles, schema.tokens, schema.limits):
        assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 1, table.name
    with pytest.raises(LookupError):
        organizations.delete(connection, acme.id, now=NOW)


@pytest.mark.parametrize("expires_at", [None, NOW + 1])
def test_what_something_runs_on_is_not_deleted(connection: Connection, expires_at: int | None) -> None:
    acme = an_organization(connection)
    service = a_user(connection, "ci", service_account_of=acme.id)
    a_token(connection, service, acme.id, expires_at=expires_at)
    with pytest.raises(Conflict, match="'ci' of 'acme' has tokens in force") as refused:
        organizations.delete(connection, acme.id, now=NOW)
    assert refused.value.field == "organization"
    assert organizations.one(connection, acme.id) == acme
