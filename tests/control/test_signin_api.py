"""Signing in and out by password, as a client sees it."""

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import pytest
from argon2 import PasswordHasher
from control_driver import NOW, Answer, Control
from control_world import INSTANT, PASSWORD, World, world

from aibridge.contract.endpoint import PREFIX
from aibridge.control import password_change, signin
from aibridge.control.passwords import Passwords
from aibridge.domain.errors import AtCapacity
from aibridge.domain.user import LoginType, UserStatus
from aibridge.options import load
from aibridge.store import members
from aibridge.store import users as stored

LOGIN = f"{PREFIX}/users/login"
ME = f"{PREFIX}/users/me"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
INCORRECT = "Incorrect email or password."


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("signin")) as made:
        yield made


@pytest.fixture
def here(shared: World) -> Iterator[World]:
    with shared.undone():
        shared.control = shared.composed(settings=load({"--session-duration": "2h"}, {}))
        yield shared


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(signin, "monotonic", clock)
    monkeypatch.setattr(password_change, "monotonic", clock)
    return clock


class Looking(Passwords):
    """Counts the passwords that are looked at; `meanwhile` is what happens in the world while one is."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        super().__init__(HASHER)
        self.looked = 0
        self.meanwhile = meanwhile

    async def matches(self, password: str, stored: str | None) -> bool:
        self.looked += 1
        right = await super().matches(password, stored)
        self.meanwhile()
        return right


def sign_in(control: Control, who: str = "mia@example.com", password: str = PASSWORD, **headers: str) -> Answer:
    return control.call(LOGIN, method="POST", body={"email": who, "password": password}, **headers)


@pytest.mark.parametrize("who", ["mia@example.com", "MIA@Example.COM", "mia", "Mia"])
def test_by_address_or_name_in_any_case(here: World, who: str) -> None:
    answer = sign_in(here.control, who)
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json["session_token"]
    assert set(answer.json) == {"session_token"}
    for placed in ({"token": token}, {"cookie": f"coder_session_token={token}"}, {"coder_session_token": token}):
        assert here.control.call(ME, **placed).json["username"] == "mia"


def test_the_cookie_word_by_word(here: World) -> None:
    answer = sign_in(here.control)
    token = answer.json["session_token"]
    wanted = f"coder_session_token={token}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"
    assert answer.headers["set-cookie"] == wanted
    plain = here.composed(external_url=lambda: "http://ai.example.com")
    assert "Secure" not in sign_in(plain).headers["set-cookie"]
    told = load({"--secure-auth-cookie": "true"}, {})
    assert "; Secure" in sign_in(here.composed(external_url=lambda: "http://x", settings=told)).headers["set-cookie"]


def test_a_session_is_a_token_that_ends(here: World) -> None:
    token = sign_in(here.control).json["session_token"]
    (session,) = [
        key
        for key in here.control.call(f"{PREFIX}/users/me/keys/tokens", token).json["keys"]
        if key["login_type"] == "session"
    ]
    assert session["scopes"] == ["all"]
    assert session["organization_id"] == str(here.here)
    here.control.now = NOW + 2 * 3600 - 0.1
    assert here.control.call(ME, token).status == 200
    here.control.now = NOW + 2 * 3600
    assert here.control.call(ME, token).status == 401


def test_every_sign_in_is_a_session_of_its_own(here: World) -> None:
    texts = {sign_in(here.control).json["session_token"] for _ in range(3)}
    assert len(texts) == 3
    assert all(here.control.call(ME, text).status == 200 for text in texts)


def test_a_cookie_that_was_there_before_is_not_taken_up(here: World) -> None:
    """Whoever put it there would know the session (session fixation)."""
    known = here.tokens["ben"]
    answer = sign_in(here.control, cookie=f"coder_session_token={known}")
    assert known not in answer.headers["set-cookie"]
    assert known not in answer.json["session_token"]


def test_it_is_in_the_audit_log_and_the_password_is_not(here: World) -> None:
    sign_in(here.control, user_agent="browser")
    sign_in(here.control, password="wrong")
    entry, *before = here.entries()
    assert (entry.action, entry.resource_name, entry.actor_name, entry.after) == (
        "login",
        "mia",
        "mia",
        {"method": "password"},
    )
    assert (entry.address, entry.user_agent, entry.token_id) == ("127.0.0.1", "browser", None)
    assert not [each for each in before if each.action == "login"], "nothing of the one that failed"


# Who is not let in


@pytest.mark.parametrize(
    ("who", "password"),
    [
        ("mia@example.com", "wrong"),
        ("mia@example.com", PASSWORD.upper()),
        ("nobody@example.com", PASSWORD),
        ("nobody", PASSWORD),
        ("owner", PASSWORD),  # who has no password
        ("bot", PASSWORD),  # a service account
        ("sso", PASSWORD),
        ("%", PASSWORD),
        ("mi_", PASSWORD),
        ("me", PASSWORD),
    ],
)
def test_whoever_fails_learns_only_that(here: World, who: str, password: str) -> None:
    """In the same words and with as much work, whether there is such a user or not."""
    stored.insert(here.database.connection, username="sso", email="s@x.org", login_type=LoginType.OIDC, now=INSTANT)
    looking = Looking()
    before = here.dump()
    answer = sign_in(here.composed(passwords=looking), who, password)
    assert (answer.status, answer.json) == (401, {"message": INCORRECT, "detail": "", "validations": []})
    assert "set-cookie" not in answer.headers
    assert looking.looked == 1
    assert here.dump() == before


def test_who_is_suspended_learns_it_with_the_right_password_alone(here: World) -> None:
    stored.set_status(here.database.connection, here.ids["mia"], UserStatus.SUSPENDED, now=INSTANT)
    assert sign_in(here.control, password="wrong").json["message"] == INCORRECT
    answer = sign_in(here.control)
    assert (answer.status, answer.json["message"]) == (403, "Your account is suspended.")
    assert "set-cookie" not in answer.headers


def test_who_is_in_no_organization_is_told_so(here: World) -> None:
    members.remove(here.database.connection, here.here, "mia", now=INSTANT)
    answer = sign_in(here.control)
    assert (answer.status, answer.json["message"]) == (403, "You belong to no organization.")


def test_who_was_dormant_is_active_again(here: World) -> None:
    stored.set_status(here.database.connection, here.ids["mia"], UserStatus.DORMANT, now=INSTANT)
    token = sign_in(here.control).json["session_token"]
    assert here.control.call(ME, token).json["status"] == "active"


def test_where_it_is_switched_off_owners_alone_sign_in_by_password(here: World) -> None:
    control = here.composed(settings=load({"--disable-password-auth": "true"}, {}))
    assert control.call(f"{PREFIX}/users/authmethods").json["password"] == {"enabled": False}
    answer = sign_in(control)
    assert (answer.status, answer.json["detail"]) == (403, "The option is --disable-password-auth.")
    stored.set_password(here.database.connection, here.ids["owner"], HASHER.hash(PASSWORD))
    assert sign_in(control, "owner").status == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "mia"},
        {"password": "x"},
        {"email": "", "password": "x"},
        {"email": "a", "password": ""},
        {"email": "a", "password": "x" * 1025},
        {"email": 1, "password": "x"},
        {"email": "a", "password": "x", "otp": 1},
    ],
)
def test_what_is_no_sign_in_is_no_attempt(here: World, body: object) -> None:
    looking = Looking()
    control = here.composed(passwords=looking)
    assert control.call(LOGIN, method="POST", body=body).status == 400
    assert looking.looked == 0


# Guessing


def test_guesses_are_slowed_down(here: World, clock: Clock) -> None:
    assert [sign_in(here.control, password=f"guess {number}").status for number in range(4)] == [401, 401, 401, 429]
    answer = sign_in(here.control)
    assert answer.status == 429, "nor is the right one looked at"
    assert answer.json["message"] == "Too many attempts to sign in. Please try again later."
    clock.now += int(answer.headers["retry-after-ms"]) / 1000
    assert sign_in(here.control).status == 201
    assert sign_in(here.control, password="wrong").status == 401, "and the count began again"


def test_the_name_and_the_address_of_one_user_are_one_account(here: World, clock: Clock) -> None:
    names = ["mia", "mia@example.com", "MIA", "MIA@EXAMPLE.COM"]
    assert [sign_in(here.control, name, "wrong").status for name in names] == [401, 401, 401, 429]


def test_who_does_not_exist_is_slowed_down_alike(here: World, clock: Clock) -> None:
    assert [sign_in(here.control, "ghost", "wrong").status for _ in range(4)] == [401, 401, 401, 429]
    assert sign_in(here.control).status == 201


def test_what_came_to_nothing_for_reasons_of_ours_is_no_failure(here: World, clock: Clock) -> None:
    class Full(Looking):
        async def matches(self, password: str, stored: str | None) -> bool:
            raise AtCapacity.caller("full", retry_after=1.5)

    control = here.composed(passwords=Full())
    body = {"password": "another quiet place", "old_password": PASSWORD}
    for _ in range(10):
        assert control.call(f"{ME}/password", here.tokens["mia"], method="PUT", body=body).status == 503
    answers = [sign_in(control) for _ in range(10)]
    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)


def test_many_at_once_are_many(here: World, clock: Clock) -> None:
    async def at_once() -> list[int]:
        body = {"email": "mia", "password": "wrong"}
        calls = [here.control.called(LOGIN, method="POST", body=body) for _ in range(12)]
        return sorted(answer.status for answer in await asyncio.gather(*calls))

    assert asyncio.run(at_once()) == [401] * 3 + [429] * 9


# What happens meanwhile: a password takes a while to look at


def test_a_password_that_was_changed_meanwhile_lets_nobody_in(here: World) -> None:
    """Else whoever knows the old one, and is quick, has a session after it was taken from them."""
    fresh = HASHER.hash("another quiet place")
    looking = Looking(lambda: stored.set_password(here.database.connection, here.ids["mia"], fresh))
    answer = sign_in(here.composed(passwords=looking))
    assert (answer.status, answer.json["message"]) == (401, INCORRECT)
    assert stored.password_hash(here.database.connection, here.ids["mia"]) == fresh


def test_who_is_suspended_or_deleted_meanwhile_is_not_let_in(here: World) -> None:
    connection, mia = here.database.connection, here.ids["mia"]
    suspending = Looking(lambda: stored.set_status(connection, mia, UserStatus.SUSPENDED, now=INSTANT))
    assert sign_in(here.composed(passwords=suspending)).status == 403
    stored.set_status(connection, mia, UserStatus.ACTIVE, now=INSTANT)
    assert sign_in(here.composed(passwords=Looking(lambda: stored.delete(connection, mia, now=INSTANT)))).status == 401


def test_a_password_is_not_set_over_one_that_was_set_meanwhile(here: World) -> None:
    fresh = HASHER.hash("somebody else's choice")
    looking = Looking(lambda: stored.set_password(here.database.connection, here.ids["mia"], fresh))
    body = {"password": "another quiet place", "old_password": PASSWORD}
    control = here.composed(passwords=looking)
    assert control.call(f"{ME}/password", here.tokens["mia"], method="PUT", body=body).status == 409
    assert stored.password_hash(here.database.connection, here.ids["mia"]) == fresh


def test_a_hash_of_before_is_made_anew(here: World) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    stored.set_password(here.database.connection, here.ids["mia"], old)
    assert sign_in(here.control).status == 201
    present = stored.password_hash(here.database.connection, here.ids["mia"])
    assert present is not None
    assert present != old
    assert not Passwords(HASHER).needs_rehash(present)
    assert sign_in(here.control).status == 201


# Signing out


def test_signing_out_ends_the_session_and_clears_the_cookie(here: World) -> None:
    token, other = (sign_in(here.control).json["session_token"] for _ in range(2))
    cookie = f"coder_session_token={token}"
    answer = here.control.call(f"{PREFIX}/users/logout", method="POST", cookie=cookie, sec_fetch_site="same-origin")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["set-cookie"] == ("coder_session_token=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure")
    assert here.control.call(ME, token).status == 401
    assert here.control.call(ME, other).status == 200
    assert here.control.call(f"{PREFIX}/users/logout", token, method="POST").status == 401
    entry = here.entries()[0]
    assert (entry.action, entry.resource, entry.actor_name) == ("logout", "api_key", "mia")


def test_the_ways_in_are_told_to_everybody(here: World) -> None:
    answer = here.control.call(f"{PREFIX}/users/authmethods")
    assert answer.json == {"password": {"enabled": True}, "oidc": {"enabled": False, "sign_in_text": ""}}


def test_a_password_is_in_no_representation() -> None:
    from aibridge.contract.signin import LoginResponse, LoginWithPasswordRequest  # noqa: PLC0415

    given = msgspec.convert({"email": "a", "password": "s3cret"}, LoginWithPasswordRequest)
    assert "s3cret" not in repr(given)
    assert "s3cret" not in repr(LoginResponse(session_token="s3cret"))
