"""Signing in with an OpenID Connect provider: the authorization code flow with PKCE, state and nonce.

    browser ── sign in ──► authorization_url ── 303 and a cookie ──► the provider, which knows who it is
    browser ◄── 303 with code and state ──┘
       └── code, state, the cookie ──► identity_of ── code, verifier ──► the provider's token endpoint
                                            └── the ID token, verified ──► Identity

What is checked is what OpenID Connect Core 1.0 (3.1.3.7), RFC 7636 (PKCE), RFC 9207 (mix-up) and RFC 9700 ask for.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx2
import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel

from aibridge.control.oidc_claims import Claims, Identity, identity, is_complete
from aibridge.control.oidc_departure import Departure, departure, read, signed
from aibridge.control.oidc_issuer import ALGORITHMS, Description, Issuer, decoded
from aibridge.domain.errors import BadRequest, CallError, Forbidden, Unauthenticated, UpstreamBroke
from aibridge.options import Settings

__all__ = ["Arrival", "Identity", "OpenIDConnect", "Outset", "http_client"]

LEEWAY = 60
"""Seconds that the provider's clock and ours may differ."""
_OPENID = "openid"
_LONGEST_SUBJECT = 255
"""Characters, as OpenID Connect Core 1.0 has it in section 2."""
_NOT_KNOWN = frozenset({"invalid_client", "unauthorized_client"})
"""Errors of a token endpoint (RFC 6749, 5.2) that are the server's, not the person's."""
_ERROR = re.compile(r"[a-z_]{1,40}")


class _Signatures(jws.JWSRegistry):
    """The signatures that are taken, whichever the library recommends; and headers may hold what we do not know."""

    max_header_length = 1 << 14  # some bring their chain of certificates along

    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm of a token, if it is one of ours."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"{name!r} is not one of {', '.join(ALGORITHMS)}")
        return self.algorithms[name]


_SIGNATURES = _Signatures(strict_check_header=False)


class Outset(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send a browser, and the value of the cookie `oidc_departure.STATE_COOKIE` to give it."""

    url: str
    cookie: str

    def __repr__(self) -> str:
        return "Outset(…)"


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Who came back, and the path here to go on to."""

    identity: Identity
    then: str


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


def http_client() -> httpx2.AsyncClient:
    """A client to ask providers with: no redirects, no proxy or credentials that the environment may name."""
    return httpx2.AsyncClient(follow_redirects=False, trust_env=False)


class OpenIDConnect:
    """Signs people in with the provider that the options name; `--oidc-issuer-url` is among those.

    `clock` gives UTC seconds. `keys` sign the cookie, the first of them, and are the same in all our processes:
    `Keyring.derived(oidc_departure.PURPOSE)`.
    """

    def __init__(
        self, settings: Settings, client: httpx2.AsyncClient, clock: Callable[[], float], keys: Sequence[bytes]
    ) -> None:
        if settings.oidc_issuer_url is None or settings.oidc_client_id is None:
            raise ValueError("OpenID Connect needs --oidc-issuer-url and --oidc-client-id")
        self._settings = settings
        self._client_id: str = settings.oidc_client_id
        self._issuer = Issuer(settings.oidc_issuer_url, client, clock)
        self._clock = clock
        self._keys = tuple(keys)

    async def authorization_url(self, redirect_uri: str, then: str = "/") -> Outset:
        """Begin: where the browser goes, to come back to `redirect_uri` and to end up at the path `then` here.

        Raises:
            UpstreamFailed: the provider cannot be asked how it is used.
        """
        description = await self._issuer.description()
        begun = departure(then, self._clock())
        scopes = self._settings.oidc_scopes
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": redirect_uri,
                "scope": " ".join(scopes if _OPENID in scopes else (_OPENID, *scopes)),
                "state": begun.state,
                "nonce": begun.nonce,
                "code_challenge": begun.challenge,
                "code_challenge_method": "S256",
            }
        )
        endpoint = description.authorization_endpoint
        return Outset(url=f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", cookie=signed(begun, self._keys))

    async def identity_of(  # noqa: PLR0913 -- what comes back, each by name
        self,
        *,
        code: str | None,
        state: str | None,
        cookie: str | None,
        redirect_uri: str,
        error: str | None = None,
        issuer: str | None = None,
    ) -> Arrival:
        """End: who it is that came back, by the query's `code`, `state`, `error` and `iss`, and by the cookie.

        `redirect_uri` is the one that `authorization_url` was given. Clear the cookie whatever this says.

        Raises:
            Unauthenticated: this browser did not begin this sign-in, or the provider does not vouch for anybody.
            BadRequest: it is no answer to a sign-in.
            Forbidden: the provider refused, or this person may not sign in here.
            UpstreamFailed: the provider cannot be reached or does not do its part.
        """
        begun = read(cookie, self._keys, self._clock())
        if begun is None or not hmac.compare_digest(begun.state.encode(), (state or "").encode("utf-8", "replace")):
            raise Unauthenticated(
                "This sign-in was not begun here, or took too long.",
                "The cookie that was set at its beginning is not there, is too old, or belongs to another sign-in. "
                "Please start again.",
            )
        description = await self._issuer.description()
        if (issuer is not None or description.authorization_response_iss_parameter_supported) and (
            issuer != description.issuer
        ):
            raise Unauthenticated("The answer is from another identity provider than the one that was asked.")
        if error is not None:
            reason = error if _ERROR.fullmatch(error) else "it does not say why"
            raise Forbidden("The identity provider did not sign you in.", f"Its reason: {reason}. Please start again.")
        if not code:
            raise BadRequest("The identity provider's answer has no code in it.", field="code")
        tokens = await self._redeemed(code, begun, description, redirect_uri)
        claims = await self._completed(await self._verified(tokens.id_token, begun), tokens, description)
        return Arrival(identity=identity(claims, self._settings), then=begun.then)

    async def _redeemed(self, code: str, begun: Departure, description: Description, redirect_uri: str) -> _Tokens:
        """The code for tokens. Only we can do that: the code is nothing without the verifier."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": begun.verifier,
        }
        headers: dict[str, str] = {}
        secret = self._settings.oidc_client_secret
        if secret is not None and "client_secret_basic" in description.token_endpoint_auth_methods_supported:
            # Encoded as in a form before it is encoded as Basic: RFC 6749, 2.3.1.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id} | ({} if secret is None else {"client_secret": secret})
        status, body = await self._issuer.asked("POST", description.token_endpoint, headers=headers, form=form)
        if status != httpx2.codes.OK:
            raise _not_redeemed(status, body)
        return decoded(body, _Tokens)

    async def _verified(self, id_token: str, begun: Departure) -> dict[str, Any]:
        """The claims of an ID token that is for us, for this sign-in, signed by the provider, and in force."""
        try:
            header = jws.extract_compact(id_token.encode(), registry=_SIGNATURES).headers()
            algorithm, key_id = header.get("alg"), header.get("kid")
            if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or not isinstance(key_id, str | None):
                raise _not_valid(f"it is not signed by one of {', '.join(ALGORITHMS)}")
            key = await self._issuer.key(key_id, algorithm)
            if key is None:
                raise _not_valid("it is signed with a key that the provider does not publish")
            claims = jwt.decode(id_token, key, registry=_SIGNATURES).claims
            jwt.JWTClaimsRegistry(
                now=int(self._clock()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self._issuer.url},
                sub={"essential": True},
                aud={"essential": True, "value": self._client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": begun.nonce},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise _not_valid(f"{type(error).__name__}") from None
        if claims.get("azp", self._client_id) != self._client_id or (
            isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        ):
            raise _not_valid("it was given to another client")
        if len(claims["sub"]) > _LONGEST_SUBJECT:
            raise _not_valid("its subject is too long")
        return claims

    async def _completed(self, claims: dict[str, Any], tokens: _Tokens, description: Description) -> Claims:
        """The claims, with what only the userinfo endpoint says where something is missing."""
        endpoint = description.userinfo_endpoint
        if is_complete(claims, self._settings) or not endpoint or not tokens.access_token:
            return claims
        status, body = await self._issuer.asked(
            "GET", endpoint, headers={"authorization": f"Bearer {tokens.access_token}"}
        )
        if status != httpx2.codes.OK:
            raise UpstreamBroke(
                "The identity provider did not complete the sign-in.", f"Its userinfo endpoint said {status}."
            )
        more = decoded(body, dict[str, Any])
        if more.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, 5.3.2: else it is about somebody else
            raise _not_valid("the userinfo endpoint speaks of somebody else")
        return more | claims


def _not_redeemed(status: int, body: bytes) -> CallError:
    if status == httpx2.codes.UNAUTHORIZED or (
        status == httpx2.codes.BAD_REQUEST and decoded(body, _Refusal).error in _NOT_KNOWN
    ):
        return UpstreamBroke(
            "The identity provider does not know this server.",
            "An administrator should check --oidc-client-id and --oidc-client-secret.",
        )
    if status == httpx2.codes.BAD_REQUEST:
        return Unauthenticated(
            "The identity provider does not take this code.",
            "It is used up or too old, or was not given for this sign-in. Please start again.",
        )
    return UpstreamBroke("The identity provider did not complete the sign-in.", f"Its token endpoint said {status}.")


def _not_valid(reason: str) -> Unauthenticated:
    return Unauthenticated("The identity provider's word for who you are is not valid.", f"In short: {reason}.")
