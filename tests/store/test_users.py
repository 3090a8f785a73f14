"""Users: how they come, change and go, and how they are found."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from people_samples import AUDITOR, NOBODY, NOWHERE, OWNER, UNKEPT, a_token, a_user, an_organization, noted, revoked_at
from sqlalchemy import Connection, select
from store_samples import MINUTE, NOW

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.user import LoginType, UserStatus
from aibridge.store import groups, members, schema, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.paging import LONGEST_SEARCH
from aibridge.store.sightings import SEEN_RESOLUTION
from aibridge.store.users import Query, User


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def names(connection: Connection, **query: object) -> list[str]:
    return [user.username for user in users.page(connection, Query(**query)).users]  # type: ignore[arg-type]


def test_a_user_is_kept_as_given(connection: Connection) -> None:
    version = noted(connection)
    acme = an_organization(connection)
    user = users.insert(
        connection,
        username="Ann",
        email="Ann@example.com",
        name="Ann Ä. Other",
        roles=(OWNER, AUDITOR, RoleIdentifier("member")),
        login_type=LoginType.PASSWORD,
        password_hash="$argon2id$",
        organization_ids=(acme.id, DEFAULT_ORGANIZATION, acme.id),
        now=NOW,
    )
    assert user == User(
        id=user.id,
        username="Ann",
        email="Ann@example.com",
        name="Ann Ä. Other",
        status=UserStatus.ACTIVE,
        login_type=LoginType.PASSWORD,
        roles=(AUDITOR, OWNER),
        organization_ids=tuple(sorted((acme.id, DEFAULT_ORGANIZATION), key=str)),
        service_account_of=None,
        created_at=NOW,
        updated_at=NOW,
        last_seen_at=None,
    )
    assert user.is_owner
    assert str(uuid.UUID(user.id)) == user.id
    assert users.password_hash(connection, user.id) == "$argon2id$"
    assert noted(connection) == version + 2


def test_who_is_added_without_more_is_a_member_of_the_built_in_organization_and_nothing_else(
    connection: Connection,
) -> None:
    user = a_user(connection)
    assert user.organization_ids == (DEFAULT_ORGANIZATION,)
    assert (user.email, user.roles, user.is_owner, user.login_type) == (None, (), False, LoginType.NONE)
    assert users.password_hash(connection, user.id) is None
    assert a_user(connection, "alone", organization_ids=()).organization_ids == ()


def test_organizations_are_in_the_order_of_joining(connection: Connection) -> None:
    user = a_user(connection, organization_ids=())
    joined = [an_organization(connection, name).id for name in ("a", "b", "c", "d")]
    for at, organization_id in enumerate(joined):
        members.add(connection, organization_id, user.id, now=NOW + at)
    assert users.one(connection, user.id).organization_ids == tuple(joined)


def test_a_user_is_found_by_id_or_by_name_in_any_case(connection: Connection) -> None:
    user = a_user(connection, "Kim")
    for text in (user.id, user.id.upper(), "Kim", "kim", "KIM"):
        assert users.one(connection, text) == user
    # U+212A in lower case is a k.
    for text in ("", "ki", "kim ", NOBODY, UNKEPT, "\ud800", "\N{KELVIN SIGN}im"):
        with pytest.raises(LookupError, match="there is no user"):
            users.one(connection, text)


def test_a_user_is_found_by_address_in_any_case_of_ascii_letters(connection: Connection) -> None:
    user = a_user(connection, email="Kim@example.com")
    assert users.by_email(connection, "kim@EXAMPLE.com") == user
    for address in ("", "im@example.com", "%", UNKEPT, "\N{KELVIN SIGN}im@example.com"):
        with pytest.raises(LookupError, match="address"):
            users.by_email(connection, address)
    umlaut = a_user(connection, "uli", email="Ü@example.com")
    assert users.by_email(connection, "Ü@Example.com") == umlaut


@pytest.mark.parametrize(
    "name",
    [
        *("", "me", "ME", " ann", "a b", "a\n", "ünal", "-x", "x" * 65, 'a"b', "a:b", UNKEPT),
        *(NOBODY, NOBODY.upper(), NOBODY.replace("-", "")),
    ],
)
def test_what_cannot_be_a_username_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be a username") as refused:
        a_user(connection, name)
    assert refused.value.field == "username"
    ann = a_user(connection)
    with pytest.raises(Invalid, match="cannot be a username"):
        users.set_profile(connection, ann.id, username=name, name="", now=NOW)


@pytest.mark.parametrize("address", ["", "ann", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a@" + "b" * 253, UNKEPT])
def test_what_is_no_address_is_refused(connection: Connection, address: str) -> None:
    with pytest.raises(Invalid, match="is no email address") as refused:
        a_user(connection, email=address)
    assert refused.value.field == "email"


@pytest.mark.parametrize("name", ["x" * 257, "a\nb", "\x1b[2J", UNKEPT, "\ud800"])
def test_a_full_name_is_one_line_without_control_characters(connection: Connection, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        a_user(connection, name=name)
    assert refused.value.field == "name"


def test_names_and_addresses_are_taken_in_any_case(connection: Connection) -> None:
    a_user(connection, email="ann@example.com")
    bob = a_user(connection, "bob")
    version = noted(connection)
    with pytest.raises(Conflict, match="'ANN' is taken") as refused:
        a_user(connection, "ANN")
    assert refused.value.field == "username"
    with pytest.raises(Conflict, match=r"'ANN@example\.com' is taken") as refused:
        a_user(connection, "carol", email="ANN@example.com")
    assert refused.value.field == "email"
    with pytest.raises(Conflict, match="'Ann' is taken"):
        users.set_profile(connection, bob.id, username="Ann", name="", now=NOW)
    with pytest.raises(Conflict, match="is taken"):
        users.set_profile(connection, bob.id, username="bob", name="", email="Ann@example.com", now=NOW)
    assert noted(connection) == version
    assert users.count(connection) == 2


def test_a_user_of_an_organization_that_is_not_there_is_not_added(connection: Connection) -> None:
    with pytest.raises(LookupError, match="no organization"):
        a_user(connection, organization_ids=(NOWHERE,))
    assert users.count(connection) == 0


def test_a_password_is_for_those_who_sign_in_with_it(connection: Connection) -> None:
    with pytest.raises(Invalid, match="by 'oidc' has no password"):
        a_user(connection, login_type=LoginType.OIDC, password_hash="x")
    elsewhere = a_user(connection, "elsewhere", login_type=LoginType.OIDC)
    service = a_user(connection, "service", service_account_of=DEFAULT_ORGANIZATION)
    for user in (elsewhere, service):
        with pytest.raises(Invalid, match="has no password") as refused:
            users.set_password(connection, user.id, "x")
        assert refused.value.field == "password"
    nothing = a_user(connection, "nothing")
    users.set_password(connection, nothing.id, "y")
    assert users.one(connection, nothing.id).login_type is LoginType.PASSWORD
    assert users.password_hash(connection, nothing.id) == "y"
    assert users.password_hash(connection, elsewhere.id) is None
    with pytest.raises(LookupError):
        users.password_hash(connection, NOBODY)


def test_a_service_account_belongs_to_its_organization_alone_and_has_no_role_of_the_site(
    connection: Connection,
) -> None:
    acme = an_organization(connection)
    service = a_user(connection, "ci", service_account_of=acme.id)
    assert (service.service_account_of, service.organization_ids) == (acme.id, (acme.id,))
    for organization_ids in ((), (DEFAULT_ORGANIZATION,), (acme.id, DEFAULT_ORGANIZATION)):
        with pytest.raises(Invalid, match="its own organization"):
            a_user(connection, "no", service_account_of=acme.id, organization_ids=organization_ids)
    with pytest.raises(Invalid, match="no roles of the site"):
        a_user(connection, "no", service_account_of=acme.id, roles=(AUDITOR,))
    with pytest.raises(Invalid, match="no roles of the site"):
        users.set_roles(connection, service.id, (OWNER,), now=NOW)
    with pytest.raises(Invalid, match="signs in nowhere"):
        a_user(connection, "no", service_account_of=acme.id, login_type=LoginType.OIDC)
    with pytest.raises(Invalid, match="signs in nowhere"):
        users.link(connection, "https://idp", "1", service.id, now=NOW)
    assert users.set_roles(connection, service.id, (RoleIdentifier("member"),), now=NOW).roles == ()


def test_the_listing_is_in_the_order_of_names_a_page_at_a_time(connection: Connection) -> None:
    made = {name: a_user(connection, name) for name in ("dan", "Bob", "ann", "Carol")}
    everybody = users.page(connection, Query())
    assert [user.username for user in everybody.users] == ["ann", "Bob", "Carol", "dan"]
    assert list(everybody.users) == sorted(made.values(), key=lambda user: user.username.lower())
    assert everybody.count == 4
    assert names(connection, limit=2) == ["ann", "Bob"]
    assert names(connection, limit=2, offset=1) == ["Bob", "Carol"]
    after = users.page(connection, Query(limit=2, after_id=made["Bob"].id))
    assert ([user.username for user in after.users], after.count) == (["Carol", "dan"], 4)
    users.delete(connection, made["Bob"].id, now=NOW)
    assert names(connection, after_id=made["Bob"].id) == ["Carol", "dan"]
    for nobody in (NOBODY, UNKEPT):
        with pytest.raises(LookupError):
            users.page(connection, Query(after_id=nobody))


def test_the_listing_takes_conditions_together(connection: Connection) -> None:
    acme = an_organization(connection)
    ann = a_user(connection, "ann", organization_ids=(DEFAULT_ORGANIZATION, acme.id))
    bob = a_user(connection, "bob")
    a_user(connection, "ci", service_account_of=acme.id)
    users.set_status(connection, ann.id, UserStatus.SUSPENDED, now=NOW)
    assert names(connection, status=UserStatus.SUSPENDED) == ["ann"]
    assert names(connection, status=UserStatus.ACTIVE) == ["bob", "ci"]
    assert names(connection, organization_id=acme.id) == ["ann", "ci"]
    assert names(connection, service_accounts=True) == ["ci"]
    assert names(connection, service_accounts=False, organization_id=acme.id) == ["ann"]
    assert names(connection, ids=(bob.id, NOBODY)) == ["bob"]
    assert names(connection, ids=()) == []
    page = users.page(connection, Query(status=UserStatus.ACTIVE, organization_id=acme.id, limit=0))
    assert (page.users, page.count) == ((), 1)


def test_a_search_looks_at_names_and_addresses(connection: Connection) -> None:
    a_user(connection, "ann", email="ann@Example.com", name="Ann Other")
    a_user(connection, "bob", email="bob@example.org")
    assert names(connection, search="AN") == ["ann"]
    assert names(connection, search="example") == ["ann", "bob"]
    assert names(connection, search="other") == ["ann"]
    assert names(connection, search="") == ["ann", "bob"]
    assert names(connection, search="zz") == []


@pytest.mark.parametrize("wild", ["%", "_", "a%n", "a_n", "/", "\\", "%%%%", "'", "*", "?"])
def test_a_search_has_no_wildcards(connection: Connection, wild: str) -> None:
    """Those of LIKE would let anybody ask what costs a database more than it can spend on one."""
    a_user(connection, "ann")
    assert names(connection, search=wild) == []
    a_user(connection, "bob", name=f"b{wild}b")
    assert names(connection, search=wild) == ["bob"]


@pytest.mark.parametrize("search", ["x" * (LONGEST_SEARCH + 1), UNKEPT, "\ud800"])
def test_a_search_that_no_database_should_be_asked_is_refused(connection: Connection, search: str) -> None:
    with pytest.raises(Invalid) as refused:
        users.page(connection, Query(search=search))
    assert refused.value.field == "q"


def test_a_profile_changes_and_the_address_stays_unless_it_is_given(connection: Connection) -> None:
    ann = a_user(connection, email="ann@example.com")
    version = noted(connection)
    changed = users.set_profile(connection, ann.id, username="ANN", name="Ann", now=NOW + 1)
    assert (changed.username, changed.name, changed.email) == ("ANN", "Ann", "ann@example.com")
    assert (changed.created_at, changed.updated_at) == (NOW, NOW + 1)
    assert noted(connection) == version + 1
    assert users.set_profile(connection, ann.id, username="ann", name="", email="a@b", now=NOW).email == "a@b"
    assert users.set_profile(connection, ann.id, username="ann", name="", email=None, now=NOW).email is None
    with pytest.raises(LookupError):
        users.set_profile(connection, NOBODY, username="x", name="", now=NOW)


def test_roles_of_the_site_are_given_and_taken(connection: Connection) -> None:
    a_user(connection, "root", roles=(OWNER,))
    ann = a_user(connection)
    version = noted(connection)
    assert users.set_roles(connection, ann.id, (OWNER, AUDITOR, OWNER), now=NOW + 1).roles == (AUDITOR, OWNER)
    changed = users.set_roles(connection, ann.id, (), now=NOW + 2)
    assert (changed.roles, changed.updated_at) == ((), NOW + 2)
    assert noted(connection) == version + 2


@pytest.mark.parametrize(
    "role",
    [
        RoleIdentifier("root"),
        RoleIdentifier("organization-admin"),
        RoleIdentifier("owner", DEFAULT_ORGANIZATION),
        RoleIdentifier("organization-admin", DEFAULT_ORGANIZATION),
    ],
)
def test_what_is_no_role_of_the_site_is_refused(connection: Connection, role: RoleIdentifier) -> None:
    ann = a_user(connection)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: users.set_roles(connection, ann.id, (role,), now=NOW),
        lambda: a_user(connection, "bob", roles=(role,)),
    )
    for refuse in refusals:
        with pytest.raises(Invalid, match="is no role of the site: these are auditor, member, owner") as refused:
            refuse()
        assert refused.value.field == "roles"
    assert users.one(connection, ann.id).roles == ()


def test_the_last_owner_who_can_come_in_stays_one(connection: Connection) -> None:
    root = a_user(connection, "root", roles=(OWNER,))
    gone = a_user(connection, "gone", roles=(OWNER,))
    users.delete(connection, gone.id, now=NOW)
    out = a_user(connection, "out", roles=(OWNER,))
    users.set_status(connection, out.id, UserStatus.SUSPENDED, now=NOW)
    version = noted(connection)
    for field, refuse in (
        ("roles", lambda: users.set_roles(connection, root.id, (AUDITOR,), now=NOW)),
        ("status", lambda: users.set_status(connection, root.id, UserStatus.SUSPENDED, now=NOW)),
        ("user", lambda: users.delete(connection, root.id, now=NOW)),
    ):
        with pytest.raises(Conflict, match="'root' is the last owner") as refused:
            refuse()
        assert refused.value.field == field
    assert noted(connection) == version
    # What leaves an owner is no matter: more roles, another status, one who is suspended.
    users.set_roles(connection, root.id, (AUDITOR, OWNER), now=NOW)
    users.set_status(connection, root.id, UserStatus.DORMANT, now=NOW)
    users.set_roles(connection, out.id, (), now=NOW)
    users.set_roles(connection, out.id, (OWNER,), now=NOW)
    users.set_status(connection, out.id, UserStatus.ACTIVE, now=NOW)
    users.delete(connection, root.id, now=NOW)


def test_who_is_deleted_is_gone_from_everywhere(connection: Connection) -> None:
    root = a_user(connection, "root", roles=(OWNER,))
    ann = a_user(connection, email="ann@example.com", login_type=LoginType.PASSWORD, password_hash="x")
    users.link(connection, "https://idp", "1", ann.id, now=NOW)
    group = groups.insert(connection, DEFAULT_ORGANIZATION, name="g", now=NOW)
    groups.update(connection, group.id, add_users=(ann.id, root.id), now=NOW)
    token, revoked = a_token(connection, ann, DEFAULT_ORGANIZATION), a_token(connection, ann, DEFAULT_ORGANIZATION)
    others = a_token(connection, root, DEFAULT_ORGANIZATION)
    connection.execute(schema.tokens.update().where(schema.tokens.c.id == revoked).values(revoked_at=NOW - 1))
    version = noted(connection)
    users.delete(connection, ann.id, now=NOW + 5)
    assert noted(connection) == version + 1
    assert [revoked_at(connection, each) for each in (token, revoked, others)] == [NOW + 5, NOW - 1, None]
    for text in (ann.id, "ann"):
        with pytest.raises(LookupError):
            users.one(connection, text)
    with pytest.raises(LookupError):
        users.by_email(connection, "ann@example.com")
    with pytest.raises(LookupError):
        users.password_hash(connection, ann.id)
    assert users.linked(connection, "https://idp", "1") is None
    assert groups.one(connection, group.id).member_ids == (root.id,)
    assert (names(connection), users.count(connection)) == (["root"], 1)
    row = connection.execute(select(schema.users).where(schema.users.c.id == ann.id)).one()
    assert (row.username, row.deleted_at, row.password_hash) == ("ann", NOW + 5, None)
    again = a_user(connection, email="ann@example.com")
    assert again.id != ann.id
    assert users.one(connection, "ann") == again
    users.link(connection, "https://idp", "1", again.id, now=NOW)
    assert users.linked(connection, "https://idp", "1") == again
    with pytest.raises(LookupError):
        users.delete(connection, ann.id, now=NOW)


def test_an_identity_is_one_users_and_issuer_and_subject_together(connection: Connection) -> None:
    ann, bob = a_user(connection), a_user(connection, "bob")
    users.link(connection, "https://idp", "1", ann.id, now=NOW)
    version = noted(connection)
    users.link(connection, "https://idp", "1", ann.id, now=NOW)
    assert noted(connection) == version
    with pytest.raises(Conflict, match="is 'ann' already"):
        users.link(connection, "https://idp", "1", bob.id, now=NOW)
    users.link(connection, "https://other", "1", bob.id, now=NOW)
    users.link(connection, "https://idp", "2", ann.id, now=NOW)
    assert users.linked(connection, "https://idp", "1") == ann
    assert users.linked(connection, "https://idp", "2") == ann
    assert users.linked(connection, "https://other", "1") == bob
    for issuer, subject in (("https://other", "2"), ("https://IDP", "1"), (UNKEPT, "1"), ("https://idp", UNKEPT)):
        assert users.linked(connection, issuer, subject) is None
    with pytest.raises(Invalid):
        users.link(connection, "https://idp", UNKEPT, ann.id, now=NOW)
    with pytest.raises(LookupError):
        users.link(connection, "https://idp", "3", NOBODY, now=NOW)


def test_when_somebody_was_seen_is_kept_to_ten_minutes(connection: Connection) -> None:
    ann, bob = a_user(connection), a_user(connection, "bob")
    version = noted(connection)
    users.seen(connection, [(ann.id, NOW), (NOBODY, NOW)])
    users.seen(connection, [(ann.id, NOW + SEEN_RESOLUTION - 1)])
    assert users.one(connection, ann.id).last_seen_at == NOW
    users.seen(connection, [(ann.id, NOW + SEEN_RESOLUTION)])
    users.seen(connection, [(ann.id, NOW + MINUTE)])
    assert users.one(connection, ann.id).last_seen_at == NOW + SEEN_RESOLUTION
    assert users.one(connection, bob.id).last_seen_at is None
    users.seen(connection, [])
    assert noted(connection) == version


def test_who_was_not_seen_for_long_is_dormant_until_seen_again(connection: Connection) -> None:
    seen, unseen, early, young, out = (a_user(connection, each) for each in ("seen", "unseen", "early", "young", "out"))
    service = a_user(connection, "ci", service_account_of=DEFAULT_ORGANIZATION)
    users.seen(connection, [(seen.id, NOW + 500), (early.id, NOW + 499)])
    users.set_profile(connection, young.id, username="young", name="", now=NOW + 500)
    users.set_status(connection, out.id, UserStatus.SUSPENDED, now=NOW)
    version = noted(connection)
    assert users.fall_dormant(connection, NOW + 500, NOW + 900) == 2
    assert noted(connection) == version + 1
    assert users.fall_dormant(connection, NOW + 500, NOW + 900) == 0
    assert noted(connection) == version + 1
    states = {user.username: user.status for user in users.page(connection, Query()).users}
    assert states == {
        **dict.fromkeys(("seen", "young", service.username), UserStatus.ACTIVE),
        **dict.fromkeys(("unseen", "early"), UserStatus.DORMANT),
        "out": UserStatus.SUSPENDED,
    }
    # A use that was before does not wake anybody: it is only told late.
    users.seen(connection, [(early.id, NOW + 899)])
    assert users.one(connection, early.id).status is UserStatus.DORMANT
    version = noted(connection)
    users.seen(connection, [(unseen.id, NOW + 900), (early.id, NOW + 901), (out.id, NOW + 900)])
    assert noted(connection) == version + 1
    awake = users.one(connection, early.id)
    assert (awake.status, awake.last_seen_at, awake.updated_at) == (UserStatus.ACTIVE, NOW + 901, NOW + 901)
    assert users.one(connection, unseen.id).status is UserStatus.ACTIVE
    assert users.one(connection, out.id).status is UserStatus.SUSPENDED


def test_a_status_that_is_set_is_told(connection: Connection) -> None:
    ann = a_user(connection)
    version = noted(connection)
    assert users.set_status(connection, ann.id, UserStatus.SUSPENDED, now=NOW + 1).status is UserStatus.SUSPENDED
    active = users.set_status(connection, ann.id, UserStatus.ACTIVE, now=NOW + 2)
    assert (active.status, active.updated_at, noted(connection)) == (UserStatus.ACTIVE, NOW + 2, version + 2)
    with pytest.raises(LookupError):
        users.set_status(connection, NOBODY, UserStatus.ACTIVE, now=NOW)
