"""Tokens: what is kept of them, which there may be, how they are found, and how they end."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import person, token_of
from people_samples import NOBODY, NOWHERE, UNKEPT, a_user, an_organization, noted
from sqlalchemy import Connection
from store_samples import MINUTE, NOW, a_start, an_ending, url_of

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import PAIRS
from aibridge.domain.priority import Priority
from aibridge.domain.roles import OWNER
from aibridge.domain.scope import EVERYTHING, Scope, narrower, parse
from aibridge.domain.token import MintedToken, TokenKind, is_well_formed, matches
from aibridge.store import audit, sessions, tokens, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.first_owner import first_owner
from aibridge.store.sink import LedgerSink
from aibridge.store.snapshot import snapshot
from aibridge.store.tokens import Query, StoredToken
from aibridge.store.users import User

SESSION = TokenKind.SESSION
SCOPES = sorted({f"{resource}:{action}" for resource, action in PAIRS} | {"all", "api_key:*"})


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


@pytest.fixture
def ann(connection: Connection) -> User:
    return a_user(connection)


def a_token(connection: Connection, user: User, name: str = "laptop", **values: object) -> MintedToken:
    given = {"organization_id": DEFAULT_ORGANIZATION, "parent": EVERYTHING, "now": NOW} | values
    return tokens.mint(connection, user_id=user.id, name=name, **given)  # type: ignore[arg-type]


def listed(connection: Connection, **query: object) -> list[str]:
    page = tokens.page(connection, Query(**{"now": NOW} | query))  # type: ignore[arg-type]
    return [token.name for token in page.tokens]


def mark_used(database: Database, uses: Sequence[tuple[str, int]]) -> None:
    with database.writing() as connection:
        tokens.mark_used(connection, uses)


def test_a_token_is_kept_as_given_and_its_text_nowhere(tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as database:
        minted = first_owner(database, username="ann", token_name="x", now=NOW)
        assert minted is not None
        assert is_well_formed(minted.text)
        assert matches(minted.text, snapshot(database).tokens[minted.id])
    for file in (tmp_path / "data").iterdir():
        assert minted.text[15:].encode() not in file.read_bytes()


def test_all_that_was_said_of_a_token_is_told(connection: Connection, ann: User) -> None:
    acme = an_organization(connection)
    bob = a_user(connection, "bob", organization_ids=(acme.id,))
    before = noted(connection)
    parent = a_token(connection, ann)
    minted = a_token(
        connection,
        bob,
        "ci",
        organization_id=acme.id,
        scopes=("aibridge_interception:*", "api_key:read"),
        only=("t1", "t2"),
        parent_id=parent.id,
        created_by=ann.id,
        now=NOW + 1,
        expires_at=NOW + MINUTE,
        priority=Priority.BATCH,
    )
    assert noted(connection) == before + 2
    assert tokens.one(connection, minted.id) == StoredToken(
        id=minted.id,
        user_id=bob.id,
        username="bob",
        organization_id=acme.id,
        kind=TokenKind.TOKEN,
        name="ci",
        last_four=minted.text[-4:],
        scopes=("aibridge_interception:*", "api_key:read"),
        only=("t1", "t2"),
        parent_id=parent.id,
        replaced_by=None,
        created_by=ann.id,
        created_at=NOW + 1,
        expires_at=NOW + MINUTE,
        last_used_at=None,
        revoked_at=None,
        priority=Priority.BATCH,
    )
    plain = tokens.one(connection, parent.id)
    assert (plain.scopes, plain.only, plain.expires_at, plain.priority) == (None, None, None, Priority.INTERACTIVE)


def test_who_is_not_there_or_no_member_gets_no_token(connection: Connection, ann: User) -> None:
    with pytest.raises(LookupError, match=NOBODY):
        tokens.mint(
            connection, user_id=NOBODY, organization_id=DEFAULT_ORGANIZATION, name="x", parent=EVERYTHING, now=NOW
        )
    for organization_id in (NOWHERE, an_organization(connection).id):
        with pytest.raises(Invalid, match="no member") as raised:
            a_token(connection, ann, organization_id=organization_id)
        assert raised.value.field == "organization_id"
    users.delete(connection, ann.id, now=NOW)
    with pytest.raises(LookupError, match=ann.id):
        a_token(connection, ann)


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, UNKEPT, "a\x1bb"])
def test_a_name_that_nobody_could_read_is_refused(connection: Connection, ann: User, name: str) -> None:
    with pytest.raises(Invalid) as raised:
        a_token(connection, ann, name)
    assert raised.value.field == "name"


def test_names_are_unique_among_a_users_tokens_in_force(connection: Connection, ann: User) -> None:
    first = a_token(connection, ann, expires_at=NOW + MINUTE)
    a_token(connection, a_user(connection, "bob"))
    a_token(connection, ann, "Laptop")
    for _ in range(2):
        a_token(connection, ann, kind=SESSION)
    with pytest.raises(Conflict, match="'laptop' is in force") as raised:
        a_token(connection, ann, now=NOW + MINUTE - 1)
    assert raised.value.field == "name"
    second = a_token(connection, ann, now=NOW + MINUTE)
    tokens.revoke(connection, second.id, NOW + MINUTE)
    third = a_token(connection, ann, now=NOW + MINUTE)
    assert len({first.id, second.id, third.id}) == 3


def test_a_life_that_ends_before_it_begins_is_refused(connection: Connection, ann: User) -> None:
    with pytest.raises(Invalid) as raised:
        a_token(connection, ann, expires_at=NOW)
    assert raised.value.field == "expires_at"


@pytest.mark.parametrize(
    ("scopes", "only", "field"),
    [(("nothing:read",), None, "scopes"), ((), None, "scopes"), (("*:read",), None, "scopes"), (None, (), "only")],
)
def test_a_bound_that_is_none_is_refused(
    connection: Connection, ann: User, scopes: tuple[str, ...] | None, only: tuple[str, ...] | None, field: str
) -> None:
    with pytest.raises(Invalid) as raised:
        a_token(connection, ann, scopes=scopes, only=only)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("scopes", "only", "field"),
    [
        (None, ("a",), "scopes"),
        (("all",), ("a",), "scopes"),
        (("api_key:*",), ("a",), "scopes"),
        (("api_key:read",), None, "only"),
        (("api_key:read",), ("a", "b"), "only"),
    ],
)
def test_no_token_makes_one_for_more_than_itself(
    connection: Connection, ann: User, scopes: tuple[str, ...] | None, only: tuple[str, ...] | None, field: str
) -> None:
    parent = parse(["api_key:read", "user:read"], ["a"])
    with pytest.raises(Invalid, match="for more than") as raised:
        a_token(connection, ann, scopes=scopes, only=only, parent=parent)
    assert raised.value.field == field
    a_token(connection, ann, scopes=("api_key:read",), only=("a",), parent=parent)


_SCOPES = st.none() | st.lists(st.sampled_from(SCOPES), min_size=1, max_size=4).map(tuple)
_ONLY = st.none() | st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, User]]:
    with closing(Database.open(url_of(tmp_path_factory.mktemp("generations")))) as database:
        with database.writing() as connection:
            user = a_user(connection)
        yield database, user


@given(st.lists(st.tuples(_SCOPES, _ONLY), min_size=1, max_size=6))
def test_whatever_is_asked_for_generations_of_tokens_only_get_narrower(
    generations: tuple[Database, User], asked: list[tuple[tuple[str, ...] | None, tuple[str, ...] | None]]
) -> None:
    # CVE-2026-47101: a key that may make keys made one that could do everything.
    database, user = generations
    bound = first = parse(["api_key:*", "aibridge_interception:*", "user:read"], ["a", "b"])
    with database.writing() as connection:
        for scopes, only in asked:
            try:
                minted = a_token(connection, user, kind=SESSION, scopes=scopes, only=only, parent=bound)
            except Invalid:
                assert not narrower(bound, tokens.scope_of(scopes, only))
                continue
            kept = tokens.one(connection, minted.id)
            bound = tokens.scope_of(kept.scopes, kept.only)
            assert narrower(first, bound)


def test_a_scope_is_what_its_columns_say() -> None:
    assert tokens.scope_of(None, None) is EVERYTHING
    assert tokens.scope_of(None, ("a",)) == Scope(allowed=PAIRS, only=frozenset("a"))
    assert tokens.scope_of(("api_key:read",), ("a",)) == parse(["api_key:read"], ["a"])


def test_a_name_finds_the_token_that_goes_on_under_it(connection: Connection, ann: User) -> None:
    a_token(connection, a_user(connection, "bob"))
    a_token(connection, ann, kind=SESSION)
    for unknown in ("laptop", UNKEPT):
        with pytest.raises(LookupError, match="no token of the name"):
            tokens.named(connection, ann.id, unknown)
    expired = a_token(connection, ann, expires_at=NOW + 1)
    assert tokens.named(connection, ann.id, "laptop").id == expired.id
    newer = a_token(connection, ann, now=NOW + 1)
    assert tokens.named(connection, ann.id, "laptop").id == newer.id
    newest = tokens.rotate(connection, newer.id, overlap=60, now=NOW + 2)
    assert tokens.named(connection, ann.id, "laptop").id == newest.id
    tokens.revoke(connection, newest.id, NOW + 3)
    assert tokens.named(connection, ann.id, "laptop").id == expired.id


def test_the_newest_are_listed_first_and_those_out_of_force_if_asked(connection: Connection, ann: User) -> None:
    bob = a_user(connection, "bob")
    a_token(connection, ann, "a")
    a_token(connection, bob, "b", now=NOW + 1, expires_at=NOW + 9)
    revoked = a_token(connection, ann, "c", now=NOW + 2)
    a_token(connection, ann, "d", now=NOW + 3, kind=SESSION)
    tokens.revoke(connection, revoked.id, NOW + 4)
    assert listed(connection, now=NOW + 8) == ["d", "b", "a"]
    assert listed(connection, now=NOW + 9) == ["d", "a"]
    assert listed(connection, now=NOW + 9, include_expired=True) == ["d", "c", "b", "a"]
    assert listed(connection, user_id=ann.id, include_expired=True) == ["d", "c", "a"]
    assert listed(connection, kind=TokenKind.TOKEN) == ["b", "a"]
    assert tokens.page(connection, Query(now=NOW, kind=SESSION, limit=0)).count == 1


def test_what_may_be_seen_is_what_is_listed(connection: Connection, ann: User) -> None:
    acme = an_organization(connection)
    a_token(connection, ann, "a")
    a_token(connection, a_user(connection, "bob", organization_ids=(acme.id,)), "b", organization_id=acme.id)
    assert listed(connection, organization_ids=frozenset((acme.id,))) == ["b"]
    assert listed(connection, organization_ids=frozenset()) == []


def test_pages_follow_one_another_also_within_an_instant(connection: Connection, ann: User) -> None:
    made = {a_token(connection, ann, name, now=NOW + number // 3).id for number, name in enumerate("abcdefg")}
    seen: list[str] = []
    while True:
        page = tokens.page(connection, Query(now=NOW, limit=2, after_id=seen[-1] if seen else None))
        assert page.count == 7
        seen += [token.id for token in page.tokens]
        if not page.tokens:
            break
    assert len(seen) == 7
    assert set(seen) == made
    assert [token.id for token in tokens.page(connection, Query(now=NOW, limit=2, offset=3)).tokens] == seen[3:5]
    for unknown in ("nosuchtokn", UNKEPT):
        with pytest.raises(LookupError, match="there is no token"):
            tokens.page(connection, Query(now=NOW, after_id=unknown))


def test_a_revoked_token_is_out_of_force_and_revoking_again_changes_nothing(connection: Connection, ann: User) -> None:
    minted = a_token(connection, ann)
    assert tokens.one(connection, minted.id).in_force(NOW)
    tokens.revoke(connection, minted.id, NOW + 1)
    before = noted(connection)
    tokens.revoke(connection, minted.id, NOW + 2)
    kept = tokens.one(connection, minted.id)
    assert kept.revoked_at == NOW + 1
    assert not kept.in_force(NOW)
    assert noted(connection) == before
    with pytest.raises(LookupError, match="nosuchtokn"):
        tokens.revoke(connection, "nosuchtokn", NOW)


def test_all_of_somebodys_tokens_can_be_revoked_at_once(connection: Connection, ann: User) -> None:
    bob = a_user(connection, "bob")
    theirs = a_token(connection, bob)
    kept, other = (a_token(connection, ann, kind=SESSION) for _ in range(2))
    token = a_token(connection, ann)

    def revoked() -> set[str]:
        page = tokens.page(connection, Query(now=NOW, include_expired=True))
        return {token.id for token in page.tokens if token.revoked_at is not None}

    assert tokens.revoke_all(connection, ann.id, kind=SESSION, except_id=kept.id, now=NOW) == 1
    assert revoked() == {other.id}
    assert tokens.revoke_all(connection, ann.id, now=NOW) == 2
    assert revoked() == {other.id, kept.id, token.id}
    before = noted(connection)
    assert tokens.revoke_all(connection, ann.id, now=NOW) == 0
    assert noted(connection) == before
    assert tokens.one(connection, theirs.id).in_force(NOW)


def test_sessions_go_on_from_their_use_and_other_tokens_do_not(connection: Connection, ann: User) -> None:
    hour = 60 * MINUTE
    session = a_token(connection, ann, kind=SESSION, expires_at=NOW + hour)
    token = a_token(connection, ann, expires_at=NOW + hour)
    endless = a_token(connection, ann, kind=SESSION)
    before = noted(connection)
    for used, expected in (
        (NOW + 5 * MINUTE, NOW + hour),  # within a tenth of its duration, nothing is written
        (NOW + 7 * MINUTE, NOW + hour + 7 * MINUTE),
        (NOW, NOW + hour + 7 * MINUTE),  # a use that is told late makes nothing shorter
    ):
        uses = [(each.id, used) for each in (session, token, endless)]
        sessions.slide(connection, [*uses, ("nosuchtokn", used)], 3600.0)
        assert tokens.one(connection, session.id).expires_at == expected
    assert noted(connection) == before + 1
    tokens.revoke(connection, session.id, NOW)
    sessions.slide(connection, [(session.id, NOW + hour)], 3600.0)
    sessions.slide(connection, [], 3600.0)
    assert tokens.one(connection, session.id).expires_at == NOW + hour + 7 * MINUTE
    assert tokens.one(connection, token.id).expires_at == NOW + hour
    assert tokens.one(connection, endless.id).expires_at is None


def test_sessions_long_over_are_swept_and_tokens_stay(connection: Connection, ann: User) -> None:
    a_token(connection, ann, "expired token", expires_at=NOW + 1)
    a_token(connection, ann, "expired", kind=SESSION, expires_at=NOW + 1)
    revoked = a_token(connection, ann, "revoked", kind=SESSION, expires_at=NOW + 9 * MINUTE)
    a_token(connection, ann, "in force", kind=SESSION, expires_at=NOW + 9 * MINUTE)
    a_token(connection, ann, "without end", kind=SESSION)
    tokens.revoke(connection, revoked.id, NOW + 1)
    assert tokens.sweep(connection, NOW + 1) == 0
    before = noted(connection)
    assert tokens.sweep(connection, NOW + 2) == 2
    assert noted(connection) == before + 1
    assert set(listed(connection, include_expired=True)) == {"expired token", "in force", "without end"}


def test_only_an_empty_database_gets_a_first_owner(database: Database) -> None:
    minted = first_owner(database, username="ann", token_name="first", now=NOW)
    assert minted is not None
    known = snapshot(database).tokens[minted.id]
    assert known.subject is not None
    assert (known.subject.scope, OWNER.identifier in known.subject.roles) == (EVERYTHING, True)
    assert (known.actor.username, known.actor.priority) == ("ann", Priority.INTERACTIVE)
    assert first_owner(database, username="bob", token_name="first", now=NOW) is None
    assert [*snapshot(database).tokens] == [minted.id]
    with database.reading() as connection:
        entries = list(audit.rows(connection, audit.Query()))
    assert [(entry.actor_name, entry.action, entry.resource, entry.resource_id) for entry in entries] == [
        ("first start", "create", "api_key", minted.id),
        ("first start", "create", "user", known.actor.id),
    ]


def test_a_use_is_kept_to_the_minute(database: Database) -> None:
    minted = first_owner(database, username="ann", token_name="x", now=NOW)
    assert minted is not None

    def last_use() -> int | None:
        with database.reading() as connection:
            return tokens.one(connection, minted.id).last_used_at

    mark_used(database, [(minted.id, NOW), ("unknown", NOW)])
    assert last_use() == NOW
    mark_used(database, [(minted.id, NOW + MINUTE - 1), (minted.id, NOW - 5 * MINUTE)])
    assert last_use() == NOW
    mark_used(database, [(minted.id, NOW + MINUTE)])
    assert last_use() == NOW + MINUTE
    mark_used(database, [])


def test_the_version_follows_users_and_tokens_and_not_their_use(database: Database, database_url: str) -> None:
    with closing(Database.open(database_url)) as elsewhere:
        seen = [tokens.version(elsewhere)]
        ann = person(database, "ann", now=NOW)
        seen.append(tokens.version(elsewhere))
        minted = token_of(database, ann, now=NOW)
        seen.append(tokens.version(elsewhere))
        with database.writing() as connection:
            tokens.revoke(connection, minted.id, NOW)
        seen.append(tokens.version(elsewhere))
        assert len(set(seen)) == 4
        LedgerSink(database).write([a_start()], [an_ending()])
        mark_used(database, [(minted.id, NOW)])
        assert tokens.version(elsewhere) == tokens.version(database) == seen[-1]
