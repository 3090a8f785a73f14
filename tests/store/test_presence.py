"""What follows from the use of tokens, and from nobody using them."""

from people import person, token_of
from store_samples import MINUTE, NOW

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.scope import EVERYTHING
from aibridge.domain.token import MintedToken, TokenKind
from aibridge.domain.user import UserStatus
from aibridge.store import changes, presence, tokens, users
from aibridge.store.database import Database
from aibridge.store.token_rows import StoredToken
from aibridge.store.users import User

DAY = 24 * 60 * MINUTE
HOUR = 3600.0
SESSION = TokenKind.SESSION


def user(database: Database, user_id: str) -> User:
    with database.reading() as connection:
        return users.one(connection, user_id)


def token(database: Database, token_id: str) -> StoredToken:
    with database.reading() as connection:
        return tokens.one(connection, token_id)


def test_a_use_is_noted_of_the_token_and_its_user_and_a_session_goes_on(database: Database) -> None:
    ann, bob = person(database, "ann", now=NOW - DAY), person(database, "bob", now=NOW - DAY)
    session = token_of(database, ann, now=NOW - DAY, kind=SESSION, expires_at=NOW + MINUTE)
    unused = token_of(database, bob, now=NOW - DAY)
    presence.used(database, [(session.id, NOW)], {ann.id: NOW}, session_duration=HOUR)
    assert token(database, session.id).last_used_at == NOW
    assert token(database, session.id).expires_at == NOW + 60 * MINUTE
    assert user(database, ann.id).last_seen_at == NOW
    assert token(database, unused.id).last_used_at is None
    assert user(database, bob.id).last_seen_at is None


def test_nothing_is_written_where_nothing_was_used(database: Database) -> None:
    ann = person(database, "ann", now=NOW)
    presence.used(database, [], {ann.id: NOW}, session_duration=HOUR)
    assert user(database, ann.id).last_seen_at is None


def test_a_long_session_is_made_longer_once_an_hour(database: Database) -> None:
    ann = person(database, "ann", now=NOW)
    session = token_of(database, ann, now=NOW, kind=SESSION, expires_at=NOW + 30 * DAY)
    version = changes.version(database)
    for minutes, longer in ((59, 0), (61, 61), (120, 61)):
        at = NOW + minutes * MINUTE
        presence.used(database, [(session.id, at)], {ann.id: at}, session_duration=30 * 86400.0)
        assert token(database, session.id).expires_at == NOW + 30 * DAY + longer * MINUTE
    assert changes.version(database) != version


def test_who_was_dormant_is_awake_with_the_first_use(database: Database) -> None:
    ann = person(database, "ann", now=NOW)
    minted = token_of(database, ann, now=NOW)
    with database.writing() as connection:
        users.set_status(connection, ann.id, UserStatus.DORMANT, now=NOW)
    presence.used(database, [(minted.id, NOW + 1)], {ann.id: NOW + 1}, session_duration=HOUR)
    assert user(database, ann.id).status is UserStatus.ACTIVE


def ended(database: Database, ann: User, at: int) -> MintedToken:
    return token_of(database, ann, now=at - DAY, kind=SESSION, expires_at=at)


def test_sessions_are_kept_for_a_year_and_more_after_their_end(database: Database) -> None:
    ann = person(database, "ann", now=NOW)
    over, kept = ended(database, ann, NOW - 400 * DAY - 1), ended(database, ann, NOW - 400 * DAY)
    plain = token_of(database, ann, now=NOW - 402 * DAY, expires_at=NOW - 401 * DAY)
    presence.tidy(database, NOW)
    with database.reading() as connection:
        found = tokens.page(connection, tokens.Query(now=NOW, include_expired=True)).tokens
    assert over.id not in {one.id for one in found}
    assert {one.id for one in found} == {kept.id, plain.id}


def test_who_gives_no_sign_of_life_for_a_quarter_falls_dormant(database: Database) -> None:
    away = person(database, "away", now=NOW - 90 * DAY - 1)
    seen = person(database, "seen", now=NOW - 200 * DAY)
    recent = person(database, "recent", now=NOW - 90 * DAY)
    account = person(
        database,
        "robot",
        now=NOW - 200 * DAY,
        organization_ids=(DEFAULT_ORGANIZATION,),
        service_account_of=DEFAULT_ORGANIZATION,
    )
    minted = token_of(database, seen, now=NOW - 200 * DAY, parent=EVERYTHING)
    presence.used(database, [(minted.id, NOW - DAY)], {seen.id: NOW - DAY}, session_duration=HOUR)
    presence.tidy(database, NOW)
    statuses = {name: user(database, name).status for name in ("away", "seen", "recent", "robot")}
    assert {away.status, recent.status, account.status} == {UserStatus.ACTIVE}
    assert statuses == {
        "away": UserStatus.DORMANT,
        "seen": UserStatus.ACTIVE,
        "recent": UserStatus.ACTIVE,
        "robot": UserStatus.ACTIVE,
    }
