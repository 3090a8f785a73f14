"""Rotation: a new token takes a token's place, and for a while both are in force."""

import math
from collections.abc import Iterator

import pytest
from people_samples import a_user, an_organization, noted
from sqlalchemy import Connection
from store_samples import MINUTE, NOW

from aibridge.domain.priority import Priority
from aibridge.domain.scope import EVERYTHING
from aibridge.domain.token import LONGEST_OVERLAP, MintedToken, TokenKind
from aibridge.store import tokens
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.database import Database
from aibridge.store.tokens import StoredToken

KEPT = ("user_id", "organization_id", "kind", "name", "scopes", "only", "parent_id", "created_by", "priority")


class Rotating:
    """A token with all that a token can have, and the database it is in."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        organization = an_organization(connection)
        self.user = a_user(connection, organization_ids=(organization.id,))
        self.organization_id = organization.id
        self.old = self.mint("ci").id

    def mint(self, name: str, **values: object) -> MintedToken:
        given = {
            "scopes": ("aibridge_interception:create", "api_key:*"),
            "only": ("a",),
            "parent_id": "parent",
            "created_by": self.user.id,
            "priority": Priority.CHOSEN,
            "now": NOW,
        }
        return tokens.mint(
            self.connection,
            user_id=self.user.id,
            organization_id=self.organization_id,
            name=name,
            parent=EVERYTHING,
            **given | values,  # type: ignore[arg-type]
        )

    def rotate(
        self, token_id: str, overlap: float = 60.0, *, now: int = NOW, expires_at: int | None = None
    ) -> StoredToken:
        minted = tokens.rotate(self.connection, token_id, overlap=overlap, now=now, expires_at=expires_at)
        return self[minted.id]

    def __getitem__(self, token_id: str) -> StoredToken:
        return tokens.one(self.connection, token_id)


@pytest.fixture
def rotating(database: Database) -> Iterator[Rotating]:
    with database.writing() as connection:
        yield Rotating(connection)


def test_the_new_token_has_all_that_the_old_one_had(rotating: Rotating) -> None:
    before = noted(rotating.connection)
    new = rotating.rotate(rotating.old, now=NOW + 5)
    old = rotating[rotating.old]
    assert {field: getattr(new, field) for field in KEPT} == {field: getattr(old, field) for field in KEPT}
    assert (new.created_at, new.expires_at, new.replaced_by) == (NOW + 5, None, None)
    assert new.id != old.id
    assert noted(rotating.connection) > before


def test_the_old_token_goes_on_for_the_overlap_and_says_what_replaced_it(rotating: Rotating) -> None:
    new = rotating.rotate(rotating.old, overlap=60.0)
    old = rotating[rotating.old]
    assert old.replaced_by == new.id
    assert old.in_force(NOW + MINUTE - 1)
    assert not old.in_force(NOW + MINUTE)


def test_without_an_overlap_the_old_token_is_out_of_force_at_once(rotating: Rotating) -> None:
    rotating.rotate(rotating.old, overlap=0.0)
    assert not rotating[rotating.old].in_force(NOW)


def test_an_overlap_makes_no_life_longer(rotating: Rotating) -> None:
    short = rotating.mint("short", expires_at=NOW + 10).id
    rotating.rotate(short, overlap=60.0)
    assert rotating[short].expires_at == NOW + 10


def test_the_new_token_lives_as_long_as_the_old_one_was_to(rotating: Rotating) -> None:
    token = rotating.mint("ten minutes", expires_at=NOW + 10 * MINUTE).id
    assert rotating.rotate(token, now=NOW + 9 * MINUTE).expires_at == NOW + 19 * MINUTE
    assert rotating.rotate(rotating.old, expires_at=NOW + 7).expires_at == NOW + 7


@pytest.mark.parametrize("overlap", [-0.1, LONGEST_OVERLAP + 1, math.inf, math.nan])
def test_an_overlap_out_of_bounds_is_refused(rotating: Rotating, overlap: float) -> None:
    with pytest.raises(Invalid, match="allowed: 0 to 2592000 seconds") as raised:
        rotating.rotate(rotating.old, overlap)
    assert raised.value.field == "overlap"
    rotating.rotate(rotating.old, LONGEST_OVERLAP)


def test_a_life_that_ends_before_it_begins_is_refused(rotating: Rotating) -> None:
    with pytest.raises(Invalid) as raised:
        rotating.rotate(rotating.old, expires_at=NOW)
    assert raised.value.field == "expires_at"
    assert rotating[rotating.old].replaced_by is None


def test_a_token_is_replaced_once(rotating: Rotating) -> None:
    new = rotating.rotate(rotating.old)
    with pytest.raises(Conflict, match=f"replaced already, by {new.id}"):
        rotating.rotate(rotating.old)


def test_a_replacement_is_rotated_when_what_it_replaced_is_out_of_force(rotating: Rotating) -> None:
    new = rotating.rotate(rotating.old)
    with pytest.raises(Conflict, match="still in force"):
        rotating.rotate(new.id, now=NOW + MINUTE - 1)
    rotating.rotate(new.id, now=NOW + MINUTE)


def test_revoking_the_old_token_ends_the_rotation(rotating: Rotating) -> None:
    new = rotating.rotate(rotating.old)
    tokens.revoke(rotating.connection, rotating.old, NOW + 1)
    assert rotating.rotate(new.id, now=NOW + 1).name == "ci"


def test_what_is_out_of_force_is_not_rotated(rotating: Rotating) -> None:
    expired = rotating.mint("expired", expires_at=NOW + 1).id
    tokens.revoke(rotating.connection, rotating.old, NOW)
    for token_id in (rotating.old, expired):
        with pytest.raises(Conflict, match="expired or revoked"):
            rotating.rotate(token_id, now=NOW + 1)
    with pytest.raises(LookupError, match="nosuchtokn"):
        rotating.rotate("nosuchtokn")


def test_a_session_is_not_rotated(rotating: Rotating) -> None:
    session = rotating.mint("", kind=TokenKind.SESSION).id
    with pytest.raises(Invalid, match="not rotated"):
        rotating.rotate(session)


def test_the_name_is_the_new_tokens_and_nobody_elses(rotating: Rotating) -> None:
    new = rotating.rotate(rotating.old)
    with pytest.raises(Conflict, match="'ci' is in force"):
        rotating.mint("ci")
    tokens.revoke(rotating.connection, new.id, NOW)
    rotating.mint("ci")
