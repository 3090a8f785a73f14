"""Users and tokens: what is kept, what is in force, and how others learn of changes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from store_samples import MINUTE, NOW, a_start, an_ending, url_of

from aibridge.domain.actor import Actor
from aibridge.domain.priority import Priority
from aibridge.domain.token import digest, is_well_formed, matches
from aibridge.store import tokens, users
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(url_of(tmp_path))) as database:
        yield database


def test_a_minted_token_is_known_by_its_text_and_kept_only_as_a_digest(database: Database, tmp_path: Path) -> None:
    ann = users.create(database, username="ann", is_owner=True, now=NOW)
    minted = tokens.create(database, user_id=ann.id, name="laptop", now=NOW)
    assert is_well_formed(minted.text)
    known = tokens.snapshot(database).tokens[minted.id]
    assert matches(minted.text, known)
    assert known.actor == Actor(id=ann.id, username="ann", token_id=minted.id, is_owner=True)
    database.close()
    for file in (tmp_path / "data").iterdir():
        assert minted.text[15:].encode() not in file.read_bytes()


def test_the_listing_tells_all_but_the_secret_and_the_newest_first(database: Database) -> None:
    ann, bob = (users.create(database, username=name, now=NOW) for name in ("ann", "bob"))
    first = tokens.create(database, user_id=ann.id, name="laptop", now=NOW)
    second = tokens.create(
        database, user_id=bob.id, name="ci", now=NOW + 1, expires_at=NOW + MINUTE, priority=Priority.BATCH
    )
    tokens.mark_used(database, [(second.id, NOW + 5)])
    tokens.revoke(database, second.id, now=NOW + 9)
    assert tokens.listing(database) == [
        tokens.StoredToken(
            id=second.id,
            user_id=bob.id,
            username="bob",
            name="ci",
            last_four=second.text[-4:],
            created_at=NOW + 1,
            expires_at=NOW + MINUTE,
            last_used_at=NOW + 5,
            revoked_at=NOW + 9,
            priority=Priority.BATCH,
        ),
        tokens.StoredToken(
            id=first.id,
            user_id=ann.id,
            username="ann",
            name="laptop",
            last_four=first.text[-4:],
            created_at=NOW,
            expires_at=None,
            last_used_at=None,
            revoked_at=None,
            priority=Priority.INTERACTIVE,
        ),
    ]
    assert [token.name for token in tokens.listing(database, user_id=ann.id)] == ["laptop"]


def test_an_expiry_is_in_the_snapshot_in_seconds(database: Database) -> None:
    ann = users.create(database, username="ann", now=NOW)
    minted = tokens.create(database, user_id=ann.id, name="x", now=NOW, expires_at=NOW + 1_500_000)
    known = tokens.snapshot(database).tokens[minted.id]
    assert known.expires_at == NOW / 1e6 + 1.5
    assert known.digest == digest(minted.text)
    assert known.actor.is_owner is False


@pytest.mark.parametrize("priority", Priority)
def test_a_tokens_priority_is_its_actors(database: Database, priority: Priority) -> None:
    ann = users.create(database, username="ann", now=NOW)
    minted = tokens.create(database, user_id=ann.id, name="x", now=NOW, priority=priority)
    assert tokens.snapshot(database).tokens[minted.id].actor.priority is priority


def test_a_token_for_nobody_is_refused_with_the_id(database: Database) -> None:
    with pytest.raises(LookupError, match="no-such-user"):
        tokens.create(database, user_id="no-such-user", name="x", now=NOW)


def test_a_revoked_token_is_out_of_force_and_revoking_again_changes_nothing(database: Database) -> None:
    minted = tokens.first_owner(database, username="ann", token_name="x", now=NOW)
    assert minted is not None
    tokens.revoke(database, minted.id, now=NOW + 1)
    version = tokens.version(database)
    tokens.revoke(database, minted.id, now=NOW + 2)
    assert tokens.listing(database)[0].revoked_at == NOW + 1
    assert tokens.version(database) == version
    assert tokens.snapshot(database).tokens == {}


def test_revoking_an_unknown_token_names_its_id(database: Database) -> None:
    with pytest.raises(LookupError, match="nosuchtokn"):
        tokens.revoke(database, "nosuchtokn", now=NOW)


def test_only_an_empty_database_gets_a_first_owner(database: Database) -> None:
    minted = tokens.first_owner(database, username="ann", token_name="first", now=NOW)
    assert minted is not None
    actor = tokens.snapshot(database).tokens[minted.id].actor
    assert (actor.is_owner, actor.priority) == (True, Priority.INTERACTIVE)
    assert tokens.first_owner(database, username="bob", token_name="first", now=NOW) is None
    assert [token.username for token in tokens.listing(database)] == ["ann"]


def test_a_use_is_kept_to_the_minute(database: Database) -> None:
    minted = tokens.first_owner(database, username="ann", token_name="x", now=NOW)
    assert minted is not None

    def last_use() -> int | None:
        return tokens.listing(database)[0].last_used_at

    tokens.mark_used(database, [(minted.id, NOW), ("unknown", NOW)])
    assert last_use() == NOW
    tokens.mark_used(database, [(minted.id, NOW + MINUTE - 1), (minted.id, NOW - 5 * MINUTE)])
    assert last_use() == NOW
    tokens.mark_used(database, [(minted.id, NOW + MINUTE)])
    assert last_use() == NOW + MINUTE
    tokens.mark_used(database, [])


def test_the_version_follows_users_and_tokens_and_nothing_else(database: Database, tmp_path: Path) -> None:
    with closing(Database.open(url_of(tmp_path))) as elsewhere:
        seen = [tokens.version(elsewhere)]
        ann = users.create(database, username="ann", now=NOW)
        seen.append(tokens.version(elsewhere))
        minted = tokens.create(database, user_id=ann.id, name="x", now=NOW)
        seen.append(tokens.version(elsewhere))
        tokens.revoke(database, minted.id, now=NOW)
        seen.append(tokens.version(elsewhere))
        assert len(set(seen)) == 4
        LedgerSink(database).write([a_start()], [an_ending()])
        tokens.mark_used(database, [(minted.id, NOW)])
        assert tokens.version(elsewhere) == tokens.version(database) == seen[-1]


def test_a_change_that_fails_does_not_count(database: Database) -> None:
    users.create(database, username="ann", now=NOW)
    version = tokens.version(database)
    with pytest.raises(ValueError, match="'ann' is taken"):
        users.create(database, username="ann", now=NOW)
    assert tokens.version(database) == version


@pytest.mark.parametrize("name", ["", "me", " ann", "a b", "a\n", "ünal", "-x", "x" * 65, 'a"b', "a:b"])
def test_a_name_that_would_not_fit_a_header_or_a_filter_is_refused(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a username"):
        users.create(database, username=name, now=NOW)


@pytest.mark.parametrize("name", ["a", "ann@example.com", "ann+ci", "0x", "x" * 64, "my", "me2"])
def test_ordinary_names_are_taken_as_they_are(database: Database, name: str) -> None:
    users.create(database, username=name, now=NOW)
    assert users.named(database, name).username == name


def test_a_name_nobody_has_is_not_found(database: Database) -> None:
    with pytest.raises(LookupError, match="'bob'"):
        users.named(database, "bob")
