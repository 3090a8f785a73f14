"""Signing in and out."""

from typing import Annotated

import msgspec

from aibridge.contract.endpoint import Access, Endpoint
from aibridge.contract.shapes import Body, Line, Parameters, View
from aibridge.contract.users import Password


class PasswordMethod(View, frozen=True, kw_only=True):
    """Signing in by password."""

    enabled: bool


class OIDCMethod(View, frozen=True, kw_only=True):
    """Signing in by OpenID Connect."""

    enabled: bool
    sign_in_text: str = ""


class AuthMethods(View, frozen=True, kw_only=True):
    """The ways to sign in."""

    password: PasswordMethod
    oidc: OIDCMethod


class LoginWithPasswordRequest(Body, frozen=True, kw_only=True):
    """Who signs in: email address or username, and password."""

    email: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    password: Password

    def __repr__(self) -> str:
        return f"LoginWithPasswordRequest(email={self.email!r})"


class LoginResponse(View, frozen=True, kw_only=True):
    """A session. Browsers get it as the cookie `coder_session_token`, too."""

    session_token: str

    def __repr__(self) -> str:
        return "LoginResponse()"


class OIDCLoginQuery(Parameters, frozen=True, kw_only=True):
    """Where to go afterwards: a path of this server."""

    redirect: Line = "/"


class OIDCCallbackQuery(Parameters, frozen=True, kw_only=True):
    """What the OpenID provider answers, RFC 6749, 4.1.2; what else it adds is nothing to us."""

    code: str | None = None
    state: str | None = None
    error: str | None = None
    error_description: str | None = None
    error_uri: str | None = None
    session_state: str | None = None
    iss: str | None = None
    scope: str | None = None


ENDPOINTS = (
    Endpoint(
        operation="auth_methods",
        method="GET",
        path="/users/authmethods",
        summary="List the ways to sign in.",
        needs=Access.PUBLIC,
        response=AuthMethods,
    ),
    Endpoint(
        operation="login_with_password",
        method="POST",
        path="/users/login",
        summary="Sign in by password.",
        needs=Access.PUBLIC,
        body=LoginWithPasswordRequest,
        response=LoginResponse,
        status=201,
        errors=(401, 403, 503),
    ),
    Endpoint(
        operation="logout",
        method="POST",
        path="/users/logout",
        summary="End the session, or revoke the token, that this is sent with.",
        needs=Access.SIGNED_IN,
        status=204,
    ),
    Endpoint(
        operation="oidc_login",
        method="GET",
        path="/users/oidc/login",
        summary="Begin to sign in by OpenID Connect.",
        needs=Access.PUBLIC,
        query=OIDCLoginQuery,
        status=307,
        errors=(403, 404, 502, 503),
        browser=True,
    ),
    Endpoint(
        operation="oidc_callback",
        method="GET",
        path="/users/oidc/callback",
        summary="End to sign in by OpenID Connect.",
        needs=Access.PUBLIC,
        query=OIDCCallbackQuery,
        status=307,
        errors=(401, 403, 404, 502, 503),
        browser=True,
    ),
)
