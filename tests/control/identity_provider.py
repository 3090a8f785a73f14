"""An identity provider that does as it is told, wrong things too, and the browser's part of a sign-in."""

import asyncio
import base64
import hashlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import msgspec
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from aibridge.control.oidc import Arrival, OpenIDConnect, Outset
from aibridge.options import Settings, load

ISSUER = "https://id.example.com/realm"
BACK = "https://ai.example.com/api/v2/users/oidc/callback"
NOW = 1_790_000_000.0
KEYS = (bytes(range(32)),)
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp"})
SECRET = OctKey.import_key("a secret that somebody shares with everybody", {"kid": "oct"})
ADA: Mapping[str, Any] = {
    "preferred_username": "ada",
    "email": "ada@example.com",
    "email_verified": True,
    "name": "Ada Lovelace",
}


def settings(**options: str) -> Settings:
    """Options of OpenID Connect by their names, without `oidc_`."""
    given = {"issuer_url": ISSUER, "client_id": "aibridge", "client_secret": "s3cret+/:"} | options
    return load({f"--oidc-{name.replace('_', '-')}": value for name, value in given.items() if value}, {})


class IdentityProvider:
    """Answers as a provider would; whatever is public here can be made wrong."""

    def __init__(self, **options: str) -> None:
        self.now = NOW
        self.asked: list[httpx2.Request] = []
        self.keys: list[Any] = [RSA, EC, OKP]
        self.signed_by: Any = RSA
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "rsa"}
        self.claims: dict[str, Any] = dict(ADA)
        self.userinfo: dict[str, Any] | None = None
        self.description: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
        }
        self.instead: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {}
        """Answers in place of the usual ones, by the last part of the path."""
        self.outset: Outset
        self.oidc = OpenIDConnect(settings(**options), self.client(), lambda: self.now, KEYS)

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer))

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        await asyncio.sleep(0)
        whole = self.whole(request)
        # As from a socket: an answer that is already whole cannot be read as it comes.
        return httpx2.Response(whole.status_code, headers=whole.headers, stream=httpx2.ByteStream(whole.content))

    def whole(self, request: httpx2.Request) -> httpx2.Response:
        part = request.url.path.rpartition("/")[2]
        if part in self.instead:
            return self.instead[part](request)
        match part:
            case "openid-configuration":
                return httpx2.Response(200, json=self.description)
            case "keys":
                return httpx2.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
            case "token":
                return httpx2.Response(200, json={"id_token": self.id_token(request), "access_token": "AT"})
            case "userinfo":
                assert request.headers["authorization"] == "Bearer AT"
                return httpx2.Response(200, json=self.userinfo)
        raise AssertionError(part)

    def id_token(self, request: httpx2.Request) -> str:
        form = dict(parse_qsl(request.content.decode()))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        asked = self.query
        assert challenge.decode().rstrip("=") == asked["code_challenge"]
        assert (form["code"], form["redirect_uri"]) == ("CODE", asked["redirect_uri"])
        usual = {
            "iss": ISSUER,
            "sub": "248289761001",
            "aud": "aibridge",
            "exp": int(NOW) + 300,
            "iat": int(NOW),
            "nonce": asked["nonce"],
        }
        claims = {name: value for name, value in (usual | self.claims).items() if value is not None}
        if self.signed_by is None:
            parts = [
                base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=")
                for part in (self.header, claims)
            ]
            return f"{parts[0]}.{parts[1]}."
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            registry = jws.JWSRegistry(algorithms=[self.header["alg"]], strict_check_header=False)
            registry.max_header_length = 1 << 14
            return jwt.encode(self.header, claims, self.signed_by, registry=registry)

    @property
    def query(self) -> dict[str, str]:
        """What the browser was sent to the provider with."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.outset.url).query).items()}

    async def sign_in(self, then: str = "/", **back: Any) -> Arrival:
        """The whole way; `back` is what the browser comes back with instead."""
        self.outset = await self.oidc.authorization_url(BACK, then)
        usual = {"code": "CODE", "state": self.query["state"], "cookie": self.outset.cookie, "redirect_uri": BACK}
        return await self.oidc.identity_of(**usual | back)

    def asked_for(self, part: str) -> int:
        return sum(request.url.path.endswith(part) for request in self.asked)
