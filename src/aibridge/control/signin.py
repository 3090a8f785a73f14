"""Signing in and out: by password, or by way of an OpenID provider. Both end with a session, which is a token.

Whoever fails learns nothing but that they failed: not whether there is such a user, nor which of the two was wrong.
"""

import logging
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.responses import Response

from aibridge.contract.endpoint import PREFIX
from aibridge.contract.signin import (
    AuthMethods,
    LoginResponse,
    LoginWithPasswordRequest,
    OIDCCallbackQuery,
    OIDCLoginQuery,
    OIDCMethod,
    PasswordMethod,
)
from aibridge.control import cookies, csrf
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.errors import answer, json_response
from aibridge.control.oidc_departure import LIFETIME, STATE_COOKIE
from aibridge.domain.errors import CallError, Forbidden, RateLimited, RouteNotSupported, Unauthenticated
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Resource
from aibridge.domain.scope import EVERYTHING
from aibridge.domain.token import TokenKind
from aibridge.domain.user import UserStatus
from aibridge.store import groups, signing_in, subjects, tokens, users
from aibridge.store.conflict import Conflict, Invalid
from aibridge.store.users import User

if TYPE_CHECKING:
    from aibridge.control.oidc import OpenIDConnect

_Ask = Ask[Any, Any]
_LOG = logging.getLogger("aibridge")
_COOKIE_DAYS = 30
"""How long a browser keeps the cookie. The session in it ends when it is not used; only the server knows when."""
_OIDC_PATH = f"{PREFIX}/users/oidc"


async def _methods(ask: _Ask) -> AuthMethods:
    settings = ask.world.settings
    oidc = settings.oidc_issuer_url is not None
    return AuthMethods(
        password=PasswordMethod(enabled=not settings.disable_password_auth),
        oidc=OIDCMethod(enabled=oidc, sign_in_text=settings.oidc_sign_in_text if oidc else ""),
    )


async def _login(ask: Ask[None, LoginWithPasswordRequest]) -> Response:
    world, given = ask.world, ask.body
    csrf.refuse_foreign(ask.request.headers.raw, ask.own_origins)
    found = await ask.reading(lambda connection: _found(connection, given.email))
    user, known = found if found is not None else (None, None)
    account = given.email if user is None else user.id
    rejection = world.throttle.attempt(ask.origin.address, account, monotonic())
    if rejection is not None:
        raise RateLimited("Too many attempts to sign in. Please try again later.", rejection=rejection)
    try:
        right = await world.passwords.matches(given.password, known)
    except BaseException:
        world.throttle.unused(ask.origin.address, account, monotonic())
        raise
    if user is None or known is None or not right:
        raise _incorrect()
    world.throttle.succeeded(ask.origin.address, account, monotonic())
    if world.settings.disable_password_auth and not user.is_owner:  # owners must not be locked out with the provider
        raise Forbidden("Signing in by password is for owners only here.", "The option is --disable-password-auth.")
    _check_status(user)
    fresh = await world.passwords.hash(given.password) if world.passwords.needs_rehash(known) else None

    def begin(connection: Connection) -> str:
        # While the password was looked at, somebody may have set another one, or shut this user out.
        present = _found(connection, user.id)
        if present is None or present[0].id != user.id or present[1] != known:
            raise _incorrect()
        _check_status(present[0])
        if fresh is not None:
            users.set_password(connection, user.id, fresh)
        return _session(ask, connection, present[0], "password")

    token = await ask.writing(begin)
    return _with_session(ask, json_response(LoginResponse(session_token=token), ask.endpoint.status), token)


def _logout(ask: _Ask, connection: Connection) -> Response:
    actor = ask.caller.actor
    tokens.revoke(connection, actor.token_id, ask.now)
    ask.record(connection, "logout", Resource.API_KEY, id=actor.token_id, name=actor.username)
    response = Response(status_code=ask.endpoint.status, headers={"cache-control": "no-store"})
    response.headers.append("set-cookie", cookies.cleared_session_cookie(secure=_secure(ask)))
    return response


async def _oidc_login(ask: Ask[OIDCLoginQuery, None]) -> Response:
    oidc = ask.world.oidc
    if oidc is None:
        raise _no_oidc(ask)
    outset = await oidc.authorization_url(_redirect_uri(ask), ask.query.redirect)
    response = _redirect(ask, outset.url)
    response.headers.append("set-cookie", _state_cookie(ask, outset.cookie, LIFETIME))
    return response


async def _oidc_callback(ask: Ask[OIDCCallbackQuery, None]) -> Response:
    oidc = ask.world.oidc
    if oidc is None:
        raise _no_oidc(ask)
    try:
        response = await _arrived(ask, oidc)
    except (CallError, Conflict, Invalid) as error:
        response = await answer(ask.request, error)
    # What was begun is over, however it ended.
    response.headers.append("set-cookie", _state_cookie(ask, "", 0.0))
    return response


async def _arrived(ask: Ask[OIDCCallbackQuery, None], oidc: "OpenIDConnect") -> Response:
    """Let in whoever the provider vouches for."""
    came = ask.query
    arrival = await oidc.identity_of(
        code=came.code,
        state=came.state,
        cookie=ask.request.cookies.get(STATE_COOKIE),
        redirect_uri=_redirect_uri(ask),
        error=came.error,
        issuer=came.iss,
    )

    def begin(connection: Connection) -> str:
        who = arrival.identity
        user = signing_in.known(connection, who.issuer, who.subject, who.email if who.email_verified else None, ask.now)
        if user is None:
            if not ask.world.settings.oidc_allow_signups:
                raise Forbidden("There is no user for you here.", "Ask an administrator to make one.")
            user = signing_in.arrived(connection, who.username, who.email, who.name, ask.now)
            users.link(connection, who.issuer, who.subject, user.id, now=ask.now)
            _record(ask, connection, Action.CREATE, user, after=_standing(connection, user))
        _check_status(user)
        before = _standing(connection, user)
        passed_over = signing_in.place(connection, user.id, who.roles, who.groups, ask.now)
        if passed_over:
            _LOG.warning("signing in %s: passed over %s", user.username, ", ".join(map(repr, passed_over)))
        after = _standing(connection, user)
        if after != before:
            _record(ask, connection, "set_roles", user, before=before, after=after)
        return _session(ask, connection, user, "oidc")

    return _with_session(ask, _redirect(ask, arrival.then), await ask.writing(begin))


def _found(connection: Connection, name: str) -> tuple[User, str | None] | None:
    """Whoever has this email address or name, and the hash of their password."""
    for find in (users.by_email, users.one):
        try:
            user = find(connection, name)
        except LookupError:
            continue
        return user, users.password_hash(connection, user.id)
    return None


def _incorrect() -> Unauthenticated:
    return Unauthenticated("Incorrect email or password.")


def _check_status(user: User) -> None:
    if user.status is UserStatus.SUSPENDED:
        raise Forbidden("Your account is suspended.", "Ask an administrator to activate it.")
    if not user.organization_ids:
        raise Forbidden("You belong to no organization.", "Ask an administrator to make you a member of one.")


def _session(ask: _Ask, connection: Connection, user: User, method: str) -> str:
    """A new session; whoever was dormant is active again."""
    users.seen(connection, [(user.id, ask.now)])
    minted = tokens.mint(
        connection,
        user_id=user.id,
        organization_id=DEFAULT_ORGANIZATION
        if DEFAULT_ORGANIZATION in user.organization_ids
        else user.organization_ids[0],
        name=f"session by {method}",
        kind=TokenKind.SESSION,
        parent=EVERYTHING,
        created_by=user.id,
        now=ask.now,
        expires_at=ask.now + int(ask.world.settings.session_duration * 1e6),
    )
    _record(ask, connection, "login", user, after={"method": method})
    return minted.text


def _standing(connection: Connection, user: User) -> dict[str, list[str]]:
    """The roles and groups that a provider may have something to say about."""
    roles = subjects.subject_of(connection, user.id).roles
    return {
        "roles": sorted(map(str, roles)),
        "groups": [f"{group.name}:{group.organization_id}" for group in groups.of_user(connection, user.id)],
    }


def _record(  # noqa: PLR0913 (who, and what they were and are)
    ask: _Ask,
    connection: Connection,
    action: Action | str,
    user: User,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down what somebody did by signing in: there is no caller yet."""
    by = (user.id, user.username)
    ask.record(connection, action, Resource.USER, id=user.id, name=user.username, before=before, after=after, by=by)


def _with_session(ask: _Ask, response: Response, token: str) -> Response:
    cookie = cookies.session_cookie(token, max_age=_COOKIE_DAYS * 86_400, secure=_secure(ask))
    response.headers.append("set-cookie", cookie)
    return response


def _state_cookie(ask: _Ask, value: str, max_age: float) -> str:
    return cookies.cookie(STATE_COOKIE, value, path=_OIDC_PATH, max_age=max_age, secure=_secure(ask))


def _secure(ask: _Ask) -> bool:
    return cookies.is_secure(ask.world.external_url(), option=ask.world.settings.secure_auth_cookie)


def _redirect_uri(ask: _Ask) -> str:
    return f"{ask.world.external_url().rstrip('/')}{_OIDC_PATH}/callback"


def _redirect(ask: _Ask, url: str) -> Response:
    location = quote(url, safe="%/:=&?~#+!$,;'@()*[]")
    return Response(status_code=ask.endpoint.status, headers={"location": location, "cache-control": "no-store"})


def _no_oidc(ask: _Ask) -> RouteNotSupported:
    return RouteNotSupported(
        "OpenID Connect is not configured here.", f"{ask.endpoint.summary} It needs --oidc-issuer-url."
    )


HANDLERS: Mapping[str, Handler | AsyncHandler] = {
    "auth_methods": _methods,
    "login_with_password": _login,
    "logout": _logout,
    "oidc_login": _oidc_login,
    "oidc_callback": _oidc_callback,
}
