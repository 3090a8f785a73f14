"""What ends the credentials that it is asked with: it does, at once, and never leaves the server without an owner."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest
from api_users import User, api, asked

from aibridge.domain.organization import DEFAULT_ORGANIZATION


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[User, User]]:
    with api(tmp_path_factory.mktemp("endings") / "data") as (_, owner, member):
        yield owner, member


@pytest.fixture
def owner(people: tuple[User, User]) -> User:
    return people[0]


def another(owner: User, name: str) -> User:
    """A further member, with a token of their own."""
    _, made = owner.ask("POST", "/users", {"username": name})
    _, token = owner.ask("POST", f"/users/{made['id']}/keys/tokens", {"token_name": "first"})
    return User(owner.url, token["key"], made["id"], name, token["id"])


def is_in(user: User) -> bool:
    """Whether the user's token is in force."""
    status, _ = user.ask("GET", "/users/me")
    assert status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
    return status == HTTPStatus.OK


def test_logging_out_ends_the_token_it_is_sent_with(owner: User) -> None:
    user = another(owner, "leaves")
    _, second = user.ask("POST", "/users/me/keys/tokens", {"token_name": "second"})

    assert user.ask("POST", "/users/logout") == (204, None)

    assert not is_in(user)
    assert asked(user.url, second["key"], "GET", "/users/me")[0] == 200


def test_a_token_may_revoke_itself(owner: User) -> None:
    user = another(owner, "revokes")

    assert user.ask("DELETE", f"/users/me/keys/{user.key}") == (204, None)

    assert not is_in(user)


def test_a_token_may_replace_itself_at_once(owner: User) -> None:
    user = another(owner, "rotates")

    status, fresh = user.ask("POST", f"/users/me/keys/{user.key}/rotate", {"overlap": 0})

    assert status == 201
    assert not is_in(user)
    assert asked(user.url, fresh["key"], "GET", "/users/me")[1]["id"] == user.id


def test_who_is_shut_out_or_deleted_is_out_at_once(owner: User) -> None:
    suspended, deleted, removed = (another(owner, name) for name in ("suspended", "deleted", "removed"))

    assert owner.ask("PUT", f"/users/{suspended.id}/status/suspend")[0] == 200
    assert owner.ask("DELETE", f"/users/{deleted.id}")[0] == 204
    assert owner.ask("DELETE", f"/organizations/default/members/{removed.id}")[0] == 204

    assert [is_in(user) for user in (suspended, deleted, removed)] == [False, False, False]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("DELETE", "/users/me", None, 409),
        ("PUT", "/users/me/status/suspend", None, 400),
        ("PUT", "/users/me/roles", {"roles": []}, 409),
        ("DELETE", "/organizations/default/members/me", None, 409),
        ("DELETE", f"/organizations/{DEFAULT_ORGANIZATION}", None, 409),
    ],
)
def test_the_last_owner_stays(owner: User, method: str, path: str, body: object, expected: int) -> None:
    status, error = owner.ask(method, path, body)

    assert status == expected
    assert error["message"]
    assert is_in(owner)
    assert owner.ask("GET", "/users/me")[1]["roles"] == ["owner"]
