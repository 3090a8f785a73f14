"""Signing in with OpenID Connect: the whole way with a real provider, and every wrong turn with a scripted one."""

import asyncio
import base64
import importlib
import time
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from identity_provider import ADA, BACK, EC, ISSUER, KEYS, NOW, OKP, RSA, SECRET, IdentityProvider, settings
from joserfc.jwk import RSAKey

from aibridge.control.oidc import OpenIDConnect, http_client
from aibridge.control.oidc_departure import LIFETIME
from aibridge.control.oidc_issuer import ASKED_EVERY, KEPT, LARGEST, LEFT_ALONE
from aibridge.domain.errors import (
    BadRequest,
    CallError,
    Forbidden,
    Unauthenticated,
    UpstreamBroke,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aibridge.domain.role import RoleIdentifier


@pytest.fixture
def real_provider() -> Iterator[str]:
    """An independent provider on loopback; the answer is its issuer."""
    with warnings.catch_warnings():
        importlib.import_module("authlib.deprecate")  # which asks to be always heard, so it is silenced after that
        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread  # type: ignore[import-untyped]  # noqa: PLC0415

        claims = {**ADA, "groups": ["eng-core", "everyone"], "roles": ["admins"]}
        with run_server_in_thread(require_nonce=True, user_claims=[User(sub="ada-1", claims=claims)]) as server:
            yield f"http://localhost:{server.server_port}"


def test_the_whole_way_with_a_real_provider(real_provider: str) -> None:
    async def scenario() -> None:
        given = settings(
            issuer_url=real_provider,
            group_field="groups",
            group_regex_filter="^eng-",
            user_role_field="roles",
            user_role_mapping='{"admins": ["owner"]}',
            user_role_default="auditor",
            email_domain="example.com",
        )
        async with http_client() as ours, httpx2.AsyncClient() as browser:
            oidc = OpenIDConnect(given, ours, time.time, KEYS)
            outset = await oidc.authorization_url(BACK, "/settings?tab=1")
            page = await browser.get(outset.url)
            assert page.status_code == 200
            assert "Authorize Client" in page.text
            back = await browser.post(outset.url, data={"sub": "ada-1"})
            assert back.status_code == 302
            url = urlsplit(back.headers["location"])
            assert f"{url.scheme}://{url.netloc}{url.path}" == BACK
            query = dict(parse_qsl(url.query))

            arrival = await oidc.identity_of(
                code=query["code"], state=query["state"], cookie=outset.cookie, redirect_uri=BACK
            )
            with pytest.raises(Unauthenticated, match="does not take this code"):
                await oidc.identity_of(
                    code=query["code"], state=query["state"], cookie=outset.cookie, redirect_uri=BACK
                )

        who = arrival.identity
        assert arrival.then == "/settings?tab=1"
        assert (who.issuer, who.subject, who.username) == (real_provider, "ada-1", "ada")
        assert (who.email, who.email_verified, who.name) == ("ada@example.com", True, "Ada Lovelace")
        assert who.groups == ("eng-core",)
        assert who.roles == (RoleIdentifier("auditor"), RoleIdentifier("owner"))

    asyncio.run(scenario())


def test_a_real_provider_that_refuses(real_provider: str) -> None:
    async def scenario() -> None:
        async with http_client() as ours, httpx2.AsyncClient() as browser:
            oidc = OpenIDConnect(settings(issuer_url=real_provider), ours, lambda: NOW, KEYS)
            outset = await oidc.authorization_url(BACK)
            back = await browser.post(outset.url, data={"action": "deny"})
            query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
            state = parse_qs(urlsplit(outset.url).query)["state"][0]
            with pytest.raises(Forbidden) as caught:
                await oidc.identity_of(
                    code=None, state=state, cookie=outset.cookie, redirect_uri=BACK, error=query["error"]
                )
        assert caught.value.detail == "Its reason: access_denied. Please start again."

    asyncio.run(scenario())


def refusal(provider: IdentityProvider, **back: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        asyncio.run(provider.sign_in(**back))
    return caught.value


def test_what_the_browser_is_sent_to_the_provider_with() -> None:
    provider = IdentityProvider(scopes="email,groups")
    provider.description["authorization_endpoint"] += "?tenant=1"
    asyncio.run(provider.sign_in())

    assert provider.outset.url.startswith(f"{ISSUER}/authorize?tenant=1&")
    query = provider.query
    assert {name: query.pop(name) for name in ("response_type", "client_id", "redirect_uri", "scope", "tenant")} == {
        "response_type": "code",
        "client_id": "aibridge",
        "redirect_uri": BACK,
        "scope": "openid email groups",
        "tenant": "1",
    }
    assert query.pop("code_challenge_method") == "S256"
    assert {name: len(value) for name, value in query.items()} == {"state": 43, "nonce": 43, "code_challenge": 43}
    assert not any(secret in repr(provider.outset) for secret in (*query.values(), provider.outset.cookie))


def test_no_two_sign_ins_share_anything() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        urls = [parse_qs(urlsplit((await provider.oidc.authorization_url(BACK)).url).query) for _ in range(20)]
        for name in ("state", "nonce", "code_challenge"):
            assert len({query[name][0] for query in urls}) == 20

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("methods", "secret", "basic", "in_form"),
    [
        (None, "s3cret+/:", True, False),
        (["client_secret_post", "client_secret_basic"], "s3cret+/:", True, False),
        (["client_secret_post"], "s3cret+/:", False, True),
        (None, "", False, False),
    ],
)
def test_how_the_provider_knows_us(methods: list[str] | None, secret: str, *, basic: bool, in_form: bool) -> None:
    provider = IdentityProvider(client_secret=secret)
    if methods is not None:
        provider.description["token_endpoint_auth_methods_supported"] = methods
    asyncio.run(provider.sign_in())

    (request,) = [request for request in provider.asked if request.url.path.endswith("/token")]
    form = dict(parse_qsl(request.content.decode()))
    expected = f"Basic {base64.b64encode(b'aibridge:s3cret%2B%2F%3A').decode()}" if basic else None
    assert request.headers.get("authorization") == expected
    assert form.get("client_secret") == (secret if in_form else None)
    assert form.get("client_id") == (None if basic else "aibridge")


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS256", RSA), ("PS256", RSA), ("ES256", EC), ("EdDSA", OKP)],
    ids=lambda value: str(value)[:5],
)
def test_signatures_that_are_taken(algorithm: str, key: Any) -> None:
    provider = IdentityProvider()
    provider.header, provider.signed_by = {"alg": algorithm, "kid": key.kid}, key

    assert asyncio.run(provider.sign_in()).identity.subject == "248289761001"


OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"alg": "none"}, None),
        ({"alg": "none", "kid": "rsa"}, None),
        ({"alg": "HS256", "kid": "oct"}, SECRET),
        ({"alg": "HS256", "kid": "rsa"}, SECRET),
        ({"alg": "RS512", "kid": "rsa"}, RSA),
        ({"alg": "RS256", "kid": "rsa"}, OTHER_RSA),
        ({"alg": "RS256", "kid": "other"}, RSA),
        ({"alg": "RS256", "kid": "ec"}, RSA),
        ({"alg": "RS256", "kid": 7}, None),
        ({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, None),
        ({"kid": "rsa"}, None),
        ({"alg": ["RS256"]}, None),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_signatures_that_are_not(header: dict[str, Any], key: Any) -> None:
    provider = IdentityProvider()
    provider.keys.append(SECRET)
    provider.header, provider.signed_by = header, key

    error = refusal(provider)

    assert isinstance(error, Unauthenticated)
    assert error.message == "The identity provider's word for who you are is not valid."


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "eyJhbGciOiJSUzI1NiJ9..", "ä.b.c", "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.bnVsbA.AA"],
)
def test_what_is_no_token_at_all(token: str) -> None:
    provider = IdentityProvider()
    provider.instead["token"] = lambda _: httpx2.Response(200, json={"id_token": token})

    assert isinstance(refusal(provider), Unauthenticated)


def test_a_header_may_hold_more_than_we_know() -> None:
    provider = IdentityProvider()
    provider.header |= {"tenant": "x" * 4096}

    assert asyncio.run(provider.sign_in()).identity.username == "ada"


def test_an_id_is_not_needed_where_there_is_one_key() -> None:
    provider = IdentityProvider()
    provider.header = {"alg": "RS256"}
    assert asyncio.run(provider.sign_in()).identity.subject

    provider = IdentityProvider()
    provider.header = {"alg": "RS256"}
    provider.keys.append(RSAKey.generate_key(2048, {"kid": "another"}))
    assert isinstance(refusal(provider), Unauthenticated)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://id.example.com"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": []},
        {"aud": None},
        {"aud": ["aibridge", "another"]},
        {"azp": "another"},
        {"aud": ["aibridge", "another"], "azp": "another"},
        {"exp": int(NOW) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"iat": int(NOW) + 61},
        {"nbf": int(NOW) + 61},
        {"nonce": "another"},
        {"nonce": ""},
        {"nonce": None},
    ],
    ids=str,
)
def test_claims_that_are_not_taken(claims: dict[str, Any]) -> None:
    provider = IdentityProvider()
    provider.claims |= claims

    error = refusal(provider)

    assert isinstance(error, Unauthenticated)
    assert error.status == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["aibridge"]},
        {"aud": ["aibridge", "another"], "azp": "aibridge"},
        {"azp": "aibridge"},
        {"exp": int(NOW) - 59},
        {"iat": int(NOW) + 60},
        {"sub": "x" * 255},
    ],
    ids=str,
)
def test_claims_that_are(claims: dict[str, Any]) -> None:
    provider = IdentityProvider()
    provider.claims |= claims

    assert asyncio.run(provider.sign_in()).identity.issuer == ISSUER


@pytest.mark.parametrize(
    "back",
    [
        {"cookie": None},
        {"cookie": ""},
        {"cookie": "a.b"},
        {"state": None},
        {"state": ""},
        {"state": "another"},
        {"state": "\ud800"},
        {"state": "another", "error": "access_denied"},
    ],
    ids=str,
)
def test_who_did_not_set_out_here_does_not_arrive(back: dict[str, Any]) -> None:
    provider = IdentityProvider()

    error = refusal(provider, **back)

    assert isinstance(error, Unauthenticated)
    assert error.message == "This sign-in was not begun here, or took too long."
    assert provider.asked_for("/token") == 0


def test_somebody_elses_cookie_is_of_no_use() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        other = await provider.oidc.authorization_url(BACK)
        with pytest.raises(Unauthenticated):
            await provider.sign_in(cookie=other.cookie)

    asyncio.run(scenario())


def test_a_sign_in_may_take_ten_minutes() -> None:
    for later, arrives in ((LIFETIME - 1.0, True), (LIFETIME, False)):
        provider = IdentityProvider()
        provider.claims["exp"] = int(NOW) + 3600

        async def scenario(provider: IdentityProvider = provider, later: float = later) -> None:
            outset = provider.outset = await provider.oidc.authorization_url(BACK)
            provider.now += later
            state = provider.query["state"]
            await provider.oidc.identity_of(code="CODE", state=state, cookie=outset.cookie, redirect_uri=BACK)

        if arrives:
            asyncio.run(scenario())
        else:
            with pytest.raises(Unauthenticated):
                asyncio.run(scenario())


def test_another_of_our_processes_takes_it_from_there() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        other = OpenIDConnect(settings(), provider.client(), lambda: NOW, (bytes(32), *KEYS))
        outset = provider.outset = await provider.oidc.authorization_url(BACK)
        state = provider.query["state"]

        arrival = await other.identity_of(code="CODE", state=state, cookie=outset.cookie, redirect_uri=BACK)

        assert arrival.identity.username == "ada"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("supported", "issuer", "arrives"),
    [
        (False, None, True),
        (False, ISSUER, True),
        (True, ISSUER, True),
        (True, None, False),
        (False, "https://x", False),
    ],
)
def test_an_answer_says_who_it_is_from(issuer: str | None, *, supported: bool, arrives: bool) -> None:
    provider = IdentityProvider()
    provider.description["authorization_response_iss_parameter_supported"] = supported

    if arrives:
        assert asyncio.run(provider.sign_in(issuer=issuer)).identity.username == "ada"
    else:
        assert "another identity provider" in refusal(provider, issuer=issuer).message
        assert provider.asked_for("/token") == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [("access_denied", "access_denied"), ("<script>", "it does not say why"), ("", "it does not say why")],
)
def test_a_refusal_of_the_providers_is_told_without_its_words(error: str, told: str) -> None:
    found = refusal(IdentityProvider(), error=error)

    assert isinstance(found, Forbidden)
    assert found.detail == f"Its reason: {told}. Please start again."


def test_an_answer_without_a_code() -> None:
    error = refusal(IdentityProvider(), code=None)

    assert isinstance(error, BadRequest)
    assert error.field == "code"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant"}, Unauthenticated),
        (400, {"error": "invalid_client"}, UpstreamBroke),
        (401, {}, UpstreamBroke),
        (302, {}, UpstreamBroke),
        (500, {}, UpstreamBroke),
        (200, {}, UpstreamBroke),
        (200, {"id_token": 7}, UpstreamBroke),
        (200, [], UpstreamBroke),
    ],
)
def test_a_code_that_is_not_redeemed(status: int, body: object, kind: type[CallError]) -> None:
    provider = IdentityProvider()
    headers = {"location": "https://evil.example/token"}
    provider.instead["token"] = lambda _: httpx2.Response(status, json=body, headers=headers)

    assert type(refusal(provider)) is kind
    assert provider.asked_for("/token") == 1


@pytest.mark.parametrize("part", ["openid-configuration", "keys", "token", "userinfo"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx2.ConnectError("s3cret"), UpstreamUnreachable),
        (httpx2.ReadError("s3cret"), UpstreamUnreachable),
        (httpx2.ConnectTimeout("s3cret"), UpstreamTimeout),
        (TimeoutError("s3cret"), UpstreamTimeout),
        (httpx2.Response(200, content=b"s3cret"), UpstreamBroke),
        (httpx2.Response(200, content=b"[" * 100_000), UpstreamBroke),
        (httpx2.Response(302, headers={"location": "https://evil.example/"}), UpstreamBroke),
        (httpx2.Response(503, content=b"s3cret"), UpstreamBroke),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_provider_in_trouble(part: str, answer: Exception | httpx2.Response, kind: type[CallError]) -> None:
    provider = IdentityProvider()
    del provider.claims["preferred_username"]

    def troubled(_: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    provider.instead[part] = troubled
    error = refusal(provider)

    assert type(error) is kind
    assert "s3cret" not in error.message + error.detail
    assert all(request.url.host == "id.example.com" for request in provider.asked)


@pytest.mark.parametrize("part", ["openid-configuration", "keys", "token", "userinfo"])
@pytest.mark.parametrize("excess", [0, 1])
def test_an_answer_has_a_largest_size(part: str, excess: int) -> None:
    provider = IdentityProvider()
    del provider.claims["preferred_username"]
    provider.userinfo = {"sub": "248289761001", **ADA}

    def padded(request: httpx2.Request) -> httpx2.Response:
        del provider.instead[part]
        return httpx2.Response(200, content=provider.whole(request).content.ljust(LARGEST + excess))

    provider.instead[part] = padded
    if excess:
        assert isinstance(refusal(provider), UpstreamBroke)
    else:
        assert asyncio.run(provider.sign_in()).identity.username == "ada"


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://id.example.com/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "http://id.example.com/userinfo"},
        {"jwks_uri": None},
    ],
    ids=str,
)
def test_a_description_that_is_not_believed(change: dict[str, Any]) -> None:
    provider = IdentityProvider()
    provider.description |= change

    assert isinstance(refusal(provider), UpstreamBroke)
    assert [request.url.path for request in provider.asked] == ["/realm/.well-known/openid-configuration"]


def test_description_and_keys_are_kept_for_an_hour() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        provider.claims["exp"] = int(NOW) + 7200
        for later, fetches in ((0.0, 1), (1.0, 1), (KEPT - 1.0, 1), (KEPT, 2)):
            provider.now = NOW + later
            await provider.sign_in()
            assert provider.asked_for("/openid-configuration") == provider.asked_for("/keys") == fetches

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_makes_nothing_be_believed_for_longer() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        provider.now = NOW + 86400.0
        await provider.oidc.authorization_url(BACK)
        provider.now = NOW
        await provider.oidc.authorization_url(BACK)
        assert provider.asked_for("/openid-configuration") == 2

        provider = IdentityProvider()
        provider.instead["openid-configuration"] = lambda _: httpx2.Response(503)
        provider.now = NOW + 86400.0
        with pytest.raises(UpstreamBroke):
            await provider.oidc.authorization_url(BACK)
        provider.instead.clear()
        provider.now = NOW
        assert await provider.oidc.authorization_url(BACK)

    asyncio.run(scenario())


def test_a_key_that_is_new_is_looked_for_once_a_minute() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        await provider.sign_in()
        provider.signed_by = RSAKey.generate_key(2048, {"kid": "new"})
        provider.header = {"alg": "RS256", "kid": "new"}

        provider.now = NOW + ASKED_EVERY - 1.0
        with pytest.raises(Unauthenticated):
            await provider.sign_in()
        assert provider.asked_for("/keys") == 1
        provider.now = NOW + ASKED_EVERY
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                await provider.sign_in()
        assert provider.asked_for("/keys") == 2
        provider.keys.append(provider.signed_by)
        provider.now = NOW + 2 * ASKED_EVERY
        assert (await provider.sign_in()).identity.username == "ada"
        assert provider.asked_for("/keys") == 3

    asyncio.run(scenario())


def test_many_at_once_ask_once_and_a_failure_is_everybodys() -> None:
    async def scenario() -> None:
        provider = IdentityProvider()
        await asyncio.gather(*(provider.oidc.authorization_url(BACK) for _ in range(20)))
        assert len(provider.asked) == 1

        provider = IdentityProvider()
        provider.instead["openid-configuration"] = lambda _: httpx2.Response(503)
        found = await asyncio.gather(
            *(provider.oidc.authorization_url(BACK) for _ in range(20)), return_exceptions=True
        )
        assert {type(error) for error in found} == {UpstreamBroke}
        assert len(provider.asked) == 1
        provider.instead.clear()
        provider.now = NOW + LEFT_ALONE
        assert await provider.oidc.authorization_url(BACK)

    asyncio.run(scenario())


def test_keys_that_are_not_for_us_are_passed_over() -> None:
    provider = IdentityProvider()
    strange: list[dict[str, Any]] = [
        {"kty": "AKP", "kid": "rsa"},
        {"kid": "rsa"},
        {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "rsa"},
        {"kty": "EC", "kid": "rsa", "crv": "P-0", "x": "", "y": ""},
        RSA.as_dict(private=False) | {"use": "enc"},
        OTHER_RSA.as_dict(private=True),
        OTHER_RSA.as_dict(private=False) | {"alg": "PS256"},
        SECRET.as_dict(private=True) | {"kid": "rsa"},
    ]
    provider.instead["keys"] = lambda _: httpx2.Response(200, json={"keys": [*strange, RSA.as_dict(private=False)]})

    assert asyncio.run(provider.sign_in()).identity.username == "ada"


def test_a_key_too_short_is_none() -> None:
    provider = IdentityProvider()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        provider.signed_by = RSAKey.generate_key(1024, {"kid": "rsa"})
    provider.keys = [provider.signed_by]

    assert isinstance(refusal(provider), Unauthenticated)


def test_what_the_id_token_does_not_say_the_userinfo_endpoint_does() -> None:
    provider = IdentityProvider()
    provider.claims = {"name": "Ada"}
    provider.userinfo = {"sub": "248289761001", **ADA, "iss": "https://evil.example"}

    who = asyncio.run(provider.sign_in()).identity

    assert (who.username, who.email, who.name, who.issuer) == ("ada", "ada@example.com", "Ada", ISSUER)
    assert provider.asked_for("/userinfo") == 1


def test_it_is_not_asked_when_nothing_is_missing() -> None:
    provider = IdentityProvider()
    asyncio.run(provider.sign_in())

    assert provider.asked_for("/userinfo") == 0


@pytest.mark.parametrize("subject", ["another", None])
def test_nor_believed_when_it_speaks_of_somebody_else(subject: str | None) -> None:
    provider = IdentityProvider()
    del provider.claims["email"]
    provider.userinfo = {"sub": subject, "email": "root@example.com", "email_verified": True}

    assert "somebody else" in refusal(provider).detail


def test_a_provider_without_one_is_taken_as_it_is() -> None:
    provider = IdentityProvider()
    del provider.description["userinfo_endpoint"], provider.claims["preferred_username"]

    assert asyncio.run(provider.sign_in()).identity.username == "ada"


def test_without_an_issuer_there_is_no_sign_in() -> None:
    with pytest.raises(ValueError, match="--oidc-issuer-url"):
        OpenIDConnect(settings(issuer_url="", client_id=""), http_client(), lambda: NOW, KEYS)
