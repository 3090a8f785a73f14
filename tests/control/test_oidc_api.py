"""Signing in with OpenID Connect over our endpoints: with a real provider, and what follows from what one says."""

import asyncio
import importlib
import time
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from control_driver import Answer, Control
from control_world import INSTANT, World, world
from identity_provider import ADA, KEYS, IdentityProvider, settings

from aibridge.contract.endpoint import PREFIX
from aibridge.control.oidc import OpenIDConnect, Outset, http_client
from aibridge.control.oidc_departure import STATE_COOKIE
from aibridge.domain.user import LoginType, UserStatus
from aibridge.store import groups, members
from aibridge.store import users as stored

BEGIN = f"{PREFIX}/users/oidc/login"
END = f"{PREFIX}/users/oidc/callback"
BACK = f"https://ai.example.com{END}"
ME = f"{PREFIX}/users/me"


ROLES = {"user_role_field": "roles", "user_role_mapping": '{"boss": ["owner"], "audit": ["auditor"]}'}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("oidc")) as made:
        yield made


@pytest.fixture
def here(shared: World) -> Iterator[World]:
    with shared.undone():
        yield shared


def cookies_of(answer: Answer) -> dict[str, str]:
    """The cookies that an answer sets, with all that is said of each."""
    lines = answer.headers.get("set-cookie", "").splitlines()
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


class Visit:
    """A browser that signs in with a provider that says what it is told to."""

    def __init__(self, world: World, **options: str) -> None:
        self.provider = IdentityProvider(**options)
        self.control: Control = world.composed(oidc=self.provider.oidc, settings=settings(**options))

    def begin(self, redirect: str = "/") -> tuple[str, str]:
        """Where the browser is sent, and the cookie that it is given."""
        answer = self.control.call(f"{BEGIN}?redirect={redirect}")
        assert answer.status == 307, answer
        cookie = cookies_of(answer)[STATE_COOKIE].partition(";")[0]
        self.provider.outset = Outset(url=answer.headers["location"], cookie=cookie)
        return answer.headers["location"], cookie

    def sign_in(
        self, redirect: str = "/", *, query: str | None = None, cookie: str | None = None, **claims: Any
    ) -> Answer:
        """The whole way, with these claims beside Ada's; a claim that is None is not there."""
        self.provider.claims = dict(ADA) | claims
        url, given = self.begin(redirect)
        state = parse_qs(urlsplit(url).query)["state"][0]
        back = f"{END}?{f'code=CODE&state={state}' if query is None else query.format(state=state)}"
        return self.control.call(back, cookie=f"{STATE_COOKIE}={given if cookie is None else cookie}")

    def me(self, answer: Answer) -> dict[str, Any]:
        """Who signed in."""
        assert answer.status == 307, answer
        token = cookies_of(answer)["coder_session_token"].partition(";")[0]
        told: dict[str, Any] = self.control.call(ME, token).json
        return told


@pytest.fixture
def real_provider() -> Iterator[str]:
    """An independent provider on loopback; the answer is its issuer."""
    with warnings.catch_warnings():
        importlib.import_module("authlib.deprecate")  # which asks to be always heard, so it is silenced after that
        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread  # type: ignore[import-untyped]  # noqa: PLC0415

        claims = {**ADA, "groups": ["eng"], "roles": ["admins"]}
        with run_server_in_thread(require_nonce=True, user_claims=[User(sub="ada-1", claims=claims)]) as server:
            yield f"http://localhost:{server.server_port}"


def test_the_whole_way_with_a_real_provider(here: World, real_provider: str) -> None:
    async def scenario() -> None:
        given = settings(
            issuer_url=real_provider,
            group_field="groups",
            user_role_field="roles",
            user_role_mapping='{"admins": ["auditor"]}',
        )
        async with http_client() as ours, httpx2.AsyncClient() as browser:
            control = here.composed(oidc=OpenIDConnect(given, ours, time.time, KEYS), settings=given)
            begun = await control.called(f"{BEGIN}?redirect=/settings")
            url = begun.headers["location"]
            assert url.startswith(f"{real_provider}/")
            cookie = cookies_of(begun)[STATE_COOKIE].partition(";")[0]
            back = await browser.post(url, data={"sub": "ada-1"})
            landing = urlsplit(back.headers["location"])
            assert f"{landing.scheme}://{landing.netloc}{landing.path}" == BACK
            target = f"{END}?{landing.query}"
            ended = await control.called(target, cookie=f"{STATE_COOKIE}={cookie}")
            assert (ended.status, ended.headers["location"]) == (307, "/settings")
            token = cookies_of(ended)["coder_session_token"].partition(";")[0]
            told = (await control.called(ME, token)).json
            assert (told["username"], told["email"], told["login_type"]) == ("ada", "ada@example.com", "oidc")
            assert told["roles"] == ["auditor"]
            again = await control.called(target, cookie=f"{STATE_COOKIE}={cookie}")
            assert again.status == 401, "a code is good once"

    asyncio.run(scenario())
    ada = stored.by_email(here.database.connection, "ada@example.com")
    assert [group.name for group in groups.of_user(here.database.connection, ada.id)] == ["eng"]


# The way there and back


def test_the_cookie_of_a_sign_in_word_by_word(here: World) -> None:
    visit = Visit(here)
    answer = visit.control.call(BEGIN)
    value, said = cookies_of(answer)[STATE_COOKIE].split("; ", 1)
    assert value
    assert said == f"Path={PREFIX}/users/oidc; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
    assert answer.headers["cache-control"] == "no-store"
    ended = visit.sign_in()
    cookies = cookies_of(ended)
    assert cookies[STATE_COOKIE].startswith("; ")
    assert "Max-Age=0" in cookies[STATE_COOKIE]
    assert cookies["coder_session_token"].endswith("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure")


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        ("/settings?tab=1", "/settings?tab=1"),
        ("//evil.example.com", "/"),
        ("https://evil.example.com", "/"),
        ("/%5Cevil.example.com", "/"),
        ("/%2F%2Fevil", "/"),
        ("/%252Fevil", "/"),
        ("javascript:alert(1)", "/"),
        ("/a%0D%0ASet-Cookie: x=1", "/"),
        ("", "/"),
    ],
)
def test_it_leads_nowhere_but_here(here: World, redirect: str, location: str) -> None:
    answer = Visit(here).sign_in(redirect)
    assert (answer.status, answer.headers["location"]) == (307, location)


@pytest.mark.parametrize(
    ("query", "cookie", "status"),
    [
        ("code=CODE&state={state}x", None, 401),
        ("code=CODE", None, 401),
        ("code=CODE&state={state}", "", 401),
        ("code=CODE&state={state}", "garbage.garbage", 401),
        ("state={state}", None, 400),
        ("error=access_denied&state={state}", None, 403),
        ("error=access_denied&state=other", None, 401),
        ("code=CODE&state={state}&iss=https://other.example.com", None, 401),
        ("code=CODE&state={state}&state={state}", None, 400),
        ("code=CODE&state={state}&unknown=1", None, 400),
    ],
)
def test_a_wrong_way_back_leads_nobody_in(here: World, query: str, cookie: str | None, status: int) -> None:
    before = here.dump()
    answer = Visit(here).sign_in(query=query, cookie=cookie)
    assert answer.status == status, answer
    assert set(cookies_of(answer)) <= {STATE_COOKIE}
    assert here.dump() == before


def test_the_sign_in_of_another_browser_is_not_ones_own(here: World) -> None:
    """Who is made to follow somebody else's link back would be signed in as them, and not know it."""
    attacker, victim = Visit(here), Visit(here)
    url, _ = attacker.begin()
    state = parse_qs(urlsplit(url).query)["state"][0]
    _, cookie = victim.begin()
    assert victim.control.call(f"{END}?code=CODE&state={state}", cookie=f"{STATE_COOKIE}={cookie}").status == 401
    assert victim.control.call(f"{END}?code=CODE&state={state}").status == 401


def test_a_provider_that_is_away_is_a_502(here: World) -> None:
    visit = Visit(here)
    visit.provider.instead["openid-configuration"] = lambda _: httpx2.Response(500)
    assert visit.control.call(BEGIN).status == 502
    away = Visit(here)
    away.provider.instead["token"] = lambda _: httpx2.Response(500)
    assert away.sign_in().status == 502


# Who it is


def test_somebody_new_is_made_and_known_again(here: World) -> None:
    visit = Visit(here)
    me = visit.me(visit.sign_in())
    assert (me["username"], me["email"], me["name"], me["status"]) == (
        "ada",
        "ada@example.com",
        "Ada Lovelace",
        "active",
    )
    assert (me["login_type"], me["roles"], me["organization_ids"]) == ("oidc", [], [str(here.home)])
    login, made = here.entries()[:2]
    assert (made.action, made.resource, made.actor_name) == ("create", "user", "ada")
    assert (login.action, login.after) == ("login", {"method": "oidc"})
    again = visit.me(visit.sign_in(preferred_username="countess", email="other@example.com"))
    assert (again["id"], again["username"], again["email"]) == (me["id"], "ada", "ada@example.com")


def test_a_name_that_is_taken_is_not_taken_over(here: World) -> None:
    visit = Visit(here)
    for name in ("owner", "OWNER", "me"):
        me = visit.me(visit.sign_in(preferred_username=name, sub=f"sub-{name}", email=f"{ord(name[0])}@x.example"))
        assert me["id"] != here.ids["owner"]
        assert me["username"] != "owner"
        assert me["roles"] == []


def test_an_address_links_only_whoever_signs_in_there(here: World) -> None:
    """Else whoever makes the provider say an address would be let into an account that a password protects."""
    connection = here.database.connection
    for kind in (LoginType.PASSWORD, LoginType.NONE):
        stored.insert(connection, username=kind.value, email=f"{kind.value}@x.example", login_type=kind, now=INSTANT)
    invited = stored.insert(
        connection, username="invited", email="ada@example.com", login_type=LoginType.OIDC, now=INSTANT
    )
    visit = Visit(here)
    assert visit.me(visit.sign_in(email="ADA@example.com"))["id"] == invited.id
    before = here.dump()
    for name in ("password", "none"):
        answer = visit.sign_in(sub=f"sub-{name}", email=f"{name}@x.example")
        assert (answer.status, answer.fields) == (409, ["email"])
    assert here.dump() == before


def test_an_account_that_is_used_is_not_given_the_address_of_another(here: World) -> None:
    """Else the other would be let into it, and whoever used it before would have their roles."""
    visit = Visit(here, **ROLES)
    eve = visit.me(visit.sign_in(sub="eve", preferred_username="eve", email="eve@x.example", roles=[]))
    path, body = f"{PREFIX}/users/eve/profile", {"email": "boss@x.example"}
    connection = here.database.connection
    stored.set_roles(connection, eve["id"], stored.one(connection, "user-admin").roles, now=INSTANT)
    asyncio.run(here.refresh())
    own = cookies_of(visit.sign_in(sub="eve", roles=["user-admin"]))["coder_session_token"].partition(";")[0]
    for token in (own, here.tokens["user-admin"]):
        assert visit.control.call(path, token, method="PUT", body=body).status == 403
    boss = visit.me(visit.sign_in(sub="boss", preferred_username="boss", email="boss@x.example", roles=["boss"]))
    assert (boss["id"] == eve["id"], boss["roles"]) == (False, ["owner"])
    body = {"email": "eve2@x.example"}
    assert visit.control.call(path, here.tokens["owner"], method="PUT", body=body).status == 200


def test_an_address_that_is_not_verified_links_nobody(here: World) -> None:
    stored.insert(
        here.database.connection, username="invited", email="ada@example.com", login_type=LoginType.OIDC, now=INSTANT
    )
    before = here.dump()
    assert Visit(here).sign_in(email_verified=False).status == 403
    lenient = Visit(here, ignore_email_verified="true")
    assert lenient.sign_in(email_verified=False).status == 409
    assert here.dump() == before


def test_who_is_suspended_stays_out(here: World) -> None:
    visit = Visit(here)
    me = visit.me(visit.sign_in())
    stored.set_status(here.database.connection, me["id"], UserStatus.SUSPENDED, now=INSTANT)
    before = here.dump()
    answer = visit.sign_in()
    assert (answer.status, answer.json["message"]) == (403, "Your account is suspended.")
    assert here.dump() == before


def test_who_was_deleted_is_somebody_new(here: World) -> None:
    visit = Visit(here)
    me = visit.me(visit.sign_in())
    stored.delete(here.database.connection, me["id"], now=INSTANT)
    assert visit.me(visit.sign_in())["id"] != me["id"]


def test_without_sign_ups_strangers_stay_out_and_leave_nothing(here: World) -> None:
    before = here.dump()
    visit = Visit(here, allow_signups="false")
    answer = visit.sign_in()
    assert (answer.status, answer.json["message"]) == (403, "There is no user for you here.")
    assert here.dump() == before
    stored.insert(
        here.database.connection, username="invited", email="ada@example.com", login_type=LoginType.OIDC, now=INSTANT
    )
    assert visit.me(visit.sign_in())["username"] == "invited"


def test_a_domain_that_is_not_allowed_stays_out(here: World) -> None:
    assert Visit(here, email_domain="corp.example").sign_in().status == 403


# What they may


def test_roles_are_those_that_the_provider_says_at_each_sign_in(here: World) -> None:
    visit = Visit(here, **ROLES)
    assert visit.me(visit.sign_in(roles=["audit", "nothing", "user-admin:x:y"]))["roles"] == ["auditor"]
    assert visit.me(visit.sign_in(roles=["boss"]))["roles"] == ["owner"]
    changed = next(entry for entry in here.entries() if entry.action == "set_roles")
    assert changed.before is not None
    assert changed.after is not None
    assert ("auditor" in changed.before["roles"], "owner" in changed.after["roles"]) == (True, True)
    assert visit.me(visit.sign_in(roles=[]))["roles"] == []


def test_a_role_is_gone_from_the_sessions_before_as_well(here: World) -> None:
    visit = Visit(here, **ROLES)
    first = cookies_of(visit.sign_in(roles=["audit"]))["coder_session_token"].partition(";")[0]
    assert visit.control.call(f"{PREFIX}/deployment/config", first).status == 200
    visit.sign_in(roles=[])
    assert visit.control.call(f"{PREFIX}/deployment/config", first).status == 403


def test_where_no_claim_is_asked_for_roles_and_groups_stay(here: World) -> None:
    visit = Visit(here)
    me = visit.me(visit.sign_in())
    connection = here.database.connection
    stored.set_roles(connection, me["id"], stored.one(connection, "auditor").roles, now=INSTANT)
    group = groups.insert(connection, here.home, name="kept", now=INSTANT)
    groups.update(connection, group.id, add_users=[me["id"]], now=INSTANT)
    assert visit.me(visit.sign_in(roles=["owner"], groups=["other"]))["roles"] == ["auditor"]
    assert [each.name for each in groups.of_user(connection, me["id"])] == ["kept"]


def test_a_role_of_an_organization_is_for_its_members(here: World, caplog: pytest.LogCaptureFixture) -> None:
    mapping = f'{{"x": ["organization-admin:{here.here}"], "y": ["organization-auditor:{here.home}"]}}'
    visit = Visit(here, user_role_field="roles", user_role_mapping=mapping)
    me = visit.me(visit.sign_in(roles=["x", "y"]))
    held = visit.control.call(f"{PREFIX}/users/{me['id']}/roles", here.tokens["owner"]).json
    assert held["organization_roles"] == {str(here.home): [f"organization-auditor:{here.home}"]}
    assert f"organization-admin:{here.here}" in caplog.text


def test_groups_of_the_provider_do_not_lead_into_those_that_are_kept_by_hand(here: World) -> None:
    connection = here.database.connection
    by_hand = groups.insert(connection, here.home, name="admins", now=INSTANT)
    visit = Visit(here, group_field="groups")
    me = visit.me(visit.sign_in(groups=["admins", "eng"]))
    assert [each.name for each in groups.of_user(connection, me["id"])] == ["eng"]
    assert groups.one(connection, by_hand.id).members == ()
    visit.sign_in(groups=["ops"])
    assert [each.name for each in groups.of_user(connection, me["id"])] == ["ops"]


def test_the_last_owner_stays_one_whatever_the_provider_says(here: World) -> None:
    visit = Visit(here, **ROLES)
    me = visit.me(visit.sign_in(roles=["boss"]))
    connection = here.database.connection
    for name in ("owner", "second"):
        stored.set_roles(connection, here.ids[name], [], now=INSTANT)
    assert visit.me(visit.sign_in(roles=[]))["roles"] == ["owner"]
    assert stored.one(connection, me["id"]).is_owner


def test_who_left_the_organization_is_not_put_back(here: World) -> None:
    visit = Visit(here)
    me = visit.me(visit.sign_in())
    members.remove(here.database.connection, here.home, me["id"], now=INSTANT)
    answer = visit.sign_in()
    assert (answer.status, answer.json["message"]) == (403, "You belong to no organization.")
